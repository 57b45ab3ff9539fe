"""An invoice, credit note or payment statement as its signed file, JSON, CSV and PDF.

The certificate centre's invoice to an operator is fees less commission. The fees are the municipalities' and no taxable
supply; the commission is the operator's supply to the centre, which withholds it: so the tax within it is shown as the
operator's, with the operator's registration number, and the document serves as the buyer's statement of a purchase
(仕入明細書, 消費税法30条9項3号) beside being an invoice. Whoever made the supply, `invoice.tax_supplier` names it.
Source: 000仕4-4, 000契13; 001-4-6; 002本2-3; 消費税法57条の4; DOMAIN X 4.
"""

import hashlib
from typing import Final, NamedTuple

from gateway.settlement.billing import Bill
from gateway.settlement.paper import CSV, INVOICE, JSON, PDF, Names, Paper
from gateway.settlement.papers.cells import cell_lists, cells_csv, cells_json
from gateway.settlement.papers.errors import PaperContradicted
from gateway.settlement.papers.figures import at_text, day_text, mark, number, period_text, rate, to_json, yen
from gateway.settlement.papers.setting import (
    Both,
    Column,
    Document,
    Facts,
    Headline,
    Notes,
    Row,
    Someone,
    Table,
    facts,
    to_pdf,
)
from protocol.invoice import DocumentKind, Invoice, SignedInvoice, encode_signed

FORMAT: Final = "sekisho-invoice-paper/1"
TITLES: Final = {
    DocumentKind.INVOICE: ("請求書", "Invoice"),
    DocumentKind.CREDIT_NOTE: ("返還通知書", "Credit note"),
    DocumentKind.STATEMENT: ("支払明細書", "Payment statement"),
}
_LEADS: Final = {
    DocumentKind.INVOICE: ("下記のとおり請求します。", "We claim the following."),
    DocumentKind.CREDIT_NOTE: (
        "差引額が負となりましたので、下記の額を返還します。",
        "The balance is negative: we return the following amount.",
    ),
    DocumentKind.STATEMENT: ("下記のとおり支払います。", "We pay the following."),
}
_HEADLINES: Final = {
    DocumentKind.INVOICE: (("ご請求金額", "Amount due"), ("お支払期限", "Due")),
    DocumentKind.CREDIT_NOTE: (("返還金額", "Amount returned"), ("返還予定日", "Returned by")),
    DocumentKind.STATEMENT: (("お支払金額", "Amount paid"), ("お支払予定日", "Paid by")),
}
_RANGES_MAX: Final = 24


def invoice_papers(signed: SignedInvoice, invoice: Invoice, *, bill: Bill | None, names: Names) -> tuple[Paper, ...]:
    """The four files of one document; the same values give the same bytes.

    bill: the same claim by the contract's terms, whose items then are the lines. Raises: PaperContradicted when bill
    and invoice come to different sums; GlyphLacking, NotSet, FontMissing.
    """
    if bill is not None and bill.total_yen != invoice.due_yen:
        raise PaperContradicted(invoice.number, says=invoice.due_yen, comes_to=bill.total_yen)
    file = encode_signed(signed)
    lines = _lines(invoice, bill)
    content = _content(signed, invoice, lines, names, hashlib.sha256(file).hexdigest())
    document = _document(signed, invoice, lines, names)
    return (
        Paper(name=f"{invoice.number}.invoice", media=INVOICE, data=file),
        Paper(name=f"{invoice.number}.json", media=JSON, data=to_json(content)),
        Paper(name=f"{invoice.number}.csv", media=CSV, data=cells_csv(invoice.cells, names, number=invoice.number)),
        Paper(name=f"{invoice.number}.pdf", media=PDF, data=to_pdf(document, at_us=invoice.issued_us)),
    )


class _Line(NamedTuple):
    """An item of the document. quantity, price: None where it has none."""

    name: Both
    quantity: int | None
    price: int | None
    yen: int
    taxed: bool
    clause: str = ""


