"""What the issuing server raises. Nothing about a resident stands in any of these texts."""

from enum import StrEnum
from typing import ClassVar


class MunicipalityError(Exception):
    """Root of what this package raises; the sentence is for people, the code is stable."""

    code: ClassVar[str] = "municipality"


class SetupIncomplete(MunicipalityError):  # noqa: N818 - named after the fact
    """The server's directory cannot be used; the sentence names the remedy."""

    code = "setup-incomplete"


class ResidentUnknown(MunicipalityError):  # noqa: N818 - named after the fact
    """No resident has this number. Field: number."""

    code = "resident-unknown"

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no resident {number}; `sekisho municipality residents` lists them")
        self.number = number


class ChangeRefused(MunicipalityError):  # noqa: N818 - named after the fact
    """A change that does not apply to this resident as the record stands; the sentence says why."""

    code = "change-refused"


class ClaimImpossible(MunicipalityError):  # noqa: N818 - named after the fact
    """No claim can be made for a period; the sentence says why."""

    code = "claim-impossible"


class Incident(StrEnum):
    """What must not happen and did, or was tried: it stays open until a person closes it."""

    APPLICATION_REUSED = "application-reused"  # another statement or session under a known application
    NONCE_REUSED = "nonce-reused"  # one authentication for two applications
    MISROUTED = "misrouted"  # a statement for another municipality
    SIGNATURE_REFUSED = "signature-refused"
    CHANGED_WHILE_MADE = "changed-while-made"  # a record or a status changed between reading and release
    DOCUMENT_NOT_MADE = "document-not-made"  # the kit failed, not the text
    REPORT_DIFFERS = "report-differs"  # a known number with another content
    REPORT_GAP = "report-gap"
    REPORT_UNMATCHED = "report-unmatched"  # of an application or copies that were not issued here
    PAPER_SPOILT = "paper-spoilt"  # confirmed data whose digest, size or signature does not hold
    STATEMENT_DIFFERS = "statement-differs"  # confirmed data that are not what the reports come to
