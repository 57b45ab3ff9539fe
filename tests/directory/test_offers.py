"""What may be applied for, when, at what fee: each refusal for its own cause, the two calendars apart."""

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory import hours
from gateway.directory.directory import Directory
from gateway.directory.model import Document, Hours, Party, PartyKind, Scope, Stop, Suspension, Terms, Window
from gateway.directory.offers import (
    Priced,
    fee_of,
    kiosk_anchors,
    kiosk_refused,
    kits_in_force,
    may_authenticate,
    menu,
    municipality_of,
    opening_of,
    price,
)
from gateway.directory.participants import Campaign, DayException, Fee, Municipality, Offer, Participation
from gateway.directory.policy import Refused
from protocol import issuance
from protocol.certificates import CardType, Kind, Option
from protocol.municipality_code import check_digit
from protocol.outcomes import Outcome
from tests.directory.certificates import (
    APRIL,
    CHIBA,
    DOCUMENT,
    FAMILY,
    LONG,
    NOON,
    OFFICE,
    RESIDENT,
    anchor,
    changed,
    contract,
    municipality,
    offer,
    outcome,
    statement,
    with_chiba,
)
from tests.directory.sample import us

HOUR_US = 3_600_000_000
DAYS = st.dates(date(2026, 4, 2), date(2031, 12, 31))
CLOSED_TODAY = (DayException(valid_from=date(2026, 11, 25), valid_until=date(2026, 11, 25), opening=None),)


def suspended(scope: Scope, target: str = "") -> Document:
    return changed(
        suspensions=(Suspension(scope=scope, target=target, from_us=NOON - HOUR_US, until_us=None, ground="確認中"),)
    )


def stop(at_us: int = NOON) -> tuple[Stop, ...]:
    return (Stop(from_us=at_us, until_us=at_us + HOUR_US, ground="保守"),)


def shown(document: Document, *, code: str = "121002", at_us: int = NOON, card: int = 1) -> issuance.Menu:
    found = menu(Directory(1, document), operator="cvs-a", municipality=code, card_type=card, at_us=at_us)
    assert isinstance(found, issuance.Menu)
    return found


def authenticating(document: Document, *, code: str = "121002", at_us: int = NOON, card: int = 1) -> Refused | None:
    return may_authenticate(Directory(1, document), operator="cvs-a", municipality=code, card_type=card, at_us=at_us)


def test_an_application_is_priced_by_the_municipality_and_the_contract() -> None:
    priced = outcome(DOCUMENT, statement(Kind.FAMILY_ALL))
    assert priced == Priced(fee_yen=450, commission_yen=115, terms_version=1, counterparty="chiba")
    dearer = contract(
        "cvs-a",
        terms=(
            *contract("x").terms,
            Terms(valid_from=APRIL + timedelta(1), version=2, yen_per_record=0, commission=120),
        ),
    )
    found = outcome(changed(contracts=(dearer,)))
    assert isinstance(found, Priced)
    assert (found.commission_yen, found.terms_version) == (120, 2)


