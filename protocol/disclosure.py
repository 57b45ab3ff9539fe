"""Disclosed data (取扱い実績データ), and the operator's answer to it (照合結果), as values with one form each.

A disclosure is what a centre has recorded for one operator in one period: cells and their sum, signed, and in a file
beside it one row for each booking, that the disclosure names by its hash. A reconciliation is what the operator found
when it held the rows against its stores and its own outbox: that all agrees, or every difference once, with a
proposal. Amounts are signed whole yen, tax included.

Shape of the file: a MessagePack map of format, disclosure (the canonical bytes of an array), key_id and signature, by
an INVOICE key of the centre over context("disclosure") and the bytes. Rows: 62 bytes and the kiosk's name each (Row),
one after another. A reconciliation is the canonical MessagePack array; the line it comes over signs it.

Source: 000仕4-1, 4-2; 001-4-2; DOMAIN I3, I4; docs/PROTOCOL.md, Disclosures.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Any, BinaryIO, ClassVar, Final, NamedTuple

import msgpack
import msgspec

from protocol.act import ACT_BYTES_MAX
from protocol.keys import KeysError, Purpose, context
from protocol.settlement import NOTHING, Amount, Cell, Column
from protocol.trust import Trust, TrustError

FORMAT: Final = "sekisho-disclosure/1"
DISCLOSURE_LABEL: Final = "disclosure"
DISCLOSURE_BYTES_MAX: Final = 64 << 20
RECONCILIATION_BYTES_MAX: Final = ACT_BYTES_MAX - (4 << 10)
"""It has to fit into the act that keeps it."""
TEXT_CHARS_MAX: Final = 120
_ROW: Final = struct.Struct(">16s16sBIBBhiiqIB")
ROW_BYTES_MIN: Final = _ROW.size
_READ_BYTES: Final = 1 << 18
_YEAR: Final = 10_000
_MONTH: Final = 100


class Disclosure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What the centre `issuer` in its `role` has of `party` (an operator) in `period` (2026-11).

    made_us: when. cells in the order of their keys; net: their sum. rows, rows_digest: how many, and SHA-256 over
    their file.
    """

    version: int = 1
    issuer: str
    role: str
    environment: str
    party: str
    period: str
    made_us: int
    cells: tuple[Cell, ...]
    net: Amount
    rows: int
    rows_digest: bytes


class SignedDisclosure(msgspec.Struct, frozen=True):
    """The canonical bytes with the centre's signature."""

    disclosure: bytes
    key_id: str
    signature: bytes


class Row(NamedTuple):
    """One booking: request and application (16 bytes each), the cell by its number from 0, and what it adds.

    transition as protocol.application has it; carried: it adjusts an earlier, frozen period. deposited_at_us: of the
    deposit this booking stands for; store_day: YYYY-MM-DD, "" where the entry has none.
    """

    request_id: bytes
    application: bytes
    transition: int
    cell: int
    column: Column
    carried: bool
    copies: int
    yen: int
    commission: int
    deposited_at_us: int
    store_day: str
    kiosk: str


class Fault(StrEnum):
    """In what an operator's data and the centre's differ; values are stable."""

    MISSING = "missing"  # the operator has it, the disclosure has not
    EXTRA = "extra"  # the disclosure has it, the operator has not
    OTHER_AMOUNT = "other-amount"  # copies or yen
    OTHER_KIND = "other-kind"  # kind, municipality or store
    OTHER_DAY = "other-day"  # the deposit's day in Japan


class Proposal(StrEnum):
    """What the operator proposes to do about a difference; values are stable."""

    ADD = "add"  # the completion is still to be recorded
    VOID = "void"  # what the centre has is to be voided
    CORRECT = "correct"  # and a correction says how it should read
    NONE = "none"  # to be looked into by people


class Standing(NamedTuple):
    """What one side has of an application: net copies and yen, and the day of its deposit in Japan, YYYY-MM-DD."""

    municipality: str
    kind: str
    store: str
    copies: int
    yen: int
    day: str


class Difference(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """One difference: ours is the operator's, theirs the centre's.

    request_id: of the centre's first booking; where it has none of the operator's own notice, b"" without one.
    """

    fault: Fault
    request_id: bytes
    application: bytes
    ours: Standing | None
    theirs: Standing | None
    proposal: Proposal
    text: Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)] = ""

    @property
    def key(self) -> bytes:
        """What names it when it is accepted or disputed: 16 bytes that no two of a reconciliation share."""
        standing = self.theirs or self.ours
        named = (self.fault, self.application, self.request_id, standing.day if standing else "")
        return hashlib.sha256(context("difference") + _encode(named)).digest()[:16]


