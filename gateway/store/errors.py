"""What storing can end in, as types.

Blame is explicit: `StoreUnavailable` and `CommitUnknown` are the dependency's, `UniqueViolated` and `StoreRefused`
are the statement's, the migration errors are the deployment's, the embedded ones the machine's. asyncpg's own errors
do not leave this package, except its `InterfaceError` for a defect of the caller.
"""

# ruff: noqa: N818 (the names say what happened; callers read them as outcomes)

from typing import ClassVar


class StoreError(Exception):
    """Root of everything this package raises on purpose.

    Fields: code, stable; retryable, whether the same call may succeed later.
    """

    code: ClassVar[str] = "store"
    retryable: ClassVar[bool] = False


class StoreUnavailable(StoreError):
    """Nothing was changed and nothing can be said: no server, no connection, a time limit, or a transient refusal.

    Fields: reason, for operators; never values of a statement.
    """

    code = "store_unavailable"
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"the database is not available: {reason}")
        self.reason = reason


class CommitUnknown(StoreError):
    """The connection was lost after a committing statement was sent: it may stand or not. Never retry blindly.

    Fields: reason.
    """

    code = "commit_unknown"

    def __init__(self, reason: str) -> None:
        super().__init__(f"whether the database committed is unknown: {reason}")
        self.reason = reason


class StoreRefused(StoreError):
    """The server refused the statement for cause; its transaction is undone.

    Fields: sqlstate (five characters), constraint (name or ""), reason (the server's sentence, without its DETAIL,
    which would quote values).
    """

    code = "store_refused"

    def __init__(self, *, sqlstate: str, reason: str, constraint: str = "") -> None:
        super().__init__(f"the database refused ({sqlstate}): {reason}")
        self.sqlstate = sqlstate
        self.reason = reason
        self.constraint = constraint


class UniqueViolated(StoreRefused):
    """A row with this key stands already. Fields: constraint, the name of the unique index."""

    code = "unique_violated"

    def __init__(self, constraint: str) -> None:
        super().__init__(sqlstate="23505", reason=f"unique constraint {constraint}", constraint=constraint)


class MigrationError(StoreError):
    """The schema cannot be brought to this version. Fields: name, the file concerned."""

    code = "migration"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"migration {name}: {reason}")
        self.name = name
        self.reason = reason


class MigrationChanged(MigrationError):
    """A file that was applied reads differently now."""

    code = "migration_changed"

    def __init__(self, name: str) -> None:
        super().__init__(name, "the file differs from what was applied; restore it and put the change into a new file")


class MigrationMissing(MigrationError):
    """The database knows a migration that this program lacks: a newer version has run here."""

    code = "migration_missing"

    def __init__(self, name: str) -> None:
        super().__init__(name, "applied to the database but not part of this program; run the version that has it")


class EmbeddedError(StoreError):
    """The embedded server cannot do what was asked. Fields: reason, which names the remedy where there is one."""

    code = "embedded"

    def __init__(self, reason: str) -> None:
        super().__init__(f"embedded PostgreSQL: {reason}")
        self.reason = reason


class ClusterBusy(EmbeddedError):
    """Another server runs on the directory. Fields: pid, its process id."""

    code = "cluster_busy"

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} already serves this directory; stop it or choose another --data directory")
        self.pid = pid


class DsnInvalid(StoreError):
    """Not a connection URI."""

    code = "dsn_invalid"

    def __init__(self) -> None:
        super().__init__("the DSN is not understood; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
