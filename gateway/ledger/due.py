"""What must hang on a block, by its entries' bytes: claims, projected rows, references. Pure; verifying's hot loop.

Each entry is read once. What its claims and projected rows must come to is one digest each (`Due`);
gateway.ledger.hanging holds that against what the tables have.

Most entries of a ledger differ from another one in four places only: request id, commitment, response commitment and
time, each of a fixed length in canonical MessagePack. So of an entry that was read in full the bytes around those four
are kept, and one with the very same bytes around them is canonical and says the same: its four places are cut out, not
decoded. What is not such an entry, byte for byte, is read in full.
"""

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from gateway.store.ledger_audit import (
    NO_DELIVERY,
    POSTGRES_EPOCH_US,
    pack_claim,
    pack_delivery,
    pack_place,
    pack_said,
    text_bytes,
)
from protocol.application import claim_turn
from protocol.ledger import EntryKind, EntryRef, NotCanonicalError

_KNOWN_MAX: Final = 20_000
_sha256 = hashlib.sha256

_Fields = tuple[int, str, str, bytes, bytes, int, str, int, str, int, int, int, int, int, bytes, int, EntryRef | None]
"""An Entry's fields as a plain tuple, which is quicker to take apart."""
_Delivery = tuple[bytes, int, int, int, str, str, str]
_CertificateFields = tuple[
    int, str, str, bytes, bytes, int, str, int, str, int, int, int, int, int, bytes, int, EntryRef | None,
    _Delivery | None,
]  # fmt: skip
_decode = msgspec.msgpack.Decoder(_Fields).decode
_decode_certificate = msgspec.msgpack.Decoder(_CertificateFields).decode
_encode = msgspec.msgpack.Encoder().encode
_text = lru_cache(_KNOWN_MAX)(text_bytes)
_ARRAY_17: Final = b"\xdc\x00\x11"
"""Begins every entry without a delivery's place."""
_SIGNIFIES_CERTIFICATE: Final = b"\xdc\x00\x12\x02"
"""An array of 18 that begins with version 2."""
_BIN_16: Final = b"\xc4\x10"
_BIN_32: Final = b"\xc4\x20"
_PLAIN: Final = (_BIN_32, 0xCF, 0xC0)
"""Of a plain entry: the tag of its commitment, that of its time (uint 64), and nil for the reference it has not."""
_TIME_MIN: Final = 1 << 32
"""A smaller number has a shorter form, so that this one would not be canonical."""
_ids = struct.Struct(">16s2s32s").unpack_from
"""Request id, tag, commitment."""
_end = struct.Struct(">BqB").unpack_from
"""The last ten bytes: tag, time (below 0 where it is larger than any column holds), nil."""


class EntryUnreadable(ValueError):  # noqa: N818 - named after the fact
    """An entry's bytes are not canonical, or say what no row can hold. Fields: index."""

    def __init__(self, index: int, why: Exception) -> None:
        super().__init__(f"the entry cannot be read: {why}")
        self.index = index


class Reference(msgspec.Struct, frozen=True):
    """A repeat or a disclaimer, and the entry it says is the first of that id (of the disclaimed one)."""

    stream: bytes
    height: int
    index: int
    party: str
    request_id: bytes
    commitment: bytes
    kind: int
    ref: EntryRef | None


class Due(NamedTuple):
    """What must hang on a block: digests of its claims and of its projected rows (None for no row), and its repeats and
    disclaimers. `readable` is False where its entries could not be read: nothing is known of what should hang there."""

    stream: bytes
    height: int
    readable: bool
    claims: bytes | None = None
    rows: bytes | None = None
    special: tuple[Reference, ...] = ()


class Expected(msgspec.Struct, frozen=True):
    """Row by row what must hang on a block, by index: (turn, request id, commitment, party) of each entry's claims,
    where turn 1 is any repeat, and each projected row's bytes."""

    claims: list[list[tuple[int, bytes, bytes, str]]]
    projected: list[bytes]


def digest_of(rows: list[bytes]) -> bytes | None:
    """As the server makes it of a block's rows; None for none."""
    return _sha256(b"".join(rows)).digest() if rows else None


def expected_of(entries: list[bytes]) -> Expected:
    """For naming the row that does not fit. The entries must be readable ones."""
    expected = Expected([], [])
    for index, data in enumerate(entries):
        fields, delivery = _read(data)
        expected.claims.append(_claims(fields, delivery))
        expected.projected.append(
            pack_place(index, fields[3], fields[15] - POSTGRES_EPOCH_US) + _said(fields, delivery)
        )
    return expected