class Reconciliation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """照合結果 of one disclosure. ours: what the operator's own data come to.

    disclosure_digest: `digest` of the disclosure's canonical bytes. by: the person who says so. agreed: there is no
    difference, and the amount stands.
    """

    version: int = 1
    party: str
    period: str
    disclosure_digest: bytes
    made_us: int
    by: str
    agreed: bool
    differences: tuple[Difference, ...]
    ours: Amount


class DisclosureError(ValueError):
    """A disclosure or reconciliation that does not hold; `what` names the part."""

    code: ClassVar[str] = "disclosure"

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Disclosure).decode
_decode_reconciliation = msgspec.msgpack.Decoder(Reconciliation).decode


def to_sign(disclosure: bytes) -> bytes:
    """What the centre's INVOICE key signs."""
    return context(DISCLOSURE_LABEL) + disclosure


def digest(disclosure: bytes) -> bytes:
    """What a reconciliation names a disclosure by: SHA-256 over what is signed."""
    return hashlib.sha256(to_sign(disclosure)).digest()


def encode_disclosure(disclosure: Disclosure) -> bytes:
    """The canonical bytes. Raises: DisclosureError for sums that are not those of the cells."""
    _check_sums(disclosure)
    return _encode(disclosure)


def decode_disclosure(data: bytes) -> Disclosure:
    """Read the canonical bytes, and add up again what they say. Raises: DisclosureError."""
    try:
        disclosure = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DisclosureError("disclosure", "it cannot be read") from error
    if _encode(disclosure) != data:
        raise DisclosureError("disclosure", "it is not in the one form of what it says")
    _check_sums(disclosure)
    return disclosure


def encode_signed(signed: SignedDisclosure) -> bytes:
    """The bytes of a disclosure's file."""
    packed: bytes = msgpack.packb({"format": FORMAT, **msgspec.to_builtins(signed, builtin_types=(bytes,))})
    return packed


