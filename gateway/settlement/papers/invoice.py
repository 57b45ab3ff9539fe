"""An invoice, credit note or payment statement as its signed file, JSON, CSV and PDF.

Source: 000仕4-4, 000契13; 001-4-6; 002本2-3; DOMAIN X 4.
"""

import hashlib
from typing import Final

from gateway.settlement.billing import Bill
from gateway.settlement.paper import CSV, INVOICE, JSON, PDF, Names, Paper, file_name
from gateway.settlement.papers.cells import amount_json, cells_csv, with_cells
from gateway.settlement.papers.errors import PaperContradicted
from gateway.settlement.papers.figures import at_text, rate
from gateway.settlement.papers.heads import in_json
from gateway.settlement.papers.invoice_page import TITLES, Line, Tax, page, taxes
from gateway.settlement.papers.setting import Attachment, to_pdf
from protocol.invoice import DocumentKind, Invoice, SignedInvoice, TaxRule, encode_signed

FORMAT: Final = "sekisho-invoice-paper/1"


def invoice_papers(signed: SignedInvoice, invoice: Invoice, *, bill: Bill | None, names: Names) -> tuple[Paper, ...]:
    """The four files of one document: .invoice (signed), .json, .csv, .pdf; the same values give the same bytes.

    The PDF carries the signed file as an attachment. bill: the same claim by the contract's terms, whose items then are
    the lines. Raises: PaperContradicted when bill and invoice come to different sums; GlyphLacking, NotSet,
    FontMissing.
    """
    if bill is not None and bill.total_yen != invoice.due_yen:
        raise PaperContradicted(invoice.number, says=invoice.due_yen, comes_to=bill.total_yen)
    file = Paper(name=file_name(invoice.number, "invoice"), media=INVOICE, data=encode_signed(signed))
    lines = _lines_of_net(invoice) if bill is None else _lines_of_bill(bill)
    attached = Attachment(file.name, file.media, "署名付き請求データ / the signed invoice", file.data)
    subject = "・".join(each.name[0] for each in lines) if bill is None else bill.claim.name_ja
    pdf = to_pdf(page(signed, invoice, lines, names, subject=subject), at_us=invoice.issued_us, attached=(attached,))
    json = with_cells(_content(signed, invoice, lines, names), invoice.cells, names)
    return (
        file,
        Paper(name=file_name(invoice.number, "json"), media=JSON, data=json),
        Paper(
            name=file_name(invoice.number, "csv"),
            media=CSV,
            data=cells_csv(invoice.cells, names, number=invoice.number),
        ),
        Paper(name=file_name(invoice.number, "pdf"), media=PDF, data=pdf),
    )


def _lines_of_bill(bill: Bill) -> tuple[Line, ...]:
    return tuple(
        Line(
            (each.item.name_ja, each.item.name_en),
            None if each.item.yen is None else each.quantity,
            each.item.yen,
            each.yen,
            each.item.taxed,
            each.item.clause,
        )
        for each in bill.lines
    )


def _lines_of_net(invoice: Invoice) -> tuple[Line, ...]:
    net = invoice.net
    if invoice.role != "certificate":
        return (Line(("情報提供手数料", "Fee for information provided"), None, None, net.yen, taxed=False),)
    taxed = bool(invoice.tax_supplier) or len({cell.key.party for cell in invoice.cells}) > 1
    return (
        Line(("交付手数料", "Fees received"), net.copies, None, net.yen, taxed=False),
        Line(("委託手数料", "Commission"), net.copies, None, -net.commission, taxed=taxed),
    )


def _content(signed: SignedInvoice, invoice: Invoice, lines: tuple[Line, ...], names: Names) -> dict[str, object]:
    kind, rests = DocumentKind(invoice.kind), invoice.rests
    return {
        "format": FORMAT,
        "document": {"kind": kind.name.lower(), "ja": TITLES[kind][0], "en": TITLES[kind][1]},
        "number": invoice.number,
        "environment": invoice.environment,
        "issuer": in_json(invoice.issuer, names.issuer, names),
        "role": invoice.role,
        "party": in_json(invoice.party, names.party(invoice.party), names),
        "period": invoice.period,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "agreement": invoice.agreement,
        "due_yen": invoice.due_yen,
        "net": amount_json(invoice.net),
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
        "taxes": [_tax(each, invoice.tax, names) for each in taxes(invoice, lines)],
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
            "frozen_at": at_text(rests.frozen_us) if rests.frozen_us else None,
        },
        "signature": {
            "key_id": signed.key_id,
            "value": signed.signature.hex(),
            "invoice_sha256": hashlib.sha256(signed.invoice).hexdigest(),
        },
    }


def _tax(each: Tax, rule: TaxRule, names: Names) -> dict[str, object]:
    return {
        "supplier": in_json(each.supplier, names.party(each.supplier), names),
        "rate": rate(rule),
        "taxed_yen": each.taxed_yen,
        "tax_yen": each.tax_yen,
    }
