"""What papers refuse."""

from typing import ClassVar

from gateway.settlement.errors import SettlementError
from protocol.act import Act, ActKind


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


class ActMisfits(SettlementError):  # noqa: N818  named after the fact
    """An act of which this document cannot be made. Fields: act, paper."""

    code: ClassVar[str] = "act-misfits"

    def __init__(self, act: Act, paper: str) -> None:
        super().__init__(
            f"{ActKind(act.kind).name} of {act.party}, {act.period} is nothing for {paper}"
            " / この書面の対象となる処理ではありません; give the act and the document of one claim"
        )
        self.act = act
        self.paper = paper


class GlyphLacking(SettlementError):  # noqa: N818  named after the fact
    """A character that the font of papers lacks would print as a box. Field: character."""

    code: ClassVar[str] = "paper-glyph"

    def __init__(self, character: str) -> None:
        super().__init__(
            f"the font of papers has no character U+{ord(character):04X} / 印字できない文字があります; write the name "
            "of the party or matter without it"
        )
        self.character = character


class NotSet(SettlementError):  # noqa: N818  named after the fact
    """The typesetter failed; nothing of the document is in this sentence."""

    code: ClassVar[str] = "paper-not-set"

    def __init__(self) -> None:
        super().__init__("the document could not be set / 書面を作成できませんでした; this is a defect of the template")
