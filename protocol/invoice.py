"""Invoices, credit notes and payment statements as values that their reader proves: what is signed, and how it is read.

An invoice says its cells and their totals, the tax portion, and what it rests on: ranges of blocks, how many entries
of them it took, and the checkpoint over them all. Its items (one for each booking, in a file beside it that the invoice
names by its hash) let the payer hold every yen against the receipt of one request. Amounts are signed whole yen, tax
included; a negative sum is a credit note.

Shape of the file: a MessagePack map of format, invoice (the canonical bytes of an array), key_id and signature, by an
INVOICE key of the centre over context("invoice") and the bytes. Items: 32 bytes each (Item), one after another.

Source: 000仕4-4, 000契13-2; 001-4-5; 002本2-3; DOMAIN I3, I6, X 4, V6 (10/110); docs/PROTOCOL.md, Invoices.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any, BinaryIO, ClassVar, Final, NamedTuple

import msgpack
import msgspec

from protocol.keys import KeysError, Purpose, context
from protocol.settlement import NOTHING, Amount, Cell, Column
from protocol.trust import Trust, TrustError

FORMAT: Final = "sekisho-invoice/1"
INVOICE_LABEL: Final = "invoice"
INVOICE_BYTES_MAX: Final = 64 << 20
TAX_DENOMINATOR_MAX: Final = 1_000
_ITEM: Final = struct.Struct(">16sIBBhii")
ITEM_BYTES: Final = _ITEM.size
_ITEMS_A_READ: Final = 4096


class DocumentKind(IntEnum):
    """Which paper it is."""

    INVOICE = 1  # 請求書: the party owes the sum
    CREDIT_NOTE = 2  # 返還通知書: the sum is negative, the party is owed it
    STATEMENT = 3  # 支払明細書: what the centre passes on to a municipality


class TaxRounding(IntEnum):
    """What becomes of a fraction of a yen, by magnitude; values are stable."""

    DOWN = 0  # 切捨て
    HALF_UP = 1  # 四捨五入
    UP = 2  # 切上げ


class TaxRule(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The consumption tax within an amount that includes it: numerator/denominator of it, whole yen.

    The contract's terms say it (003単※1: 10/110); an invoice bears it, so that its reader needs no table of rates.
    Raises on construction: ValueError for what is no part of an amount.
    """

    numerator: int
    denominator: int
    rounding: TaxRounding = TaxRounding.DOWN

    def __post_init__(self) -> None:
        if not 0 <= self.numerator < self.denominator <= TAX_DENOMINATOR_MAX:
            raise ValueError(f"{self.numerator}/{self.denominator} is no part of an amount")

    def within(self, yen: int) -> int:
        """The tax in a tax-included amount, by magnitude: a credit takes back exactly what a charge brought."""
        whole, rest = divmod(abs(yen) * self.numerator, self.denominator)
        if self.rounding is TaxRounding.UP:
            whole += rest > 0
        elif self.rounding is TaxRounding.HALF_UP:
            whole += rest * 2 >= self.denominator
        return -whole if yen < 0 else whole


STANDARD_TAX: Final = TaxRule(10, 110)
"""10 of 100, a fraction of a yen dropped (003単※1)."""


class BlockRange(msgspec.Struct, frozen=True, array_like=True):
    """Blocks of one stream (16 bytes) that hold billed entries: first and last height, and how many entries."""

    stream: bytes
    first: int
    last: int
    entries: int


class Rests(msgspec.Struct, frozen=True, array_like=True):
    """What an invoice rests on: ranges by stream, and the checkpoint over them (tree size, root of 32 bytes, time).

    frozen_us, previous_us: when the period was frozen, and the one before it; 0 where it was not. What stood in the
    ledger at the freeze is billed here, and what came later is not; of earlier periods only what came after theirs.
    """

    ranges: tuple[BlockRange, ...]
    checkpoint_size: int
    checkpoint_root: bytes
    checkpoint_us: int
    frozen_us: int = 0
    previous_us: int = 0


class Invoice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """One document, of the centre `issuer` in its `role`, to or about `party`.

    number: the issuer's own, never given twice. period as gateway.settlement.periods writes it; issued_on, due_on: days
    in Japan. agreement: reference of the written terms. cells in the order of their keys; net: their sum; due_yen: fees
    less commission. tax_yen: by the rule `tax`, the tax within the commission, a supply of `tax_supplier` ("" and 0
    where there is none).
    items, items_digest: how many, and SHA-256 over their file.
    """

    version: int
    kind: int
    number: str
    issuer: str
    role: str
    environment: str
    party: str
    period: str
    issued_on: str
    due_on: str
    agreement: str
    cells: tuple[Cell, ...]
    net: Amount
    due_yen: int
    tax: TaxRule
    tax_yen: int
    tax_supplier: str
    rests: Rests
    items: int
    items_digest: bytes
    issued_us: int

    @property
    def terms(self) -> tuple[int, ...]:
        """Versions of the directory's terms that priced the entries, ascending."""
        return tuple(sorted({version for cell in self.cells for version in cell.terms}))


class SignedInvoice(msgspec.Struct, frozen=True):
    """The canonical bytes with the centre's signature."""

    invoice: bytes
    key_id: str
    signature: bytes


class Item(NamedTuple):
    """One booking: the request it is proven by (16 bytes), the cell by its number from 0, and what it adds."""

    request_id: bytes
    cell: int
    column: Column
    carried: bool
    copies: int
    yen: int
    commission: int