RUN_OFF = with_chiba(valid_until=date(2026, 11, 24), run_off_until=date(2027, 1, 31))
NO_LONGER_OFFERED = with_chiba(offers=(offer(Kind.RESIDENT, valid_until=date(2026, 11, 24)),))
REFUSALS = [
    (DOCUMENT, {"operator": "cvs-c"}, statement(), Outcome.CONTRACT_NOT_IN_FORCE),
    (DOCUMENT, {"at_us": us(2027, 4, 1, 12)}, statement(), Outcome.CONTRACT_NOT_IN_FORCE),
    (suspended(Scope.ALL), {}, statement(), Outcome.SUSPENDED),
    (suspended(Scope.PARTY, "cvs-a"), {}, statement(), Outcome.SUSPENDED),
    (DOCUMENT, {}, statement(code="131016"), Outcome.NOT_PARTICIPATING),
    (with_chiba(trust=b""), {}, statement(), Outcome.NOT_PARTICIPATING),
    (with_chiba(valid_from=date(2026, 11, 26)), {}, statement(), Outcome.NOT_PARTICIPATING),
    (RUN_OFF, {}, statement(), Outcome.NOT_PARTICIPATING),
    (suspended(Scope.PARTY, "chiba"), {}, statement(), Outcome.SUSPENDED),
    (DOCUMENT, {"card_type": 9}, statement(), Outcome.FIELD_INVALID),
    (DOCUMENT, {"card_type": CardType.RESIDENT_CARD}, statement(), Outcome.CARD_TYPE_ENDED),
    (DOCUMENT, {"card_type": CardType.SMARTPHONE}, statement(), Outcome.CARD_NOT_USABLE),
    (DOCUMENT, {"card_type": 3, "at_us": us(2026, 10, 30, 12)}, statement(code="162027"), Outcome.CARD_NOT_USABLE),
    (DOCUMENT, {}, statement(Kind.SEAL), Outcome.KIND_NOT_OFFERED),
    (NO_LONGER_OFFERED, {}, statement(), Outcome.KIND_NOT_OFFERED),
    (suspended(Scope.KIND, Kind.RESIDENT), {}, statement(), Outcome.SUSPENDED),
    (DOCUMENT, {"at_us": us(2026, 11, 25, 23)}, statement(), Outcome.OUTSIDE_HOURS),
    (DOCUMENT, {"at_us": us(2026, 12, 30, 12)}, statement(), Outcome.OUTSIDE_HOURS),
    (changed(stops=stop()), {}, statement(), Outcome.OUTSIDE_HOURS),
    (DOCUMENT, {"at_us": us(2026, 11, 25, 17)}, statement(Kind.FAMILY_ALL), Outcome.MUNICIPALITY_CLOSED),
    (DOCUMENT, {"at_us": us(2026, 12, 29, 12)}, statement(code="162027"), Outcome.MUNICIPALITY_CLOSED),
    (with_chiba(stops=stop()), {}, statement(), Outcome.MUNICIPALITY_CLOSED),
    (with_chiba(exceptions=CLOSED_TODAY), {}, statement(), Outcome.MUNICIPALITY_CLOSED),
    (DOCUMENT, {}, statement(options=int(Option.MY_NUMBER)), Outcome.FIELD_INVALID),
    (DOCUMENT, {}, statement(options=16), Outcome.FIELD_INVALID),
    (DOCUMENT, {}, statement(copies=6), Outcome.FIELD_INVALID),
]


@pytest.mark.parametrize(("document", "asked", "said", "refusal"), REFUSALS)
def test_each_refusal_is_for_its_own_cause(
    document: Document, asked: dict[str, int], said: issuance.Statement, refusal: Outcome
) -> None:
    assert outcome(document, said, **asked) is refusal  # type: ignore[arg-type]


def test_the_first_cause_in_order_is_the_one_that_is_said() -> None:
    """Everything is wrong at once; what is mended first shows the next."""
    night = us(2026, 11, 25, 23, 30)
    wrong = statement(Kind.FAMILY_ALL, options=255, copies=20)

    def said(document: Document, asked: issuance.Statement = wrong, at_us: int = night, card: int = 2) -> object:
        return outcome(document, asked, at_us=at_us, card_type=card)

    kind_stopped = suspended(Scope.KIND, Kind.FAMILY_ALL)
    no_kind = msgspec.structs.replace(kind_stopped, municipalities=with_chiba(offers=(RESIDENT,)).municipalities)
    place_stopped = msgspec.structs.replace(no_kind, suspensions=suspended(Scope.PARTY, "chiba").suspensions)
    gone = msgspec.structs.replace(place_stopped, municipalities=with_chiba(trust=b"", offers=()).municipalities)
    all_stopped = msgspec.structs.replace(gone, suspensions=suspended(Scope.ALL).suspensions)
    nothing = msgspec.structs.replace(all_stopped, contracts=())
    steps = [
        (said(nothing), Outcome.CONTRACT_NOT_IN_FORCE),
        (said(all_stopped), Outcome.SUSPENDED),
        (said(gone), Outcome.NOT_PARTICIPATING),
        (said(place_stopped), Outcome.SUSPENDED),
        (said(no_kind), Outcome.CARD_TYPE_ENDED),
        (said(no_kind, card=1), Outcome.KIND_NOT_OFFERED),
        (said(kind_stopped, card=1), Outcome.SUSPENDED),
        (said(DOCUMENT, card=1), Outcome.OUTSIDE_HOURS),
        (said(DOCUMENT, card=1, at_us=us(2026, 11, 25, 20)), Outcome.MUNICIPALITY_CLOSED),
        (said(DOCUMENT, card=1, at_us=NOON), Outcome.FIELD_INVALID),
    ]
    assert [found for found, _ in steps] == [expected for _, expected in steps]


