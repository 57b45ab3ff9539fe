"""What the test card authority and its cards can answer with."""

from typing import ClassVar

# ruff: noqa: N818 - named after the fact, as callers read them


class JpkiError(Exception):
    """Root of the package's errors."""

    code: ClassVar[str] = "jpki"


class JpkiRefused(JpkiError):
    """The authority refuses what was asked, or has no such thing; the sentence says what would mend it."""

    code = "jpki-refused"


class JpkiAbsent(JpkiError):
    """The directory holds no test card authority, or its files are damaged."""

    code = "jpki-absent"


class CardError(JpkiError):
    """Root of what a card can answer with."""

    code = "card"


class Unreadable(CardError):
    """The card is damaged or dirty, or this is no card (000仕8-2(2))."""

    code = "card-unreadable"

    def __init__(self) -> None:
        super().__init__("the card cannot be read / カードを読み取れません")


class PinWrong(CardError):
    """A wrong PIN. Fields: tries_left (1 or 2)."""

    code = "pin-wrong"

    def __init__(self, tries_left: int) -> None:
        self.tries_left = tries_left
        super().__init__(f"the PIN is wrong; {tries_left} tries left / 暗証番号が違います。残り{tries_left}回")


class PinLocked(CardError):
    """The PIN was wrong three times in a row: the municipal office has to set a new one."""

    code = "pin-locked"

    def __init__(self) -> None:
        super().__init__("the PIN is locked / 暗証番号がロックされています。市区町村の窓口へ")
