"""Connections to PostgreSQL for Trio tasks.

Theory. asyncpg runs on the host loop; every call here goes over `gateway.host.on_host`. A `Database` is a fixed
number of `PinnedConnection`s lent out one call at a time, last used first. Each connects on first use and again after
it was lost, so a pool heals by itself when the server is back. asyncpg's own pool is not used: it resets the session
with a round trip after every use, and no call here leaves session state behind.

Two questions decide what an error means: was a committing statement sent, and did the server itself say that it failed?
No connection, or one lost before anything could commit: StoreUnavailable. Lost after a committing statement was sent:
CommitUnknown. An answer of severity ERROR is definite; FATAL and PANIC end the session and say nothing about the
commit.

Invariants kept here: a committing statement is never cancelled (a cancel request would also end the wait for a
synchronous standby, and PostgreSQL then reports success); it is bounded all the same, by cutting the connection,
which is CommitUnknown. While the server is away, connecting is tried at most once a back-off over the whole Database;
in between, calls fail at once.

Not here: SQL (one module a table group beside this one), schema (gateway.store.migrate).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, NoReturn, TypeAlias, TypeVar

import asyncpg
import msgspec
import trio

from gateway.host import HostCancelled, on_host, on_host_at_once
from gateway.store.errors import CommitUnknown, StoreRefused, StoreUnavailable, UniqueViolated

T = TypeVar("T")
Row: TypeAlias = Any
"""An asyncpg.Record: columns by name or position."""
Isolation = Literal["read committed", "repeatable read", "serializable"]

SIZE_DEFAULT: Final = 4
SIZE_MAX: Final = 32
CONNECT_S_MAX: Final = 5.0
ACQUIRE_S_MAX: Final = 5.0
STATEMENT_MS_MAX: Final = 30_000
COMMIT_S_MAX: Final = 30.0
READ_GRACE_S: Final = 1.0
"""How much longer than the server may take a statement is waited for, before its connection is cut."""
READ_S_UNBOUNDED: Final = 86_400.0
CLOSE_S_MAX: Final = 5.0
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_S_MAX: Final = 1.0
STATEMENT_CACHE_DEFAULT: Final = 200

_FAILURES: Final = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    HostCancelled,
)
_TRANSIENT_CLASSES: Final = frozenset({"08", "53", "57", "58"})
"""SQLSTATE classes: connection, resources (disk, memory), operator intervention and time limits, the system's."""
_TRANSIENT_STATES: Final = frozenset({"40001", "40P01", "55P03", "25006"})
"""Serialization failure, deadlock, lock not available, and a server that has become a standby."""
_QUOTABLE_CLASSES: Final = frozenset({"23", "42", "25", "40", "57"})
"""Classes whose messages name objects, never values; what others say stays out of our errors."""


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    dsn: str
    connect_s: float
    acquire_s: float
    commit_s: float
    read_s: float
    statement_cache: int
    target: str  # asyncpg's target_session_attrs
    parameters: dict[str, str]


class _Connector:
    """Makes connections for one Database, and keeps them from storming a server that is away."""

    def __init__(self, settings: _Settings) -> None:
        self.settings = settings
        self.loop: asyncio.AbstractEventLoop  # of the host, where its connections live
        self._backoff_s = 0.0
        self._not_before = 0.0
        self._reason = ""

    async def connect(self) -> Any:
        """Raises: StoreUnavailable, at once while the back-off of an earlier failure lasts."""
        if trio.current_time() < self._not_before:
            raise StoreUnavailable(self._reason)
        settings = self.settings
        self.loop = asyncio.get_running_loop()
        try:
            connection = await on_host(
                asyncpg.connect,
                settings.dsn,
                timeout=settings.connect_s,
                statement_cache_size=settings.statement_cache,
                max_cached_statement_lifetime=0,  # for ever: the statements are few and fixed
                server_settings=settings.parameters,
                target_session_attrs=settings.target,
            )
        except _FAILURES as error:
            self._backoff_s = min(max(self._backoff_s * 2, BACKOFF_FIRST_S), BACKOFF_S_MAX)
            self._not_before = trio.current_time() + self._backoff_s
            self._reason = f"cannot connect ({type(error).__name__}: {error})"
            raise StoreUnavailable(self._reason) from error
        self._backoff_s = self._not_before = 0.0
        return connection


