import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs import LineName, LineNameError, parse_line_name, parse_line_uri

idents = st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True).filter(str.isascii)


@given(idents, idents)
def test_a_name_survives_its_uri(party, line):
    name = LineName(party, line)
    assert parse_line_uri(name.uri) == name
    assert parse_line_name(str(name)) == name


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "line://",
        "line://a",
        "line://a/",
        "line:///b",
        "line://a/b/c",
        "LINE://a/b",
        "line://A/b",
        "line://-a/b",
        "line://a/b?x=1",
        "line://a/b#c",
        "line://a:1/b",
        "line://a/b\n",
        "line://a/%62",
        "line://a/é",
        "line://a/\uff11",
        "line://" + "a" * 41 + "/b",
        "https://a/b",
        " line://a/b",
    ],
)
def test_any_other_spelling_is_refused(uri):
    with pytest.raises(LineNameError) as caught:
        parse_line_uri(uri)
    assert caught.value.code == "line-name-invalid"


@given(st.text(max_size=60))
def test_whatever_is_read_has_exactly_one_spelling(text):
    try:
        name = parse_line_uri("line://" + text)
    except LineNameError:
        return
    assert name.uri == "line://" + text


def test_an_ident_may_have_forty_characters():
    assert LineName("a" * 40, "b" * 40).uri.startswith("line://aaaa")


def test_the_text_in_an_error_is_bounded():
    with pytest.raises(LineNameError) as caught:
        parse_line_uri("x" * 10_000)
    assert len(str(caught.value)) < 300
