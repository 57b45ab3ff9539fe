"""The ledger's tables: a block in one statement, and reading back.

COMMIT_SQL inserts the block and its claims together; it is durable when it returns. A Riding is what goes in with the
block in the very same statement (the provision history's batch, the steps of applications): all stand or none does.
The claims come sorted, so that two workers that claim the same ids meet in one order and cannot deadlock. Errors say
which uniqueness was met: a claim (another worker answered that id, or what rides was done already) or a block (the
height is taken).

Not here: what a block means (gateway.ledger). Source: DESIGN sections 2 and 7.
"""

import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, ClassVar, Final, NamedTuple, Protocol

import msgspec

from gateway.store.errors import StoreError, UniqueViolated
from protocol.ledger import BlockKind, decode_header, header_hash

_BLOCK_AND_CLAIMS: Final = """
with b as (
  insert into ledger.block (stream, height, header, key_id, signature, entries) values ($1, $2, $3, $4, $5, $6)
){rider}
insert into ledger.claim (party, request_id, turn, commitment, stream, height, idx)
select c.party, c.request_id, c.turn, c.commitment, $1, $2, c.idx
from unnest($7::text[], $8::bytea[], $9::smallint[], $10::bytea[], $11::int[])
  as c (party, request_id, turn, commitment, idx)
"""
RIDER_FIRST: Final = 12
"""Number of the first parameter that is a Riding's."""
COMMIT_SQL: Final = _BLOCK_AND_CLAIMS.format(rider="")
_BLOCK = "select header, key_id, signature, entries from ledger.block where stream = $1 and height = $2"


_length: Final = struct.Struct(">I").unpack_from


class ClaimConflict(StoreError):  # noqa: N818 - named after the fact
    """Another block claimed one of the ids, or did what rides on this one, first; nothing was written."""

    code: ClassVar[str] = "claim_conflict"


class BlockConflict(StoreError):  # noqa: N818 - named after the fact
    """The height is taken; nothing was written."""

    code: ClassVar[str] = "block_conflict"


class Riding(NamedTuple):
    """What is written beside a block, by its statement.

    sql: a constant of the store that writes it, as ", e as (insert into ...)": further parts of the statement's WITH,
    where $1 is the stream, $2 the height, and $12 (RIDER_FIRST) the first of args.
    """

    sql: str
    args: tuple[object, ...]

    def and_then(self, other: "Riding") -> "Riding":
        """Both; the other's parameters are numbered on from this one's."""
        return Riding(self.sql + other.sql, self.args + other.args)


class Claim(NamedTuple):
    """A request id is taken: turn 0 by its first final outcome, 1 to 8 by repeats, -1 by a disclaimer of it.

    Of an application, whose id stands in request_id's place, each transition takes a turn from 101
    (protocol.application.claim_turn).
    commitment: 32 bytes, of the request that claims; idx: its entry's place in the block.
    """

    party: str
    request_id: bytes
    turn: int
    commitment: bytes
    idx: int


class Place(Protocol):
    """A stream, as far as its row goes (gateway.ledger.stream.Stream is one)."""

    @property
    def id(self) -> bytes:
        """16 bytes."""

    @property
    def role(self) -> str:
        """Of the centre."""

    @property
    def node(self) -> str:
        """Of the gateway."""

    @property
    def slot(self) -> int:
        """Of the worker."""

    @property
    def height_next(self) -> int:
        """Where the next block goes."""


class Writable(Protocol):
    """A block to be written (gateway.ledger.block.Draft is one)."""

    @property
    def stream(self) -> Place:
        """Its stream, at its height."""

    @property
    def header(self) -> bytes:
        """Header bytes."""

    @property
    def entries(self) -> bytes:
        """Entries in stored form."""


class StoredBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A block as it stands: header bytes, key id, signature, and its entries' bytes."""

    stream: bytes
    height: int
    header: bytes
    key_id: str
    signature: bytes
    entries: list[bytes]


class ReceiptMaterial(msgspec.Struct, frozen=True, kw_only=True):
    """Where the first entry of a request id stands, the highest turn of the id, and whether it was disclaimed."""

    block: StoredBlock
    index: int
    turn_max: int
    disclaimed: bool


class Connection(Protocol):
    """What is needed of a connection of the pool."""

    async def fetch(self, sql: str, *args: object, commit: bool = False) -> list[Any]:
        """Rows."""

    async def execute(self, sql: str, *args: object, commit: bool = False) -> str:
        """Status."""