class PinnedConnection:
    """One connection that makes itself anew when lost. For one task at a time; statements stay prepared on it.

    Errors of every method: StoreUnavailable, UniqueViolated, StoreRefused; CommitUnknown where `commit` is said;
    asyncpg.InterfaceError for a defect of the caller: a wrong number of arguments, two tasks on one connection.
    Cancellation: a running statement is cancelled on the server too and the connection remains good; a committing one
    finishes first, within the Database's commit bound, and its result is returned.
    """

    def __init__(self, connector: _Connector) -> None:
        self._connector = connector
        self._connection: Any = None
        self._in_transaction = False
        self._cancelled = False
        self._cut_at = 0.0
        self._fuse: asyncio.TimerHandle | None = None

    async def fetch(self, sql: str, *args: object, commit: bool = False) -> list[Row]:
        """Run one statement; all rows it returns. commit: it changes what must be neither lost nor doubled."""
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await self._connect()
        call = self._committing if commit else self._reading
        rows: list[Row] = await call(connection, connection.fetch, sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: object, commit: bool = False) -> Row | None:
        """Run one statement; its first row, or None."""
        rows = await self.fetch(sql, *args, commit=commit)
        return rows[0] if rows else None

    async def execute(self, sql: str, *args: object, commit: bool = False) -> str:
        """Run one statement (without arguments: several, parted by semicolons). Returns: its status, as `UPDATE 3`."""
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await self._connect()
        call = self._committing if commit else self._reading
        status: str = await call(connection, connection.execute, sql, *args)
        return status

    async def execute_commit(self, sql: str, *args: object) -> str:
        """`execute` with commit: the statement after which a block stands."""
        return await self.execute(sql, *args, commit=True)

    async def copy_records(
        self, table: str, *, columns: Sequence[str], records: Iterable[Sequence[object]], schema: str | None = None
    ) -> int:
        """Append rows by COPY, all or none; outside a transaction it commits. Returns: how many rows."""
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await self._connect()

        def copy() -> Coroutine[Any, Any, str]:
            copying: Coroutine[Any, Any, str] = connection.copy_records_to_table(
                table, schema_name=schema, columns=list(columns), records=records
            )
            return copying

        if self._in_transaction:
            try:
                status = await self._call(copy)
            except _FAILURES as error:
                _raise_typed(connection, error, commit=False)
        else:
            status = await self._committing(connection, copy)
        return int(status.rpartition(" ")[2])

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = "read committed", readonly: bool = False
    ) -> AsyncIterator["PinnedConnection"]:
        """BEGIN; at the end COMMIT, or ROLLBACK after an exception or cancellation. Yields this very connection.

        Raises, at the end: CommitUnknown if the connection died in COMMIT; StoreRefused (25P02) if a statement inside
        had failed and its error was swallowed, so that COMMIT undid everything. A connection lost in between is
        StoreUnavailable, and nothing was done.
        """
        if self._in_transaction:
            raise RuntimeError("transactions do not nest")
        try:
            await self.execute(f"BEGIN ISOLATION LEVEL {isolation}{' READ ONLY' if readonly else ''}")
            self._in_transaction = True  # from here on a lost connection is an error, not a reason to connect again
            yield self
            status = await self.execute("COMMIT", commit=True)
        except BaseException:
            await self._roll_back()
            raise
        finally:
            self._in_transaction = False
        if status != "COMMIT":
            raise StoreRefused(sqlstate="25P02", reason="a statement had failed, so the transaction was undone")

    async def aclose(self) -> None:
        """Close, waiting at most CLOSE_S_MAX, also when cancelled. The next use would connect again."""
        connection, self._connection = self._connection, None
        if self._fuse is not None:
            self._fuse.cancel()
            self._fuse = None
        if connection is None or connection.is_closed():
            return
        with trio.CancelScope(shield=True):
            try:
                await on_host(connection.close, timeout=CLOSE_S_MAX)
            except _FAILURES:
                connection.terminate()

    def drop_if_dirty(self) -> None:
        """Cut the connection if a caller left a transaction open on it by a bare BEGIN."""
        connection = self._connection
        if connection is not None and not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()

    async def _connect(self) -> Any:
        if self._in_transaction:
            raise StoreUnavailable("the connection was lost inside a transaction")
        self._connection = await self._connector.connect()
        return self._connection

    async def _reading(self, connection: Any, fn: Callable[..., Coroutine[Any, Any, Any]], *args: object) -> Any:
        # The server bounds a statement; this bounds a network that swallows its answer.
        self._cut_after(self._connector.settings.read_s)
        try:
            return await self._call(fn, *args)
        except _FAILURES as error:
            _raise_typed(connection, error, commit=False)
        finally:
            self._cut_at = 0.0

    async def _committing(self, connection: Any, fn: Callable[..., Coroutine[Any, Any, Any]], *args: object) -> Any:
        self._cut_after(self._connector.settings.commit_s)
        try:
            return await self._call(fn, *args, cancellable=False)
        except _FAILURES as error:
            _raise_typed(connection, error, commit=True)
        finally:
            self._cut_at = 0.0

    async def _call(self, fn: Callable[..., Coroutine[Any, Any, T]], *args: object, cancellable: bool = True) -> T:
        """On the host, at once; as a task after a cancelled statement, whose end asyncpg awaits with a timeout."""
        if self._cancelled:
            with trio.CancelScope(shield=not cancellable):
                result = await on_host(fn, *args)
            self._cancelled = False
            return result
        try:
            return await on_host_at_once(fn, *args, cancellable=cancellable)
        except trio.Cancelled:
            self._cancelled = True
            raise

    def _cut_after(self, seconds: float) -> None:
        """Cut the connection if the statement that begins now takes longer.

        `terminate` sends no cancel request, it drops the connection. One host timer serves many statements: it is laid
        when there is none, or none so early, and looks when it goes off whether anything is still due.
        """
        loop = self._connector.loop
        self._cut_at = at = loop.time() + seconds
        if self._fuse is None or at < self._fuse.when():
            if self._fuse is not None:
                self._fuse.cancel()
            self._fuse = loop.call_at(at, self._burnt, loop)

    def _burnt(self, loop: asyncio.AbstractEventLoop) -> None:
        self._fuse = None
        if not self._cut_at:
            return
        if loop.time() < self._cut_at:
            self._fuse = loop.call_at(self._cut_at, self._burnt, loop)
        elif self._connection is not None:
            self._connection.terminate()

    async def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed() or not connection.is_in_transaction():
            return
        with trio.CancelScope(shield=True):
            try:
                await on_host(connection.execute, "ROLLBACK", timeout=CLOSE_S_MAX)
            except _FAILURES:
                connection.terminate()  # the server rolls back for a client that is gone


