"""What stands on the pages of an invoice, credit note or payment statement. Pure.

The certificate centre's invoice to an operator is fees less commission. The fees are the municipalities' and no taxable
supply; the commission is the operator's supply to the centre, which withholds it: so the tax within it is shown as the
operator's, with the operator's registration number, and the document serves as the buyer's statement of a purchase
(仕入明細書, 消費税法30条9項3号) beside being an invoice. Whoever made the supply, `invoice.tax_supplier` names it.
Source: 000仕4, 000契13; 001-4; 002本2; 消費税法57条の4; DOMAIN V6, X 4.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.settlement.paper import Names, file_name
from gateway.settlement.papers.figures import at_text, day_text, mark, number, period_text, rate, yen
from gateway.settlement.papers.heads import addressee, writer
from gateway.settlement.papers.lists import cell_lists, store_lists, view_of
from gateway.settlement.papers.setting import (
    TOTAL,
    Both,
    Column,
    Document,
    Facts,
    Headline,
    Notes,
    Row,
    Table,
    facts,
)
from protocol.invoice import DocumentKind, Invoice, SignedInvoice

TITLES: Final = {
    DocumentKind.INVOICE: ("請求書", "Invoice"),
    DocumentKind.CREDIT_NOTE: ("返還通知書", "Credit note"),
    DocumentKind.STATEMENT: ("支払明細書", "Payment statement"),
}
RANGES_MAX: Final = 40
_LEADS: Final[dict[DocumentKind, Both]] = {
    DocumentKind.INVOICE: ("下記のとおり請求します。", "We claim the amount below."),
    DocumentKind.CREDIT_NOTE: (
        "差引額が負となったため、下記の額を返還します。",
        "The balance is negative: we return the amount below.",
    ),
    DocumentKind.STATEMENT: ("下記のとおり支払います。", "We will pay the amount below."),
}
_OWED: Final[Both] = (
    "差引額が負となりました。仕様書に定めがないため、下記の額の精算方法は協議によります。",
    "The balance is negative. The agreement has no clause for it: how the amount is settled is agreed upon.",
)
_HEADLINES: Final[dict[DocumentKind, tuple[Both, Both]]] = {
    DocumentKind.INVOICE: (("ご請求金額", "Amount due"), ("お支払期限", "Due")),
    DocumentKind.CREDIT_NOTE: (("ご返還金額", "Amount to be returned"), ("返還予定日", "Returned by")),
    DocumentKind.STATEMENT: (("お支払金額", "Amount payable"), ("お支払予定日", "Payable on")),
}
_HEADLINE_OWED: Final[tuple[Both, Both]] = (("ご負担金額", "Amount owed"), ("精算日", "Settled by"))


class Tax(NamedTuple):
    """The tax within one supplier's commission."""

    supplier: str
    taxed_yen: int
    tax_yen: int


class Line(NamedTuple):
    """An item of the document. quantity, price: None where it has none. yen: signed, of the sum due."""

    name: Both
    quantity: int | None
    price: int | None
    yen: int
    taxed: bool
    clause: str = ""


def page(signed: SignedInvoice, invoice: Invoice, lines: tuple[Line, ...], names: Names, *, subject: str) -> Document:
    """The document over these lines. subject: what it is about, a line."""
    kind = DocumentKind(invoice.kind)
    owed = kind is DocumentKind.STATEMENT and invoice.due_yen < 0
    label, due = _HEADLINE_OWED if owed else _HEADLINES[kind]
    payee = invoice.issuer if owed or kind is DocumentKind.INVOICE else invoice.party
    view = view_of(invoice.role, passed_on=kind is DocumentKind.STATEMENT)
    return Document(
        title=TITLES[kind],
        number=invoice.number,
        mark=mark(invoice.environment),
        to=addressee(invoice.party, names),
        of=writer(invoice.issuer, names, signed=True),
        meta=facts(
            ("番号", "No.", invoice.number),
            ("発行日", "Date", day_text(invoice.issued_on)),
        ),
        lead=_OWED if owed else _LEADS[kind],
        headline=Headline(
            label,
            yen(abs(invoice.due_yen)),
            facts(
                ("件名", "Subject", subject),
                (*due, day_text(invoice.due_on) or "契約に定める期日"),
                ("対象期間", "Period", period_text(invoice.period)),
                ("契約", "Agreement", invoice.agreement),
                ("振込先", "Account", names.accounts.get(payee, "")),
            ),
        ),
        parts=(
            _items(invoice, lines),
            *_tax_table(invoice, lines, names),
            *cell_lists(invoice.cells, names, view),
            Notes(tuple(_notes(invoice))),
            *store_lists(invoice.cells, names, view),
            *_proof(signed, invoice),
        ),
    )


