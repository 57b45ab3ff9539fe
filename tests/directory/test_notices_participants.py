"""Which operators are told what, when who takes part or what is offered changes: a pure function of two documents."""

from datetime import date

import msgspec
import pytest

from gateway.directory.model import Document, Line, Party, PartyKind, Scope, Stop, Suspension, Terms
from gateway.directory.notices import notices_between
from gateway.directory.participants import Campaign, CardTerm, DayException, Fee, Kit
from protocol.certificates import CardType, Kind
from protocol.messages import NoticeKind
from tests.directory.certificates import (
    APRIL,
    CHIBA,
    DOCUMENT,
    FAMILY,
    NOON,
    RESIDENT,
    TAKAOKA,
    WEEKDAYS,
    changed,
    contract,
    offer,
    with_chiba,
)
from tests.directory.sample import key

A, B = "cvs-a/relay-1", "cvs-b/relay-1"
EVERY = [A, B]
HOUR_US = 3_600_000_000
LATER = date(2027, 2, 1)
EXCEPTION = DayException(valid_from=LATER, valid_until=LATER, opening=None)
STOP = Stop(from_us=NOON + HOUR_US, until_us=NOON + 2 * HOUR_US, ground="保守")


def told(old: Document, new: Document, at_us: int = NOON) -> list[tuple[NoticeKind, list[str], str]]:
    """Kind, lines and words of each thing said."""
    said: dict[tuple[int, str], list[str]] = {}
    for notice in notices_between(old, new, at_us):
        said.setdefault((notice.kind, notice.text), []).append(f"{notice.party}/{notice.line}")
    return [(NoticeKind(kind), lines, text) for (kind, text), lines in said.items()]


def the_one(old: Document, new: Document, at_us: int = NOON) -> tuple[NoticeKind, list[str], str]:
    (only,) = told(old, new, at_us)
    return only


def resident(**changes: object) -> Document:
    return with_chiba(offers=(msgspec.structs.replace(RESIDENT, **changes), FAMILY))


CHANGES = [
    (with_chiba(valid_until=LATER), NoticeKind.PARTICIPATION, "until 2027-02-01"),
    (with_chiba(card_types=frozenset({1, 3})), NoticeKind.OFFERS, "スマートフォン用電子証明書"),
    (
        with_chiba(offers=(RESIDENT, FAMILY, offer(Kind.SEAL))),
        NoticeKind.OFFERS,
        "印鑑登録証明書 2026-04-01から1通300円",
    ),
    (with_chiba(offers=(FAMILY,)), NoticeKind.OFFERS, "No longer offered: Chiba (synthetic) (121002), Copy of"),
    (resident(copies_max=3), NoticeKind.OFFERS, "up to 3 copies"),
    (resident(valid_until=LATER), NoticeKind.OFFERS, "2027-02-01まで"),
    (resident(fees=(*RESIDENT.fees, Fee(valid_from=LATER, yen=350))), NoticeKind.TARIFF, "2027-02-01から1通350円"),
    (
        resident(campaigns=(Campaign(valid_from=LATER, valid_until=LATER, yen=10),)),
        NoticeKind.TARIFF,
        "2027-02-01: 10 yen a copy",
    ),
    (
        resident(hours=(*RESIDENT.hours, msgspec.structs.replace(WEEKDAYS, valid_from=LATER))),
        NoticeKind.HOURS,
        "平日 09:00-17:00、土曜 休止",
    ),
    (with_chiba(holidays=frozenset({LATER})), NoticeKind.HOURS, "Holidays changed"),
    (with_chiba(exceptions=(EXCEPTION,)), NoticeKind.HOURS, "2027-02-01 休止"),
    (with_chiba(stops=(STOP,)), NoticeKind.STOP, "2026-11-25 13:00 - 2026-11-25 14:00。理由: 保守"),
    (changed(stops=(STOP,)), NoticeKind.STOP, "計画停止"),
    (changed(closed=DOCUMENT.closed | {LATER}), NoticeKind.HOURS, "Closed days changed: 2027-02-01"),
    (
        changed(
            card_types=(
                *DOCUMENT.card_types[:2],
                CardTerm(type=CardType.SMARTPHONE, valid_from=date(2026, 11, 1), valid_until=LATER),
            )
        ),
        NoticeKind.OFFERS,
        "Type of card",
    ),
]


@pytest.mark.parametrize(("document", "kind", "words"), CHANGES)
def test_each_change_is_told_once_to_every_operator(document: Document, kind: NoticeKind, words: str) -> None:
    said = the_one(DOCUMENT, document)
    assert said[:2] == (kind, EVERY)
    assert words in said[2]
    assert " / " in said[2], "Japanese, then English"


