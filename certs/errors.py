"""What can go wrong with the line's certificates: one root, a stable code on each leaf, the facts as fields.

Whose fault it is stands in each docstring. `CertificateRefused` is about the peer of one connection and never harms
another line; the rest are about our own files or our own caller.
"""

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path


class CertsError(Exception):
    """Root of the package's errors."""

    code: ClassVar[str] = "certs"


class LineNameError(CertsError):
    """A text that does not name a line. The fault of whoever wrote it.

    Fields: text (what was read, cut to 120 characters), problem.
    """

    code = "line-name-invalid"

    def __init__(self, text: str, problem: str) -> None:
        self.text = text[:120]
        self.problem = problem
        super().__init__(f"{self.text!r} does not name a line: {problem}")


class Refusal(Enum):
    """Why a peer's certificate was refused; the values are stable and fit a metric's label."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    UNTRUSTED = "untrusted"
    REVOKED = "revoked"
    REVOCATION_STALE = "revocation-stale"
    REVOCATION_MISSING = "revocation-missing"
    WRONG_ROLE = "wrong-role"
    WRONG_NAME = "wrong-name"
    NO_LINE_NAME = "no-line-name"
    MALFORMED = "malformed"


class CertificateRefused(CertsError):  # noqa: N818 - a verdict on the peer, and the word used for it
    """A certificate that does not let its holder onto the line.

    The peer's fault, but for REVOCATION_STALE and REVOCATION_MISSING, which are ours: then nobody can be let in.
    Fields: reason, detail (for the security log; holds nothing personal).
    """

    code = "certificate-refused"

    def __init__(self, reason: Refusal, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason.value}: {detail}")


class ProtocolNotAgreedError(CertsError):
    """A connection on which the line protocol was not agreed by ALPN. The peer's fault.

    Fields: selected (what was agreed; None for nothing).
    """

    code = "protocol-not-agreed"

    def __init__(self, selected: str | None, expected: str) -> None:
        self.selected = selected
        super().__init__(f"the peer speaks {selected or 'no named protocol'}, not {expected}")


class AnchorsError(CertsError):
    """Trust anchors that cannot be used: not certificates, not CA certificates, or without a root. Ours."""

    code = "anchors-invalid"


class RevocationListError(CertsError):
    """A revocation list that cannot be used: malformed, partial, undated, or not signed by a known CA. Ours."""

    code = "revocation-list-invalid"


class MaterialProblem(Enum):
    """What is wrong with a file of TLS material."""

    UNREADABLE = "unreadable"
    EXPOSED = "exposed"
    MALFORMED = "malformed"
    MISMATCH = "mismatch"
    UNUSABLE = "unusable"
    OLDER = "older"


class MaterialError(CertsError):
    """A file that a line needs cannot be used; what was in force before stays in force. Ours.

    Fields: path (the file), problem, detail.
    """

    code = "material"

    def __init__(self, path: "Path", problem: MaterialProblem, detail: str) -> None:
        self.path = path
        self.problem = problem
        self.detail = detail
        super().__init__(f"{path}: {detail}")


class AuthorityProblem(Enum):
    """What the development authority cannot do."""

    EXISTS = "exists"
    ABSENT = "absent"
    DAMAGED = "damaged"
    REFUSED = "refused"
    SERIAL_UNKNOWN = "serial-unknown"
    ALREADY_REVOKED = "already-revoked"


class AuthorityError(CertsError):
    """The development authority refuses or cannot do what was asked. Its caller's fault, or its files are damaged.

    Fields: problem, detail.
    """

    code = "authority"

    def __init__(self, problem: AuthorityProblem, detail: str) -> None:
        self.problem = problem
        self.detail = detail
        super().__init__(detail)


class SessionReason(Enum):
    """What of a sitting at a kiosk did not hold; the values are stable and fit a metric's label."""

    KIOSK_CERTIFICATE = "kiosk-certificate"
    KIOSK_SIGNATURE = "kiosk-signature"
    CARD_CERTIFICATE = "card-certificate"
    CARD_EXPIRED = "card-expired"
    CARD_SIGNATURE = "card-signature"
    SESSION_SIGNATURE = "session-signature"


class SessionRefused(CertsError):  # noqa: N818 - a verdict on kiosk or card, and the word used for it
    """A certificate or signature of kiosk, card or session that does not hold. The fault of whoever sent it.

    Fields: reason, detail (for the security log; holds nothing personal).
    """

    code = "session-refused"

    def __init__(self, reason: SessionReason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason.value}: {detail}")


class CardRevoked(CertsError):  # noqa: N818 - named after the fact
    """The card's certificate is taken back, by what its issuer signed. The card is of no more use."""

    code = "card-revoked"

    def __init__(self) -> None:
        super().__init__("the certificate on the card is revoked")


class CardUnverifiable(CertsError):  # noqa: N818 - named after the fact
    """Nothing fresh and signed says that the card's certificate is good, so it does not count as good. Try later.

    Fields: detail (what was wrong with the responder and with the list; holds nothing personal).
    """

    code = "card-unverifiable"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"the card's certificate cannot be checked now: {detail}")
