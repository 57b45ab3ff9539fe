"""Reading the whole ledger once, in one snapshot, for verification.

Read-only transactions that share a snapshot: one streams through cursors, one answers single questions meanwhile, and
two more stream what takes the server longest, so that it sorts and hashes claims and projection at the same time.

What belongs to one block comes from four cursors in the order (stream, height): the block and its leaf, and one digest
each over its claim rows and its projected rows, made by the server. A digest is the SHA-256 of the rows' fields, in the
order of idx, every field of fixed length or after its length, so that unequal rows give unequal bytes. `pack_claim`,
`pack_place` and `pack_said` make the same bytes from an entry. The server hashes what it has to read anyway; a server
that lied about a digest could lie about the rows as well.

Cost: one sort of the claims and one of the projection, on the server's disk where they exceed its memory; here, memory
for a batch of blocks.
"""

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Generic, NamedTuple, TypeVar

import trio

from gateway.store.ledger import split_entries
from gateway.store.pool import Database, PinnedConnection

AUDIT_CONNECTIONS: Final = 5
"""Connections of a reader."""
BLOCKS_A_FETCH: Final = 16
"""Few, so that the server makes the next ones while these are checked: 16 full blocks are 5 MB."""
DIGESTS_A_FETCH: Final = 512
FETCHED_AHEAD: Final = 2
"""Fetches of a cursor that may wait to be merged."""
ROWS_A_FETCH: Final = 2048
AUDIT_SESSION: Final = {"work_mem": "128MB"}
"""Session settings for an audit: the claims are sorted by block, in memory up to a million or so."""
POSTGRES_EPOCH_US: Final = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: PostgreSQL's own zero of time."""

_BLOCKS: Final = """
select stream, height, header, key_id, signature, entries from ledger.block order by stream, height
"""
_PLACES: Final = """
select stream, height, position, hash from ledger.checkpoint_leaf order by stream, height
"""
_CLAIMS: Final = """
select stream, height, count(*) filter (where turn <> -1),
  pg_catalog.sha256(string_agg(
    int4send(idx) || int4send(case when turn between 1 and 8 then 1 else turn end)
    || int4send(octet_length(request_id)) || request_id || int4send(octet_length(commitment)) || commitment
    || int4send(octet_length(party)) || convert_to(party, 'UTF8'),
    ''::bytea order by idx, turn) filter (where turn <> -1)),
  array_agg(int4send(idx) || int4send(octet_length(request_id)) || request_id
    || int4send(octet_length(commitment)) || commitment || convert_to(party, 'UTF8') order by idx)
    filter (where turn = -1)
from ledger.claim group by stream, height order by stream, height
"""
_PROJECTED_ROW: Final = """
    int4send(idx) || uuid_send(request_id) || timestamptz_send(at) || int2send(operation) || int2send(step)
    || int2send(outcome) || int2send(kind) || int8send(yen) || int8send(commission) || int4send(terms)
    || int4send(octet_length(party)) || convert_to(party, 'UTF8')
    || int4send(octet_length(line)) || convert_to(line, 'UTF8')
    || int4send(octet_length(matter)) || convert_to(matter, 'UTF8')
    || int4send(octet_length(counterparty)) || convert_to(counterparty, 'UTF8')
    || case when application is null then '\\x00'::bytea else
      '\\x01'::bytea || uuid_send(application) || int2send(transition) || int4send(copies) || int8send(deposited_at_us)
      || int4send(octet_length(store_day)) || convert_to(store_day, 'UTF8')
      || int4send(octet_length(store)) || convert_to(store, 'UTF8')
      || int4send(octet_length(kiosk)) || convert_to(kiosk, 'UTF8') end
"""
_PROJECTED_DIGESTS: Final = """
select stream, height, count(*), pg_catalog.sha256(string_agg({row}, ''::bytea order by idx))
from ledger.entry group by stream, height order by stream, height
"""
_PROJECTED_ROWS: Final = "select {row} from ledger.entry where stream = $1 and height = $2 order by idx"
_PROJECTED: Final = _PROJECTED_DIGESTS.format(row=_PROJECTED_ROW)
_PROJECTED_OF: Final = _PROJECTED_ROWS.format(row=_PROJECTED_ROW)
_CLAIMS_OF: Final = """
select idx, turn, party, request_id, commitment from ledger.claim where stream = $1 and height = $2 order by idx, turn
"""
_FIRSTS: Final = """
select c.stream, c.height, c.idx from unnest($1::text[], $2::bytea[]) with ordinality as w (party, request_id, o)
left join ledger.claim c on c.party = w.party and c.request_id = w.request_id and c.turn = 0
order by w.o
"""
_TURNS: Final = """
select party, request_id, count(*), max(turn) from ledger.claim where turn between 1 and 8
group by party, request_id having count(*) <> max(turn) limit $1
"""
pack_claim: Final = struct.Struct(">iii16si32s").pack
"""What a claim row's digest covers, before the party by `text_bytes`: index, its turn (1 for any repeat), 16, request
id, 32, commitment."""
pack_place: Final = struct.Struct(">i16sq").pack
"""What a projected row's digest covers first: index, request id, time since POSTGRES_EPOCH_US."""
pack_said: Final = struct.Struct(">hhhhqqi").pack
"""What it covers then, before the row's texts (party, line, matter, counterparty, each by `text_bytes`) and its
delivery: operation, step, outcome, kind, yen, commission, terms."""
NO_DELIVERY: Final = b"\0"
"""In a delivery's place, for a row without one."""
_DELIVERED: Final = struct.Struct(">B16shiq").pack
_LENGTH: Final = struct.Struct(">i").pack


