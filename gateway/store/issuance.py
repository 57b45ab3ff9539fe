"""The tables of applications: how they stand, what waits to be fetched, and what a block's statement writes of them.

Every change of state is a row that the block's own statement inserts (`riding`), so that no state exists without its
entry in the ledger and no entry without its state. Reading takes arrays: one round trip answers for all that wait.

Not here: what a transition means (gateway.issuance), reports (issuance_reports) and incidents (issuance_incidents).
Source: DESIGN sections 2, 7 and 10.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

from gateway.store.ledger import RIDER_FIRST, Riding
from gateway.store.pool import Database
from protocol.application import Transition
from protocol.limits import REPEATS_MAX

SWEEP_ROWS: Final = 1_000
"""Rows of one table that one sweep deletes at most: a sweep never holds others up for long."""

_CLAIMS: Final = f"""
select row(c.commitment, c.stream, c.height, c.idx,
  case when c.commitment is not null then
    (select max(t.turn) from ledger.claim t where t.party = q.party and t.request_id = q.request_id
     and t.turn <= {REPEATS_MAX}) end)
from unnest($1::text[], $2::bytea[]) with ordinality as q (party, request_id, o)
left join lateral (
  select c.commitment, c.stream, c.height, c.idx from ledger.claim c
  where c.party = q.party and c.request_id = q.request_id and c.turn = 0 limit 1
) c on true
order by q.o
"""  # noqa: S608  only our own constant is set in
_STATES: Final = """
select row(a.application, a.operator, a.kiosk, a.municipality, a.card_type, a.pseudonym, a.kiosk_key, a.expires_at_us,
  e.transition, e.stream, e.height, e.idx, e.at_us, e.request, e.answer, e.fee_yen,
  e.commission_yen, e.terms, e.copies, e.yen, e.commission, e.deposited_at_us, e.store_day, e.store, e.place,
  e.counterparty)
from unnest($3::bytea[]) as q (application)
cross join lateral (select * from issuance.application a where a.application = q.application limit 1) a
left join lateral (select * from issuance.event e where e.application = q.application limit 32) e on true
"""
_LOOK_UP: Final = f"""
select (select version from directory.version), array({_CLAIMS}), array({_STATES}),
  array(select row(application, sealed) from issuance.authentication where application = any($4::bytea[]))
"""  # noqa: S608  our own constants
_APPLICATION_COLUMNS: Final = 8
_PARTS: Final = """
select substring(d.sealed from q.first for q.size)
from unnest($1::bytea[], $2::int[], $3::int[]) with ordinality as q (application, first, size, o)
left join issuance.document d on d.application = q.application
order by q.o
"""
_SWEEP: Final = """
delete from issuance.{table} where application in (
  select application from issuance.{table} where expires_at_us <= $1
  union select e.application from issuance.{table} t
    join issuance.event e on e.application = t.application and e.transition = {erased}
  limit $2)