def decode_signed(data: bytes) -> SignedDisclosure:
    """Read a disclosure's file without believing it. Raises: DisclosureError."""
    if len(data) > DISCLOSURE_BYTES_MAX:
        raise DisclosureError("file", f"a disclosure has at most {DISCLOSURE_BYTES_MAX} bytes")
    try:
        fields: Any = msgpack.unpackb(data, max_map_len=16)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise DisclosureError("file", "not MessagePack") from error
    if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
        raise DisclosureError("file", f"not a disclosure of format {FORMAT}")
    try:
        return msgspec.convert(fields, SignedDisclosure, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise DisclosureError("file", "a part is missing or of the wrong type") from error


def verify_disclosure(signed: SignedDisclosure, trust: Trust) -> Disclosure:
    """The disclosure, if an INVOICE key of the centre, valid then, signed it and its sums are right.

    Raises: DisclosureError.
    """
    disclosure = decode_disclosure(signed.disclosure)
    if (disclosure.issuer, disclosure.role, disclosure.environment) != (trust.centre, trust.role, trust.environment):
        raise DisclosureError("issuer", f"it is of {disclosure.issuer}/{disclosure.role}/{disclosure.environment}")
    try:
        key = trust.key(signed.key_id, purpose=Purpose.INVOICE, at_us=disclosure.made_us)
        key.verify(signed.signature, to_sign(signed.disclosure))
    except (KeysError, TrustError) as error:
        raise DisclosureError("signature", str(error)) from error
    return disclosure


def pack_row(row: Row) -> bytes:
    """62 bytes and the kiosk's name. Raises: struct.error, ValueError for what no row holds."""
    kiosk = row.kiosk.encode()
    fixed = (row.request_id, row.application, row.transition, row.cell, row.column, row.carried, row.copies)
    money = (row.yen, row.commission, row.deposited_at_us, _day_number(row.store_day), len(kiosk))
    return _ROW.pack(*fixed, *money) + kiosk


def read_rows(file: BinaryIO, disclosure: Disclosure) -> Iterator[Row]:
    """The rows of a disclosure from their file, in bounded memory; whether it is the right one is known at its end.

    Raises: DisclosureError, also when the rows do not come to the cells.
    """
    hashed, count, sums = hashlib.sha256(), 0, dict[tuple[int, Column], Amount]()
    for row in _rows(file, hashed.update):
        if row.cell >= len(disclosure.cells):
            raise DisclosureError("rows", f"row {count} is of no cell of the disclosure")
        count += 1
        place = (row.cell, row.column)
        sums[place] = sums.get(place, NOTHING) + Amount(1, row.copies, row.yen, row.commission)
        yield row
    if (count, hashed.digest()) != (disclosure.rows, disclosure.rows_digest):
        raise DisclosureError("rows", "it is not the file that the disclosure names")
    for number, cell in enumerate(disclosure.cells):
        columns = zip(Column, (cell.sold, cell.voided, cell.corrected, cell.moved), strict=True)
        if any(sums.get((number, column), NOTHING) != amount for column, amount in columns):
            raise DisclosureError("rows", f"they do not come to cell {number}")


def encode_reconciliation(reconciliation: Reconciliation) -> bytes:
    """The canonical bytes. Raises: DisclosureError, also for more differences than it may name."""
    _check_reconciliation(reconciliation)
    data = _encode(reconciliation)
    if len(data) > RECONCILIATION_BYTES_MAX:
        count = len(reconciliation.differences)
        raise DisclosureError(
            "reconciliation", f"{count} differences are more than one result holds; settle their common cause first"
        )
    return data


def decode_reconciliation(data: bytes) -> Reconciliation:
    """Read a reconciliation. Raises: DisclosureError."""
    if len(data) > RECONCILIATION_BYTES_MAX:
        raise DisclosureError("reconciliation", f"it has at most {RECONCILIATION_BYTES_MAX} bytes")
    try:
        reconciliation = _decode_reconciliation(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DisclosureError("reconciliation", "it cannot be read") from error
    if _encode(reconciliation) != data:
        raise DisclosureError("reconciliation", "it is not in the one form of what it says")
    _check_reconciliation(reconciliation)
    return reconciliation


def _rows(file: BinaryIO, seen: Any) -> Iterator[Row]:
    left = b""
    while data := file.read(_READ_BYTES):
        seen(data)
        left, place = left + data, 0
        while (
            len(left) - place >= ROW_BYTES_MIN and len(left) - place >= ROW_BYTES_MIN + left[place + ROW_BYTES_MIN - 1]
        ):
            end = place + ROW_BYTES_MIN + left[place + ROW_BYTES_MIN - 1]
            yield _row(_ROW.unpack_from(left, place), left[place + ROW_BYTES_MIN : end])
            place = end
        left = left[place:]
    if left:
        raise DisclosureError("rows", "the file ends inside a row")


def _row(fields: tuple[Any, ...], kiosk: bytes) -> Row:
    request_id, application, transition, cell, column, carried, copies, yen, commission, deposited, day, _ = fields
    try:
        return Row(
            request_id, application, transition, cell, Column(column), _flag(carried), copies, yen, commission,
            deposited, _day_text(day), kiosk.decode(),
        )  # fmt: skip
    except ValueError as error:
        raise DisclosureError("rows", f"a row cannot be read: {error}") from error


def _flag(number: int) -> bool:
    if number > 1:
        raise ValueError("carried is 0 or 1")
    return bool(number)


def _day_number(day: str) -> int:
    """20261102 for 2026-11-02, 0 for "". Raises: ValueError."""
    return int(day.replace("-", "")) if day else 0


def _day_text(number: int) -> str:
    if not number:
        return ""
    year, rest = divmod(number, _YEAR)
    month, day = divmod(rest, _MONTH)
    text = f"{year:04}-{month:02}-{day:02}"
    if len(text) != len("2026-11-02"):
        raise ValueError(f"{number} is no day")
    return text


def _check_sums(disclosure: Disclosure) -> None:
    net = NOTHING
    for cell in disclosure.cells:
        net += cell.net
    if net != disclosure.net:
        raise DisclosureError("net", f"the cells come to {net}, the disclosure says {disclosure.net}")
    if disclosure.rows != net.entries:
        raise DisclosureError("rows", f"the cells have {net.entries} bookings, the disclosure says {disclosure.rows}")
    if any(cell.key.party != disclosure.party for cell in disclosure.cells):
        raise DisclosureError("cells", f"one is not of {disclosure.party}")
    keys = [cell.key for cell in disclosure.cells]
    if keys != sorted(set(keys)):
        raise DisclosureError("cells", "they are not in the order of their keys, each once")
    if disclosure.version != 1:
        raise DisclosureError("version", f"{disclosure.version} is not known here")


def _check_reconciliation(reconciliation: Reconciliation) -> None:
    if reconciliation.version != 1:
        raise DisclosureError("version", f"{reconciliation.version} is not known here")
    if len(reconciliation.disclosure_digest) != hashlib.sha256().digest_size:
        raise DisclosureError("disclosure_digest", "it has 32 bytes")
    if reconciliation.agreed == bool(reconciliation.differences):
        raise DisclosureError("agreed", "it agrees, or it names its differences")
    _check_differences(reconciliation.differences)


def _check_differences(differences: Iterable[Difference]) -> None:
    seen: set[bytes] = set()
    for each in differences:
        if each.key in seen:
            raise DisclosureError("differences", f"{each.fault} of {each.application.hex()} stands twice")
        seen.add(each.key)
        if (each.ours is None, each.theirs is None) != (each.fault is Fault.EXTRA, each.fault is Fault.MISSING):
            raise DisclosureError("differences", f"{each.fault} of {each.application.hex()} has not the sides it needs")
