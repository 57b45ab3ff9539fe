"""What the ledger's own work can end in, beside the errors of the store."""

from typing import ClassVar


class LedgerError(Exception):
    """Root of this package's errors. `code` is stable."""

    code: ClassVar[str] = "ledger"


class LedgerContradicted(LedgerError):  # noqa: N818 - named after the fact
    """What is stored is not what was signed; an operator must look. Fields: where, what."""

    code = "ledger_contradicted"

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}; run `sekisho ledger verify`")
        self.where = where
        self.what = what
