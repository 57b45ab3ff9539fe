"""What a finance office gets: the same figures in every form, the same bytes every time."""

import csv
import io
import json
from datetime import date
from pathlib import Path

import msgspec
import pypdfium2
import pytest

from gateway.settlement.billing import bill
from gateway.settlement.interest import Waiver, late_interest
from gateway.settlement.papers import disclosure as disclosure_module
from gateway.settlement.papers import (
    disclosure_papers,
    interest_papers,
    interest_payment_papers,
    invoice_papers,
    payment_papers,
    statement_papers,
)
from gateway.settlement.papers import lists as lists_module
from gateway.settlement.papers.errors import ActMisfits, GlyphLacking, PaperContradicted
from gateway.settlement.papers.figures import day_text, number, percent, period_text, rate, yen
from gateway.settlement.papers.setting import ATTACHED_BYTES_MAX
from gateway.settlement.periods import month, period
from gateway.settlement.statements import Statement
from gateway.settlement.toml import read_contract
from protocol.act import Act, ActKind
from protocol.disclosure import Disclosure, Row
from protocol.invoice import STANDARD_TAX, DocumentKind, TaxRule, decode_signed
from protocol.settlement import NOTHING, Amount, Cell, Column, Key
from tests.settlement.papers import ISSUED_US, NAMES, cells, invoice

CONTRACTS = Path(__file__).parents[2] / "deploy" / "contracts"
FEES, CITY, RECORDS = (
    read_contract(CONTRACTS / f"{name}.toml").terms[0].claim(claim)
    for name, claim in (("000-operator", "fees"), ("001-municipality", "fees"), ("002-ministry", "records"))
)
OCTOBER = month(2026, 10)


def texts(papers):
    """The text of each page of the PDF among papers, without spaces."""
    document = pypdfium2.PdfDocument(by_suffix(papers)["pdf"])
    try:
        return ["".join(page.get_textpage().get_text_range().split()) for page in document]
    finally:
        document.close()


def by_suffix(papers):
    return {paper.name.rpartition(".")[2]: paper.data for paper in papers}


def content_of(papers):
    return json.loads(by_suffix(papers)["json"])


def billed(made, claim=FEES):
    return bill(claim, OCTOBER, {"fees": [made.net.yen], "commission": [made.net.copies]})


def papers_of(of=None, *, claim=FEES, **fields):
    signed, made = invoice(of, **fields)
    return made, invoice_papers(signed, made, bill=billed(made, claim), names=NAMES)


def act(kind, **fields):
    values = {
        "contract": "dev-agreement-cvs",
        "claim": "fees",
        "period": "2026-10",
        "party": "cvs-dev",
        "day": "2026-11-20",
        "by": "keiri-1",
        "at_us": ISSUED_US,
        **fields,
    }
    return Act(kind=int(kind), **values)


def test_an_invoice_says_the_same_in_all_its_files():
    signed, made = invoice()
    papers = invoice_papers(signed, made, bill=billed(made), names=NAMES)
    assert decode_signed(by_suffix(papers)["invoice"]) == signed
    content = content_of(papers)
    assert content["due_yen"] == sum(line["yen"] for line in content["lines"]) == made.due_yen
    assert sum(cell["due_yen"] for cell in content["cells"]) == made.due_yen
    first, *_ = texts(papers)
    assert "件名Subject交付手数料(委託手数料控除後)" in first
    for told in (yen(made.due_yen), number(-made.net.commission), number(made.net.yen), made.number, "2026-11-20"):
        assert told in first


def test_the_csv_opens_in_office_software_and_adds_up():
    made, papers = papers_of()
    data = by_suffix(papers)["csv"]
    assert data.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in data
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert len(rows) == len(made.cells)
    assert sum(int(row["差引額 (due_yen)"]) for row in rows) == made.due_yen
    assert sum(int(row["返金 手数料 (voided_yen)"]) for row in rows) == sum(cell.voided.yen for cell in made.cells)


def test_made_again_every_file_has_the_same_bytes():
    assert papers_of() == papers_of()


def test_the_pdf_carries_the_signed_invoice_and_is_for_keeping():
    signed, made = invoice()
    papers = by_suffix(invoice_papers(signed, made, bill=None, names=NAMES))
    assert b"<pdfaid:part>3</pdfaid:part>" in papers["pdf"]
    with pypdfium2.PdfDocument(papers["pdf"]) as document:
        assert document.count_attachments() == 1
        assert bytes(document.get_attachment(0).get_data()) == papers["invoice"]


