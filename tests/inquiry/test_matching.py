"""Matching: what is accepted, what is named, what is refused."""

import msgspec
import pytest

from gateway.inquiry.matching import CANDIDATES_MAX, Ambiguous, Exact, NoMatch, Variant, match
from gateway.inquiry.record import ResidentRecord
from protocol.messages import InquiryByName

A = ResidentRecord(
    2, "00000000000", "髙橋 一郎", "タカハシ イチロウ", "1975-11-23", 19751123, 1, "東京都中野区中野4丁目8番1号",
    "131148", 301, "2020-01-01", synthetic=True, former_names=("佐藤 一郎",),
    former_addresses=("千葉県市川市八幡1丁目1番1号",),
)  # fmt: skip
PLAIN = msgspec.structs.replace(A, name="高橋 一郎", former_names=(), birth="1950-01-01", birth_sort=19500101)


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
        (asks(name="たかはし いちろう"), [A], Variant(0, ("kana",))),
        (asks(address="市川市八幡1-1-1"), [A], Variant(0, ("former_address",))),
        (asks(birth="1975-11-23", sex=1), [A], Exact(0)),
        (asks(birth="1975-11-24"), [A], NoMatch()),
        (asks(sex=2), [A], NoMatch()),
        (asks(sex=1), [msgspec.structs.replace(A, sex=0)], Variant(0, ("sex",))),
        (asks(name="高橋二郎"), [A], NoMatch()),
        (asks(address="中野区中野4-8-2"), [A], NoMatch()),
        (asks(), [], NoMatch()),
        (asks(birth="1935-03-15"), [vague("昭和10年3月頃", 19350300)], Variant(0, ("birth",))),
        (asks(birth="1935-04-15"), [vague("昭和10年3月頃", 19350300)], NoMatch()),
        (asks(birth="1935-04-15"), [vague("年月日不詳", None)], Variant(0, ("birth",))),
        (asks(birth="1951-02-29"), [vague("1951-02-29", 19510229)], Exact(0)),
        # Two people: the one with nothing differing is the one asked for; by folding alone nobody is chosen.
        (asks(), [PLAIN, A], Exact(1)),
        (asks(name="髙橋一郎", address="中野区中野4-8-1"), [PLAIN, A], Ambiguous()),
        (asks(name="高橋一郎", address="中野区中野4-8-1", birth="1975-11-23"), [PLAIN, A],
         Variant(1, ("name", "address"))),
        (asks(), [A, A], Ambiguous()),
        (asks(), [A] * (CANDIDATES_MAX + 1), Ambiguous()),
        (asks(name="誰か"), [A] * (CANDIDATES_MAX + 1), Ambiguous()),
    ],
)  # fmt: skip
def test_a_question_comes_to(query: InquiryByName, people: list[ResidentRecord], expected: object) -> None:
    assert match(query, people) == expected