def _items(invoice: Invoice, lines: tuple[Line, ...]) -> Table:
    taxed = any(each.taxed for each in lines)
    incl_ja, incl_en = ("(税込)", ", tax included") if taxed else ("", "")
    rows = [
        Row(
            (
                each.name,
                "" if each.quantity is None else number(each.quantity),
                "" if each.price is None else number(each.price),
                number(each.yen),
                (rate(invoice.tax), "incl.") if each.taxed else ("対象外", "none"),
                each.clause,
            )
        )
        for each in lines
    ]
    return Table(
        ("内訳", f"Items (yen{incl_en})"),
        (
            Column(("項目", "Item"), width=1),
            Column(("数量", "Quantity"), right=True),
            Column((f"単価{incl_ja}", "Unit price"), right=True),
            Column((f"金額{incl_ja}", "Amount"), right=True),
            Column(("消費税", "Tax")),
            Column(("根拠", "Clause")),
        ),
        (*rows, Row((("差引合計", "Total"), "", "", number(invoice.due_yen), "", ""), TOTAL)),
    )


def taxes(invoice: Invoice, lines: tuple[Line, ...]) -> tuple[Tax, ...]:
    """The tax within the commission, by supplier; one rounding each.

    An invoice that names a supplier says its tax itself; of several, each one's is that of its own commission.
    """
    if invoice.tax_supplier:
        return (Tax(invoice.tax_supplier, invoice.net.commission, invoice.tax_yen),)
    if not any(each.taxed for each in lines):
        return ()
    sums: dict[str, int] = {}
    for cell in invoice.cells:
        sums[cell.key.party] = sums.get(cell.key.party, 0) + cell.net.commission
    return tuple(Tax(supplier, yen, invoice.tax.within(yen)) for supplier, yen in sorted(sums.items()))


def _tax_table(invoice: Invoice, lines: tuple[Line, ...], names: Names) -> Iterator[Table]:
    found = taxes(invoice, lines)
    if not found:
        return
    name = rate(invoice.tax)
    rows = [
        Row(
            (
                (f"{name}対象", f"at {name}"),
                names.party(each.supplier),
                names.registrations.get(each.supplier, ""),
                number(each.taxed_yen),
                number(each.tax_yen),
            )
        )
        for each in found
    ]
    untaxed = ("対象外", "Not taxed")
    yield Table(
        ("税率別内訳", "By tax rate and supplier (yen)"),
        (
            Column(("税率区分", "Rate")),
            Column(("役務の提供者", "Supplier"), width=1),
            Column(("登録番号", "Registration no.")),
            Column(("対象額(税込)", "Taxed amount"), right=True),
            Column(("うち消費税額等", "Tax within"), right=True),
        ),
        (*rows, Row((untaxed, ("市区町村の手数料", "Municipal fees"), "", number(invoice.net.yen), number(0)))),
    )


def _notes(invoice: Invoice) -> Iterator[Both]:
    yield "▲は負の額を表します。金額の単位は円です。", "▲ marks a negative amount. All amounts are yen."
    if invoice.role != "certificate":
        yield (
            "手数料は提供した本人確認情報の件数により、同一電文の再送は重ねて算定しません。",
            "The fee is for records provided; an identical message sent again is not charged twice.",
        )
        return
    yield (
        "手数料は市区町村の条例によるもので消費税の対象外です。返金した取引は手数料・委託手数料とも全通分を差し引きます。",
        "Fees are those of municipal ordinances and not taxed. A refund takes back fee and commission of every copy.",
    )
    if invoice.kind == DocumentKind.STATEMENT:
        yield (
            "委託手数料は取扱事業者の役務の提供であり、事業者が手数料から差し引いています。",
            "The commission is the operators' supply; they have withheld it from the fees.",
        )
    elif invoice.tax_supplier:
        yield (
            "委託手数料は貴社の役務の提供であり、差し引いて精算します。本書はその仕入明細書を兼ね、"
            "確定した取扱実績により貴社の確認を受けたものとします。",
            "The commission is your supply and is withheld. For it this is the buyer's statement of purchase, "
            "held to be confirmed by you with the frozen data.",
        )


def _proof(signed: SignedInvoice, invoice: Invoice) -> Iterator[Facts | Table]:
    rests = invoice.rests
    yield Facts(
        ("検証", "What it rests on"),
        facts(
            ("記録数", "Bookings", number(invoice.items)),
            ("明細データ", "Items, SHA-256", invoice.items_digest.hex()),
            ("チェックポイント", "Checkpoint", f"{number(rests.checkpoint_size)} / {at_text(rests.checkpoint_us)}"),
            ("同ルート", "Its root", rests.checkpoint_root.hex()),
            ("確定日時", "Frozen at", at_text(rests.frozen_us) if rests.frozen_us else ""),
            ("署名鍵", "Signed by", signed.key_id),
            (
                "検証方法",
                "Verify",
                f"sekisho invoice verify {file_name(invoice.number, 'invoice')} --receipts DIR --trust FILE",
            ),
        ),
        small=True,
    )
    rows = [
        Row((each.stream.hex(), number(each.first), number(each.last), number(each.entries)))
        for each in rests.ranges[:RANGES_MAX]
    ]
    if (more := len(rests.ranges) - RANGES_MAX) > 0:
        rows.append(Row(((f"ほか{more}件", f"{more} more in the signed file"), "", "", "")))
    yield Table(
        ("台帳のブロック", "Blocks of the ledger"),
        (
            Column(("ストリーム", "Stream"), width=1),
            Column(("最初", "First"), right=True),
            Column(("最後", "Last"), right=True),
            Column(("記録数", "Entries"), right=True),
        ),
        tuple(rows),
        small=True,
    )