class BlockRow(NamedTuple):
    """A block and its leaf; None for what is not there."""

    stream: bytes
    height: int
    header: bytes | None
    key_id: str | None
    signature: bytes | None
    entries: bytes | None
    position: int | None
    leaf: bytes | None


class DigestRow(NamedTuple):
    """What the claims and the projected rows of one block come to; None for what is not there."""

    stream: bytes
    height: int
    claims: int | None
    claims_digest: bytes | None
    marks: list[bytes] | None
    projected: int | None
    projected_digest: bytes | None


def mark_of(index: int, request_id: bytes, commitment: bytes, party: bytes) -> bytes:
    """A disclaimer's mark as `BlockRow.marks` holds it."""
    return _LENGTH(index) + _LENGTH(len(request_id)) + request_id + _LENGTH(len(commitment)) + commitment + party


def marked_id(mark: bytes) -> bytes:
    """The request id inside a mark."""
    return mark[8 : 8 + int.from_bytes(mark[4:8], "big")]


def text_bytes(text: str) -> bytes:
    """A text after its length."""
    data = text.encode()
    return _LENGTH(len(data)) + data


def pack_delivery(
    application: bytes, transition: int, copies: int, deposited_at_us: int, store_day: str, store: str, kiosk: str
) -> bytes:
    """A projected row's delivery. Raises: struct.error for a number that no column holds."""
    texts = b"".join([text_bytes(text) for text in (store_day, store, kiosk)])
    return _DELIVERED(1, application, transition, copies, deposited_at_us) + texts


class LedgerReader:
    """One snapshot of the ledger. Made by `open_reader`; the streams are for one task, one after another."""

    def __init__(
        self,
        cursors: PinnedConnection,
        questions: PinnedConnection,
        leaves: PinnedConnection,
        claims: PinnedConnection,
        rows: PinnedConnection,
    ) -> None:
        self._cursors = cursors
        self._questions = questions
        self._leaves = leaves
        self._claims = claims
        self._rows = rows

    @asynccontextmanager
    async def blocks(self) -> AsyncIterator[tuple["Merged[BlockRow]", "Merged[DigestRow]"]]:
        """All blocks with their leaves, and what hangs on them, by stream and height; read ahead while open.

        Each of the two is for one task; the server works on all four questions at once.
        """
        cursors = [
            await self._cursor("blocks", _BLOCKS, BLOCKS_A_FETCH),
            await self._cursor("places", _PLACES, ROWS_A_FETCH, self._leaves),
            await self._cursor("claims", _CLAIMS, DIGESTS_A_FETCH, self._claims),
            await self._cursor("projected", _PROJECTED, DIGESTS_A_FETCH, self._rows),
        ]
        async with trio.open_nursery() as nursery:
            blocks, places, claims, rows = (ReadAhead(cursor) for cursor in cursors)
            for each in (blocks, places, claims, rows):
                nursery.start_soon(each.run)
            yield Merged(BlockRow, (blocks, 4), (places, 2)), Merged(DigestRow, (claims, 3), (rows, 2))
            nursery.cancel_scope.cancel()

    async def entries_of(self, stream: bytes, height: int) -> list[bytes]:
        """A block's entries. Raises: ValueError when their stored form is cut."""
        rows = await self._questions.fetch(
            "select entries from ledger.block where stream = $1 and height = $2", stream, height
        )
        return split_entries(rows[0][0])

    async def leaves(self) -> "Cursor":
        """All leaves by position: position, hash."""
        return await self._cursor(
            "leaves", "select position, hash from ledger.checkpoint_leaf order by position", ROWS_A_FETCH
        )

    async def nodes(self) -> "Cursor":
        """All stored nodes in the order in which they became complete: level, place, hash."""
        return await self._cursor(
            "nodes",
            "select level, place, hash from ledger.checkpoint_node"
            " order by ((place + 1)::numeric * (2::numeric ^ level)), level, place",
            ROWS_A_FETCH,
        )

    async def notes(self) -> "Cursor":
        """All checkpoints by size: size, note, at_us."""
        return await self._cursor(
            "notes", "select size, note, at_us from ledger.checkpoint order by size", ROWS_A_FETCH
        )

    async def streams(self) -> set[bytes]:
        """Ids of all streams."""
        return {row[0] for row in await self._questions.fetch("select id from ledger.stream")}

    async def projected_to(self) -> dict[bytes, int]:
        """Up to which height each stream is projected."""
        return {row[0]: row[1] for row in await self._questions.fetch("select * from ledger.projected")}

    async def claims_of(self, stream: bytes, height: int) -> list[Any]:
        """A block's claims: idx, turn, party, request id, commitment. Reads all claims: for few questions only."""
        return await self._questions.fetch(_CLAIMS_OF, stream, height)

    async def projected_of(self, stream: bytes, height: int) -> list[bytes]:
        """A block's projected rows, each as the bytes that its digest covers."""
        return [row[0] for row in await self._questions.fetch(_PROJECTED_OF, stream, height)]

    async def firsts(self, wanted: Sequence[tuple[str, bytes]]) -> list[tuple[bytes, int, int] | None]:
        """Where the first entry of each (party, request id) stands: stream, height, index."""
        rows = await self._questions.fetch(_FIRSTS, [party for party, _ in wanted], [rid for _, rid in wanted])
        return [None if row[0] is None else (row[0], row[1], row[2]) for row in rows]

    async def gaps_in_turns(self, limit: int) -> list[Any]:
        """Request ids whose repeats are not numbered 1, 2, 3 ...: party, request id, count, highest."""
        return await self._questions.fetch(_TURNS, limit)

    async def _cursor(self, name: str, sql: str, rows: int, connection: PinnedConnection | None = None) -> "Cursor":
        connection = connection or self._cursors
        await connection.execute(f"declare audit_{name} no scroll cursor for {sql}")
        return Cursor(connection, f"fetch {rows} from audit_{name}")


