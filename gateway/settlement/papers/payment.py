"""A payment as JSON and PDF: a receipt (領収書) for what came in, a notice (支払通知書) of what went out.

What the centre gets for an invoice, or as late interest, it gives a receipt for; what it pays by a statement or a
credit note is made known to whom it goes. Source: 000仕4-5, 000契17; 001-4-6; 002本2-4.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.settlement.paper import JSON, PDF, Names, Paper, file_name
from gateway.settlement.papers.errors import ActMisfits
from gateway.settlement.papers.figures import day_text, mark, number, period_text, to_json, yen
from gateway.settlement.papers.heads import addressee, in_json, writer
from gateway.settlement.papers.interest import CLAIM, number_of
from gateway.settlement.papers.invoice_page import TITLES
from gateway.settlement.papers.setting import (
    TOTAL,
    Both,
    Column,
    Document,
    Headline,
    Notes,
    Row,
    Table,
    facts,
    to_pdf,
)
from protocol.act import Act, ActKind
from protocol.invoice import DocumentKind, Invoice

FORMAT: Final = "sekisho-payment-paper/1"
_RECEIPT: Final[Both] = ("領収書", "Receipt")
_NOTICE: Final[Both] = ("支払通知書", "Payment notice")
_LEADS: Final[dict[Both, Both]] = {
    _RECEIPT: ("下記の金額を領収しました。", "We have received the amount below."),
    _NOTICE: ("下記のとおり支払いましたので通知します。", "We have paid the amount below."),
}
_FEES: Final[Both] = (
    "但し、市区町村の手数料(委託手数料差引後)として。消費税の対象外です。",
    "For municipal fees less commission; not taxed.",
)
_RECORDS: Final[Both] = ("但し、情報提供手数料として。消費税の対象外です。", "For information provided; not taxed.")
_INTEREST: Final[Both] = ("但し、遅延利息として。消費税の対象外です。", "For late interest; not taxed.")
_DIFFERENCE: Final[Both] = (
    "差は今回の額から書類の額を引いたものです。分割の場合は他の回の書面と合わせてご確認ください。",
    "The difference is this payment less the document's amount; see the other payments beside it.",
)
_NO_STAMP: Final[Both] = (
    "電磁的記録で交付するため、収入印紙は貼付しません。",
    "Issued electronically: no revenue stamp is due.",
)


class _For(NamedTuple):
    """A document that a payment is for, with its amount."""

    title: Both
    number: str
    yen: int


class _Payment(NamedTuple):
    """A payment as it is written. due_on: "" where its documents name several days."""

    act: Act
    number: str
    title: Both
    of: tuple[_For, ...]
    due_on: str
    agreement: str
    proviso: Both
    environment: str
    issuer: str

    @property
    def came_in(self) -> bool:
        return self.title is _RECEIPT

    @property
    def due_yen(self) -> int:
        return sum(each.yen for each in self.of)


def payment_papers(act: Act, *, invoice: Invoice, names: Names) -> tuple[Paper, ...]:
    """.json and .pdf of one payment. act: PAID, of the party and period of `invoice`; a part payment is one of several.

    Raises: ActMisfits; GlyphLacking, NotSet, FontMissing.
    """
    owed = invoice.kind == DocumentKind.STATEMENT and invoice.due_yen < 0
    title = _RECEIPT if owed or invoice.kind == DocumentKind.INVOICE else _NOTICE
    if act.kind != ActKind.PAID or (act.party, act.period) != (invoice.party, invoice.period):
        raise ActMisfits(act, title[0])
    payment = _Payment(
        act=act,
        number=f"{invoice.number}-paid-{act.turn + 1}",
        title=title,
        of=(_For(TITLES[DocumentKind(invoice.kind)], invoice.number, abs(invoice.due_yen)),),
        due_on=invoice.due_on,
        agreement=invoice.agreement,
        proviso=_FEES if invoice.role == "certificate" else _RECORDS,
        environment=invoice.environment,
        issuer=invoice.issuer,
    )
    return _papers(payment, names)


def interest_payment_papers(act: Act, *, asked: Sequence[Act], names: Names) -> tuple[Paper, ...]:
    """.json and .pdf of a payment of late interest. asked: the INTEREST acts of the debt that are not waived.

    Raises: ActMisfits; GlyphLacking, NotSet, FontMissing.
    """
    for each in asked:
        if each.kind != ActKind.INTEREST or (each.party, each.period) != (act.party, act.period):
            raise ActMisfits(each, _RECEIPT[0])
    if act.kind != ActKind.PAID or not asked:
        raise ActMisfits(act, _RECEIPT[0])
    payment = _Payment(
        act=act,
        number=f"{number_of(asked[0])}-paid-{act.turn + 1}",
        title=_RECEIPT,
        of=tuple(_For(CLAIM, number_of(each), each.yen) for each in asked),
        due_on="",
        agreement=act.contract,
        proviso=_INTEREST,
        environment=names.environment,
        issuer=names.centre,
    )
    return _papers(payment, names)


def _papers(payment: _Payment, names: Names) -> tuple[Paper, ...]:
    pdf = to_pdf(_page(payment, names), at_us=payment.act.at_us)
    return (
        Paper(name=file_name(payment.number, "json"), media=JSON, data=to_json(_content(payment, names))),
        Paper(name=file_name(payment.number, "pdf"), media=PDF, data=pdf),
    )


def _content(payment: _Payment, names: Names) -> dict[str, object]:
    act, title = payment.act, payment.title
    return {
        "format": FORMAT,
        "document": {"kind": "receipt" if payment.came_in else "notice", "ja": title[0], "en": title[1]},
        "number": payment.number,
        "environment": payment.environment,
        "issuer": in_json(payment.issuer, names.issuer, names),
        "party": in_json(act.party, names.party(act.party), names),
        "period": act.period,
        "claim": act.claim,
        "for": [{"number": each.number, "yen": each.yen} for each in payment.of],
        "due_yen": payment.due_yen,
        "due_on": payment.due_on or None,
        "paid_on": act.day,
        "payment": act.turn + 1,
        "yen": abs(act.yen),
    }


def _page(payment: _Payment, names: Names) -> Document:
    act, came_in = payment.act, payment.came_in
    return Document(
        title=payment.title,
        number=payment.number,
        mark=mark(payment.environment),
        to=addressee(act.party, names),
        of=writer(payment.issuer, names),
        meta=facts(("番号", "No.", payment.number), ("発行日", "Date", day_text(act.day))),
        lead=_LEADS[payment.title],
        headline=Headline(
            ("領収金額", "Amount received") if came_in else ("支払金額", "Amount paid"),
            yen(abs(act.yen)),
            facts(
                ("入金日" if came_in else "支払日", "Paid on", day_text(act.day)),
                ("期限", "Due", day_text(payment.due_on)),
                ("対象期間", "Period", period_text(act.period)),
                ("契約", "Agreement", payment.agreement),
                ("振込先", "Account", names.accounts.get(payment.issuer if came_in else act.party, "")),
            ),
        ),
        parts=(
            _table(payment),
            Notes((payment.proviso, _DIFFERENCE, *((_NO_STAMP,) if came_in else ()))),
        ),
    )


def _table(payment: _Payment) -> Table:
    paid = abs(payment.act.yen)
    rows = [Row((each.title, each.number, number(each.yen), "", "")) for each in payment.of]
    last = (number(payment.due_yen), number(paid), number(paid - payment.due_yen))
    turn = (f"第{payment.act.turn + 1}回のお支払", f"Payment no. {payment.act.turn + 1}")
    return Table(
        ("内訳", "For (yen)"),
        (
            Column(("対象書類", "Document"), width=1),
            Column(("番号", "Number")),
            Column(("書類の額", "Its amount"), right=True),
            Column(("今回の額", "This payment"), right=True),
            Column(("差", "Difference"), right=True),
        ),
        (*rows, Row((turn, "", *last), TOTAL)),
    )
