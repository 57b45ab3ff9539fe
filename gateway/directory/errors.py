"""What can go wrong with the directory. Refusals of requests are values (gateway.directory.policy), not errors."""

from typing import ClassVar


class DirectoryError(Exception):
    """Root of the directory's errors; `code` is stable."""

    code: ClassVar[str] = "directory"


class DirectoryInvalid(DirectoryError):  # noqa: N818 - named after the fact
    """A document or file that cannot be a directory: where it is wrong, and what would mend it."""

    code = "directory-invalid"

    def __init__(self, *, table: str, field: str, why: str, remedy: str, file: str = "") -> None:
        where = f"{file}: " if file else ""
        super().__init__(f"{where}{table}: {field}: {why}; {remedy}")
        self.file = file
        self.table = table
        self.field = field
        self.why = why
        self.remedy = remedy


class ChangeRefused(DirectoryError):  # noqa: N818 - named after the fact
    """A change that may not be made as asked."""

    code = "change-refused"

    def __init__(self, *, field: str, why: str, remedy: str) -> None:
        super().__init__(f"{field}: {why}; {remedy}")
        self.field = field
        self.why = why
        self.remedy = remedy


class DirectoryEmpty(DirectoryError):  # noqa: N818 - named after the fact
    """The database holds no revision yet."""

    code = "directory-empty"

    def __init__(self) -> None:
        super().__init__("the directory holds no revision yet; apply one with `sekisho directory apply FILE`")


class DirectoryStale(DirectoryError):  # noqa: N818 - named after the fact
    """The version a look-up saw could not be confirmed in time; what depends on it is refused (DESIGN 8)."""

    code = "directory-stale"

    def __init__(self, *, held: int, seen: int) -> None:
        super().__init__(f"the directory is held at version {held} and version {seen} could not be read in time")
        self.held = held
        self.seen = seen
