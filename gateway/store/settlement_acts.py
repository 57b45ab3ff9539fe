"""Acts of settlement and the documents that came of them. Source: DESIGN section 11."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final, NamedTuple

from gateway.store.ledger import RIDER_FIRST, Connection, Riding
from gateway.store.pool import Database, PinnedConnection
from protocol.act import Act, decode_act, encode_act
from protocol.messages import Operation

PART_BYTES: Final = 256 << 10
"""Of a document's parts; the last is what is left."""
JOURNAL_LOCK: Final = 0x53455431
"""Advisory lock: one writer of acts at a time."""
_RIDING: Final = """, sa as (
  insert into settlement.act (contract, claim, period, party, kind, turn, at_us, content, stream, height, idx)
  select a.contract, a.claim, a.period, a.party, a.kind, a.turn, a.at_us, a.content, $1, $2, a.idx
  from unnest(${0}::text[], ${1}::text[], ${2}::text[], ${3}::text[], ${4}::smallint[], ${5}::int[], ${6}::bigint[],
    ${7}::bytea[], ${8}::int[]) as a (contract, claim, period, party, kind, turn, at_us, content, idx)
)"""
_RIDING_ARGS: Final = 9
_SLICES: Final = """
select d.size, substring(p.data from w.at + 1 for w.bytes)
from unnest($1::text[], $2::bytea[], $3::int[], $4::int[], $5::int[])
  with ordinality as w (party, id, number, at, bytes, place)
left join settlement.document d on d.id = w.id and d.party = w.party
left join settlement.document_part p on p.document = d.id and p.number = w.number
order by w.place
"""
_ROW: Final = "id, party, period, name, media, size, digest, made_us"


class ActRow(NamedTuple):
    """An act, and where its entry stands."""

    act: Act
    stream: bytes
    height: int
    idx: int


class StoredAct(NamedTuple):
    """An act's row as it stands, nothing of it believed: its key's columns, its bytes, and the place of its entry."""

    contract: str
    claim: str
    period: str
    party: str
    kind: int
    turn: int
    at_us: int
    content: bytes
    stream: bytes
    height: int
    idx: int


class DocumentRow(NamedTuple):
    """A document without its bytes. id: 16 bytes; digest: SHA-256 of the whole; parts of PART_BYTES."""

    id: bytes
    party: str
    period: str
    name: str
    media: str
    size: int
    digest: bytes
    made_us: int


def riding(acts: Sequence[tuple[Act, int]], *, first: int = RIDER_FIRST) -> Riding:
    """What goes in with a block: acts, each with the index of its entry. first: number of its first parameter."""
    return Riding(
        _RIDING.format(*range(first, first + _RIDING_ARGS)),
        (
            [act.contract for act, _ in acts],
            [act.claim for act, _ in acts],
            [act.period for act, _ in acts],
            [act.party for act, _ in acts],
            [act.kind for act, _ in acts],
            [act.turn for act, _ in acts],
            [act.at_us for act, _ in acts],
            [encode_act(act) for act, _ in acts],
            [index for _, index in acts],
        ),
    )


