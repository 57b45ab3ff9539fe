"""Synthetic invoices and names for papers."""

import hashlib

from gateway.settlement.paper import Names
from protocol.certificates import KINDS
from protocol.invoice import STANDARD_TAX, BlockRange, DocumentKind, Invoice, Rests, SignedInvoice, encode_invoice
from protocol.settlement import NOTHING, Amount, Cell, Key

COMMISSION = 115
FEES = {"chiba": 300, "takaoka": 200, "kani": 10}
ISSUED_US = 1_794_540_000_000_000

NAMES = Names(
    parties={
        "cvs-dev": ("コンビニ事業者(開発用)", "Convenience-store operator (development)"),
        "chiba": ("千葉市(開発用データ)", "Chiba City (development data)"),
        "takaoka": ("高岡市(開発用データ)", "Takaoka City (development data)"),
        "kani": ("可児市(開発用データ)", "Kani City (development data)"),
    },
    matters={str(kind): (name.ja, name.en) for kind, name in KINDS.items()},
    issuer=("証明書交付センター(開発用)", "Certificate centre (development)"),
    addresses={
        "centre": "〒000-0000 開発県開発市中央1-1\n管理部 経理担当",
        "cvs-dev": "〒000-0000 開発県開発市港2-2\n財務部 支払担当",
        "chiba": "〒000-0000 開発県開発市本町3-3\n会計管理者",
    },
    registrations={"cvs-dev": "T7000000000002", "centre": "T8000000000001"},
    accounts={
        "centre": "開発銀行(0000) 本店(000) 普通 0000000 カ)カイハツセンター",
        "chiba": "開発銀行(0000) 市役所支店(001) 普通 0000001 カイハツシカイケイカンリシャ",
        "cvs-dev": "開発銀行(0000) 港支店(002) 当座 0000002 カ)カイハツジギョウシャ",
    },
)


def cell(key, *, copies, fee, voided=0, corrected=0, carried=0):
    """Sales at a fee with refunds and corrections of so many copies; `carried` of them of frozen months."""

    def amount(count):
        return Amount(abs(count), count, count * fee, count * COMMISSION) if count else NOTHING

    return Cell(key, amount(copies), amount(-voided), amount(corrected), NOTHING, amount(carried), (1,))


def cells(*, party="cvs-dev", counterparties=tuple(FEES), stores=3, kinds=("inkan", "juminhyo"), fee=None):
    """Some business at every store."""
    return tuple(
        cell(
            Key(party, counterparty, kind, f"{store + 1:04d}"),
            copies=20 + 7 * store,
            fee=FEES[counterparty] if fee is None else fee,
            voided=store % 3 == 1,
            corrected=store % 3 == 2,
            carried=store % 3 == 2,
        )
        for counterparty in sorted(counterparties)
        for kind in kinds
        for store in range(stores)
    )


def invoice(of=None, *, passed_on=False, **fields):
    """A document over cells, with its signed form (the signature is none)."""
    of = cells() if of is None else of
    net = NOTHING
    for each in of:
        net += each.net
    kind = DocumentKind.CREDIT_NOTE if net.due_yen < 0 else DocumentKind.INVOICE
    values = {
        "version": 1,
        "kind": int(DocumentKind.STATEMENT if passed_on else kind),
        "number": "certificate-2026-10-cvs-dev-fees",
        "issuer": "centre",
        "role": "certificate",
        "environment": "development",
        "party": "cvs-dev",
        "period": "2026-10",
        "issued_on": "2026-11-13",
        "due_on": "2026-11-20",
        "agreement": "開発用契約書 令和8年4月1日",
        "cells": of,
        "net": net,
        "due_yen": net.due_yen,
        "tax_supplier": "cvs-dev",
        "rests": Rests((BlockRange(b"a" * 16, 12, 880, net.entries),), 12_345, b"r" * 32, ISSUED_US - 3_600_000_000),
        "items": net.entries,
        "items_digest": hashlib.sha256(b"items").digest(),
        "issued_us": ISSUED_US,
        **fields,
    }
    values.setdefault("tax", STANDARD_TAX)
    values.setdefault("tax_yen", values["tax"].within(net.commission) if values["tax_supplier"] else 0)
    made = Invoice(**values)
    return SignedInvoice(encode_invoice(made), "centre-invoice-2026", b"\x01" * 64), made