def _lines(invoice: Invoice, bill: Bill | None) -> tuple[_Line, ...]:
    if bill is not None:
        return tuple(
            _Line(
                (each.item.name_ja, each.item.name_en),
                None if each.item.yen is None else each.quantity,
                each.item.yen,
                each.yen,
                each.item.taxed,
                each.item.clause,
            )
            for each in bill.lines
        )
    net = invoice.net
    fees = ("交付手数料", "Fees received") if invoice.role == "certificate" else ("情報提供手数料", "Fees")
    lines = [_Line(fees, net.copies, None, net.yen, taxed=False)]
    if net.commission:
        taxed = bool(invoice.tax_supplier)
        lines.append(_Line(("委託手数料", "Commission"), net.copies, None, -net.commission, taxed))
    return tuple(lines)


def _content(
    signed: SignedInvoice, invoice: Invoice, lines: tuple[_Line, ...], names: Names, file: str
) -> dict[str, object]:
    kind, rests = DocumentKind(invoice.kind), invoice.rests
    return {
        "format": FORMAT,
        "document": {"kind": kind.name.lower(), "ja": TITLES[kind][0], "en": TITLES[kind][1]},
        "number": invoice.number,
        "environment": invoice.environment,
        "issuer": _someone(invoice.issuer, names.issuer, names),
        "role": invoice.role,
        "party": _someone(invoice.party, names.party(invoice.party), names),
        "period": invoice.period,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "agreement": invoice.agreement,
        "due_yen": invoice.due_yen,
        "net": _amount(invoice),
        "lines": [
            {
                "ja": each.name[0],
                "en": each.name[1],
                "quantity": each.quantity,
                "price_yen": each.price,
                "yen": each.yen,
                "taxed": each.taxed,
                "clause": each.clause,
            }
            for each in lines
        ],
        "tax": _tax(invoice, names),
        "cells": cells_json(invoice.cells, names),
        "items": {"count": invoice.items, "sha256": invoice.items_digest.hex()},
        "rests_on": {
            "blocks": [
                {"stream": each.stream.hex(), "first": each.first, "last": each.last, "entries": each.entries}
                for each in rests.ranges
            ],
            "checkpoint": {
                "size": rests.checkpoint_size,
                "root": rests.checkpoint_root.hex(),
                "at": at_text(rests.checkpoint_us),
            },
        },
        "signature": {"key_id": signed.key_id, "ecdsa": signed.signature.hex(), "file_sha256": file},
    }


def _amount(invoice: Invoice) -> dict[str, int]:
    net = invoice.net
    return {"entries": net.entries, "copies": net.copies, "yen": net.yen, "commission": net.commission}


def _someone(party: str, name: Both, names: Names) -> dict[str, str]:
    return {"id": party, "ja": name[0], "en": name[1], "registration": names.registrations.get(party, "")}


def _tax(invoice: Invoice, names: Names) -> dict[str, object] | None:
    if not invoice.tax_supplier:
        return None
    return {
        "supplier": _someone(invoice.tax_supplier, names.party(invoice.tax_supplier), names),
        "rate": rate(invoice.tax),
        "taxed_yen": invoice.net.commission,
        "tax_yen": invoice.tax_yen,
    }


def _document(signed: SignedInvoice, invoice: Invoice, lines: tuple[_Line, ...], names: Names) -> Document:
    kind = DocumentKind(invoice.kind)
    label, due = _HEADLINES[kind]
    payee = invoice.issuer if kind is DocumentKind.INVOICE else invoice.party
    amount = -invoice.due_yen if kind is DocumentKind.CREDIT_NOTE else invoice.due_yen
    return Document(
        title=TITLES[kind],
        number=invoice.number,
        mark=mark(invoice.environment),
        to=Someone(names.party(invoice.party), _address(invoice.party, names)),
        of=Someone(names.issuer, (*_address(invoice.issuer, names), "電子署名により公印省略")),
        meta=facts(
            ("番号", "No.", invoice.number),
            ("発行日", "Date", day_text(invoice.issued_on)),
        ),
        lead=_LEADS[kind],
        headline=Headline(
            label,
            yen(amount),
            facts(
                (*due, day_text(invoice.due_on)),
                ("対象期間", "Period", period_text(invoice.period)),
                ("契約", "Agreement", invoice.agreement),
                ("振込先", "Account", names.accounts.get(payee, "")),
            ),
        ),
        parts=(
            _items_table(invoice, lines),
            *_tax_table(invoice, names),
            *cell_lists(invoice, names),
            _notes(invoice),
            *_proof(signed, invoice),
        ),
    )


