"""Reading the ledger for settlement: sums by cell made by the server, and entries one after another, in bounded memory.

What is read is the projection `ledger.entry`, in one snapshot: `sekisho ledger verify` holds it against the bytes, and
`behind` says whether it has all blocks that a cut names. A question is a `Scope`: a period's bounds and, where the
period and the one before it are frozen, their heights by stream (gateway.settlement.windows has the rule; here it is
SQL, and a test holds the two against one another).

Corrections come as entries, each with what stood before it, since they may change the month of what stood; they are
few. Not here: what an entry does to a period (gateway.settlement.entries).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import msgspec

from gateway.store.pool import Database, PinnedConnection
from protocol.messages import Operation

ROWS_A_FETCH: Final = 4096
SETTLEMENT_SESSION: Final = {"work_mem": "64MB", "max_parallel_workers_per_gather": "0"}
"""Session settings: sums of all cells fit in it; a longer sort goes to the server's disk."""


class Prior(NamedTuple):
    """What stood of an application before a correction: the day of its deposit, and signed sums."""

    deposited_at_us: int
    copies: int
    yen: int
    commission: int


class EntryRow(NamedTuple):
    """One entry of the ledger as settlement reads it; yen, commission and copies are signed changes.

    request_id and application are 16 bytes (application b"" for an inquiry); kind as protocol.ledger.EntryKind;
    transition, copies and deposited_at_us are 0, and the texts "", where the entry has no delivery. prior is there for
    a correction alone.
    """

    stream: bytes
    height: int
    idx: int
    at_us: int
    party: str
    counterparty: str
    matter: str
    kind: int
    request_id: bytes
    application: bytes
    transition: int
    copies: int
    yen: int
    commission: int
    terms: int
    deposited_at_us: int
    store_day: str
    store: str
    kiosk: str
    prior: Prior | None = None


class SumRow(NamedTuple):
    """What the entries of one group come to; carried: they are of an earlier, frozen period."""

    party: str
    counterparty: str
    matter: str
    store: str
    kind: int
    transition: int
    carried: bool
    terms: int
    entries: int
    copies: int
    yen: int
    commission: int


class RangeRow(NamedTuple):
    """Blocks of one stream that hold entries, first and last height, and how many entries."""

    stream: bytes
    first: int
    last: int
    entries: int


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A question: start_us <= t < end_us, and heights by stream of the period's cut and of the one before; None: open.

    by_deposit: by the deposit's time (a certificate centre) or by the entry's own (an inquiry centre). Repeats are free
    and left out.
    """

    start_us: int
    end_us: int
    cut: Mapping[bytes, int] | None = None
    previous: Mapping[bytes, int] | None = None
    by_deposit: bool

    @property
    def args(self) -> tuple[object, ...]:
        """Of the questions below: bounds, then streams and heights of the two cuts, null where there is none."""
        return (self.start_us, self.end_us, *_columns(self.cut), *_columns(self.previous))


_TIME_OF: Final = "(timestamptz 'epoch' + make_interval(hours => ({0} / 3600000000)::int))"
"""A bound of a period as a time; it is a whole hour, so no fraction is lost."""
_PARTS: Final = {
    True: {
        "time": "e.deposited_at_us",
        "some": "e.deposited_at_us > 0 and e.kind <> 2 and ",
        "start": "$1::bigint",
        "end": "$2::bigint",
    },
    False: {
        "time": "e.at",
        "some": f"e.application is null and e.kind <> 2 and e.operation < {int(Operation.SETTLE)} and ",
        "start": _TIME_OF.format("$1::bigint"),
        "end": _TIME_OF.format("$2::bigint"),
    },
}
_SCOPE: Final = """
with cut as (select * from unnest($3::bytea[], $4::bigint[]) as c (stream, height)),
before as (select * from unnest($5::bytea[], $6::bigint[]) as c (stream, height)),
scope as (
  select e.*, false as carried from ledger.entry e left join cut c on c.stream = e.stream
  where {some}{time} >= {start} and {time} < {end} and ($3::bytea[] is null or e.height < c.height)
  union all
  select e.*, true from ledger.stream s left join before b on b.stream = s.id left join cut c on c.stream = s.id
  join ledger.entry e on e.stream = s.id and e.height >= coalesce(b.height, 0)
  where $5::bytea[] is not null and {some}{time} < {start}
    and ($3::bytea[] is null or e.height < c.height)
)
"""
_SUMS: Final = """
select party, counterparty, matter, coalesce(store, ''), kind, coalesce(transition, 0), carried, terms,
  count(*), coalesce(sum(copies), 0)::bigint, sum(yen)::bigint, sum(commission)::bigint
from scope group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8
"""
_WHOLE: Final = """
select count(*), coalesce(sum(copies), 0)::bigint, coalesce(sum(yen), 0)::bigint,
  coalesce(sum(commission), 0)::bigint from scope
"""
_ROW: Final = """
e.stream, e.height, e.idx, (extract(epoch from e.at) * 1000000)::bigint, e.party, e.counterparty, e.matter, e.kind,
uuid_send(e.request_id), coalesce(uuid_send(e.application), ''), coalesce(e.transition, 0), coalesce(e.copies, 0),
e.yen, e.commission, e.terms, coalesce(e.deposited_at_us, 0), coalesce(e.store_day, ''), coalesce(e.store, ''),
coalesce(e.kiosk, '')
"""
_ROWS: Final = f"select {_ROW} from scope e where coalesce(e.transition, 0) < 11 order by e.stream, e.height, e.idx"  # noqa: S608
_RANGES: Final = """
select stream, min(height), max(height), count(*) from scope where ($7 = '' or party = $7) and ($8 = '' or
  counterparty = $8) group by stream order by stream
