"""Check digits and reasons, by properties and by what is published."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.changes import ChangeReason, Group
from gateway.inquiry.codes import (
    code_check_digit,
    my_number_check_digit,
    my_number_is_valid,
    require_code,
    require_municipality,
    require_my_number,
)
from gateway.inquiry.errors import FieldInvalid
from gateway.peers.ministry.showing import REASONS
from protocol import municipality_code


@given(st.integers(0, 10**11 - 1))
def test_one_last_digit_fits_a_my_number_and_it_follows_the_ordinance(number: int) -> None:
    body = f"{number:011d}"
    # 総務省令85号5条: P1 is the lowest digit, Q1..Q6 = 2..7 and Q7..Q11 = 2..6.
    total = sum(int(p) * (n + 1 if n <= 6 else n - 5) for n, p in enumerate(reversed(body), 1))
    digit = 0 if total % 11 <= 1 else 11 - total % 11
    assert {last for last in "0123456789" if my_number_is_valid(body + last)} == {str(digit)}


@given(st.integers(0, 10**5 - 1))
def test_one_last_digit_fits_a_municipality(number: int) -> None:
    body = f"{number:05d}"
    fitting = {last for last in "0123456789" if municipality_code.is_valid(body + last)}
    assert fitting == {municipality_code.check_digit(body)}


@given(st.integers(0, 10**11 - 1), st.integers(0, 10), st.integers(1, 9))
def test_a_mistyped_digit_of_a_my_number_is_seen_unless_both_remainders_give_zero(
    number: int, at: int, shift: int
) -> None:
    body = f"{number:011d}"
    digit = my_number_check_digit(body)
    other = body[:at] + str((int(body[at]) + shift) % 10) + body[at + 1 :]
    assert not my_number_is_valid(other + digit) or digit == "0"


@pytest.mark.parametrize(
    ("require", "field", "right", "digits"),
    [
        (require_code, "code", "1234567890" + str(code_check_digit("1234567890")), 11),
        (require_my_number, "my_number", "12345678901" + my_number_check_digit("12345678901"), 12),
        (require_municipality, "municipality", "121011", 6),
    ],
)
def test_a_wrong_code_is_refused_naming_the_field_and_the_remedy_but_not_the_code(
    require: Callable[[str], None], field: str, right: str, digits: int
) -> None:
    require(right)
    wrong = right[:-1] + str((int(right[-1]) + 1) % 10)
    for text, ground in ((wrong, "check-digit"), (right[1:], "digits"), (right[:-1] + "１", "digits")):
        with pytest.raises(FieldInvalid) as caught:
            require(text)
        error = caught.value
        assert (error.field, error.ground, error.code) == (field, ground, "field-invalid")
        assert text not in f"{error}{error.ja}{error.en}"
        assert str(digits) in error.ja + error.en or ground == "check-digit"
    with pytest.raises(FieldInvalid, match=r"^previous_code: "):
        require_code("", "previous_code")


def test_every_reason_has_a_group_and_a_term_of_its_own() -> None:
    assert {reason.group for reason in ChangeReason} == set(Group)
    assert len({reason.ja for reason in ChangeReason}) == len(ChangeReason)
    assert {int(reason): reason.ja for reason in ChangeReason} == REASONS  # what a ministry's terminal shows
    counts = {group: sum(reason.group == group for reason in ChangeReason) for group in Group}
    assert counts == {Group.ENTRY: 9, Group.REMOVAL: 9, Group.AMENDMENT: 19}  # DOMAIN 2.1