def _address(party: str, names: Names) -> tuple[str, ...]:
    registration = names.registrations.get(party, "")
    return (*names.addresses.get(party, "").splitlines(), *((f"登録番号 {registration}",) if registration else ()))


def _items_table(invoice: Invoice, lines: tuple[_Line, ...]) -> Table:
    rows = [
        Row(
            (
                each.name,
                "" if each.quantity is None else number(each.quantity),
                "" if each.price is None else number(each.price),
                number(each.yen),
                rate(invoice.tax) if each.taxed else "対象外",
                each.clause,
            )
        )
        for each in lines
    ]
    rows.append(Row((("差引合計", "Total"), "", "", number(invoice.due_yen), "", ""), strong=True))
    return Table(
        ("内訳", "Items (yen, tax included)"),
        (
            Column(("項目", "Item"), width=1),
            Column(("数量", "Quantity"), right=True),
            Column(("単価", "Unit price"), right=True),
            Column(("金額(税込)", "Amount"), right=True),
            Column(("税率", "Tax")),
            Column(("根拠", "Clause")),
        ),
        tuple(rows),
    )


def _tax_table(invoice: Invoice, names: Names) -> tuple[Table, ...]:
    if not invoice.tax_supplier:
        return ()
    supplier = names.party(invoice.tax_supplier)
    return (
        Table(
            ("消費税", "Consumption tax, by rate and supplier"),
            (
                Column(("税率区分", "Rate")),
                Column(("役務の提供者", "Supplier"), width=1),
                Column(("登録番号", "Registration")),
                Column(("対象額(税込)", "Taxed amount"), right=True),
                Column(("うち消費税額等", "Tax within"), right=True),
            ),
            (
                Row(
                    (
                        (f"{rate(invoice.tax)}対象", f"{rate(invoice.tax)} rate"),
                        supplier,
                        names.registrations.get(invoice.tax_supplier, ""),
                        number(invoice.net.commission),
                        number(invoice.tax_yen),
                    )
                ),
                Row((("対象外", "Outside"), ("手数料", "Fees"), "", number(invoice.net.yen), "0")),
            ),
        ),
    )


def _notes(invoice: Invoice) -> Notes:
    items: list[Both] = [("▲は負の額を表します。", "▲ marks a negative amount.")]
    if invoice.tax_supplier:
        items.append(
            (
                "委託手数料は支払わず差し引きます。本書は委託手数料に係る仕入明細書を兼ねます。",
                "The commission is withheld, not paid apart; for it this is the buyer's statement of purchase.",
            )
        )
    return Notes(tuple(items))


def _proof(signed: SignedInvoice, invoice: Invoice) -> tuple[Facts | Table, ...]:
    rests = invoice.rests
    ranges = [
        Row((each.stream.hex(), number(each.first), number(each.last), number(each.entries)))
        for each in rests.ranges[:_RANGES_MAX]
    ]
    if len(rests.ranges) > _RANGES_MAX:
        ranges.append(Row((f"ほか {len(rests.ranges) - _RANGES_MAX} 件", "", "", "")))
    return (
        Facts(
            ("検証", "What it rests on"),
            facts(
                ("記録数", "Bookings", number(invoice.items)),
                ("明細ファイル", "Items, SHA-256", invoice.items_digest.hex()),
                ("チェックポイント", "Checkpoint", f"{rests.checkpoint_size:,} / {at_text(rests.checkpoint_us)}"),
                ("ルート", "Root", rests.checkpoint_root.hex()),
                ("署名鍵", "Key", signed.key_id),
                ("検証方法", "Verify", f"sekisho invoice verify {invoice.number}.invoice --receipts DIR --trust FILE"),
            ),
            small=True,
        ),
        Table(
            ("台帳のブロック", "Blocks of the ledger"),
            (
                Column(("ストリーム", "Stream"), width=1),
                Column(("最初", "First"), right=True),
                Column(("最後", "Last"), right=True),
                Column(("記録数", "Entries"), right=True),
            ),
            tuple(ranges),
            small=True,
        ),
    )