def test_a_long_invoice_is_not_attached():
    signed, made = invoice()
    big = msgspec.structs.replace(signed, invoice=bytes(ATTACHED_BYTES_MAX))
    with pypdfium2.PdfDocument(by_suffix(invoice_papers(big, made, bill=None, names=NAMES))["pdf"]) as document:
        assert document.count_attachments() == 0


def test_the_tax_is_the_operators_and_stands_with_its_registration():
    made, papers = papers_of()
    (tax,) = content_of(papers)["taxes"]
    assert tax["supplier"]["registration"] == NAMES.registrations["cvs-dev"]
    assert (tax["taxed_yen"], tax["tax_yen"], tax["rate"]) == (made.net.commission, made.tax_yen, "10%")
    first, *_ = texts(papers)
    assert f"{NAMES.registrations['cvs-dev']}{number(made.net.commission)}{number(made.tax_yen)}" in first
    assert f"登録番号{NAMES.registrations['centre']}" in first


def test_of_several_operators_each_ones_tax_is_rounded_by_itself():
    of = cells(counterparties=["chiba"]) + cells(party="cvs-two", counterparties=["chiba"], stores=1)
    made, papers = papers_of(of, claim=CITY, passed_on=True, party="chiba", tax_supplier="")
    sums = {}
    for cell in made.cells:
        sums[cell.key.party] = sums.get(cell.key.party, 0) + cell.net.commission
    found = {tax["supplier"]["id"]: (tax["taxed_yen"], tax["tax_yen"]) for tax in content_of(papers)["taxes"]}
    assert found == {party: (commission, STANDARD_TAX.within(commission)) for party, commission in sums.items()}


def test_a_negative_balance_is_a_credit_note_that_shows_what_is_returned_and_where_to():
    made, papers = papers_of(cells(counterparties=["kani"]))
    assert made.kind == DocumentKind.CREDIT_NOTE
    first, *_ = texts(papers)
    assert "返還通知書" in first
    assert yen(-made.due_yen) in first
    assert "".join(NAMES.accounts["cvs-dev"].split()) in first
    assert number(made.due_yen).startswith("▲")
    assert number(made.due_yen) in first


def test_a_municipality_is_told_what_it_gets_by_operator():
    made, papers = papers_of(
        cells(counterparties=["chiba"]), claim=CITY, passed_on=True, party="chiba", due_on="2026-11-30"
    )
    first, *_ = texts(papers)
    assert "支払明細書" in first
    assert "取扱事業者" in first
    assert yen(made.due_yen) in first
    assert "".join(NAMES.accounts["chiba"].split()) in first


def test_a_municipality_that_owes_is_told_so_and_by_no_clause_that_is_not_there():
    made, papers = papers_of(cells(counterparties=["kani"]), claim=CITY, passed_on=True, party="kani")
    first, *_ = texts(papers)
    assert "ご負担金額" in first
    assert "協議" in first
    assert yen(-made.due_yen) in first
    assert content_of(papers)["due_yen"] == made.due_yen < 0


