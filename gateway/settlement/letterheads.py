"""How parties appear on documents: address, registration as issuer of qualified invoices, account. A TOML file.

    [cvs-dev]                               # a party's id
    address = ["〒000-0000 開発県開発市港2-2", "財務部 支払担当"]
    registration = "T7000000000002"         # 適格請求書発行事業者登録番号
    account = "開発銀行(0000) 港支店(002) 当座 0000002 カ)カイハツジギヨウシヤ"

A field may be left out, and a party too. A registration is T and the 13 digits of the party's 法人番号, of which the
first is a check digit: a wrong one on an invoice costs the payer its deduction, so it is refused here.
Source: 消費税法57条の4; 法人番号の指定等に関する省令 2条 (check digit).
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from gateway.settlement.errors import SettlementError
from gateway.settlement.paper import Names

_REGISTRATION: Final = re.compile(r"T([0-9])([0-9]{12})")
_LINE_MAX: Final = 60
_LINES_MAX: Final = 4


class LetterheadInvalid(SettlementError):  # noqa: N818  named after the fact
    """A letterhead that cannot stand on a document. Fields: party, field."""

    code: ClassVar[str] = "letterhead-invalid"

    def __init__(self, party: str, field: str, why: str) -> None:
        super().__init__(f"letterheads: {party}: {field}: {why}")
        self.party = party
        self.field = field


class Letterhead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One party's."""

    address: tuple[str, ...] = ()
    registration: str = ""
    account: str = ""


def letterheads_of(data: bytes) -> dict[str, Letterhead]:
    """Read a file's letterheads by party. Raises: LetterheadInvalid."""
    try:
        tables: dict[str, Any] = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LetterheadInvalid("file", "TOML", f"{error} / TOMLとして読めません") from error
    return {party: _letterhead(party, table) for party, table in tables.items()}


def with_letterheads(names: Names, letterheads: Mapping[str, Letterhead]) -> Names:
    """Names with what these parties' letterheads say."""
    return msgspec.structs.replace(
        names,
        addresses={party: "\n".join(each.address) for party, each in letterheads.items() if each.address},
        registrations={party: each.registration for party, each in letterheads.items() if each.registration},
        accounts={party: each.account for party, each in letterheads.items() if each.account},
    )


def check_digit(number: str) -> int:
    """The check digit of a 法人番号, from its other 12 digits."""
    weighed = sum(int(digit) * (1 if place % 2 == 0 else 2) for place, digit in enumerate(reversed(number)))
    return 9 - weighed % 9


def _letterhead(party: str, table: Any) -> Letterhead:
    try:
        found = msgspec.convert(table, Letterhead)
    except msgspec.ValidationError as error:
        raise LetterheadInvalid(party, "table", f"{error} / 項目の誤り") from error
    lines = (*found.address, found.account)
    if len(found.address) > _LINES_MAX or any(len(line) > _LINE_MAX or not line.isprintable() for line in lines):
        why = f"at most {_LINES_MAX} lines of {_LINE_MAX} characters / {_LINES_MAX}行、各{_LINE_MAX}字まで"
        raise LetterheadInvalid(party, "address or account", why)
    if found.registration:
        digits = _REGISTRATION.fullmatch(found.registration)
        if digits is None or int(digits[1]) != check_digit(digits[2]):
            why = f"{found.registration} is not T and a 法人番号 with its check digit / 登録番号の誤り"
            raise LetterheadInvalid(party, "registration", why)
    return found
