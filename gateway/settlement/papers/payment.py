"""A payment as JSON and PDF: a receipt (領収書) for what came in, a notice (支払通知書) of what went out.

What the centre gets for an invoice it gives a receipt for; what it pays by a statement or a credit note is made known
to whom it goes. Source: 000仕4-5; 001-4-6; 002本2-4.
"""

from typing import Final

from gateway.settlement.paper import JSON, PDF, Names, Paper, file_name
from gateway.settlement.papers.errors import ActMisfits
from gateway.settlement.papers.figures import day_text, mark, number, period_text, to_json, yen
from gateway.settlement.papers.heads import addressee, in_json, writer
from gateway.settlement.papers.invoice_page import TITLES
from gateway.settlement.papers.setting import Both, Column, Document, Headline, Notes, Row, Table, facts, to_pdf
from protocol.act import Act, ActKind
from protocol.invoice import DocumentKind, Invoice

FORMAT: Final = "sekisho-payment-paper/1"
_RECEIPT: Final[Both] = ("領収書", "Receipt")
_NOTICE: Final[Both] = ("支払通知書", "Payment notice")


def payment_papers(act: Act, *, invoice: Invoice, names: Names) -> tuple[Paper, ...]:
    """.json and .pdf of one payment. act: PAID, of the party and period of `invoice`; a part payment is one of several.

    Raises: ActMisfits; GlyphLacking, NotSet, FontMissing.
    """
    title = _RECEIPT if _came_in(invoice) else _NOTICE
    if act.kind != ActKind.PAID or (act.party, act.period) != (invoice.party, invoice.period):
        raise ActMisfits(act, title[0])
    own = f"{invoice.number}-paid-{act.turn + 1}"
    pdf = to_pdf(_page(act, invoice, names, title, own), at_us=act.at_us)
    return (
        Paper(name=file_name(own, "json"), media=JSON, data=to_json(_content(act, invoice, names, title, own))),
        Paper(name=file_name(own, "pdf"), media=PDF, data=pdf),
    )


def _came_in(invoice: Invoice) -> bool:
    owed = invoice.kind == DocumentKind.STATEMENT and invoice.due_yen < 0
    return owed or invoice.kind == DocumentKind.INVOICE


def _content(act: Act, invoice: Invoice, names: Names, title: Both, own: str) -> dict[str, object]:
    return {
        "format": FORMAT,
        "document": {"kind": "receipt" if title is _RECEIPT else "notice", "ja": title[0], "en": title[1]},
        "number": own,
        "environment": invoice.environment,
        "issuer": in_json(invoice.issuer, names.issuer, names),
        "party": in_json(invoice.party, names.party(invoice.party), names),
        "period": invoice.period,
        "claim": act.claim,
        "invoice": invoice.number,
        "invoice_due_yen": abs(invoice.due_yen),
        "due_on": invoice.due_on,
        "paid_on": act.day,
        "payment": act.turn + 1,
        "yen": abs(act.yen),
    }


def _page(act: Act, invoice: Invoice, names: Names, title: Both, own: str) -> Document:
    came_in = title is _RECEIPT
    of = TITLES[DocumentKind(invoice.kind)]
    paid, due = abs(act.yen), abs(invoice.due_yen)
    lead = (
        ("上記の金額を領収しました。", "We have received the amount below.")
        if came_in
        else ("下記のとおり支払いましたので通知します。", "We have paid the amount below.")
    )
    return Document(
        title=title,
        number=own,
        mark=mark(invoice.environment),
        to=addressee(invoice.party, names),
        of=writer(invoice.issuer, names),
        meta=facts(("番号", "No.", own), ("発行日", "Date", day_text(act.day))),
        lead=("下記の金額を領収しました。", lead[1]) if came_in else lead,
        headline=Headline(
            ("領収金額", "Amount received") if came_in else ("支払金額", "Amount paid"),
            yen(paid),
            facts(
                ("入金日" if came_in else "支払日", "Paid on", day_text(act.day)),
                ("期限", "Due", day_text(invoice.due_on)),
                ("対象期間", "Period", period_text(invoice.period)),
                ("契約", "Agreement", invoice.agreement),
                ("振込先", "Account", names.accounts.get(invoice.issuer if came_in else invoice.party, "")),
            ),
        ),
        parts=(
            Table(
                ("内訳", "For (yen)"),
                (
                    Column(("対象書類", "Document"), width=1),
                    Column(("番号", "Number")),
                    Column(("書類の額", "Its amount"), right=True),
                    Column(("回", "Payment"), right=True),
                    Column(("今回の額", "This payment"), right=True),
                    Column(("差", "Difference"), right=True),
                ),
                (Row((of, invoice.number, number(due), number(act.turn + 1), number(paid), number(paid - due))),),
            ),
            Notes(
                (
                    (
                        "但し、市区町村の手数料(委託手数料差引後)として。消費税の対象外です。"
                        if invoice.role == "certificate"
                        else "但し、情報提供手数料として。消費税の対象外です。",
                        "For municipal fees less commission; not taxed."
                        if invoice.role == "certificate"
                        else "For information provided; not taxed.",
                    ),
                    (
                        "差は今回の額から書類の額を引いたものです。分割の場合は他の回の書面と合わせてご確認ください。",
                        "The difference is this payment less the document's amount; see the other payments beside it.",
                    ),
                    (
                        "電磁的記録で交付するため、収入印紙は貼付しません。",
                        "Issued electronically: no revenue stamp is due.",
                    ),
                )
            ),
        ),
    )
