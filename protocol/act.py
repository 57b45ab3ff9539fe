"""Acts of settlement: who did which step of which claim, as the very bytes that the ledger's entry commits to.

An act is written once and never changed; a step that may come again (a dispute, a second payment) takes the next turn.
The entry that stands in the ledger with it has operation SETTLE, the act's party as counterparty, no yen, and as both
commitments the hash of the act's bytes: an act says no personal data, so nobody needs a key to check it.

Source: DESIGN section 11; docs/PROTOCOL.md, Acts of settlement.
"""

import hashlib
from enum import IntEnum
from typing import Final

import msgspec

from protocol.keys import context

ACT_BYTES_MAX: Final = 1 << 20
_CONTEXT: Final = context("act")


class ActKind(IntEnum):
    """What was done; values are stable."""

    DISCLOSED = 1  # 取扱い実績データ was laid open to an operator
    RECONCILED = 2  # an operator's 照合結果 came over its line
    ANSWERED = 3  # the centre accepted or disputed its differences, line by line
    CONFIRMED = 4  # a period is frozen: the cut
    RELEASED = 5  # confirmed data laid ready for a municipality
    INVOICED = 6  # the centre's invoice or credit note
    CLAIMED = 7  # a proper claim was received: of a municipality, of an operator for its line
    PAID = 8  # money came, or went
    INTEREST = 9  # late interest was reckoned and asked for
    WAIVED = 10  # and let go
    INSPECTED = 11  # an inspection, whose days do not count (000契17-2)
    ACCELERATED = 12  # 期限の利益喪失
    FINAL_ACCOUNT = 13  # at termination
    HANDED_OVER = 14


class Act(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """One act.

    contract, claim: ids as the terms have them, "" where an act is about all; period as
    gateway.settlement.periods writes it; party: whom it is about, "" for all. day: the day in Japan on which it
    happened, YYYY-MM-DD (of a payment, when the money came). by: who did it; second: the other person of a forced act,
    and ground why it was forced. yen: signed. facts: what the kind says beside, canonical MessagePack.
    """

    version: int = 1
    kind: int
    contract: str
    claim: str
    period: str
    party: str
    turn: int = 0
    day: str
    by: str
    second: str = ""
    ground: str = ""
    yen: int = 0
    at_us: int
    facts: bytes = b""

    @property
    def key(self) -> tuple[str, str, str, str, int, int]:
        """What no two acts share: contract, claim, period, party, kind, turn."""
        return self.contract, self.claim, self.period, self.party, self.kind, self.turn


class ActError(ValueError):
    """Bytes that are no act."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Act).decode


def encode_act(act: Act) -> bytes:
    """The canonical bytes."""
    return _encode(act)


def decode_act(data: bytes) -> Act:
    """Read an act. Raises: ActError."""
    try:
        act = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ActError("it cannot be read") from error
    if _encode(act) != data:
        raise ActError("it is not in the one form of what it says")
    return act


def act_commitment(content: bytes) -> bytes:
    """What the entry of an act commits to, twice: SHA-256 over context("act") and the bytes."""
    return hashlib.sha256(_CONTEXT + content).digest()