@pytest.mark.parametrize(
    ("document", "kind", "words"),
    [
        (resident(fees=(*RESIDENT.fees, Fee(valid_from=LATER, yen=350))), NoticeKind.TARIFF, "Fee withdrawn"),
        (
            resident(campaigns=(Campaign(valid_from=LATER, valid_until=LATER, yen=10),)),
            NoticeKind.TARIFF,
            "期間限定の交付手数料の取消し",
        ),
        (with_chiba(exceptions=(EXCEPTION,)), NoticeKind.HOURS, "No longer different"),
        (with_chiba(stops=(STOP,)), NoticeKind.STOP, "市区町村の計画停止の取消し"),
    ],
)
def test_what_is_taken_back_is_told_too(document: Document, kind: NoticeKind, words: str) -> None:
    said = the_one(document, DOCUMENT)
    assert said[:2] == (kind, EVERY)
    assert words in said[2]


def test_a_municipality_that_joins_is_told_with_what_it_offers_and_so_is_one_that_is_gone() -> None:
    without = changed(municipalities=(TAKAOKA,))
    kind, lines, text = the_one(without, DOCUMENT)
    assert (kind, lines) == (NoticeKind.PARTICIPATION, EVERY)
    assert "(121002) 2026-04-01から。証明書: 住民票の写し 300円、戸籍全部事項証明書 450円" in text
    assert "Municipality joins: Chiba (synthetic) (121002) from 2026-04-01" in text
    kind, lines, text = the_one(DOCUMENT, without)
    assert (kind, lines) == (NoticeKind.PARTICIPATION, EVERY)
    assert "Taking part withdrawn" in text


def test_an_operator_that_joins_ends_or_goes_is_told_to_the_others_alone() -> None:
    alone = changed(contracts=DOCUMENT.contracts[:1])
    kind, lines, text = the_one(alone, DOCUMENT)
    assert (kind, lines) == (NoticeKind.PARTICIPATION, [A])
    assert "事業者の参加: 事業者B (cvs-b) 2026-04-01から" in text
    kind, lines, text = the_one(DOCUMENT, alone)
    assert (kind, lines) == (NoticeKind.PARTICIPATION, [A])
    assert "Operator withdrawn: Stores B (cvs-b)" in text
    ending = changed(contracts=(DOCUMENT.contracts[0], contract("cvs-b", valid_until=LATER, run_off_until=None)))
    kind, lines, text = the_one(DOCUMENT, ending)
    assert (kind, lines) == (NoticeKind.PARTICIPATION, [A])
    assert "until 2027-02-01" in text


def test_a_commission_is_told_to_its_operator_as_a_commission() -> None:
    terms = (*DOCUMENT.contracts[0].terms, Terms(valid_from=LATER, version=2, yen_per_record=0, commission=120))
    kind, lines, text = the_one(DOCUMENT, changed(contracts=(contract("cvs-a", terms=terms), DOCUMENT.contracts[1])))
    assert (kind, lines) == (NoticeKind.TARIFF, [A])
    assert text == "委託手数料: 2027-02-01から1通120円 / Commission from 2027-02-01: 120 yen a copy"


@pytest.mark.parametrize(
    ("scope", "target", "lines"),
    [
        (Scope.PARTY, "chiba", EVERY),
        (Scope.PARTY, "cvs-a", [A]),
        (Scope.KIND, Kind.FAMILY_ALL, EVERY),
    ],
)
def test_a_stopped_municipality_or_kind_is_told_to_those_whose_kiosks_show_it(
    scope: Scope, target: str, lines: list[str]
) -> None:
    stopped = changed(suspensions=(Suspension(scope=scope, target=target, from_us=NOON, until_us=None, ground="確認"),))
    assert the_one(DOCUMENT, stopped)[:2] == (NoticeKind.SUSPENSION, lines)
    assert the_one(stopped, DOCUMENT)[:2] == (NoticeKind.RESUMPTION, lines)


def test_who_is_no_operator_is_told_nothing_of_offers() -> None:
    ministry = Party(id="mlit", kind=PartyKind.MINISTRY, name_ja="省", name_en="Ministry")
    line = Line(party="mlit", name="line-1", keys=(key("m"),))
    base = changed(parties=(*DOCUMENT.parties, ministry), lines=(*DOCUMENT.lines, line))
    new = msgspec.structs.replace(base, municipalities=(CHIBA,))
    assert the_one(base, new)[1] == EVERY


def test_what_concerns_no_operator_or_is_past_is_told_to_nobody() -> None:
    past = date(2026, 11, 24)
    gone = Stop(from_us=NOON - 2 * HOUR_US, until_us=NOON, ground="保守")
    for quiet in (
        DOCUMENT,
        with_chiba(host="10.0.0.1", port=1, deadline_ms=1),
        with_chiba(trust=b""),
        with_chiba(holidays=frozenset({past})),
        with_chiba(exceptions=(DayException(valid_from=APRIL, valid_until=past, opening=None),)),
        with_chiba(stops=(gone,)),
        changed(kits=(Kit(id="kit-2026.1", valid_from=APRIL),)),
        changed(operators=()),
    ):
        assert told(DOCUMENT, quiet) == []