class InvoiceError(ValueError):
    """An invoice that does not hold; `what` names the part."""

    code: ClassVar[str] = "invoice"

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Invoice).decode


def to_sign(invoice: bytes) -> bytes:
    """What the centre's INVOICE key signs."""
    return context(INVOICE_LABEL) + invoice


def encode_invoice(invoice: Invoice) -> bytes:
    """The canonical bytes. Raises: InvoiceError for sums that are not those of the cells."""
    _check_sums(invoice)
    return _encode(invoice)


def encode_signed(signed: SignedInvoice) -> bytes:
    """The bytes of an invoice's file."""
    packed: bytes = msgpack.packb({"format": FORMAT, **msgspec.to_builtins(signed, builtin_types=(bytes,))})
    return packed


def decode_signed(data: bytes) -> SignedInvoice:
    """Read an invoice's file without believing it. Raises: InvoiceError."""
    if len(data) > INVOICE_BYTES_MAX:
        raise InvoiceError("file", f"an invoice has at most {INVOICE_BYTES_MAX} bytes")
    try:
        fields: Any = msgpack.unpackb(data, max_map_len=16)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise InvoiceError("file", "not MessagePack") from error
    if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
        raise InvoiceError("file", f"not an invoice of format {FORMAT}")
    try:
        return msgspec.convert(fields, SignedInvoice, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise InvoiceError("file", "a part is missing or of the wrong type") from error


def decode_invoice(data: bytes) -> Invoice:
    """Read the canonical bytes, and add up again what they say. Raises: InvoiceError."""
    try:
        invoice = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvoiceError("invoice", "it cannot be read") from error
    if _encode(invoice) != data:
        raise InvoiceError("invoice", "it is not in the one form of what it says")
    _check_sums(invoice)
    return invoice


def verify_invoice(signed: SignedInvoice, trust: Trust) -> Invoice:
    """The invoice, if an INVOICE key of the centre, valid then, signed it and its sums are right.

    Raises: InvoiceError.
    """
    invoice = decode_invoice(signed.invoice)
    if (invoice.issuer, invoice.role, invoice.environment) != (trust.centre, trust.role, trust.environment):
        raise InvoiceError("issuer", f"it is of {invoice.issuer}/{invoice.role}/{invoice.environment}")
    try:
        key = trust.key(signed.key_id, purpose=Purpose.INVOICE, at_us=invoice.issued_us)
        key.verify(signed.signature, to_sign(signed.invoice))
    except (KeysError, TrustError) as error:
        raise InvoiceError("signature", str(error)) from error
    return invoice


def pack_item(item: Item) -> bytes:
    """32 bytes. Raises: struct.error for an amount that no item holds."""
    return _ITEM.pack(item.request_id, item.cell, item.column, item.carried, item.copies, item.yen, item.commission)


def read_items(file: BinaryIO, invoice: Invoice) -> Iterator[Item]:
    """The items of an invoice from their file; whether it is the right file is known at its end.

    Raises: InvoiceError.
    """
    digest, count = hashlib.sha256(), 0
    while data := file.read(ITEM_BYTES * _ITEMS_A_READ):
        digest.update(data)
        if len(data) % ITEM_BYTES:
            raise InvoiceError("items", "the file ends inside an item")
        for request_id, cell, column, carried, copies, yen, commission in _ITEM.iter_unpack(data):
            if cell >= len(invoice.cells) or column not in Column.__members__.values() or carried > 1:
                raise InvoiceError("items", f"item {count} is of no cell or column of the invoice")
            count += 1
            yield Item(request_id, cell, Column(column), bool(carried), copies, yen, commission)
    if (count, digest.digest()) != (invoice.items, invoice.items_digest):
        raise InvoiceError("items", "it is not the file that the invoice names")


def sums_of(items: Iterable[Item]) -> dict[tuple[int, Column], Amount]:
    """What items come to, by cell and column."""
    sums: dict[tuple[int, Column], Amount] = {}
    for item in items:
        key = (item.cell, item.column)
        sums[key] = sums.get(key, NOTHING) + Amount(1, item.copies, item.yen, item.commission)
    return sums


def _check_sums(invoice: Invoice) -> None:
    net = NOTHING
    for cell in invoice.cells:
        net += cell.net
    if net != invoice.net:
        raise InvoiceError("net", f"the cells come to {net}, the invoice says {invoice.net}")
    if invoice.due_yen != net.due_yen:
        raise InvoiceError("due_yen", f"fees less commission are {net.due_yen}, the invoice says {invoice.due_yen}")
    if list(invoice.cells) != sorted(invoice.cells, key=lambda cell: cell.key):
        raise InvoiceError("cells", "they are not in the order of their keys")
    if len({cell.key for cell in invoice.cells}) != len(invoice.cells):
        raise InvoiceError("cells", "one key stands twice")
    expected = invoice.tax.within(net.commission) if invoice.tax_supplier else 0
    if invoice.tax_yen != expected:
        raise InvoiceError("tax_yen", f"the tax within the commission is {expected}, it says {invoice.tax_yen}")
    kinds = {DocumentKind.STATEMENT, DocumentKind.CREDIT_NOTE if invoice.due_yen < 0 else DocumentKind.INVOICE}
    if invoice.version != 1 or invoice.kind not in kinds:
        raise InvoiceError("kind", "a negative sum is a credit note, any other an invoice; or it is a statement")
    if invoice.items != net.entries:
        raise InvoiceError("items", f"the cells have {net.entries} bookings, the invoice says {invoice.items}")
