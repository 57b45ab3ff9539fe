"""The decision and the content of a certificate, as pure functions over records."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.peers.kit.content import Certificate
from gateway.peers.municipality.contents import compose
from gateway.peers.municipality.issuing import (
    OPTIONS_OF,
    OUTCOMES,
    RESIDENT_KINDS,
    Cause,
    Refused,
    age,
    check_records,
    shown,
)
from gateway.peers.municipality.records import Records, Resident
from gateway.peers.municipality.synthetic import RESIDENTS_MIN, make
from protocol.certificates import Kind, Option
from protocol.outcomes import CATALOGUE, Outcome

TODAY = date(2026, 11, 21)
PEOPLE, REGISTERS = make(place="見本市", count=30, seed=7, today=TODAY)
LARGE = 1
KINDS_AND_OPTIONS = st.sampled_from(list(Kind)).flatmap(
    lambda kind: st.tuples(
        st.just(kind), st.integers(0, 15).map(lambda bits: bits & int(OPTIONS_OF.get(kind, Option(0))))
    )
)


def records_of(number: int, **changes: dict[str, object]) -> Records:
    """What an issue reads of a synthetic resident, some of the people changed (by "r<number>")."""
    people = [msgspec.structs.replace(each, **changes.get(f"r{each.number}", {})) for each in PEOPLE]
    applicant = people[number]
    return Records(
        applicant,
        tuple(each for each in people if each.household == applicant.household),
        next((each for each in REGISTERS if each.number == applicant.register), None),
        tuple(each for each in people if applicant.register is not None and each.register == applicant.register),
    )


def cause_of(records: Records, kind: Kind, options: int = 0) -> Cause | None:
    """Why not, or None."""
    try:
        check_records(records, kind=kind, options=options, today=TODAY)
    except Refused as refused:
        return refused.cause
    return None


def composed(records: Records, kind: Kind, options: int) -> Certificate:
    """The certificate."""
    return compose(
        records,
        kind=kind,
        options=options,
        municipality_ja="見本市",
        mayor_ja="合成 太郎",
        serial="SERIAL",
        issued_on=TODAY,
    )


def texts(certificate: Certificate, label: str) -> list[str]:
    """Every printed value of a label."""
    return [
        row.value
        for page in certificate.pages
        for section in page.sections
        for row in section.rows
        if row.label == label
    ]


@pytest.mark.parametrize("member", [1, 10, 17])
@pytest.mark.parametrize(
    ("bar", "cause"), [({"suppressed": True}, Cause.SUPPRESSED), ({"moving_on": "2026-12-01"}, Cause.MOVE_PENDING)]
)
def test_a_bar_on_a_member_bars_what_shows_the_member_and_nothing_else(
    member: int, bar: dict[str, object], cause: Cause
) -> None:
    records = records_of(LARGE, **{f"r{member}": bar})
    for kind in (Kind.FAMILY_ALL, Kind.FAMILY_ADDRESS):
        assert cause_of(records, kind) is cause
    assert cause_of(records, Kind.RESIDENT, Option.HOUSEHOLD) is cause
    for kind in (Kind.RESIDENT, Kind.SEAL, Kind.INCOME, Kind.FAMILY_ONE):
        assert cause_of(records, kind) is (cause if member == LARGE else None)


def test_suppression_is_told_before_a_pending_move_and_both_neutrally_named() -> None:
    barred = {"suppressed": True, "moving_on": "2026-12-01"}
    assert cause_of(records_of(0, r0=barred), Kind.RESIDENT) is Cause.SUPPRESSED
    assert OUTCOMES[Cause.SUPPRESSED] is OUTCOMES[Cause.SEAL_CANCELLED] is OUTCOMES[Cause.TAX_UNPAID]
    words = CATALOGUE[OUTCOMES[Cause.SUPPRESSED]]
    assert not any(hint in words.ja for hint in ("支援", "制限", "保護"))


def test_every_cause_has_an_outcome_that_the_centre_takes_from_a_municipality() -> None:
    assert set(OUTCOMES) == set(Cause)
    assert set(OUTCOMES.values()) <= {
        Outcome.NOT_ENTITLED,
        Outcome.COUNTER_ONLY,
        Outcome.MOVE_PENDING,
        Outcome.TEXT_TOO_LONG,
        Outcome.KIND_NOT_OFFERED,
        Outcome.CARD_REVOKED,
        Outcome.CARD_NOT_USABLE,
        Outcome.SIGNATURE_REFUSED,
    }


def test_the_deceased_obtain_nothing_and_stand_in_no_household() -> None:
    died = {"died_on": "2026-01-01"}
    assert cause_of(records_of(0, r0=died), Kind.RESIDENT) is Cause.DECEASED
    records = records_of(LARGE, r10=died)
    assert cause_of(records, Kind.RESIDENT, Option.HOUSEHOLD) is None
    people = shown(records, kind=Kind.RESIDENT, options=Option.HOUSEHOLD)
    assert [each.number for each in people] == [1, *range(11, 18)]


def test_tax_that_is_unpaid_is_for_the_counter() -> None:
    taxes = tuple(msgspec.structs.replace(each, paid=each.assessed - 1) for each in PEOPLE[0].taxes)
    assert cause_of(records_of(0, r0={"taxes": taxes}), Kind.TAX_PAID) is Cause.TAX_UNPAID
    assert cause_of(records_of(0, r0={"taxes": taxes}), Kind.TAXATION) is None


@pytest.mark.parametrize(
    ("birth", "years"), [("2011-11-21", 15), ("2011-11-22", 14), ("2012-02-30", 14), ("1950-01-01", 76)]
)
def test_age_counts_full_years_also_from_days_no_calendar_has(birth: str, years: int) -> None:
    assert age(birth, TODAY) == years


@given(KINDS_AND_OPTIONS, st.sampled_from([0, 1, 4, 6, 7, 20]))
def test_a_certificate_shows_what_was_asked_and_nothing_of_others(asked: tuple[Kind, int], number: int) -> None:
    kind, options = asked
    records = records_of(number)
    if cause_of(records, kind, options) is not None:
        return
    certificate = composed(records, kind, options)
    concerned = shown(records, kind=kind, options=options)
    names = texts(certificate, "氏名") + texts(certificate, "名")
    assert set(names) == {each.name for each in concerned}
    keyed = {field.text for page in certificate.pages for field in page.key_fields}
    assert set(names) <= keyed
    if kind in RESIDENT_KINDS:
        numbers = {each.my_number for each in concerned}
        assert set(texts(certificate, "個人番号")) == (numbers if options & Option.MY_NUMBER else set())
        domiciles = {each.domicile for each in concerned}
        assert set(texts(certificate, "本籍")) == (domiciles if options & Option.DOMICILE else set())
        assert bool(texts(certificate, "続柄")) is bool(options & Option.RELATION)
    else:
        assert not texts(certificate, "個人番号")
    assert bool(certificate.impression) is (kind is Kind.SEAL)
    assert all(page.key_fields for page in certificate.pages)


def test_synthetic_residents_say_so_and_carry_no_valid_individual_number() -> None:
    weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)

    def valid(number: str) -> bool:
        rest = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False)) % 11
        return int(number[11]) == (0 if rest <= 1 else 11 - rest)

    assert len(PEOPLE) == 30
    assert not any(valid(each.my_number) for each in PEOPLE)
    assert all(each.note == "合成データ" for each in PEOPLE)


def test_the_test_cases_do_not_change_with_the_seed() -> None:
    def cases(seed: int) -> list[Resident]:
        return make(place="見本市", count=RESIDENTS_MIN, seed=seed, today=TODAY)[0]

    assert cases(1) == cases(2)
    assert make(place="見本市", count=30, seed=8, today=TODAY)[0][RESIDENTS_MIN:] != PEOPLE[RESIDENTS_MIN:]
    with pytest.raises(ValueError, match="at least"):
        make(place="見本市", count=RESIDENTS_MIN - 1, seed=1, today=TODAY)
