"""Acts of settlement as tests need them, and the shipped contracts."""

from datetime import date
from pathlib import Path

from gateway.settlement.owing import Asked
from gateway.settlement.toml import read_contract
from protocol.act import Act, ActKind

OPERATOR, CITY, MINISTRY = (
    read_contract(Path(__file__).parents[2] / "deploy" / "contracts" / f"{name}.toml")
    for name in ("000-operator", "001-municipality", "002-ministry")
)
AT_US = 1_800_000_000_000_000
MAY_RECEIVED, MAY_NET = 12_345_678, 7_654_321
"""Fees of May 2026, and less the commission; due on Monday 22 June, the 20th being a Saturday."""


def act(kind, *, period="2026-05", day="2026-06-12", **fields):
    known = {"contract": OPERATOR.reference, "claim": "fees", "party": "cvs-dev", "by": "clerk-1", "at_us": AT_US}
    return Act(kind=kind, period=period, day=day, **{**known, **fields})


def invoiced(yen=MAY_NET, *, received_yen=MAY_RECEIVED, **fields):
    """The centre's invoice, as the part that makes invoices reads it."""
    made = act(ActKind.INVOICED, yen=yen, **fields)
    return Asked(act=made, yen=yen, number="certificate-2026-05", received_yen=received_yen, received=None)


def paid(yen, day, turn=0, **fields):
    return act(ActKind.PAID, yen=yen, day=day, turn=turn, **fields)


def on(text):
    return date.fromisoformat(text)
