"""What a finance office gets: the same figures in every form, the same bytes every time."""

import csv
import io
import json
from pathlib import Path

import pypdfium2
import pytest

from gateway.settlement.billing import bill
from gateway.settlement.papers import invoice_papers
from gateway.settlement.papers.errors import PaperContradicted
from gateway.settlement.periods import month
from gateway.settlement.toml import read_contract
from protocol.invoice import DocumentKind, decode_signed
from tests.settlement.papers import NAMES, cells, invoice

CLAIM = read_contract(Path(__file__).parents[2] / "deploy/contracts/000-operator.toml").terms[0].claim("fees")


def texts(pdf):
    document = pypdfium2.PdfDocument(pdf)
    return [page.get_textpage().get_text_range() for page in document]


def by_suffix(papers):
    return {paper.name.rpartition(".")[2]: paper.data for paper in papers}


def bill_of(made):
    return bill(CLAIM, month(2026, 10), {"fees": [made.net.yen], "commission": [made.net.copies]})


def test_an_invoice_says_the_same_in_all_its_files():
    signed, made = invoice()
    papers = by_suffix(invoice_papers(signed, made, bill=bill_of(made), names=NAMES))
    assert decode_signed(papers["invoice"]) == signed
    content = json.loads(papers["json"])
    assert content["due_yen"] == sum(line["yen"] for line in content["lines"]) == made.due_yen
    assert papers["csv"].startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(papers["csv"].decode("utf-8-sig"))))
    assert [int(row["差引額 (due_yen)"]) for row in rows] == [cell.net.due_yen for cell in made.cells]
    first = texts(papers["pdf"])[0]
    assert f"¥{made.due_yen:,}" in first
    assert f"▲{made.net.commission:,}" in first


def test_the_same_invoice_gives_the_same_bytes():
    signed, made = invoice()
    assert invoice_papers(signed, made, bill=None, names=NAMES) == invoice_papers(signed, made, bill=None, names=NAMES)


def test_the_tax_stands_on_the_suppliers_side():
    signed, made = invoice()
    papers = by_suffix(invoice_papers(signed, made, bill=bill_of(made), names=NAMES))
    tax = json.loads(papers["json"])["tax"]
    assert tax["supplier"]["registration"] == NAMES.registrations["cvs-dev"]
    assert (tax["taxed_yen"], tax["tax_yen"]) == (made.net.commission, made.net.commission * 10 // 110)
    assert f"{made.tax_yen:,}" in texts(papers["pdf"])[0]


def test_a_negative_balance_is_a_credit_note_that_shows_what_is_returned():
    signed, made = invoice(cells(counterparties=["kani"]))
    assert made.kind == DocumentKind.CREDIT_NOTE
    first = texts(by_suffix(invoice_papers(signed, made, bill=bill_of(made), names=NAMES))["pdf"])[0]
    assert "返還通知書" in first.replace(" ", "")
    assert f"¥{-made.due_yen:,}" in first


def test_a_bill_that_comes_to_another_sum_is_refused():
    signed, made = invoice()
    other = bill(CLAIM, month(2026, 10), {"fees": [made.net.yen + 1], "commission": [made.net.copies]})
    with pytest.raises(PaperContradicted):
        invoice_papers(signed, made, bill=other, names=NAMES)
