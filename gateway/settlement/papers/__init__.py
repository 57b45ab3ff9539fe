"""Documents of settlement: what a finance office gets, as signed file, JSON, CSV and PDF.

invoice, payment, interest, disclosure, statement: one kind of document each. setting: a document as values, and the
PDF. figures: amounts and days as text. heads: who writes to whom. cells: a statement's as JSON and CSV. lists: the same
added up, as tables.
"""

from gateway.settlement.papers.disclosure import disclosure_papers
from gateway.settlement.papers.interest import interest_papers
from gateway.settlement.papers.invoice import invoice_papers
from gateway.settlement.papers.payment import interest_payment_papers, payment_papers
from gateway.settlement.papers.statement import statement_papers

__all__ = [
    "disclosure_papers",
    "interest_papers",
    "interest_payment_papers",
    "invoice_papers",
    "payment_papers",
    "statement_papers",
]
