"""Letterheads: what stands on documents is read from a file, or refused with its place."""

import pytest

from gateway.settlement.letterheads import LetterheadInvalid, check_digit, letterheads_of, with_letterheads
from gateway.settlement.papers import invoice_papers
from tests.settlement.papers import NAMES, invoice

FILE = """
[cvs-dev]
address = ["〒000-0000 開発県開発市港2-2", "財務部"]
registration = "T7000000000002"

[centre]
account = "開発銀行 普通 0000000"
"""


def test_a_file_gives_addresses_registrations_and_accounts_by_party():
    names = with_letterheads(NAMES, letterheads_of(FILE.encode()))
    assert names.addresses == {"cvs-dev": "〒000-0000 開発県開発市港2-2\n財務部"}
    assert names.registrations == {"cvs-dev": "T7000000000002"}
    assert names.accounts == {"centre": "開発銀行 普通 0000000"}
    assert names.parties == NAMES.parties


def test_documents_are_made_without_any_letterhead():
    signed, made = invoice()
    assert len(invoice_papers(signed, made, bill=None, names=with_letterheads(NAMES, {}))) == 4


def test_the_check_digit_is_that_of_the_ministerial_order():
    assert check_digit("123456789012") == 7
    assert check_digit("000000000001") == 8


@pytest.mark.parametrize(
    ("line", "party", "field"),
    [
        ('registration = "T6000000000002"', "x", "registration"),
        ('registration = "7000000000002"', "x", "registration"),
        ('registration = "T70000000000020"', "x", "registration"),
        ('adress = ["a"]', "x", "table"),
        ('address = "a"', "x", "table"),
        ('address = ["1", "2", "3", "4", "5"]', "x", "address or account"),
        (f'account = "{"あ" * 61}"', "x", "address or account"),
        ('account = "a\\nb"', "x", "address or account"),
        ("account", "file", "TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(line, party, field):
    with pytest.raises(LetterheadInvalid) as refused:
        letterheads_of(f"[x]\n{line}\n".encode())
    assert (refused.value.party, refused.value.field) == (party, field)


def test_a_registration_with_one_wrong_digit_is_refused_where_the_check_digit_can_see_it():
    for place in range(1, 14):
        for digit in "0123456789":
            wrong = "T7123456789012"[:place] + digit + "T7123456789012"[place + 1 :]
            valid = int(wrong[1]) == check_digit(wrong[2:])
            data = f'[x]\nregistration = "{wrong}"\n'.encode()
            if valid:
                assert letterheads_of(data)["x"].registration == wrong
            else:
                with pytest.raises(LetterheadInvalid):
                    letterheads_of(data)
