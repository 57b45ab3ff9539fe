"""An invoice with one fee changed, signed by the centre itself: what only the payer's own receipts can find.

For demonstrations and tests alone. A stranger who changes a byte is found by the signature; here the centre's key signs
sums that are right in themselves, over one item that says another fee than was recorded. Source: DESIGN section 11.
"""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from protocol.invoice import (
    DocumentKind,
    Invoice,
    Item,
    SignedInvoice,
    decode_signed,
    encode_invoice,
    encode_signed,
    pack_item,
    read_items,
    to_sign,
    verify_invoice,
)
from protocol.settlement import NOTHING, Amount, Column
from protocol.trust import Trust

MORE_YEN: Final = 100


class Forged(NamedTuple):
    """The signed file and the items beside it, and which request bears another fee: before and now."""

    file: Path
    items: Path
    request_id: bytes
    yen_before: int
    yen_now: int


async def forge(
    file: Path, items: Path, out: Path, *, trust: Trust, sign: Callable[[bytes], Awaitable[tuple[str, bytes]]]
) -> Forged:
    """Copy an invoice with one fee changed, under a signature that holds.

    sign: with the centre's INVOICE key. Raises: InvoiceError, OSError; ValueError when it has no item with a fee.
    """
    invoice, listed = _read(file, items, trust)
    place, old = next(
        ((n, item) for n, item in enumerate(listed) if item.column is Column.SOLD and item.yen > 0), (0, None)
    )
    if old is None:
        raise ValueError(f"{file.name} bills no fee that could be changed")
    listed[place] = old._replace(yen=old.yen + MORE_YEN)
    content = b"".join(pack_item(item) for item in listed)
    data = encode_invoice(_with(invoice, listed[place], hashlib.sha256(content).digest()))
    key_id, signature = await sign(to_sign(data))
    forged, beside = _write(
        out, {file.name: encode_signed(SignedInvoice(data, key_id, signature)), items.name: content}
    )
    return Forged(forged, beside, old.request_id, old.yen, old.yen + MORE_YEN)


def _read(file: Path, items: Path, trust: Trust) -> tuple[Invoice, list[Item]]:
    invoice = verify_invoice(decode_signed(file.read_bytes()), trust)
    with items.open("rb") as spool:
        return invoice, list(read_items(spool, invoice))


def _write(out: Path, files: dict[str, bytes]) -> list[Path]:
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)
    return [out / name for name in files]


def _with(invoice: Invoice, item: Item, digest: bytes) -> Invoice:
    cells = list(invoice.cells)
    cell = cells[item.cell]
    cells[item.cell] = msgspec.structs.replace(cell, sold=cell.sold + Amount(0, 0, MORE_YEN, 0))
    net = sum((each.net for each in cells), NOTHING)
    kind = invoice.kind
    if kind != DocumentKind.STATEMENT:
        kind = int(DocumentKind.CREDIT_NOTE if net.due_yen < 0 else DocumentKind.INVOICE)
    return msgspec.structs.replace(
        invoice, kind=kind, cells=tuple(cells), net=net, due_yen=net.due_yen, items_digest=digest
    )