"""
SWEEPER_LOCK: Final = 0x5345_4B49_5357  # "SEKISW"
_OPENED: Final = """, ia as (
  insert into issuance.application
    (application, operator, kiosk, municipality, card_type, pseudonym, kiosk_key, nonce, expires_at_us)
  select * from unnest({0}::bytea[], {1}::text[], {2}::text[], {3}::text[], {4}::smallint[], {5}::bytea[], {6}::bytea[],
    {7}::bytea[], {8}::bigint[])
), ib as (
  insert into issuance.authentication (application, sealed, expires_at_us)
  select * from unnest({0}::bytea[], {9}::bytea[], {8}::bigint[])
)"""
_MOVED: Final = """, ic as (
  insert into issuance.event (application, transition, stream, height, idx, at_us, request, answer, fee_yen,
    commission_yen, terms, copies, yen, commission, deposited_at_us, store_day, store, place, counterparty)
  select m.application, m.transition, $1, $2, m.idx, m.at_us, m.request, m.answer, m.fee_yen, m.commission_yen, m.terms,
    m.copies, m.yen, m.commission, m.deposited_at_us, m.store_day, m.store, m.place,
    m.counterparty
  from unnest({0}::bytea[], {1}::smallint[], {2}::int[], {3}::bigint[], {4}::bytea[], {5}::bytea[], {6}::int[],
    {7}::int[], {8}::int[], {9}::int[], {10}::bigint[], {11}::bigint[], {12}::bigint[], {13}::text[], {14}::text[],
    {15}::smallint[], {16}::text[])
  as m (application, transition, idx, at_us, request, answer, fee_yen, commission_yen, terms, copies, yen, commission,
    deposited_at_us, store_day, store, place, counterparty)
)"""
_MADE: Final = """, id as (
  insert into issuance.document (application, sealed, expires_at_us)
  select * from unnest({0}::bytea[], {1}::bytea[], {2}::bigint[])
)"""
_DUE: Final = """, ie as (
  insert into issuance.due (application, transition, municipality, at_us)
  select * from unnest({0}::bytea[], {1}::smallint[], {2}::text[], {3}::bigint[])
)"""
_ERASED: Final = """, if_ as (
  delete from issuance.document where application = any({0}::bytea[])
), ig as (
  delete from issuance.authentication where application = any({0}::bytea[])
)"""


class ApplicationRow(NamedTuple):
    """An authenticated application. kiosk_key: SPKI of its kiosk's certificate; times in microseconds."""

    application: bytes
    operator: str
    kiosk: str
    municipality: str
    card_type: int
    pseudonym: bytes
    kiosk_key: bytes
    expires_at_us: int


class EventRow(NamedTuple):
    """One transition that stands. The columns are explained in migration 0009."""

    application: bytes
    transition: int
    stream: bytes
    height: int
    idx: int
    at_us: int
    request: bytes
    answer: bytes
    fee_yen: int = 0
    commission_yen: int = 0
    terms: int = 0
    copies: int = 0
    yen: int = 0
    commission: int = 0
    deposited_at_us: int = 0
    store_day: str = ""
    store: str = ""
    place: int | None = None
    counterparty: str = ""


class IdSeen(NamedTuple):
    """What the ledger knows of a request id: its first claim's commitment and place, and its highest turn."""

    commitment: bytes
    stream: bytes
    height: int
    idx: int
    turn: int


class Opening(NamedTuple):
    """A new application: its row, the nonce it used up, and the body of AUTHENTICATE, sealed."""

    row: ApplicationRow
    nonce: bytes
    sealed: bytes


class Found(NamedTuple):
    """version: of the directory. ids: in the order asked. states: of the applications that exist, with what stands of
    each. kept: AUTHENTICATE bodies that are still kept, as they are sealed, by application.
    """

    version: int | None
    ids: list[IdSeen | None]
    states: dict[bytes, tuple[ApplicationRow, list[EventRow]]]
    kept: dict[bytes, bytes]


