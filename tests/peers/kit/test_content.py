"""Pages are cut by rule, and what does not fit is refused, never cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.peers.kit.content import (
    CERTIFYING,
    KEY_BYTES_MAX,
    KEY_CHARACTERS_MAX,
    KEY_FIELDS_MAX,
    PAGE_LINES,
    Row,
    Section,
    lines_needed,
    units,
)
from gateway.peers.kit.errors import TextTooLong
from protocol.certificates import Kind
from protocol.document import PAGES_MAX, Field
from tests.peers.kit.certificates import ADDRESS_ROW, certificate, household, of_kind, person


def test_every_kind_has_its_sentence() -> None:
    assert set(CERTIFYING) == set(Kind)


@pytest.mark.parametrize("people", range(1, 13))
def test_a_household_stands_whole_and_in_order_on_its_pages(people: int) -> None:
    made = household(people)
    printed = [section.heading for page in made.pages for section in page.sections if section.heading]
    assert printed == [f"世帯員 {number}" for number in range(1, people + 1)]
    assert len(made.pages) == -(-people // 4)


def test_common_key_rows_are_key_fields_of_every_page_and_a_persons_of_its_own() -> None:
    made = household(9)
    for page in made.pages:
        people = [section for section in page.sections if section.heading]
        assert page.key_fields[0] == Field(ADDRESS_ROW.label, ADDRESS_ROW.value)
        assert [field.text for field in page.key_fields[1::2]] == [section.rows[0].value for section in people]


def test_a_section_longer_than_a_page_goes_on_under_its_heading() -> None:
    made = of_kind(Kind.FAMILY_ALL)
    headings = [section.heading for page in made.pages for section in page.sections if section.heading]
    assert headings == ["戸籍に記録されている者", "戸籍に記録されている者（続き）"]
    assert sum(len(section.rows) for page in made.pages for section in page.sections) == 3 + 39


ROWS = st.builds(
    Row,
    label=st.sampled_from(["氏名", "備考", "住所"]),
    value=st.text("漢字かなabc 12", max_size=60),
    key=st.booleans(),
)


@given(st.lists(st.lists(ROWS, min_size=1, max_size=40), min_size=1, max_size=8))
def test_no_row_is_lost_or_moved_and_no_page_is_over_its_bounds(sections: list[list[Row]]) -> None:
    made = certificate(Kind.RESIDENT, [Section("節", tuple(rows)) for rows in sections])
    printed = [row for page in made.pages for section in page.sections for row in section.rows]
    assert printed == [row for rows in sections for row in rows]
    for page in made.pages:
        rows = [row for section in page.sections for row in section.rows]
        assert sum(lines_needed(row) for row in rows) + len(page.sections) <= PAGE_LINES
        assert len(page.key_fields) <= KEY_FIELDS_MAX
        assert sum(len((field.label + field.text).encode()) for field in page.key_fields) <= KEY_BYTES_MAX
        assert [field.text for field in page.key_fields] == [row.value for row in rows if row.key]


@pytest.mark.parametrize(
    ("row", "fits"),
    [
        (Row("備考", "漢" * 68), True),
        (Row("備考", "漢" * 69), False),
        (Row("備考", "漢" * 34, lines=1), True),
        (Row("備考", "漢" * 35, lines=1), False),
        (Row("備考", "漢" * 136, lines=4), True),
        (Row("備考", "漢" * 137, lines=9), False),
        (Row("氏名", "漢" * KEY_CHARACTERS_MAX, key=True, lines=3), True),
        (Row("氏名", "漢" * (KEY_CHARACTERS_MAX + 1), key=True, lines=3), False),
        (Row("漢" * 10, ""), False),
        (Row("氏名", "A" * 35), False),
        (Row("氏名", "Alexandra Maria Synthetic-Example of Nowhere"), True),
    ],
)
def test_a_text_beyond_its_lines_is_too_long_and_named(row: Row, fits: bool) -> None:
    if fits:
        assert certificate(Kind.RESIDENT, [Section("", (row,))]).pages
    else:
        with pytest.raises(TextTooLong) as refused:
            certificate(Kind.RESIDENT, [Section("", (row,))])
        assert refused.value.field == row.label


def test_a_variant_selector_takes_no_width() -> None:
    assert units("邉\U000e0110") == units("邉") == 2


def test_more_pages_than_a_manifest_names_are_too_long() -> None:
    with pytest.raises(TextTooLong):
        certificate(Kind.RESIDENT, [person(number) for number in range(4 * PAGES_MAX + 1)])


def test_a_heading_beyond_its_line_is_too_long() -> None:
    with pytest.raises(TextTooLong) as refused:
        certificate(Kind.RESIDENT, [Section("漢" * 39, ())])
    assert refused.value.field == "heading"
