"""Confirmed statements (確定データ) as the centre makes and signs them, and reports that they agree with."""

import hashlib
import os

from gateway.peers.municipality import reports
from protocol.application import Transition
from protocol.invoice import (
    STANDARD_TAX,
    DocumentKind,
    Invoice,
    Rests,
    SignedInvoice,
    encode_invoice,
    encode_signed,
    to_sign,
)
from protocol.issuance import Report
from protocol.papers import CONFIRMED_PART_BYTES, Confirmed, PaperLine, parts_of
from protocol.settlement import NOTHING, Amount, Cell, Key
from tests.peers.municipality.kit import ENVIRONMENT, INVOICE_KEY, PARTY, World

DAY_US = 86_400_000_000
OCTOBER_US = 1_790_780_400_000_000
"""The first of October 2026, 00:00 in Japan."""
FROZEN_US = OCTOBER_US + 39 * DAY_US
"""The ninth of November."""
FEE, COMMISSION = 300, 115


def statement(world: World, *, period: str = "2026-10", copies: int = 3, at_us: int = FROZEN_US, **changes) -> bytes:
    """A signed statement's file: so many copies at one store."""
    amount = Amount(copies, copies, FEE * copies, COMMISSION * copies)
    cell = Cell(Key("operator-a", PARTY, "juminhyo", "store-1"), amount, NOTHING, NOTHING, NOTHING, NOTHING, (1,))
    facts = {
        "version": 1, "kind": int(DocumentKind.STATEMENT), "number": f"centre-{period}", "issuer": "centre",
        "role": "certificate", "environment": ENVIRONMENT, "party": PARTY, "period": period, "issued_on": "2026-11-10",
        "due_on": "2026-11-30", "agreement": "m-1", "cells": (cell,), "net": amount, "due_yen": amount.due_yen,
        "tax": STANDARD_TAX, "tax_yen": 0, "tax_supplier": "", "items": copies,
        "rests": Rests((), 1, bytes(32), at_us - DAY_US, at_us),
        "items_digest": bytes(32), "issued_us": at_us,
    }  # fmt: skip
    data = encode_invoice(Invoice(**{**facts, **changes}))
    return encode_signed(SignedInvoice(data, INVOICE_KEY, world.centre.sign(INVOICE_KEY, to_sign(data))))


def paper(data: bytes, *, name: str = "statement.invoice", period: str = "2026-10") -> PaperLine:
    """A document as the centre names it."""
    return PaperLine(os.urandom(16), period, name, "application/octet-stream", len(data), hashlib.sha256(data).digest())


def parts(line: PaperLine, data: bytes) -> list[Confirmed]:
    """Everything that is sent of a document."""
    size = CONFIRMED_PART_BYTES
    return [
        Confirmed(line, number, data[number * size : (number + 1) * size])
        for number in range(max(1, parts_of(len(data), size)))
    ]


def sold(number: int, *, day: int = 5, copies: int = 1, **changes) -> Report:
    """A completion on a day of October, its application numbered like the report."""
    at_us = OCTOBER_US + (day - 1) * DAY_US + DAY_US // 2
    facts = {
        "number": number, "transition": Transition.COMPLETED, "application": number.to_bytes(16, "big"),
        "kind": "juminhyo", "operator": "operator-a", "store": "store-1", "copies": copies, "yen": FEE * copies,
        "deposited_at_us": at_us, "store_day": "2026-10-05", "at_us": at_us + 1, "ground": 0,
    }  # fmt: skip
    return Report(**{**facts, **changes})


def noted(store, *listed: Report) -> None:
    """The municipality has these reports, whether or not it issued what they speak of."""
    for each in listed:
        assert reports.note(store, each).number == each.number