def test_the_two_calendars_are_independent() -> None:
    """Takaoka keeps 11/26 as a holiday, the centre does not; the centre is closed on 12/30, Chiba is not."""
    thursday = us(2026, 11, 26, 12)
    family = statement(Kind.FAMILY_ALL)
    assert isinstance(outcome(DOCUMENT, family, at_us=thursday), Priced)
    takaoka = statement(Kind.FAMILY_ALL, code="162027")
    assert outcome(DOCUMENT, takaoka, at_us=thursday) is Outcome.MUNICIPALITY_CLOSED
    open_all = changed(closed=frozenset())
    assert outcome(DOCUMENT, at_us=us(2026, 12, 30, 12)) is Outcome.OUTSIDE_HOURS
    assert isinstance(outcome(open_all, at_us=us(2026, 12, 30, 12)), Priced)
    holiday = changed(holidays=frozenset({date(2026, 11, 26)}))
    assert isinstance(outcome(holiday, family, at_us=thursday), Priced), "the centre's holidays are not Chiba's"


def test_a_kind_s_own_exception_goes_before_the_municipality_s() -> None:
    own = DayException(
        valid_from=date(2026, 11, 25), valid_until=date(2026, 11, 25), opening=LONG, kind=Kind.FAMILY_ALL
    )
    document = with_chiba(exceptions=(*CLOSED_TODAY, own))
    assert outcome(document, statement(Kind.RESIDENT)) is Outcome.MUNICIPALITY_CLOSED
    assert isinstance(outcome(document, statement(Kind.FAMILY_ALL), at_us=us(2026, 11, 25, 20)), Priced)
    assert outcome(document, statement(Kind.FAMILY_ALL), at_us=us(2026, 11, 26, 20)) is Outcome.MUNICIPALITY_CLOSED


def test_a_card_is_authenticated_only_where_some_kind_is_open() -> None:
    assert authenticating(DOCUMENT) is None
    assert authenticating(DOCUMENT, at_us=us(2026, 11, 25, 20)) is None, "the family register is closed, others not"
    causes = {
        Outcome.MUNICIPALITY_CLOSED: with_chiba(exceptions=CLOSED_TODAY),
        Outcome.OUTSIDE_HOURS: changed(stops=stop()),
        Outcome.KIND_NOT_OFFERED: with_chiba(offers=()),
        Outcome.NOT_PARTICIPATING: with_chiba(trust=b""),
        Outcome.SUSPENDED: suspended(Scope.PARTY, "chiba"),
    }
    for expected, document in causes.items():
        refused = authenticating(document)
        assert refused is not None
        assert refused.outcome is expected
        assert refused.remedy
    ended = authenticating(DOCUMENT, card=CardType.RESIDENT_CARD)
    assert ended is not None
    assert ended.outcome is Outcome.CARD_TYPE_ENDED


def test_the_menu_says_fee_options_hours_and_what_applying_now_would_meet() -> None:
    evening = shown(DOCUMENT, at_us=us(2026, 11, 25, 20))
    assert (evening.municipality, evening.name_en) == ("121002", "Chiba (synthetic)")
    by_kind = {each.kind: each for each in evening.offers}
    assert set(by_kind) == {Kind.RESIDENT, Kind.FAMILY_ALL}
    resident, family = by_kind[Kind.RESIDENT], by_kind[Kind.FAMILY_ALL]
    assert (resident.fee_yen, resident.copies_max, resident.options, resident.closed) == (300, 5, RESIDENT.options, 0)
    assert resident.hours_ja == "毎日 06:30-23:00"
    assert resident.hours_en == "Every day 06:30-23:00"
    assert family.closed == Outcome.MUNICIPALITY_CLOSED
    assert family.hours_ja == "平日 09:00-17:00、土曜 休止、日曜・休日 休止"
    night = shown(DOCUMENT, at_us=us(2026, 11, 25, 23))
    assert {each.closed for each in night.offers} == {int(Outcome.OUTSIDE_HOURS)}
    stopped = shown(suspended(Scope.KIND, Kind.FAMILY_ALL))
    assert {each.kind: each.closed for each in stopped.offers} == {
        Kind.RESIDENT: 0,
        Kind.FAMILY_ALL: Outcome.SUSPENDED,
    }


