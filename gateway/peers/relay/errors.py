"""What the relay raises: one root, stable codes, sentences that name the remedy and nobody's data."""


class RelayError(Exception):
    """Root of what this package raises; the sentence is for people."""

    code = "relay"


class SetupIncomplete(RelayError):  # noqa: N818 - named after the fact
    """The relay's directory or one of its files cannot be used."""

    code = "setup-incomplete"


class StoreFailed(RelayError):  # noqa: N818 - named after the fact
    """What was to be kept is not on the disk; nothing of it was said to anyone."""

    code = "store-failed"


class NotResolvable(RelayError):  # noqa: N818 - named after the fact
    """An item of the worklist cannot be resolved in this way; `field` is at fault, "" for the item itself."""

    code = "not-resolvable"

    def __init__(self, field: str, ja: str, en: str) -> None:
        super().__init__(f"{ja} / {en}")
        self.field = field
        self.ja = ja
        self.en = en
