"""The tariff a payer agreed to, as it checks an invoice by it: fee and commission of a copy, by day. Pure.

A TOML file of the payer's own, one `[[price]]` a change; the latest that had begun on the day of the deposit counts:

    [[price]]
    counterparty = "chiba"      # "" or left out: any
    matter = "juminhyo"         # "" or left out: any
    from = 2026-04-01
    fee = 300
    commission = 115

For an inquiry centre the fee is that of one record provided, and an entry is a whole number of them (002本2-1).
Source: 000契13-1; 001-4-1; 002本2-1, 本2-2.
"""

import datetime as dt
import tomllib
from typing import Any, ClassVar

import msgspec

from gateway.settlement.errors import SettlementError


class TariffInvalid(SettlementError):  # noqa: N818  named after the fact
    """A tariff that cannot be read. Fields: where."""

    code: ClassVar[str] = "tariff-invalid"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"tariff: {where}: {why} / 料金表を読めません")
        self.where = where


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fee and commission of a copy, tax included, from a day on; counterparty and matter "" for any."""

    begins: dt.date = msgspec.field(name="from")
    fee: int
    commission: int = 0
    counterparty: str = ""
    matter: str = ""


class Tariff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All prices agreed."""

    price: tuple[Price, ...]

    def at(self, *, counterparty: str, matter: str, day: dt.date) -> Price | None:
        """The price of a day: the most particular, then the latest; None when none was agreed."""
        fitting = [
            each
            for each in self.price
            if each.begins <= day and each.counterparty in ("", counterparty) and each.matter in ("", matter)
        ]
        return max(fitting, key=lambda p: (p.counterparty != "", p.matter != "", p.begins), default=None)


def read_tariff(text: str) -> Tariff:
    """Read a tariff. Raises: TariffInvalid, naming the field."""
    try:
        fields: dict[str, Any] = tomllib.loads(text)
        return msgspec.convert(fields, Tariff)
    except tomllib.TOMLDecodeError as error:
        raise TariffInvalid("file", str(error)) from error
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at ")
        raise TariffInvalid(where.strip("`") or "file", why) from error
