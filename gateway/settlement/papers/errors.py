"""What papers refuse."""

from typing import ClassVar

from gateway.settlement.errors import SettlementError


class PaperContradicted(SettlementError):  # noqa: N818  named after the fact
    """A document whose lines come to another sum than it says. Fields: number, says, comes_to."""

    code: ClassVar[str] = "paper-contradicted"

    def __init__(self, number: str, *, says: int, comes_to: int) -> None:
        super().__init__(
            f"{number} says {says} yen and its lines come to {comes_to} / 明細の合計が一致しません; the contract's "
            "prices do not fit those of the ledger: correct the terms"
        )
        self.number = number
        self.says = says
        self.comes_to = comes_to