"""
_CORRECTIONS: Final = f"""
with before as (select * from unnest($2::bytea[], $3::bigint[]) as c (stream, height))
select {_ROW}, p.deposited_at_us, p.copies, p.yen, p.commission
from ledger.entry e left join before c on c.stream = e.stream
cross join lateral (
  select (array_agg(b.deposited_at_us order by b.transition desc))[1] as deposited_at_us,
    sum(b.copies)::bigint as copies, sum(b.yen)::bigint as yen, sum(b.commission)::bigint as commission
  from ledger.entry b
  where b.application = e.application and b.kind = 1
    and (b.transition = 4 or b.transition between 11 and e.transition - 1)
) p
where e.transition >= 11 and e.kind = 1 and (
  e.at >= {_TIME_OF.format("$1::bigint")} - interval '1 day'
  or $2::bytea[] is not null and e.height >= coalesce(c.height, 0)
)
order by e.stream, e.height, e.idx
"""  # noqa: S608 - parts of this file
"""A correction is recorded after the deposit it speaks of, by the clocks of two machines: hence the day before."""


class SettlementReader:
    """One snapshot of what settlement reads. Made by `open_settlement`; for one task. Raises: StoreError."""

    def __init__(self, connection: PinnedConnection) -> None:
        self._connection = connection
        self._cursors = 0

    async def sums(self, scope: Scope) -> list[SumRow]:
        """What each group of entries comes to, by its own difference, in the order of the groups."""
        return [SumRow(*row) for row in await self._connection.fetch(_in(scope, _SUMS), *scope.args)]

    async def whole(self, scope: Scope) -> tuple[int, int, int, int]:
        """What all entries come to, ungrouped: entries, copies, yen, commission."""
        rows = await self._connection.fetch(_in(scope, _WHOLE), *scope.args)
        return (rows[0][0], rows[0][1], rows[0][2], rows[0][3])

    async def corrections(self, scope: Scope) -> list[EntryRow]:
        """Corrections that may touch the period, each with what stood before; in the order of their places.

        More than belong to it: whether one does is for the rule to say.
        """
        if not scope.by_deposit:
            return []
        rows = await self._connection.fetch(_CORRECTIONS, scope.start_us, *scope.args[4:])
        return [EntryRow(*row[:19])._replace(prior=Prior(*row[19:])) for row in map(tuple, rows)]

    async def entries(self, scope: Scope) -> AsyncIterator[list[EntryRow]]:
        """All entries but corrections, in the order of their places, some thousands at a time."""
        self._cursors += 1
        name = f"settlement_{self._cursors}"
        await self._connection.execute(f"declare {name} no scroll cursor for {_in(scope, _ROWS)}", *scope.args)
        while rows := await self._connection.fetch(f"fetch {ROWS_A_FETCH} from {name}"):
            yield [EntryRow(*row) for row in rows]
        await self._connection.execute(f"close {name}")

    async def ranges(self, scope: Scope, *, party: str = "", counterparty: str = "") -> list[RangeRow]:
        """In which blocks the entries stand, of one party or counterparty or ("") of all."""
        rows = await self._connection.fetch(_in(scope, _RANGES), *scope.args, party, counterparty)
        return [RangeRow(*row) for row in rows]

    async def role(self) -> str:
        """What the centre is for, as its streams say; "" where it has none yet."""
        rows = await self._connection.fetch("select min(role) from ledger.stream")
        return rows[0][0] or ""

    async def heights(self) -> dict[bytes, int]:
        """The next height of every stream that has blocks: where a freeze may cut."""
        rows = await self._connection.fetch("select stream, max(height) + 1 from ledger.block group by stream")
        return {row[0]: row[1] for row in rows}

    async def behind(self, heights: Mapping[bytes, int]) -> list[bytes]:
        """Streams of which the projection has not all blocks below these heights."""
        rows = await self._connection.fetch("select stream, height_next from ledger.projected")
        projected = {row[0]: row[1] for row in rows}
        return [stream for stream, height in heights.items() if projected.get(stream, 0) < height]

    async def position(self, ranges: Sequence[RangeRow]) -> int | None:
        """The highest leaf of the checkpoint tree among the ranges' last blocks; None while one has no leaf."""
        rows = await self._connection.fetch(
            "select count(l.position), max(l.position) from unnest($1::bytea[], $2::bigint[]) as w (stream, height)"
            " left join ledger.checkpoint_leaf l on l.stream = w.stream and l.height = w.height",
            [each.stream for each in ranges],
            [each.last for each in ranges],
        )
        found, highest = rows[0]
        return None if found < len(ranges) else highest

    async def note_over(self, position: int) -> str | None:
        """The first checkpoint note whose tree has this leaf."""
        rows = await self._connection.fetch(
            "select note from ledger.checkpoint where size > $1 order by size limit 1", position
        )
        return rows[0][0] if rows else None


@asynccontextmanager
async def open_settlement(database: Database) -> AsyncIterator[SettlementReader]:
    """A reader on one snapshot."""
    async with database.transaction(isolation="repeatable read", readonly=True) as connection:
        await connection.execute("set local search_path = pg_catalog")
        yield SettlementReader(connection)


def _in(scope: Scope, question: str) -> str:
    return _SCOPE.format(**_PARTS[scope.by_deposit]) + question


def _columns(cut: Mapping[bytes, int] | None) -> tuple[list[bytes] | None, list[int] | None]:
    return (None, None) if cut is None else (list(cut), list(cut.values()))
