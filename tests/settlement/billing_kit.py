"""A month between a centre and its payer: rows of a ledger as signed blocks, the payer's proofs, and the invoice."""

from typing import NamedTuple

import msgspec

from gateway.settlement.invoices import Heading, Items, make_invoice, rests_on
from gateway.settlement.proving import Proven
from gateway.settlement.statements import add_up
from gateway.settlement.windows import Freeze
from gateway.store.settlement import RangeRow
from protocol.checkpoint import Checkpoint
from protocol.invoice import SignedInvoice, encode_invoice, read_items, to_sign
from protocol.keys import context
from protocol.ledger import (
    BLOCK_CONTEXT,
    GENESIS,
    BlockHeader,
    BlockKind,
    CertificateEntry,
    Delivery,
    Entry,
    decode_entry,
    decode_header,
    encode_entry,
    encode_header,
)
from protocol.merkle import Tree, leaf_hash
from protocol.receipt import Proof
from tests.ledger.building import Centre

CENTRE = Centre("certificate")
INQUIRY = Centre("inquiry")
ISSUED_US = 1_796_000_000_000_000
"""In December 2026."""


class Billed(NamedTuple):
    """An invoice, its items' bytes, and the signed file."""

    invoice: object
    items: bytes
    signed: SignedInvoice

    def read(self):
        """The items one by one."""
        import io

        return read_items(io.BytesIO(self.items), self.invoice)


def entry_of(row):
    """The entry of which a row was read."""
    fields = (
        row.party, "line-1", row.request_id, bytes(32), 1, row.matter, 0, row.counterparty, 100, row.kind, row.yen,
        row.commission, row.terms, bytes(32), row.at_us,
    )  # fmt: skip
    if not row.application:
        return Entry(1, *fields)
    delivery = Delivery(
        row.application, row.transition, row.copies, row.deposited_at_us, row.store_day, row.store, row.kiosk
    )
    return CertificateEntry(2, *fields, None, delivery)


def proofs_of(rows, *, centre=CENTRE):
    """The proof of every row: rows of one height are a block, in their order."""
    blocks = {}
    for row in rows:
        blocks.setdefault((row.stream, row.height), []).append(row)
    made = []
    for (stream, height), inside in blocks.items():
        data = [encode_entry(entry_of(row)) for row in inside]
        tree = Tree([leaf_hash(each) for each in data])
        at_us = max(row.at_us for row in inside)
        header = encode_header(BlockHeader(1, stream, height, GENESIS, tree.root, len(data), at_us, BlockKind.NORMAL))
        signature = centre.block.sign(context(BLOCK_CONTEXT) + header)
        made += [
            Proof(data[n], n, tree.range_proof(n, n + 1), header, centre.block.key_id, signature)
            for n in range(len(inside))
        ]
    return made


def receipts_of(rows):
    """What `prove_invoice` is given of these rows, as if verified."""
    proven = [Proven(decode_header(each.header), each.index, decode_entry(each.entry)) for each in proofs_of(rows)]
    return lambda *, since_us, until_us: iter(proven)


def bill(rows, window, *, centre=CENTRE, party="operator-1", counterparty=None, frozen_us=0, previous_us=0, **heading):
    """The invoice of one party (or the statement of one municipality) over a ledger's rows."""
    if counterparty is not None:
        party = None
    mine = [row for row in rows if party in (None, row.party) and counterparty in (None, row.counterparty)]
    statement = add_up(mine, window)
    items = Items(statement)
    data, ranges = b"", {}
    for row in sorted(mine, key=lambda row: row[:3]):
        packed = items.pack([row], window)
        data += packed
        if packed:
            old = ranges.get(row.stream, RangeRow(row.stream, row.height, row.height, 0))
            ranges[row.stream] = RangeRow(
                row.stream, min(old.first, row.height), max(old.last, row.height), old.entries + 1
            )
    trust = centre.trust
    values = {
        "number": "certificate-2026-11-operator-1-fees", "issuer": trust.centre, "role": trust.role,
        "environment": trust.environment, "party": party or counterparty, "issued_on": "2026-12-11",
        "due_on": "2026-12-18", "agreement": "開発用契約書", "tax_supplier": party or "", "issued_us": ISSUED_US,
        **heading,
    }  # fmt: skip
    checkpoint = Checkpoint(trust.origin, 9, bytes(32), ISSUED_US)
    rests = rests_on(ranges.values(), checkpoint, Freeze(frozen_us, previous_us))
    invoice = make_invoice(statement, Heading(**values), rests=rests, items=items, passed_on=counterparty is not None)
    return signed(invoice, data, centre=centre)


def signed(invoice, items, *, centre=CENTRE):
    """The signed file of an invoice."""
    data = encode_invoice(invoice)
    return Billed(invoice, items, SignedInvoice(data, centre.invoice.key_id, centre.invoice.sign(to_sign(data))))


def altered(invoice, number, **columns):
    """An invoice of which one cell says something else, with sums that are right."""
    cells = list(invoice.cells)
    cells[number] = msgspec.structs.replace(cells[number], **columns)
    net = cells[0].net
    for cell in cells[1:]:
        net += cell.net
    tax_yen = invoice.tax.within(net.commission) if invoice.tax_supplier else 0
    return msgspec.structs.replace(
        invoice, cells=tuple(cells), net=net, due_yen=net.due_yen, tax_yen=tax_yen, items=net.entries
    )