def test_a_ministrys_quarter_has_neither_commission_nor_tax():
    amount = Amount(30, 0, 1_200, 0)
    taken = Amount(1, 0, -10, 0)
    of = (
        Cell(Key("ministry", "", "", ""), NOTHING, taken, NOTHING, NOTHING, NOTHING, (1,)),
        Cell(Key("ministry", "", "nenkin", ""), amount, NOTHING, NOTHING, NOTHING, NOTHING, (1,)),
    )
    signed, made = invoice(of, role="inquiry", party="ministry", period="2026-Q2", tax_supplier="", due_on="")
    papers = invoice_papers(
        signed, made, bill=bill(RECORDS, period("2026-Q2"), {"records": [made.net.yen // 10]}), names=NAMES
    )
    first, *_ = texts(papers)
    assert "2026年度第2四半期分" in first
    assert "契約に定める期日" in first
    assert "取消分(事務の記載なし)" in first
    assert "税込" not in first
    assert "委託手数料" not in first
    assert content_of(papers)["taxes"] == []


def test_a_bill_that_comes_to_another_sum_is_refused():
    signed, made = invoice()
    other = bill(FEES, OCTOBER, {"fees": [made.net.yen + 1], "commission": [made.net.copies]})
    with pytest.raises(PaperContradicted) as refused:
        invoice_papers(signed, made, bill=other, names=NAMES)
    assert (refused.value.says, refused.value.comes_to) == (made.due_yen, made.due_yen + 1)


def test_what_adjusts_frozen_periods_is_shown_apart():
    carried = sum(cell.carried.due_yen for cell in invoice()[1].cells)
    _, papers = papers_of()
    pages = "".join(texts(papers))
    assert "うち確定済み期間の調整" in pages
    assert f"{number(carried)}備考" in pages
    none = tuple(msgspec.structs.replace(cell, carried=NOTHING) for cell in cells())
    assert "うち確定済み期間の調整" not in "".join(texts(papers_of(none)[1]))


def test_every_store_is_listed_and_every_page_counted():
    made, papers = papers_of(cells(stores=30))
    pages = texts(papers)
    assert len(pages) > 4
    assert all(f"{n}/{len(pages)}頁" in page for n, page in enumerate(pages, 1))
    assert sum(page.count("店舗Store") for page in pages) >= 3
    assert all("開発用データ" in page for page in pages)
    listed = "".join(pages)
    assert all(f"{cell.key.store}千葉市" in listed for cell in made.cells if cell.key.counterparty == "chiba")


def test_a_list_that_is_too_long_is_left_to_the_csv(monkeypatch):
    monkeypatch.setattr(lists_module, "LISTED_MAX", 5)
    made, papers = papers_of()
    pages = "".join(texts(papers))
    assert "店舗別の明細は同じ番号のCSVにあります" in pages
    assert "千葉市" in pages
    assert "印鑑登録証明書" not in pages
    assert by_suffix(papers)["csv"].count(b"\r\n") == len(made.cells) + 1


def test_real_documents_bear_no_mark_of_development():
    signed, made = invoice(environment="production")
    names = msgspec.structs.replace(NAMES, parties={"cvs-dev": ("事業者", "Operator")}, issuer=("センター", "Centre"))
    assert "DEVELOPMENT" not in "".join(texts(invoice_papers(signed, made, bill=None, names=names)))


def test_a_test_environments_documents_say_so():
    signed, made = invoice(environment="test")
    assert "試験用データTESTDATA" in texts(invoice_papers(signed, made, bill=None, names=NAMES))[0]


def test_a_name_that_the_font_lacks_is_refused_and_not_printed_as_a_box():
    signed, made = invoice()
    names = msgspec.structs.replace(NAMES, parties={"cvs-dev": ("事業者\U00013000", "Operator")})
    with pytest.raises(GlyphLacking) as refused:
        invoice_papers(signed, made, bill=None, names=names)
    assert refused.value.character == "\U00013000"


def test_markup_in_a_name_is_text():
    signed, made = invoice()
    names = msgspec.structs.replace(NAMES, parties={"cvs-dev": ("#panic[1] *事* $x$ \\u{41}", '"}],=1+1')})
    first, *_ = texts(invoice_papers(signed, made, bill=None, names=names))
    assert "#panic[1]*事*$x$\\u{41}" in first


def test_a_file_is_named_by_its_number_without_folders():
    signed, made = invoice(number="../evil/1")
    papers = invoice_papers(signed, made, bill=None, names=NAMES)
    assert [paper.name for paper in papers] == [f".._evil_1.{suffix}" for suffix in ("invoice", "json", "csv", "pdf")]


def test_what_came_in_gets_a_receipt_and_a_part_shows_what_is_missing():
    _, made = invoice()
    papers = payment_papers(act(ActKind.PAID, yen=made.due_yen - 1_000), invoice=made, names=NAMES)
    (page,) = texts(papers)
    assert "領収書" in page
    assert yen(made.due_yen - 1_000) in page
    assert f"{number(made.due_yen - 1_000)}▲1,000" in page
    content = content_of(papers)
    assert content["for"] == [{"number": made.number, "yen": made.due_yen}]
    assert (content["yen"], content["paid_on"]) == (made.due_yen - 1_000, "2026-11-20")
    assert "収入印紙" in page


def test_a_second_payment_has_a_paper_of_its_own():
    _, made = invoice()
    names = {
        paper.name
        for turn in range(2)
        for paper in payment_papers(act(ActKind.PAID, yen=1, turn=turn), invoice=made, names=NAMES)
    }
    assert len(names) == 4


def test_what_went_out_is_made_known_and_is_no_receipt():
    _, made = invoice(cells(counterparties=["chiba"]), passed_on=True, party="chiba")
    (page,) = texts(payment_papers(act(ActKind.PAID, party="chiba", yen=made.due_yen), invoice=made, names=NAMES))
    assert "支払通知書" in page
    assert "領収" not in page
    assert "収入印紙" not in page
    assert "".join(NAMES.accounts["chiba"].split()) in page


@pytest.mark.parametrize("fields", [{"kind": ActKind.INTEREST}, {"party": "chiba"}, {"period": "2026-09"}])
def test_a_payment_of_something_else_is_refused(fields):
    _, made = invoice()
    with pytest.raises(ActMisfits):
        payment_papers(act(**{"kind": ActKind.PAID, **fields}), invoice=made, names=NAMES)


def late(**fields):
    days = {"deadline": date(2026, 11, 20), "paid": date(2026, 12, 2), "concluded": date(2026, 4, 1)}
    return late_interest(FEES.interest, received_yen=24_960_000, unpaid_yen=15_392_000, **days, **fields)


def test_late_interest_shows_how_it_was_reckoned_and_the_net_beside_it():
    found = late(payable_by=date(2026, 12, 18))
    papers = interest_papers(act(ActKind.INTEREST, yen=found.payable_yen), found, names=NAMES)
    (page,) = texts(papers)
    assert (found.interest_yen, found.unpaid_interest_yen) == (20_500, 12_600)
    assert "遅延利息請求書" in page
    assert "24,960,000×2.5%×12÷36520,500" in page
    assert "15,392,000×2.5%×12÷36512,600" in page
    assert "2026-12-18" in page
    assert "".join(NAMES.accounts["centre"].split()) in page
    assert content_of(papers)["payable_yen"] == 20_500


def test_a_waiver_says_its_ground_and_claims_nothing():
    found = late(waiver=Waiver(ground="金融機関の障害", reference="決裁第12号"))
    papers = interest_papers(act(ActKind.WAIVED), found, names=NAMES)
    (page,) = texts(papers)
    assert "遅延利息免除通知書" in page
    assert "金融機関の障害" in page
    assert "決裁第12号" in page
    assert content_of(papers)["payable_yen"] == 0
    with pytest.raises(ActMisfits):
        interest_papers(act(ActKind.INTEREST), found, names=NAMES)


def test_a_ground_with_a_character_that_the_font_lacks_is_printed_with_a_geta():
    found = late(waiver=Waiver(ground="障害\U00013000のため\n以上", reference="1"))
    (page,) = texts(interest_papers(act(ActKind.WAIVED), found, names=NAMES))
    assert "障害〓のため〓以上" in page


def test_late_interest_that_is_paid_gets_a_receipt_over_all_its_claims():
    asked = [act(ActKind.INTEREST, yen=20_500), act(ActKind.INTEREST, yen=300, turn=1)]
    paid = act(ActKind.PAID, claim="fees:interest", yen=20_000, day="2026-12-18")
    papers = interest_payment_papers(paid, asked=asked, names=NAMES)
    (page,) = texts(papers)
    assert "領収書" in page
    assert "遅延利息として" in page
    assert "20,80020,000▲800" in page
    content = content_of(papers)
    assert [each["number"] for each in content["for"]] == [
        "interest-2026-10-cvs-dev-fees",
        "interest-2026-10-cvs-dev-fees-2",
    ]
    for wrong in ([], [act(ActKind.WAIVED)], [act(ActKind.INTEREST, party="chiba")]):
        with pytest.raises(ActMisfits):
            interest_payment_papers(paid, asked=wrong, names=NAMES)


def disclosed(rows):
    amount = Amount(rows, rows, 300 * rows, 115 * rows)
    cell = Cell(Key("cvs-dev", "chiba", "inkan", "0001"), amount, NOTHING, NOTHING, NOTHING, NOTHING, (1,))
    made = Disclosure(
        issuer="centre", role="certificate", environment="development", party="cvs-dev", period="2026-10",
        made_us=ISSUED_US, cells=(cell,), net=cell.net, rows=rows, rows_digest=b"d" * 32,
    )  # fmt: skip
    numbers = (n.to_bytes(16, "big") for n in range(rows))
    return made, [
        Row(each, each, 1, 0, Column.SOLD, False, 1, 300, 115, ISSUED_US, "2026-10-31", "=kiosk") for each in numbers
    ]


def test_disclosed_data_have_their_cells_on_paper_and_every_booking_in_the_csv():
    made, rows = disclosed(3)
    papers = list(disclosure_papers(made, rows, names=NAMES))
    (page,) = texts(papers)
    assert yen(made.net.due_yen) in page
    assert "取扱い実績データ" in page
    listed = list(csv.DictReader(io.StringIO(by_suffix(papers)["csv"].decode("utf-8-sig"))))
    assert sum(int(row["手数料 (yen)"]) for row in listed) == made.net.yen
    assert {row["端末 (kiosk)"] for row in listed} == {"'=kiosk"}
    assert content_of(papers)["rows"]["count"] == 3


@pytest.mark.parametrize(("rows", "parts"), [(0, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_many_bookings_come_in_sheets_of_one_size(rows, parts, monkeypatch):
    monkeypatch.setattr(disclosure_module, "ROWS_A_FILE", 2)
    made, given = disclosed(rows)
    sheets = [paper for paper in disclosure_papers(made, given, names=NAMES) if paper.name.endswith(".csv")]
    assert len({sheet.name for sheet in sheets}) == parts
    assert sum(sheet.data.count(b"\r\n") - 1 for sheet in sheets) == rows


def test_a_reader_of_rows_is_read_to_its_end_where_it_says_whether_it_was_the_right_file():
    made, rows = disclosed(2)

    def reader():
        yield from rows
        raise ValueError("another file")

    with pytest.raises(ValueError, match="another file"):
        list(disclosure_papers(made, reader(), names=NAMES))


def test_the_statement_of_a_period_shows_that_both_sides_come_to_the_same():
    of = tuple(sorted(cells() + cells(party="cvs-two", counterparties=["chiba"]), key=lambda cell: cell.key))
    whole = Statement("2026-10", of)
    papers = statement_papers(whole, frozen=act(ActKind.CONFIRMED, party=""), role="certificate", names=NAMES)
    content = content_of(papers)
    assert sum(each["yen"] for each in content["by_party"].values()) == content["net"]["yen"]
    assert sum(each["yen"] for each in content["by_counterparty"].values()) == content["net"]["yen"]
    pages = "".join(texts(papers))
    for heading in ("事業者別", "市区町村別", "種別ごと", "事業者・市区町村別", "うち確定済み期間の調整"):
        assert heading in pages
    assert pages.count(f"{yen(whole.net.due_yen)}") == 4
    assert "御中" not in pages
    assert by_suffix(papers)["csv"].count(b"\r\n") == len(of) + 1


def test_the_statement_of_an_inquiry_centre_is_by_user_and_affair():
    of = tuple(
        Cell(Key(party, "", affair, ""), Amount(3, 0, 30, 0), NOTHING, NOTHING, NOTHING, NOTHING, (1,))
        for party in ("mlit", "moj")
        for affair in ("a", "b")
    )
    frozen = act(ActKind.CONFIRMED, party="", period="2026-Q1")
    pages = "".join(texts(statement_papers(Statement("2026-Q1", of), frozen=frozen, role="inquiry", names=NAMES)))
    assert "mlita330030" in pages
    assert "小計Subtotal660060" in pages
    assert "市区町村" not in pages


@pytest.mark.parametrize(
    ("found", "written"),
    [
        (number(-1_234_567), "▲1,234,567"),
        (yen(-5), "▲¥5"),
        (yen(0), "¥0"),
        (rate(TaxRule(10, 110)), "10%"),
        (rate(TaxRule(8, 108)), "8%"),
        (rate(TaxRule(1, 3)), "50%"),
        (rate(TaxRule(1, 8)), "1/8"),
        (percent(250), "2.5%"),
        (percent(260), "2.6%"),
        (percent(1_000), "10%"),
        (percent(25), "0.25%"),
        (day_text("2026-11-13"), "令和8年11月13日 (2026-11-13)"),
        (period_text("2026-10"), "2026年10月分(令和8年10月1日〜令和8年10月31日)"),
        (period_text("2025-Q4"), "2025年度第4四半期分(令和8年1月1日〜令和8年3月31日)"),
        (period_text("2026-04-01/2027-03-31"), "令和8年4月1日〜令和9年3月31日"),
    ],
)
def test_figures_are_written_as_offices_write_them(found, written):
    assert found == written
