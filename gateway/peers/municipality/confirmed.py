"""Confirmed data (確定データ) that the centre brings: kept part by part, whole once the digest holds (001-4-4).

Parts may come twice and in any order; what is whole never changes. Nothing here is about a person.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.peers.municipality.errors import Incident
from gateway.peers.municipality.journal import raise_incident
from gateway.peers.municipality.store import Store
from protocol.papers import CONFIRMED_PART_BYTES, Confirmed, Kept, PaperLine, parts_of

KEPT_BYTES_MAX: Final = 256 << 20
"""A longer document is not taken: a statement of a month has a thousandth of it."""
_NOTHING: Final = Kept(0, False)
_encode: Final = msgspec.msgpack.Encoder().encode
_read: Final = msgspec.msgpack.Decoder(PaperLine).decode


class KeptPaper(msgspec.Struct, frozen=True):
    """A document, and when it was whole; None while parts are missing."""

    line: PaperLine
    whole_us: int | None


def keep(store: Store, body: Confirmed) -> Kept:
    """Take a part in; says how many are durable, and whether the document is whole."""
    paper = body.paper
    count = max(1, parts_of(paper.size, CONFIRMED_PART_BYTES))
    expected = min(CONFIRMED_PART_BYTES, max(0, paper.size - body.number * CONFIRMED_PART_BYTES))
    with store.transaction():
        row = store.row("SELECT line, kept, whole_us FROM papers WHERE id = ?", paper.id)
        if body.number >= count or len(body.data) != expected or paper.size > KEPT_BYTES_MAX:
            raise_incident(store, Incident.PAPER_SPOILT, paper.id, f"part {body.number} of {paper.size} bytes")
            return _NOTHING
        if row is None:
            line = _encode(paper)
            store.run("INSERT INTO papers VALUES (?, ?, ?, ?, 0, NULL)", paper.id, line, paper.period, paper.name)
            row = (line, 0, None)
        line, kept, whole_us = row
        if line != _encode(paper):
            raise_incident(store, Incident.PAPER_SPOILT, paper.id, "another document under its id")
            return _NOTHING
        if whole_us is not None:
            return Kept(count, True)
        kept += store.run("INSERT OR IGNORE INTO paper_parts VALUES (?, ?, ?)", paper.id, body.number, body.data)
        store.run("UPDATE papers SET kept = ? WHERE id = ?", kept, paper.id)
        return Kept(kept, False) if kept < count else _completed(store, paper, count)


def whole(store: Store, paper: bytes) -> bool:
    """Whether a document is here in full."""
    row = store.row("SELECT whole_us FROM papers WHERE id = ?", paper)
    return row is not None and row[0] is not None


def papers(store: Store, *, period: str = "") -> list[KeptPaper]:
    """Documents by period and name, of one period or of all."""
    rows = store.rows("SELECT line, whole_us FROM papers WHERE ? IN ('', period) ORDER BY period, name", period)
    return [KeptPaper(_read(line), whole_us) for line, whole_us in rows]


def pieces(store: Store, paper: PaperLine) -> Iterator[bytes]:
    """The bytes of a document, part by part."""
    for number in range(parts_of(paper.size, CONFIRMED_PART_BYTES)):
        row = store.row("SELECT data FROM paper_parts WHERE paper = ? AND number = ?", paper.id, number)
        yield b"" if row is None else row[0]


def content(store: Store, paper: PaperLine) -> bytes:
    """A document's bytes at once."""
    return b"".join(pieces(store, paper))


def _completed(store: Store, paper: PaperLine, count: int) -> Kept:
    digest = hashlib.sha256()
    for piece in pieces(store, paper):
        digest.update(piece)
    if digest.digest() != paper.digest:
        store.run("DELETE FROM paper_parts WHERE paper = ?", paper.id)
        store.run("UPDATE papers SET kept = 0 WHERE id = ?", paper.id)
        raise_incident(store, Incident.PAPER_SPOILT, paper.id, "its digest is another")
        return _NOTHING
    store.run("UPDATE papers SET whole_us = ? WHERE id = ?", store.now_us(), paper.id)
    return Kept(count, True)