class IssuanceStore:
    """Applications over a Database. Raises the errors of gateway.store.errors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def secret(self, name: str, create: Callable[[], Awaitable[tuple[bytes, str]]]) -> tuple[bytes, str]:
        """A shared key as it is sealed ("nonce", "pseudonym"), and the key that sealed it; made where there is none."""
        read = "select sealed, key_id from issuance.secret where name = $1"
        rows = await self._database.fetch(read, name)
        if not rows:
            sealed, key_id = await create()
            await self._database.execute(
                "insert into issuance.secret (name, sealed, key_id) values ($1, $2, $3) on conflict do nothing",
                name,
                sealed,
                key_id,
                commit=True,
            )
            rows = await self._database.fetch(read, name)
        return rows[0][0], rows[0][1]

    async def look_up(
        self, asked: Sequence[tuple[str, bytes]], *, applications: Sequence[bytes], kept_of: Sequence[bytes]
    ) -> Found:
        """All that a batch is decided by, of one moment.

        asked: (party, request id) each. applications, kept_of: whose state and whose kept body; each id once.
        """
        ((version, ids, states, kept),) = await self._database.fetch(
            _LOOK_UP,
            [each[0] for each in asked],
            [each[1] for each in asked],
            list(applications),
            list(kept_of),
        )
        found: dict[bytes, tuple[ApplicationRow, list[EventRow]]] = {}
        for row in states:
            columns = tuple(row)
            application = columns[0]
            if application not in found:
                found[application] = (ApplicationRow(*columns[:_APPLICATION_COLUMNS]), [])
            if columns[_APPLICATION_COLUMNS] is not None:
                found[application][1].append(EventRow(application, *columns[_APPLICATION_COLUMNS:]))
        return Found(
            version,
            [None if row[0] is None else IdSeen(*row) for row in ids],
            found,
            {row[0]: row[1] for row in kept},
        )

    async def parts(self, wanted: Sequence[tuple[bytes, int, int]]) -> list[bytes | None]:
        """Bytes of sealed documents: (application, first byte from 0, count) each; None where no document is kept."""
        rows = await self._database.fetch(
            _PARTS, [each[0] for each in wanted], [each[1] + 1 for each in wanted], [each[2] for each in wanted]
        )
        return [row[0] for row in rows]

    async def sweep(self, at_us: int) -> tuple[int, int]:
        """Destroy documents and authentications that have expired, SWEEP_ROWS of each at most.

        Also a document that was being recorded while its application was erased.

        Returns: how many of each; none while another worker is at it.
        """
        async with self._database.transaction() as connection:
            locked = await connection.fetch("select pg_catalog.pg_try_advisory_xact_lock($1)", SWEEPER_LOCK)
            if not locked[0][0]:
                return 0, 0
            counts = []
            for table in ("document", "authentication"):
                status = await connection.execute(
                    _SWEEP.format(table=table, erased=int(Transition.ERASED)), at_us, SWEEP_ROWS
                )
                counts.append(int(status.rpartition(" ")[2]))
            return counts[0], counts[1]


def riding(
    *,
    openings: Sequence[Opening],
    events: Sequence[EventRow],
    documents: Sequence[tuple[bytes, bytes, int]],
    due: Sequence[tuple[bytes, int, str, int]],
    erased: Sequence[bytes],
) -> Riding:
    """What goes in with a block. An event's stream and height are the block's own, whatever its row says.

    documents: (application, sealed bytes, expires_at_us); due: (application, transition, municipality, at_us); erased:
    applications whose document and authentication are destroyed with this block.
    """
    rows = [each.row for each in openings]
    parts: list[tuple[str, list[list[object]]]] = []
    if openings:
        application, operator, kiosk, municipality, card_type, pseudonym, kiosk_key, expires = _columns(rows, 8)
        nonces: list[object] = [each.nonce for each in openings]
        sealed: list[object] = [each.sealed for each in openings]
        of_rows = [application, operator, kiosk, municipality, card_type, pseudonym, kiosk_key, nonces, expires, sealed]
        parts.append((_OPENED, of_rows))
    if events:
        columns = _columns(events, len(EventRow._fields))
        parts.append((_MOVED, columns[:2] + columns[4:]))  # stream and height are the block's
    if documents:
        parts.append((_MADE, _columns(documents, 3)))
    if due:
        parts.append((_DUE, _columns(due, 4)))
    if erased:
        parts.append((_ERASED, [list(erased)]))
    return Riding(
        _numbered(tuple((sql, len(columns)) for sql, columns in parts)),
        tuple(column for _, columns in parts for column in columns),
    )


@cache
def _numbered(parts: tuple[tuple[str, int], ...]) -> str:
    """Parts of a statement, one after the other, with their parameters numbered: there are few different ones, and
    each is prepared once. What a block does not need costs it nothing.
    """
    sql = ""
    first = RIDER_FIRST
    for part, count in parts:
        sql += part.format(*(f"${number}" for number in range(first, first + count)))
        first += count
    return sql


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[column] for row in rows] for column in range(width)]
