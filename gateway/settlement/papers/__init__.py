"""Documents of settlement: what a finance office gets, as signed file, JSON, CSV and PDF.

setting: a document as values, and the PDF. figures: amounts and days as text. cells: lists of a statement.
invoice, payment, interest, disclosure: one kind of document each.
"""

from gateway.settlement.papers.invoice import invoice_papers

__all__ = ["invoice_papers"]