class DueMaker:
    """Makes blocks' `Due`, and remembers how the plain entries it has read look."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
        """What stands before a plain entry's request id and between its commitment and its response commitment, each
        with the tag that follows; to its party's bytes, and to a projected row's from the operation on."""

    def make(self, stream: bytes, height: int, entries: Sequence[bytes], *, projected: bool) -> Due:
        """projected: whether the block's rows must stand in the projection by now. Raises: EntryUnreadable."""
        known = self._known
        if len(known) > _KNOWN_MAX:
            known.clear()
        claims: list[bytes] = []
        rows: list[bytes] = []
        special: list[Reference] = []
        for index, data in enumerate(entries):
            at = data.find(_BIN_16) + 2
            alike = known.get((data[:at], data[at + 50 : -42]))
            if alike is not None:
                rid, tag, commitment = _ids(data, at)
                form, at_us, nil = _end(data, len(data) - 10)
                if (tag, form, nil) == _PLAIN and at_us >= _TIME_MIN:
                    claims += (pack_claim(index, 0, 16, rid, 32, commitment), alike[0])
                    rows += (pack_place(index, rid, at_us - POSTGRES_EPOCH_US), alike[1])
                    continue
            try:
                fields, delivery = _read(data)
                said = _said(fields, delivery)
                rows += (pack_place(index, fields[3], fields[15] - POSTGRES_EPOCH_US), said)
                for turn, rid, commitment, party in _claims(fields, delivery):
                    claims += (pack_claim(index, turn, 16, rid, 32, commitment), _text(party))
            except (ValueError, msgspec.DecodeError, RecursionError, struct.error) as error:
                raise EntryUnreadable(index, error) from error
            kind, ref = fields[10], fields[16]
            if kind != EntryKind.FIRST:
                special.append(Reference(stream, height, index, fields[1], fields[3], fields[4], kind, ref))
            elif data.startswith(_ARRAY_17):
                known[_around(fields)] = _text(fields[1]), said
        due_rows = digest_of(rows) if projected else None
        return Due(stream, height, True, digest_of(claims), due_rows, tuple(special))


def _read(data: bytes) -> tuple[_Fields, _Delivery | None]:
    """An entry's fields, and its delivery if it has one. Raises: NotCanonicalError, msgspec.DecodeError."""
    delivery: _Delivery | None = None
    if data.startswith(_SIGNIFIES_CERTIFICATE):
        whole: _CertificateFields = _decode_certificate(data)
        canonical = _encode(whole) == data
        fields: _Fields = whole[:17]
        delivery = whole[17]
    else:
        fields = _decode(data)
        canonical = _encode(fields) == data
    if not canonical:
        raise NotCanonicalError("entry is not canonical")
    if len(fields[3]) != 16 or len(fields[4]) != 32 or len(fields[14]) != 32 or (delivery and len(delivery[0]) != 16):
        raise NotCanonicalError("entry has a field of the wrong length")
    return fields, delivery


def _around(fields: _Fields) -> tuple[bytes, bytes]:
    """The bytes around the four places of an entry that says the same and has neither delivery nor reference."""
    before = _ARRAY_17 + b"".join(map(_encode, fields[:3])) + _BIN_16
    return before, b"".join(map(_encode, fields[5:14])) + _BIN_32


def _claims(fields: _Fields, delivery: _Delivery | None) -> list[tuple[int, bytes, bytes, str]]:
    """See Expected.claims. An application's transition is claimed by the first entry that says it happened."""
    party, rid, commitment, kind = fields[1], fields[3], fields[4], fields[10]
    claims = [(int(kind == EntryKind.REPEAT), rid, commitment, party)]
    if delivery is not None and kind == EntryKind.FIRST and delivery[1] > 0:
        claims.append((claim_turn(delivery[1]), delivery[0], commitment, party))
    return claims


def _said(fields: _Fields, delivery: _Delivery | None) -> bytes:
    """A projected row from its operation on. Raises: struct.error for a number that no column holds."""
    (_, party, line, _, _, operation, matter, step, other, outcome, kind, yen, commission, terms, _, _, _) = fields
    said = pack_said(operation, step, outcome, kind, yen, commission, terms)
    texts = _text(party) + _text(line) + _text(matter) + _text(other)
    return said + texts + (NO_DELIVERY if delivery is None else pack_delivery(*delivery))
