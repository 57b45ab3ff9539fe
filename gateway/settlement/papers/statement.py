"""The statement of a whole centre's frozen period (精算総括表) as JSON, CSV and PDF, for the centre's own books.

Every cell stands in it once, so that the parties' totals and their counterparties' are seen to be the same sum, and
the same as the documents that went out. Source: 000仕4-1, 001-4-1; 002本2-3; DOMAIN I3, X 5.
"""

from typing import Final

from gateway.settlement.paper import CSV, JSON, PDF, Names, Paper, file_name
from gateway.settlement.papers.cells import amount_json, cells_csv, with_cells
from gateway.settlement.papers.figures import at_text, day_text, mark, number, period_text, yen
from gateway.settlement.papers.heads import in_json, writer
from gateway.settlement.papers.lists import whole_lists
from gateway.settlement.papers.setting import Both, Document, Facts, Headline, Notes, facts, to_pdf
from gateway.settlement.statements import Statement
from protocol.act import Act

FORMAT: Final = "sekisho-statement-paper/1"
TITLE: Final[Both] = ("精算総括表", "Statement of settlement")
_NOTES: Final[tuple[Both, ...]] = (
    ("▲は負の額を表します。金額の単位は円です。", "▲ marks a negative amount. All amounts are yen."),
    ("種別・店舗ごとの明細は同じ番号のCSVにあります。", "Every cell is in the CSV of the same number."),
)


def statement_papers(statement: Statement, *, frozen: Act, role: str, names: Names) -> tuple[Paper, ...]:
    """.json, .csv and .pdf of a whole period. frozen: the act that froze it.

    Raises: GlyphLacking, NotSet, FontMissing.
    """
    own = number_of(role, statement.period)
    pdf = to_pdf(_page(statement, frozen, role, names, own), at_us=frozen.at_us)
    json = with_cells(_content(statement, frozen, role, names, own), statement.cells, names)
    csv = cells_csv(statement.cells, names, number=own)
    return (
        Paper(name=file_name(own, "json"), media=JSON, data=json),
        Paper(name=file_name(own, "csv"), media=CSV, data=csv),
        Paper(name=file_name(own, "pdf"), media=PDF, data=pdf),
    )


def number_of(role: str, period: str) -> str:
    """The statement's number."""
    return f"statement-{role}-{period}"


def _content(statement: Statement, frozen: Act, role: str, names: Names, own: str) -> dict[str, object]:
    return {
        "format": FORMAT,
        "document": {"kind": "statement", "ja": TITLE[0], "en": TITLE[1]},
        "number": own,
        "environment": names.environment,
        "issuer": in_json(names.centre, names.issuer, names),
        "role": role,
        "period": statement.period,
        "frozen_at": at_text(frozen.at_us),
        "net": amount_json(statement.net),
        "due_yen": statement.net.due_yen,
        "by_party": {party: amount_json(amount) for party, amount in statement.by_party().items()},
        "by_counterparty": {party: amount_json(amount) for party, amount in statement.by_counterparty().items()},
    }


def _page(statement: Statement, frozen: Act, role: str, names: Names, own: str) -> Document:
    net = statement.net
    return Document(
        title=TITLE,
        number=own,
        mark=mark(names.environment),
        to=None,
        of=writer(names.centre, names),
        meta=facts(("番号", "No.", own), ("確定日", "Frozen on", day_text(frozen.day))),
        lead=("対象期間の精算を下記のとおり確定した。", "The period was frozen as follows."),
        headline=Headline(
            ("差引額合計", "Total balance"),
            yen(net.due_yen),
            facts(
                ("対象期間", "Period", period_text(statement.period)),
                ("手数料計", "Fees, net", yen(net.yen)),
                ("委託手数料", "Commission", yen(net.commission) if net.commission else ""),
                ("記録数", "Bookings", number(net.entries)),
            ),
        ),
        parts=(
            _conservation(statement),
            *whole_lists(statement.cells, names, role),
            Notes(_NOTES),
        ),
    )


def _conservation(statement: Statement) -> Facts:
    parties = sum(amount.due_yen for amount in statement.by_party().values())
    counterparties = sum(amount.due_yen for amount in statement.by_counterparty().values())
    return Facts(
        ("合計の一致", "Conservation"),
        facts(
            ("支払う側の合計", "All that pay", yen(parties)),
            ("受け取る側の合計", "All that are paid", yen(counterparties)),
            ("台帳の記録の合計", "The ledger's entries", yen(statement.net.due_yen)),
        ),
    )