class LedgerStore:
    """The ledger over one connection (or a Database). Raises the errors of gateway.store.errors beside its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def commit(
        self, draft: Writable, signature: bytes, key_id: str, claims: Sequence[Claim], riding: Riding | None = None
    ) -> None:
        """Insert a block with its claims and what rides along, if anything, durably.

        Raises: ClaimConflict, BlockConflict, CommitUnknown, StoreError.
        """
        ordered = sorted(claims, key=_claim_order)
        stream = draft.stream
        try:
            await self._connection.execute(
                COMMIT_SQL if riding is None else _ridden(riding.sql),
                stream.id,
                stream.height_next,
                draft.header,
                key_id,
                signature,
                draft.entries,
                [claim[0] for claim in ordered],
                [claim[1] for claim in ordered],
                [claim[2] for claim in ordered],
                [claim[3] for claim in ordered],
                [claim[4] for claim in ordered],
                *(riding.args if riding is not None else ()),
                commit=True,
            )
        except UniqueViolated as error:
            if error.constraint.startswith(("block", "batch")):
                raise BlockConflict("the height is taken") from error
            raise ClaimConflict("a request id, or what rides, is claimed already") from error

    async def open_stream(self, stream: Place, *, opened_us: int, predecessor: bytes | None) -> None:
        """Insert a new stream."""
        await self._connection.execute(
            "insert into ledger.stream (id, role, node, slot, opened_us, predecessor) values ($1, $2, $3, $4, $5, $6)",
            stream.id,
            stream.role,
            stream.node,
            stream.slot,
            opened_us,
            predecessor,
            commit=True,
        )

    async def open_streams_of(self, *, role: str, node: str, slot: int) -> list[tuple[bytes, int, bytes]]:
        """Streams of a place that have no CLOSE: id, next height, previous hash."""
        rows = await self._connection.fetch(
            "select s.id, b.height, b.header from ledger.stream s left join lateral ("
            " select height, header from ledger.block where stream = s.id order by height desc limit 1) b on true"
            " where s.role = $1 and s.node = $2 and s.slot = $3",
            role,
            node,
            slot,
        )
        found = []
        for stream_id, height, header in rows:
            if header is None:
                found.append((stream_id, 0, bytes(32)))
            elif decode_header(header).kind != BlockKind.CLOSE:
                found.append((stream_id, height + 1, header_hash(header)))
        return found

    async def read_block(self, stream: bytes, height: int) -> StoredBlock | None:
        """A block as it stands, or None."""
        rows = await self._connection.fetch(_BLOCK, stream, height)
        if not rows:
            return None
        header, key_id, signature, entries = rows[0]
        return StoredBlock(
            stream=stream,
            height=height,
            header=header,
            key_id=key_id,
            signature=signature,
            entries=split_entries(entries),
        )

    async def taken_claims(self, wanted: Sequence[tuple[str, bytes, int]]) -> set[tuple[str, bytes, int]]:
        """Those of the claims (party, request id, turn) that stand already."""
        rows = await self._connection.fetch(
            "select c.party, c.request_id, c.turn from unnest($1::text[], $2::bytea[], $3::smallint[]) as w (p, r, t)"
            " join ledger.claim c on c.party = w.p and c.request_id = w.r and c.turn = w.t",
            [each[0] for each in wanted],
            [each[1] for each in wanted],
            [each[2] for each in wanted],
        )
        return {(row[0], row[1], row[2]) for row in rows}

    async def receipt_material(self, party: str, request_id: bytes) -> ReceiptMaterial | None:
        """The block that answered a request id first, or None for an unknown id."""
        rows = await self._connection.fetch(
            "select turn, stream, height, idx from ledger.claim where party = $1 and request_id = $2"
            " and turn < 100 order by turn",
            party,
            request_id,
        )
        first = next((row for row in rows if row[0] == 0), None)
        if first is None:
            return None
        block = await self.read_block(first[1], first[2])
        if block is None:
            return None
        return ReceiptMaterial(
            block=block, index=first[3], turn_max=rows[-1][0], disclaimed=any(row[0] == -1 for row in rows)
        )

    async def month_key(self, month: str, create: Callable[[], Awaitable[tuple[bytes, str]]]) -> tuple[bytes, str]:
        """The sealed commitment key of a month and the key that sealed it; made by `create` where there is none."""
        read = "select sealed, key_id from ledger.commitment_key where month = $1"
        rows = await self._connection.fetch(read, month)
        if not rows:
            sealed, key_id = await create()
            await self._connection.execute(
                "insert into ledger.commitment_key (month, sealed, key_id) values ($1, $2, $3) on conflict do nothing",
                month,
                sealed,
                key_id,
                commit=True,
            )
            rows = await self._connection.fetch(read, month)
        return rows[0][0], rows[0][1]


def split_entries(data: bytes) -> list[bytes]:
    """A block's entries from their stored form. Raises: ValueError when it is cut."""
    out = []
    at = 0
    size = len(data)
    try:
        while at < size:
            begin = at + 4
            end = begin + _length(data, at)[0]
            if end > size or end <= begin:
                raise ValueError("the stored entries are cut")
            out.append(data[begin:end])
            at = end
    except struct.error:  # less than a length is left
        raise ValueError("the stored entries are cut") from None
    return out


@cache
def _ridden(sql: str) -> str:
    return _BLOCK_AND_CLAIMS.format(rider=sql)


def _claim_order(claim: Claim) -> tuple[bytes, str, int]:
    return claim[1], claim[0], claim[2]
