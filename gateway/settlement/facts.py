"""What acts of settlement say beside: the facts of each kind, canonical MessagePack. Pure.

kind                            facts
DISCLOSED                       Disclosed
RECONCILED                      protocol.disclosure.Reconciliation
ANSWERED                        Answered
CONFIRMED                       the cut: a map of stream to height, by stream
INVOICED, RELEASED              Issued
PAID                            none

A signature is part of the facts, since signing again gives another one, and a document made again is the same to the
byte. Source: DESIGN section 11; docs/SETTLEMENT.md.
"""

import hashlib
from collections.abc import Mapping
from typing import ClassVar, TypeVar

import msgspec

from gateway.settlement.errors import SettlementError
from gateway.settlement.windows import Cut
from protocol.act import Act, ActKind
from protocol.disclosure import DisclosureError, Reconciliation, decode_reconciliation
from protocol.invoice import TaxRule

T = TypeVar("T")


class FactsContradicted(SettlementError):  # noqa: N818  named after the fact
    """An act whose facts are not those of its kind. Fields: act."""

    code: ClassVar[str] = "facts-contradicted"

    def __init__(self, act: Act) -> None:
        super().__init__(
            f"what {ActKind(act.kind).name} of {act.period}, {act.party or 'all parties'} says cannot be read"
            " / 精算記録を読み取れません; run sekisho settle verify"
        )
        self.act = act


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """Over a document: SHA-256 of its canonical bytes, the key, the signature."""

    digest: bytes
    key_id: str
    signature: bytes


class Disclosed(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """cut: what the ledger held; previous: the frozen period before, "" for none; signature: of the disclosure; rows,
    rows_digest: of its file of rows."""

    cut: dict[bytes, int]
    previous: str
    signature: Signature
    rows: int
    rows_digest: bytes


class Answered(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """reconciliation: the turn of its act; accepted, disputed: keys of its differences, the latter with why."""

    reconciliation: int
    accepted: tuple[bytes, ...]
    disputed: tuple[tuple[bytes, str], ...]


class Issued(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A document of protocol.invoice, with what of its heading the ledger does not say.

    received_on: the day on which its due date hangs, "" where on none.
    """

    number: str
    kind: int
    issued_on: str
    due_on: str
    received_on: str
    agreement: str
    tax_supplier: str
    tax: TaxRule
    signature: Signature


_encode = msgspec.msgpack.Encoder().encode


def encode_facts(facts: Disclosed | Answered | Issued) -> bytes:
    """The canonical bytes."""
    return _encode(facts)


def encode_cut(cut: Cut) -> bytes:
    """The canonical bytes of a freeze's facts."""
    return _encode(sorted_cut(cut.heights))


def disclosed(act: Act) -> Disclosed:
    """Of a DISCLOSED act. Raises: FactsContradicted."""
    return _read(act, Disclosed)


def answered(act: Act) -> Answered:
    """Of an ANSWERED act. Raises: FactsContradicted."""
    return _read(act, Answered)


def issued(act: Act) -> Issued:
    """Of an INVOICED or RELEASED act. Raises: FactsContradicted."""
    return _read(act, Issued)


def cut_of(act: Act) -> Cut:
    """Of a CONFIRMED act. Raises: FactsContradicted."""
    return Cut(_read(act, dict[bytes, int]))


def reconciliation_of(act: Act) -> Reconciliation:
    """Of a RECONCILED act. Raises: FactsContradicted."""
    try:
        return decode_reconciliation(act.facts)
    except DisclosureError as error:
        raise FactsContradicted(act) from error


def digest_of(data: bytes) -> bytes:
    """SHA-256, as Signature has it."""
    return hashlib.sha256(data).digest()


def sorted_cut(heights: Mapping[bytes, int]) -> dict[bytes, int]:
    """A cut in the one order of its bytes."""
    return dict(sorted(heights.items()))


def _read(act: Act, kind: type[T]) -> T:
    try:
        found = msgspec.msgpack.decode(act.facts, type=kind, strict=True)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FactsContradicted(act) from error
    if _encode(found) != act.facts:
        raise FactsContradicted(act)
    return found
