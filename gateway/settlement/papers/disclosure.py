"""Disclosed data (取扱い実績データ) as JSON, CSV and PDF: the cells on paper, every booking in the CSV.

The CSV is cut where office software stops reading a sheet; its parts are made one after the other, so that memory
holds one of them. Source: 000仕4-2; 001-4-2.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from gateway.settlement import sheet
from gateway.settlement.paper import CSV, JSON, PDF, Names, Paper, file_name
from gateway.settlement.papers.cells import amount_json, with_cells
from gateway.settlement.papers.figures import at_text, mark, period_text, yen
from gateway.settlement.papers.figures import number as figure
from gateway.settlement.papers.heads import addressee, in_json, writer
from gateway.settlement.papers.lists import cell_lists, store_lists, view_of
from gateway.settlement.papers.setting import Both, Document, Facts, Headline, Notes, facts, to_pdf
from gateway.settlement.windows import in_japan
from protocol.disclosure import Disclosure, Row

FORMAT: Final = "sekisho-disclosure-paper/1"
ROWS_A_FILE: Final = 200_000
"""Bookings of one CSV; a sheet of office software ends at 1,048,576 lines, and its parts stay small."""
COLUMNS: Final = (
    "受付ID (request_id)",
    "申請ID (application)",
    "相手方ID (counterparty)",
    "種別ID (matter)",
    "店舗 (store)",
    "端末 (kiosk)",
    "区分 (column)",
    "確定済み期間の調整 (carried)",
    "通数 (copies)",
    "手数料 (yen)",
    "委託手数料 (commission)",
    "入金日時 (deposited_at)",
    "店舗日付 (store_day)",
)
_TITLE: Final[Both] = ("取扱い実績データ", "Disclosed data")


def disclosure_papers(
    disclosure: Disclosure, rows: Iterable[Row], *, names: Names, number: str = ""
) -> Iterator[Paper]:
    """.json and .pdf of head and cells, then .csv of all rows, in parts when they are many.

    rows: as protocol.disclosure.read_rows gives them. number: what the document and its files are called, "" for
    disclosure-<period>-<party>. Raises: GlyphLacking, NotSet, FontMissing; what `rows` raises.
    """
    own = number or f"disclosure-{disclosure.period}-{disclosure.party}"
    json = with_cells(_content(disclosure, names, own), disclosure.cells, names)
    yield Paper(name=file_name(own, "json"), media=JSON, data=json)
    pdf = to_pdf(_page(disclosure, names, own), at_us=disclosure.made_us)
    yield Paper(name=file_name(own, "pdf"), media=PDF, data=pdf)
    many, left, part = disclosure.rows > ROWS_A_FILE, iter(rows), 0
    while part == 0 or disclosure.rows > part * ROWS_A_FILE:
        data = bytearray(sheet.BOM + sheet.lines([COLUMNS]))
        data += sheet.lines(_line(row, disclosure) for row in islice(left, ROWS_A_FILE))
        part += 1
        yield Paper(name=file_name(f"{own}-{part}" if many else own, "csv"), media=CSV, data=bytes(data))
    for _ in left:  # the reader tells at its end whether it was the right file
        pass


def _line(row: Row, disclosure: Disclosure) -> tuple[object, ...]:
    key = disclosure.cells[row.cell].key
    return (
        row.request_id.hex(),
        row.application.hex(),
        key.counterparty,
        key.matter,
        key.store,
        row.kiosk,
        row.column.name.lower(),
        int(row.carried),
        row.copies,
        row.yen,
        row.commission,
        in_japan(row.deposited_at_us).isoformat(timespec="seconds"),
        row.store_day,
    )


def _content(disclosure: Disclosure, names: Names, own: str) -> dict[str, object]:
    return {
        "format": FORMAT,
        "document": {"kind": "disclosure", "ja": _TITLE[0], "en": _TITLE[1]},
        "number": own,
        "environment": disclosure.environment,
        "issuer": in_json(disclosure.issuer, names.issuer, names),
        "role": disclosure.role,
        "party": in_json(disclosure.party, names.party(disclosure.party), names),
        "period": disclosure.period,
        "made_at": at_text(disclosure.made_us),
        "net": amount_json(disclosure.net),
        "due_yen": disclosure.net.due_yen,
        "rows": {"count": disclosure.rows, "sha256": disclosure.rows_digest.hex()},
    }


def _page(disclosure: Disclosure, names: Names, own: str) -> Document:
    view = view_of(disclosure.role)
    return Document(
        title=_TITLE,
        number=own,
        mark=mark(disclosure.environment),
        to=addressee(disclosure.party, names),
        of=writer(disclosure.issuer, names, signed=True),
        meta=facts(
            ("番号", "No.", own),
            ("作成", "Made at", at_text(disclosure.made_us)),
        ),
        lead=(
            "対象期間の取扱い実績を下記のとおり開示します。店舗の情報と照合のうえ、結果を通知してください。",
            "We disclose the business of the period. Reconcile it with your stores and tell us the result.",
        ),
        headline=Headline(
            ("差引額(確定前)", "Balance, not yet frozen"),
            yen(disclosure.net.due_yen),
            facts(
                ("対象期間", "Period", period_text(disclosure.period)),
                ("通数", "Copies", figure(disclosure.net.copies)),
                ("手数料", "Fees", yen(disclosure.net.yen)),
                ("委託手数料", "Commission", yen(disclosure.net.commission)),
            ),
        ),
        parts=(
            *cell_lists(disclosure.cells, names, view),
            Notes(
                (
                    (
                        "▲は負の額を表します。請求額は協議のうえ確定し、確定後の訂正は次の期間の調整となります。",
                        "▲ marks a negative amount. Once frozen, corrections are adjustments of the next period.",
                    ),
                )
            ),
            *store_lists(disclosure.cells, names, view),
            Facts(
                ("照合", "To reconcile with"),
                facts(
                    ("記録数", "Bookings", figure(disclosure.rows)),
                    ("明細データ", "Rows, SHA-256", disclosure.rows_digest.hex()),
                    ("照合方法", "Reconcile", "sekisho relay reconcile DISCLOSURE --reports DIR --data RELAY"),
                ),
                small=True,
            ),
        ),
    )