def test_the_menu_s_hours_are_those_in_which_both_calendars_are_open() -> None:
    short = Hours(valid_from=APRIL, weekday=OFFICE, saturday=LONG, holiday=None)
    document = changed(contracts=(contract("cvs-a", hours=(short,)),))
    resident = next(each for each in shown(document).offers if each.kind == Kind.RESIDENT)
    assert resident.hours_en == "weekdays 09:00-17:00, Saturdays 06:30-23:00, holidays closed"
    closed = next(each for each in shown(with_chiba(exceptions=CLOSED_TODAY)).offers if each.kind == Kind.RESIDENT)
    assert closed.hours_ja == "毎日 06:30-23:00(本日は休止)"
    assert closed.hours_en == "Every day 06:30-23:00 (today closed)"


def test_the_menu_tells_of_stops_ahead_in_order_and_of_nothing_else() -> None:
    assert (shown(DOCUMENT).notice_ja, shown(DOCUMENT).notice_en) == ("", "")
    later = NOON + 13 * 24 * HOUR_US
    document = msgspec.structs.replace(
        with_chiba(
            stops=(Stop(from_us=later, until_us=later + HOUR_US, ground="更新"),),
            exceptions=(
                DayException(valid_from=date(2026, 11, 28), valid_until=date(2026, 11, 29), opening=None),
                DayException(
                    valid_from=date(2026, 12, 1), valid_until=date(2026, 12, 1), opening=OFFICE, kind=Kind.RESIDENT
                ),
                DayException(valid_from=date(2027, 11, 28), valid_until=date(2027, 11, 29), opening=None),
            ),
        ),
        closed=frozenset({date(2026, 12, 2), date(2026, 12, 3), date(2026, 12, 5)}),
        stops=stop(),
    )
    found = shown(document)
    assert found.notice_en.splitlines() == [
        "The certificate centre stops from 2026-11-25 12:00 to 2026-11-25 13:00 JST (保守)",
        "Chiba (synthetic) 2026-11-28 - 2026-11-29: closed",
        "Chiba (synthetic), Copy of residence certificate, 2026-12-01: 09:00-17:00",
        "The certificate centre is closed 2026-12-02 - 2026-12-03",
        "The certificate centre is closed 2026-12-05",
        "Chiba (synthetic) stops from 2026-12-08 12:00 to 2026-12-08 13:00 JST (更新)",
    ]
    assert "chiba市(合成データ)の住民票の写し: 2026-12-01 09:00-17:00" in found.notice_ja
    assert len(found.notice_ja.splitlines()) == len(found.notice_en.splitlines())
    assert "証明書交付センター: 2026-12-02 - 2026-12-03 休止" in found.notice_ja


def test_a_menu_of_every_kind_with_long_names_fits_an_answer() -> None:
    offers = tuple(
        msgspec.structs.replace(FAMILY, kind=kind, options=15, fees=(Fee(valid_from=APRIL, yen=1000),)) for kind in Kind
    )
    stops = tuple(Stop(from_us=NOON + n, until_us=NOON + HOUR_US, ground="あ" * 200) for n in range(20))
    document = with_chiba(offers=offers, stops=stops, name_ja="長" * 100, name_en="L" * 100)
    assert len(msgspec.msgpack.encode(shown(document))) < 9 << 10


@given(DAYS, st.integers(0, 1439))
def test_a_campaign_begins_and_ends_at_midnight_in_japan(first: date, minute: int) -> None:
    last = first + timedelta(days=3)
    campaign = Campaign(valid_from=first, valid_until=last, yen=10)
    cheap = offer(Kind.RESIDENT, campaigns=(campaign,))
    begins, ends = hours.day_start_us(first), hours.day_start_us(last + timedelta(days=1))
    assert [fee_of(cheap, hours.jst_date(at)) for at in (begins - 1, begins, ends - 1, ends)] == [300, 10, 10, 300]
    assert fee_of(cheap, hours.jst_date(begins + minute * hours.MINUTE_US)) == 10


