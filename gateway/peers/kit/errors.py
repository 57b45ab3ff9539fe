"""What the kit refuses, with its facts; nothing a register holds stands in any of these texts, a field's label does."""

from typing import ClassVar


class KitError(Exception):
    """Root of what this package raises; the sentence is for people, the code is stable."""

    code: ClassVar[str] = "kit"


class TextRefused(KitError):  # noqa: N818 - named after the fact
    """A certificate that cannot be printed as the register has it; send the resident to the counter. Field: field."""

    code = "text-refused"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


class TextTooLong(TextRefused):
    """A text does not fit its box, or its page's code (DOMAIN 2.6)."""

    code = "text-too-long"

    def __init__(self, field: str) -> None:
        super().__init__(
            field, "the text does not fit the certificate; issue it at the counter / 文字数超過、窓口で交付"
        )


class GlyphMissing(TextRefused):
    """The font has no glyph, or not this variant of it, or the text holds a control character (外字, DOMAIN 2.3)."""

    code = "glyph-missing"

    def __init__(self, field: str) -> None:
        super().__init__(
            field, "a character has no glyph in the font; issue it at the counter / 印字できない文字、窓口で交付"
        )


class PictureInvalid(KitError):  # noqa: N818 - named after the fact
    """The registered impression is no PNG within its bounds."""

    code = "picture-invalid"

    def __init__(self, why: str) -> None:
        super().__init__(f"the registered impression cannot be printed: {why}")


class RenderingFailed(KitError):  # noqa: N818 - named after the fact
    """The typesetter failed for another reason than a text; nothing of the certificate is in this sentence."""

    code = "rendering-failed"

    def __init__(self) -> None:
        super().__init__("the certificate could not be set; this is a defect of the kit")


class PageUnreadable(KitError):  # noqa: N818 - named after the fact
    """A page shows no code that can be read. Field: page, from 1."""

    code = "page-unreadable"

    def __init__(self, page: int) -> None:
        super().__init__(f"page {page} shows no code that can be read")
        self.page = page


class FileUnreadable(KitError):  # noqa: N818 - named after the fact
    """The file is no PDF, PNG or JPEG that may be opened here; the sentence says which bound or form fails."""

    code = "file-unreadable"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