def _raise_typed(connection: Any, error: Exception, *, commit: bool) -> NoReturn:
    """Raise what `error` means in this package's terms; the module's docstring has the theory.

    What the server says about a statement may quote its values (DESIGN 3, 4), so it is not kept as the cause.
    """
    if isinstance(error, asyncpg.DataError) and error.severity_en is None:  # asyncpg's own, before anything was sent
        raise StoreRefused(sqlstate="22000", reason="an argument does not fit its parameter") from None
    if isinstance(error, asyncpg.PostgresError) and error.severity_en == "ERROR":
        if isinstance(error, asyncpg.UniqueViolationError):
            raise UniqueViolated(error.constraint_name or "") from None
        state = error.sqlstate or "XX000"
        reason = f"{type(error).__name__}: {error.message}" if state[:2] in _QUOTABLE_CLASSES else type(error).__name__
        if state in _TRANSIENT_STATES or state[:2] in _TRANSIENT_CLASSES:
            raise StoreUnavailable(f"{state} {reason}") from None
        raise StoreRefused(sqlstate=state, reason=reason, constraint=error.constraint_name or "") from None
    if isinstance(error, asyncpg.InterfaceError) and not connection.is_closed():
        raise error  # a wrong number of arguments, or two tasks on one connection: a defect here, nothing was sent
    connection.terminate()
    reason = f"the connection failed ({type(error).__name__})"
    if commit:
        raise CommitUnknown(reason) from error
    raise StoreUnavailable(reason) from error