@given(st.lists(DAYS, min_size=1, max_size=6, unique=True), DAYS)
def test_the_fee_of_a_day_is_the_last_that_has_begun(begins: list[date], day: date) -> None:
    fees = tuple(Fee(valid_from=first, yen=n) for n, first in enumerate(sorted(begins)))
    begun = [fee.yen for fee in fees if fee.valid_from <= day]
    assert fee_of(offer(Kind.RESIDENT, fees=fees), day) == (begun[-1] if begun else None)


def opened(place: Municipality, at: Offer, day: date) -> object:
    return opening_of(Directory(1, changed(municipalities=(place,), suspensions=())), place, at, day)


@given(DAYS | st.sampled_from([date(2028, 2, 29), date(2027, 12, 31), date(2028, 1, 1)]))
def test_a_day_is_open_by_its_class_and_leap_days_and_the_turn_of_the_year_are_days(day: date) -> None:
    assert opened(CHIBA, FAMILY, day) == (OFFICE if day.weekday() < 5 else None)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 12, 28), LONG),
        (date(2026, 12, 29), None),
        (date(2026, 12, 31), None),
        (date(2027, 1, 1), None),
        (date(2027, 1, 3), None),
        (date(2027, 1, 4), LONG),
        (date(2028, 2, 28), LONG),
        (date(2028, 2, 29), OFFICE),
        (date(2028, 3, 1), LONG),
    ],
)
def test_exceptions_hold_over_the_turn_of_the_year_and_on_a_leap_day(day: date, expected: object) -> None:
    place = msgspec.structs.replace(
        CHIBA,
        exceptions=(
            DayException(valid_from=date(2026, 12, 29), valid_until=date(2027, 1, 3), opening=None),
            DayException(valid_from=date(2028, 2, 29), valid_until=date(2028, 2, 29), opening=OFFICE),
        ),
    )
    assert opened(place, RESIDENT, day) == expected


@given(st.sampled_from([us(2026, 12, 31), us(2028, 2, 29), us(2026, 11, 25)]), st.integers(0, 1439), st.integers(0, 59))
def test_hours_begin_with_their_minute_and_end_before_it(midnight: int, minute: int, second: int) -> None:
    at_us = midnight + minute * hours.MINUTE_US + second * 1_000_000
    is_open = LONG.open_minute <= minute < LONG.close_minute
    assert isinstance(outcome(DOCUMENT, at_us=at_us), Priced) == (is_open and at_us < us(2027, 4, 1))


def test_participation_goes_from_coming_to_ended_by_its_dates() -> None:
    place = msgspec.structs.replace(CHIBA, valid_until=date(2027, 3, 31), run_off_until=date(2027, 5, 31))
    days = [date(2026, 3, 31), APRIL, date(2027, 3, 31), date(2027, 4, 1), date(2027, 5, 31), date(2027, 6, 1)]
    assert [place.participation(day) for day in days] == [
        Participation.COMING,
        Participation.IN_FORCE,
        Participation.IN_FORCE,
        Participation.RUN_OFF,
        Participation.RUN_OFF,
        Participation.ENDED,
    ]
    open_ended = msgspec.structs.replace(CHIBA, valid_until=date(2027, 3, 31))
    assert open_ended.participation(date(2027, 4, 1)) is Participation.ENDED
    ended = Directory(1, with_chiba(valid_until=date(2026, 4, 2)))
    assert municipality_of(ended, "121002") is not None, "reports of what was issued still reach it"
    assert municipality_of(ended, "131016") is None


def test_a_kit_is_accepted_until_the_day_it_retires() -> None:
    directory = Directory(1, DOCUMENT)
    retires = us(2026, 11, 25)
    assert kits_in_force(directory, retires - 1) == {"kit-2026.1", "kit-old"}
    assert kits_in_force(directory, retires) == {"kit-2026.1"}
    assert kits_in_force(directory, us(2026, 3, 31, 23)) == frozenset()