class ActStore:
    """Reads acts, over one connection or a Database. Raises: StoreError; ActError for bytes that are none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def acts(self, *, period: str | None = None, contract: str | None = None) -> list[ActRow]:
        """In the order in which they were done; of one period, of one contract ("" acts are of all), or all."""
        rows = await self._connection.fetch(
            "select content, stream, height, idx from settlement.act where ($1::text is null or period = $1)"
            " and ($2::text is null or contract in ($2, '')) order by at_us, stream, height, idx",
            period,
            contract,
        )
        return [ActRow(decode_act(row[0]), row[1], row[2], row[3]) for row in rows]

    async def stored(self) -> list[StoredAct]:
        """All rows, in the order in which they were done."""
        rows = await self._connection.fetch(
            "select contract, claim, period, party, kind, turn, at_us, content, stream, height, idx"
            " from settlement.act order by at_us, stream, height, idx"
        )
        return [StoredAct(*row) for row in rows]

    async def without_act(self) -> list[tuple[bytes, int, int]]:
        """Entries of the projection that stand for an act that is not there: stream, height, index."""
        rows = await self._connection.fetch(
            "select e.stream, e.height, e.idx from ledger.entry e left join settlement.act a"
            " on (a.stream, a.height, a.idx) = (e.stream, e.height, e.idx)"
            " where e.operation = $1 and a.stream is null order by 1, 2, 3",
            int(Operation.SETTLE),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    async def stands(self, key: tuple[str, str, str, str, int, int]) -> bool:
        """Whether an act of this key (protocol.act.Act.key) was written."""
        rows = await self._connection.fetch(
            "select 1 from settlement.act"
            " where (contract, claim, period, party, kind, turn) = ($1, $2, $3, $4, $5, $6)",
            *key,
        )
        return bool(rows)


class DocumentStore:
    """Writes documents whole and reads them in parts. Raises: StoreError; UniqueViolated for a name that is taken."""

    def __init__(self, database: Database | PinnedConnection) -> None:
        self._database = database

    async def put(self, row: DocumentRow, data: AsyncIterable[bytes]) -> DocumentRow:
        """Write a document in one transaction; `size` and `digest` of the row are set from what came.

        data: pieces of any length. Returns: the row as it stands.
        """
        digest, size, number, held = hashlib.sha256(), 0, 0, bytearray()
        insert = "insert into settlement.document_part (document, number, data) values ($1, $2, $3)"
        async with self._database.transaction() as connection:
            await connection.execute("set constraints all deferred")
            pieces: list[tuple[int, bytes]] = []
            async for piece in data:
                digest.update(piece)
                size += len(piece)
                held += piece
                while len(held) >= PART_BYTES:
                    pieces.append((number, bytes(held[:PART_BYTES])))
                    del held[:PART_BYTES]
                    number += 1
                for place, part in pieces:
                    await connection.execute(insert, row.id, place, part)
                pieces.clear()
            if held:
                await connection.execute(insert, row.id, number, bytes(held))
            whole = row._replace(size=size, digest=digest.digest())
            await connection.execute(
                "insert into settlement.document (id, party, period, name, media, size, digest, made_us)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8)",
                *whole,
            )
        return whole

    async def listed(self, *, party: str, period: str | None = None) -> list[DocumentRow]:
        """What a party may fetch, of one period or of all, by period and name."""
        rows = await self._database.fetch(
            f"select {_ROW} from settlement.document"  # noqa: S608 - a constant of this file
            " where party = $1 and ($2::text is null or period = $2) order by period, name",
            party,
            period,
        )
        return [DocumentRow(*row) for row in rows]

    async def all(self) -> list[DocumentRow]:
        """Every document, by party, period and name."""
        rows = await self._database.fetch(
            "select id, party, period, name, media, size, digest, made_us from settlement.document"
            " order by party, period, name"
        )
        return [DocumentRow(*row) for row in rows]

    async def page(self, *, party: str, period: str, after: bytes, limit: int) -> list[DocumentRow]:
        """As `listed`, of all periods for "", and only what follows a document of the party (b"": from the first)."""
        rows = await self._database.fetch(
            f"select {_ROW} from settlement.document"  # noqa: S608 - a constant of this file
            " where party = $1 and ($2 = '' or period = $2) and ($3 = ''::bytea or (period, name) >"
            " (select period, name from settlement.document where id = $3 and party = $1))"
            " order by period, name limit $4",
            party,
            period,
            after,
            limit,
        )
        return [DocumentRow(*row) for row in rows]

    async def slices(self, wanted: Sequence[tuple[str, bytes, int]], *, size: int) -> list[tuple[int, bytes] | None]:
        """Bytes number * size and following of documents: (party, document, number) each, `size` at most.

        `size` divides PART_BYTES. Returns: in the order asked, the whole document's size and the bytes, none beyond its
        end; None where the party has no such document.
        """
        places = [divmod(number * size, PART_BYTES) for _, _, number in wanted]
        rows = await self._database.fetch(
            _SLICES,
            [party for party, _, _ in wanted],
            [document for _, document, _ in wanted],
            [number for number, _ in places],
            [at for _, at in places],
            [size] * len(wanted),
        )
        return [None if row[0] is None else (row[0], row[1] or b"") for row in rows]

    async def part(self, document: bytes, number: int, *, party: str) -> bytes | None:
        """One part; None where there is none, or it is another party's."""
        rows = await self._database.fetch(
            "select p.data from settlement.document_part p join settlement.document d on d.id = p.document"
            " where p.document = $1 and p.number = $2 and d.party = $3",
            document,
            number,
            party,
        )
        return rows[0][0] if rows else None

    async def read(self, row: DocumentRow) -> AsyncIterator[bytes]:
        """All parts of a document, in order."""
        for number in range(-(-row.size // PART_BYTES)):
            part = await self.part(row.id, number, party=row.party)
            if part is not None:
                yield part
