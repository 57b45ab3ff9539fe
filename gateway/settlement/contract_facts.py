"""What the acts beyond a month say beside their kind: one typed value a kind, canonical MessagePack. Pure.

A value of facts is read back only as what it was written as: another form of it, or more of it, is refused.
Source: docs/PROTOCOL.md, Acts of settlement.
"""

from collections.abc import Iterable
from datetime import date
from typing import TypeVar

import msgspec

from gateway.settlement.errors import ActStands
from gateway.settlement.facts import FactsContradicted
from gateway.settlement.interest import LateInterest
from protocol.act import Act

T = TypeVar("T", bound=msgspec.Struct)
_encode = msgspec.msgpack.Encoder().encode


class Received(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """Of CLAIMED: the claim's own number and date, what our own bill comes to, and whether it is a proper one.

    proper: its sum is ours and its date is the contract's (適正な請求); only a proper claim starts a due date.
    document: SHA-256 of the claim's file, b"" where none was handed in.
    """

    number: str
    dated: date
    ours_yen: int
    proper: bool
    document: bytes = b""


class Reckoned(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """Of INTEREST, and of WAIVED, where it has the waiver: how it was reckoned.

    payment: the turn of the payment that came late.
    """

    payment: int
    late: LateInterest


class Inspected(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """Of INSPECTED: its days, both inclusive, the day and reference of the written notice, and the place (000契12)."""

    first: date
    last: date
    notice: date
    reference: str
    place: str


class Accelerated(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """Of ACCELERATED: whose debts fell due at once (a role), by which clause, and the reference of the finding."""

    debtor: str
    clause: str
    reference: str


class Accounted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """Of FINAL_ACCOUNT: SHA-256 of the account's canonical bytes, what is open towards the centre, and from it."""

    digest: bytes
    to_centre_yen: int
    from_centre_yen: int


class HandedOver(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """Of HANDED_OVER: SHA-256 of the package's list of files, its signature, and how many files it names.

    The signature stands here, since signing again gives another one, and a package made again is the same to the byte.
    """

    digest: bytes
    key_id: str
    signature: bytes
    files: int


def facts_bytes(facts: msgspec.Struct) -> bytes:
    """The canonical bytes."""
    return _encode(facts)


def facts_of(act: Act, shape: type[T]) -> T:
    """What an act says. Raises: FactsContradicted."""
    try:
        found = msgspec.msgpack.decode(act.facts, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FactsContradicted(act) from error
    if _encode(found) != act.facts:
        raise FactsContradicted(act)
    return found


def once(acts: Iterable[Act], wanted: Act) -> Act:
    """The act to write: `wanted` with the turn after those of its kind that stand; the same one again is refused.

    The same: all but turn, time, and who did it. Raises: ActStands.
    """
    turn = 0
    for each in acts:
        if each.key[:5] == wanted.key[:5]:
            turn = max(turn, each.turn + 1)
            if _said(each) == _said(wanted):
                raise ActStands(each)
    return msgspec.structs.replace(wanted, turn=turn)


def _said(act: Act) -> tuple[str, int, bytes]:
    return act.day, act.yen, act.facts