def test_a_kiosk_needs_an_anchor_of_its_operator_and_must_not_be_blocked() -> None:
    directory = Directory(1, DOCUMENT)
    assert kiosk_anchors(directory, "cvs-a") == (anchor("a"),)
    assert kiosk_anchors(directory, "nobody") == ()
    assert kiosk_refused(directory, operator="cvs-a", kiosk="kiosk-1") is None
    for operator, kiosk, field in (
        ("cvs-a", "kiosk-9", "kiosk"),
        ("cvs-b", "kiosk-1", "operator"),
        ("nobody", "kiosk-1", "operator"),
    ):
        refused = kiosk_refused(directory, operator=operator, kiosk=kiosk)
        assert refused is not None
        assert (refused.outcome, refused.field) == (Outcome.KIOSK_NOT_REGISTERED, field)


def test_a_directory_of_the_whole_country_loads_and_prices_each_by_its_own() -> None:
    codes = [body + check_digit(body) for body in (f"{n:05d}" for n in range(1_000, 2_300))]
    places = tuple(
        municipality(
            code, f"m-{code}", offers=tuple(offer(kind, fees=(Fee(valid_from=APRIL, yen=n % 1_000),)) for kind in Kind)
        )
        for n, code in enumerate(codes)
    )
    parties = tuple(
        Party(id=place.party, kind=PartyKind.MUNICIPALITY, name_ja="合成", name_en="Synthetic") for place in places
    )
    document = changed(parties=(*DOCUMENT.parties, *parties), municipalities=places)
    directory = Directory(1, Document.decode(document.encode()))
    priced = [
        price(directory, operator="cvs-a", statement=statement(Kind.SEAL, code=code), card_type=1, at_us=NOON)
        for code in codes
    ]
    assert [(each.fee_yen, each.counterparty) for each in priced if isinstance(each, Priced)] == [
        (n % 1_000, f"m-{code}") for n, code in enumerate(codes)
    ]


MINUTES = st.integers(us(2026, 11, 1) // hours.MINUTE_US, us(2027, 3, 31) // hours.MINUTE_US)
DIRECTORY = Directory(
    1,
    msgspec.structs.replace(
        with_chiba(
            stops=stop(),
            exceptions=(
                DayException(valid_from=date(2026, 12, 29), valid_until=date(2027, 1, 3), opening=None),
                DayException(
                    valid_from=date(2027, 1, 9), valid_until=date(2027, 1, 10), opening=LONG, kind=Kind.FAMILY_ALL
                ),
            ),
        ),
        stops=stop(us(2026, 12, 1, 12)),
        holidays=frozenset({date(2027, 1, 11)}),
    ),
)


@given(MINUTES, st.sampled_from([Kind.RESIDENT, Kind.FAMILY_ALL]))
def test_the_menu_says_closed_for_exactly_the_cause_that_applying_meets(minute: int, kind: Kind) -> None:
    at_us = minute * hours.MINUTE_US
    found = menu(DIRECTORY, operator="cvs-a", municipality="121002", card_type=1, at_us=at_us)
    assert isinstance(found, issuance.Menu)
    offered = next(each for each in found.offers if each.kind == kind)
    priced = price(DIRECTORY, operator="cvs-a", statement=statement(kind), card_type=1, at_us=at_us)
    assert offered.closed == (priced.outcome if isinstance(priced, Refused) else 0)
    if isinstance(priced, Priced):
        assert offered.fee_yen == priced.fee_yen
        authenticated = may_authenticate(DIRECTORY, operator="cvs-a", municipality="121002", card_type=1, at_us=at_us)
        assert authenticated is None


WINDOWS = st.none() | st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda pair: pair[0] < pair[1]).map(
    lambda pair: Window(open_minute=pair[0], close_minute=pair[1])
)


@given(WINDOWS, WINDOWS, st.integers(0, 1439))
def test_both_are_open_when_each_is(one: Window | None, other: Window | None, minute: int) -> None:
    at_us = us(2026, 11, 25) + minute * hours.MINUTE_US
    assert hours.is_open(hours.both(one, other), at_us) == (hours.is_open(one, at_us) and hours.is_open(other, at_us))


def test_a_fee_may_be_nothing_or_less_than_the_commission() -> None:
    for yen in (0, 10):
        cheap = msgspec.structs.replace(RESIDENT, campaigns=(Campaign(valid_from=APRIL, valid_until=APRIL, yen=yen),))
        priced = outcome(with_chiba(offers=(cheap,)), at_us=us(2026, 4, 1, 12))
        assert isinstance(priced, Priced)
        assert (priced.fee_yen, priced.commission_yen) == (yen, 115)