class Database:
    """A bounded set of connections to one database, for any number of tasks. Made by `open_database`.

    The methods are those of PinnedConnection, each on a connection lent for the call; beside their errors
    StoreUnavailable, if none comes free within the acquire bound.
    """

    def __init__(self, connector: _Connector, *, size: int) -> None:
        self._connector = connector
        self._size = size
        self._gate = trio.Semaphore(size)
        self._idle = [PinnedConnection(connector) for _ in range(size)]

    async def fetch(self, sql: str, *args: object, commit: bool = False) -> list[Row]:
        """PinnedConnection.fetch on any connection."""
        async with self._lent() as connection:
            return await connection.fetch(sql, *args, commit=commit)

    async def fetchrow(self, sql: str, *args: object, commit: bool = False) -> Row | None:
        """PinnedConnection.fetchrow on any connection."""
        async with self._lent() as connection:
            return await connection.fetchrow(sql, *args, commit=commit)

    async def execute(self, sql: str, *args: object, commit: bool = False) -> str:
        """PinnedConnection.execute on any connection."""
        async with self._lent() as connection:
            return await connection.execute(sql, *args, commit=commit)

    async def copy_records(
        self, table: str, *, columns: Sequence[str], records: Iterable[Sequence[object]], schema: str | None = None
    ) -> int:
        """PinnedConnection.copy_records on any connection."""
        async with self._lent() as connection:
            return await connection.copy_records(table, columns=columns, records=records, schema=schema)

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = "read committed", readonly: bool = False
    ) -> AsyncIterator[PinnedConnection]:
        """PinnedConnection.transaction on a connection lent for as long as it lasts."""
        async with (
            self._lent() as connection,
            connection.transaction(isolation=isolation, readonly=readonly) as transaction,
        ):
            yield transaction

    @asynccontextmanager
    async def pinned(self) -> AsyncIterator[PinnedConnection]:
        """A further connection for one task alone, outside the set; the cheapest way for a stage that always runs."""
        connection = PinnedConnection(self._connector)
        try:
            yield connection
        finally:
            await connection.aclose()

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[PinnedConnection]:
        try:
            self._gate.acquire_nowait()
        except trio.WouldBlock:
            with trio.move_on_after(self._connector.settings.acquire_s) as patience:
                await self._gate.acquire()
            if patience.cancelled_caught:
                raise StoreUnavailable(f"all {self._size} connections are in use") from None
        connection = self._idle.pop()
        try:
            yield connection
        finally:
            connection.drop_if_dirty()
            self._idle.append(connection)
            self._gate.release()

    async def aclose(self) -> None:
        """Close every connection that is not lent."""
        for connection in self._idle:
            await connection.aclose()


@asynccontextmanager
async def open_database(
    dsn: str,
    *,
    size: int = SIZE_DEFAULT,
    role: str,
    read_write: bool = True,
    statement_cache: int = STATEMENT_CACHE_DEFAULT,
    statement_ms: int = STATEMENT_MS_MAX,
    connect_s: float = CONNECT_S_MAX,
    acquire_s: float = ACQUIRE_S_MAX,
    commit_s: float = COMMIT_S_MAX,
    session: Mapping[str, str] | None = None,
) -> AsyncIterator[Database]:
    """A Database on `dsn` (several hosts may be named), closed at the end. Needs `gateway.host.run_guest`.

    Nothing is connected yet: a server that is away shows in the first call, and only there.
    size: connections, 1 to SIZE_MAX. role: what this process is, for the server's list of sessions.
    read_write: of several hosts take the one that can write. statement_cache: statements kept prepared a connection.
    statement_ms: the server ends a statement, or the wait for a lock, that takes longer (StoreUnavailable).
    connect_s, acquire_s: bounds for making a connection and for waiting until one is free (StoreUnavailable).
    session: further settings of each session, as of SET.
    commit_s: when a committing statement has not been answered for so long, its connection is cut (CommitUnknown).
    """
    if not 1 <= size <= SIZE_MAX:
        raise ValueError(f"size must be 1 to {SIZE_MAX}, not {size}")
    settings = _Settings(
        dsn=dsn,
        connect_s=connect_s,
        acquire_s=acquire_s,
        commit_s=commit_s,
        read_s=statement_ms / 1000 + READ_GRACE_S if statement_ms else READ_S_UNBOUNDED,
        statement_cache=statement_cache,
        target="read-write" if read_write else "any",
        parameters={
            "application_name": f"sekisho {role}",
            "statement_timeout": str(statement_ms),
            "lock_timeout": str(statement_ms),
            "idle_in_transaction_session_timeout": str(statement_ms * 2),
            "timezone": "UTC",
            "jit": "off",
            **(session or {}),
        },
    )
    database = Database(_Connector(settings), size=size)
    try:
        yield database
    finally:
        await database.aclose()
