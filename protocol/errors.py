"""Who broke the line protocol, and the code the peer is told when its line is closed.

RemoteProtocolError blames the peer: the line gets a FAULT with the code and is closed. LocalProtocolError blames the
caller of this package: a bug on our side. Neither ever carries personal data.
"""

from enum import IntEnum


class FaultCode(IntEnum):
    """Why a line is closed (u16, in FAULT). Source: docs/PROTOCOL.md, Faults."""

    FRAME_TOO_LARGE = 900
    FRAME_UNKNOWN = 901
    FRAME_UNEXPECTED = 902
    VERSION_UNKNOWN = 903
    MALFORMED = 904
    NOT_CANONICAL = 905
    SEAL_BROKEN = 906
    ALGORITHM_UNKNOWN = 907
    KEY_UNKNOWN = 908
    SIGNATURE_INVALID = 909
    SESSION_WRONG = 910
    SEQUENCE_WRONG = 911
    CREDIT_EXCEEDED = 912
    CLOCK_SKEWED = 913
    WRONG_CENTRE = 914
    LINE_UNKNOWN = 915
    CERTIFICATE_REFUSED = 916
    HANDSHAKE_TIMEOUT = 917
    SILENT = 918
    NOT_READING = 919
    SHUTTING_DOWN = 920
    PROOF_INVALID = 921
    LINE_SUSPENDED = 922
    CONNECTIONS_EXCEEDED = 923
    INTERNAL = 999


class ProtocolError(Exception):
    """Root of this package's errors on a line."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; `code` is what it is told, `detail` says more, without personal data."""

    def __init__(self, code: FaultCode, detail: str) -> None:
        super().__init__(f"{code.name}: {detail}")
        self.code = code
        self.detail = detail


class LocalProtocolError(ProtocolError):
    """Our own code used a connection against its state table."""


class FaultReceivedError(ProtocolError):
    """The peer closed the line and said why."""

    def __init__(self, code: int, detail: str) -> None:
        name = FaultCode(code).name if code in FaultCode._value2member_map_ else str(code)
        super().__init__(f"the peer closed the line: {name}: {detail}")
        self.code = code
        self.detail = detail
