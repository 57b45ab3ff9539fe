"""Matching: what is accepted, what is named, what stays in doubt, what is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.index import name_tokens, query_tokens
from gateway.inquiry.matching import CANDIDATES_MAX, Ambiguous, Exact, NoMatch, Variant, fit_of, match
from gateway.inquiry.record import SCHEMA, ResidentRecord
from protocol.messages import InquiryByName

A = ResidentRecord(
    SCHEMA, "00000000000", "髙橋 一郎", "タカハシ イチロウ", "1975-11-23", 19751123, 1, "東京都中野区中野4丁目8番1号",
    "131148", 301, "2020-01-01", "佐々木", "ロバート高橋", None, True,
    ("佐藤 一郎",), ("千葉県市川市八幡1丁目1番1号",),
)  # fmt: skip
PLAIN = msgspec.structs.replace(A, name="高橋 一郎", former_names=(), birth="1950-01-01", birth_sort=19500101)
YAMAZAKI = msgspec.structs.replace(
    A, name="山崎 浩司", kana="ヤマザキ ヒロジ", former_surname="", alias="", former_names=()
)


def asks(**changes: object) -> InquiryByName:
    base = {"name": A.name, "address": A.address} | changes
    return InquiryByName("12-1", 1, "s", "c", **base)


def vague(birth: str, sort: int | None) -> ResidentRecord:
    return msgspec.structs.replace(A, birth=birth, birth_sort=sort)


@pytest.mark.parametrize(
    ("query", "people", "expected"),
    [
        (asks(), [A], Exact(0)),
        (asks(name="髙橋　一郎"), [A], Exact(0)),
        (asks(name="高橋一郎"), [A], Variant(0, ("name",))),
        (asks(name="高橋一郎", address="中野区中野4-8-1"), [A], Variant(0, ("name", "address"))),
        (asks(name="佐藤一郎"), [A], Variant(0, ("former_name",))),
        (asks(name="佐々木 一郎"), [A], Variant(0, ("former_surname",))),
        (asks(name="佐佐木一郎"), [A], Variant(0, ("former_surname",))),
        (asks(name="佐々木"), [A], NoMatch()),
        (asks(name="ロバート髙橋"), [A], Variant(0, ("alias",))),
        (asks(name="たかはし いちろう"), [A], Variant(0, ("kana",))),
        (asks(address="市川市八幡1-1-1"), [A], Variant(0, ("former_address",))),
        (asks(address="中野区中野4-8-1-201"), [A], Variant(0, ("address",))),
        (asks(birth="1975-11-23", sex=1), [A], Exact(0)),
        (asks(birth="1975-11-24"), [A], NoMatch()),
        (asks(sex=2), [A], NoMatch()),
        (asks(sex=1), [msgspec.structs.replace(A, sex=0)], Variant(0, ("sex",))),
        (asks(name="高橋二郎"), [A], NoMatch()),
        (asks(address="中野区中野4-8-2"), [A], NoMatch()),
        (asks(), [], NoMatch()),
        (asks(birth="1935-03-15"), [vague("昭和10年3月頃", 19350300)], Variant(0, ("birth",))),
        (asks(birth="1935-04-15"), [vague("昭和10年3月頃", 19350300)], NoMatch()),
        (asks(birth="1935-03-15"), [vague("昭和10年3月上旬", 19350300)], NoMatch()),
        (asks(birth="1935-04-15"), [vague("年月日不詳", None)], Variant(0, ("birth",))),
        (asks(birth="1935-04-15"), [vague("慶応なんねん", 19350000)], Variant(0, ("birth",))),
        (asks(birth="1951-02-29"), [vague("1951-02-29", 19510229)], Exact(0)),
        (asks(birth="1912-07-30"), [vague("大正元年7月30日", 19120730)], Exact(0)),
        (asks(birth="1912-07-30"), [vague("明治45年7月30日", 19120730)], Exact(0)),
        # Two people: the one with nothing differing is the one asked for; by folding alone nobody is chosen.
        (asks(), [PLAIN, A], Exact(1)),
        (asks(name="髙橋一郎", address="中野区中野4-8-1"), [PLAIN, A], Ambiguous()),
        (asks(name="高橋一郎", address="中野区中野4-8-1", birth="1975-11-23"), [PLAIN, A],
         Variant(1, ("name", "address"))),
        (asks(), [A, A], Ambiguous()),
        (asks(), [A] * (CANDIDATES_MAX + 1), Ambiguous()),
        (asks(name="誰か"), [A] * (CANDIDATES_MAX + 1), Ambiguous()),
        # Readings: a surname's voicing is spelling, a given name's may be a brother's.
        (asks(name="ヤマザキ ヒロジ"), [YAMAZAKI], Variant(0, ("kana",))),
        (asks(name="ヤマサキ ヒロジ"), [YAMAZAKI], Variant(0, ("kana",))),
        (asks(name="ヤマサキヒロジ"), [YAMAZAKI], Variant(0, ("kana",))),
        (asks(name="ヤマザキ ヒロシ"), [YAMAZAKI], Ambiguous()),
        (asks(name="ヤマザキ ヒロシ", birth="1975-11-23"), [YAMAZAKI], Variant(0, ("kana",))),
        (asks(name="ヤマザキ ヒロシ", birth="1975-11-22"), [YAMAZAKI], NoMatch()),
        (asks(name="ヤマザキ ヒロシ", birth="1975-11-23"),
         [msgspec.structs.replace(YAMAZAKI, birth="昭和50年頃", birth_sort=19750000)], Ambiguous()),
        (asks(name="ヤマザキ ヒロシ"), [YAMAZAKI, msgspec.structs.replace(YAMAZAKI, kana="ヤマザキ ヒロシ")],
         Ambiguous()),
        (asks(name="ヤマサキ ヒロジ"), [msgspec.structs.replace(YAMAZAKI, kana="ヤマザキヒロジ")], Ambiguous()),
    ],
)  # fmt: skip
def test_a_question_comes_to(query: InquiryByName, people: list[ResidentRecord], expected: object) -> None:
    assert match(query, people, history=True) == expected


@pytest.mark.parametrize("changes", [{"name": "佐藤一郎"}, {"address": "市川市八幡1-1-1"}])
def test_the_past_is_searched_only_where_the_affair_allows(changes: dict[str, object]) -> None:
    assert match(asks(**changes), [A], history=False) == NoMatch()
    assert isinstance(match(asks(**changes), [A], history=True), Variant)
    assert match(asks(name="佐々木 一郎"), [A], history=False) == Variant(0, ("former_surname",))


# Few values of each kind, so that chance meetings are many.
_NAMES = [
    "髙橋 一郎",
    "高橋 一郎",
    "斉藤 浩",
    "斎藤 浩",
    "タカハシ イチロウ",
    "サイトウ ヒロシ",
    "サイドウ ヒロジ",
    "齋藤 浩",
]
_PLACES = [
    "中野区中野4-8-1",
    "東京都中野区中野4丁目8番1号",
    "中野区中野4-8-1-201",
    "中野区中野4-8-1 中野荘202",
    "中野区中野4-8-2",
]
_BIRTHS = [("1975-11-23", 19751123), ("昭和50年11月頃", 19751100), ("年月日不詳", None), ("1975-11-24", 19751124)]

RECORDS = st.builds(
    lambda name, kana, place, birth, sex, former, before: ResidentRecord(
        SCHEMA, "00000000000", name, kana, birth[0], birth[1], sex, place, "131148", 301, "2020-01-01",
        "", "", None, True, former, before,
    ),
    st.sampled_from(_NAMES), st.sampled_from(_NAMES[4:7]), st.sampled_from(_PLACES), st.sampled_from(_BIRTHS),
    st.integers(0, 2), st.tuples() | st.tuples(st.sampled_from(_NAMES)),
    st.tuples() | st.tuples(st.sampled_from(_PLACES)),
)  # fmt: skip
QUERIES = st.builds(
    lambda name, address, birth, sex: InquiryByName("12-1", 1, "s", "c", name, address, birth, sex),
    st.sampled_from(_NAMES),
    st.sampled_from(_PLACES),
    st.none() | st.sampled_from(["1975-11-23", "1975-11-24"]),
    st.none() | st.integers(1, 2),
)


@given(QUERIES, st.lists(RECORDS, max_size=4), st.booleans(), st.randoms())
def test_the_order_of_candidates_does_not_change_who_is_chosen(query, people, history, random) -> None:
    order = list(range(len(people)))
    random.shuffle(order)
    one = match(query, people, history=history)
    other = match(query, [people[at] for at in order], history=history)
    assert type(one) is type(other)
    if isinstance(one, Exact | Variant):
        assert order[other.at] == one.at


@given(QUERIES, st.lists(RECORDS, max_size=4), st.booleans())
def test_nobody_is_released_whom_the_tokens_would_not_have_found(query, people, history) -> None:
    key = b"k" * 32
    asked = set(query_tokens(key, query.name, query.address, query.birth))
    found = match(query, people, history=history)
    if isinstance(found, Exact | Variant):
        assert not asked.isdisjoint(name_tokens(key, people[found.at]))


@given(QUERIES, RECORDS)
def test_a_record_asks_for_another_as_the_other_asks_for_it(query, record) -> None:
    """What is written is compared alike from either side; a reading only answers, it has no reading of its own."""
    bare = msgspec.structs.replace(record, former_names=(), former_addresses=(), kana="")
    back = InquiryByName("12-1", 1, "s", "c", bare.name, bare.address)
    turned = msgspec.structs.replace(bare, name=query.name, address=query.address)
    there = fit_of(msgspec.structs.replace(query, birth=None, sex=None), bare, history=False)
    assert there == fit_of(back, turned, history=False)


@given(QUERIES, st.lists(RECORDS, min_size=1, max_size=4))
def test_one_more_candidate_never_turns_nobody_or_doubt_into_a_variant_of_someone_else(query, people) -> None:
    fewer, more = match(query, people[:-1], history=True), match(query, people, history=True)
    if isinstance(more, Variant) and more.at < len(people) - 1:
        assert fewer == more
    if isinstance(fewer, Variant):
        assert more == fewer or isinstance(more, Ambiguous | Exact)