class Cursor:
    """Rows of one query, a batch at a time; ends with the reader's transaction."""

    def __init__(self, connection: PinnedConnection, fetch: str) -> None:
        self._connection = connection
        self._fetch = fetch
        self._rows: list[Any] = []
        self._at = 0

    async def batch(self) -> list[Any]:
        """The next rows; none at the end."""
        return await self._connection.fetch(self._fetch)

    async def one(self) -> Any:
        """The next row, or None at the end."""
        if self._at == len(self._rows):
            self._rows = await self.batch()
            self._at = 0
            if not self._rows:
                return None
        self._at += 1
        return self._rows[self._at - 1]


class ReadAhead:
    """A cursor read by a task of its own (`run`), so that the server is never waited for while it could have worked."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._send, self._receive = trio.open_memory_channel[list[Any]](FETCHED_AHEAD)
        self._rows: list[Any] = []
        self._at = 0

    async def run(self) -> None:
        """Fetch until there are no more rows."""
        async with self._send:
            while rows := await self._cursor.batch():
                await self._send.send(rows)

    async def one(self) -> Any:
        """The next row, or None at the end."""
        if self._at == len(self._rows):
            try:
                self._rows = await self._receive.receive()
            except trio.EndOfChannel:
                return None
            self._at = 0
        self._at += 1
        return self._rows[self._at - 1]


R = TypeVar("R", bound=tuple[Any, ...])


class Merged(Generic[R]):
    """Sorted cursors merged by (stream, height) into one kind of row; for one task."""

    def __init__(self, row: type[R], *parts: tuple[ReadAhead, int]) -> None:
        self._row: Any = row
        self._parts = parts
        self._heads: list[Any] | None = None

    async def one(self) -> R | None:
        """The next row, or None at the end. Does not yield while rows are there."""
        if self._heads is None:
            self._heads = [await cursor.one() for cursor, _ in self._parts]
        heads = self._heads
        keys = [None if head is None else (head[0], head[1]) for head in heads]
        key = min((key for key in keys if key is not None), default=None)
        if key is None:
            return None
        fields: list[Any] = [*key]
        for n, (cursor, width) in enumerate(self._parts):
            if keys[n] == key:
                fields += heads[n][2:]
                heads[n] = await cursor.one()
            else:
                fields += (None,) * width
        row: R = self._row(*fields)
        return row


@asynccontextmanager
async def open_reader(database: Database) -> AsyncIterator[LedgerReader]:
    """A reader on one snapshot of the ledger. The database's size: AUDIT_CONNECTIONS or more."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(database.transaction(isolation="repeatable read", readonly=True))
            for _ in range(AUDIT_CONNECTIONS)
        ]
        snapshot = (await connections[0].fetch("select pg_catalog.pg_export_snapshot()"))[0][0]
        for connection in connections[1:]:
            await connection.execute(f"set transaction snapshot '{snapshot}'")
        for connection in connections:
            # Nothing but what the server brings: no function or operator of a schema that someone else may write.
            await connection.execute("set local search_path = pg_catalog; set local enable_hashjoin = off")
        yield LedgerReader(*connections)
