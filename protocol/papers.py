"""The bodies of settlement on the lines: documents that a party fetches, a reconciliation, a municipality's claim.

PAPERS and PAPER stand on every line of a centre: a party lists the documents made for it and fetches them in parts.
RECONCILE is an operator's: its 照合結果; of a long one the parts come before it (RECONCILE_PART). CONFIRMED and CLAIM
stand on the line that the centre dials: a municipality is given its confirmed data part by part, and asked for its
claim (請求書).

Every struct is a canonical MessagePack array; digests are SHA-256; money is signed whole yen.

Source: 000仕4-2, 4-4; 001-4-4, 001-4-5; DESIGN section 11; docs/PROTOCOL.md, Papers.
"""

from typing import Annotated, Final

import msgspec

from protocol.disclosure import RECONCILIATION_BYTES_MAX
from protocol.keys import KeysError, Purpose, context
from protocol.trust import Trust, TrustError

PAPER_PART_BYTES: Final = 8 << 10
"""A document is fetched in parts of so many bytes; the last is shorter."""
CONFIRMED_PART_BYTES: Final = 2 << 10
"""And is brought to a municipality in parts of so many: a request holds less than an answer."""
CONFIRMED_AT_ONCE: Final = 16
"""Parts that may be on their way together: those from a multiple of this number on, in any order."""
PAPER_BYTES_MAX: Final = 1 << 32
PAPERS_A_PAGE: Final = 24
"""Documents in one answer to PAPERS; the next ones are asked for after the last."""
RECONCILE_PART_BYTES: Final = 3_584
"""A result of so many bytes travels in RECONCILE itself; a longer one in parts of so many before it."""
RECONCILE_PARTS_MAX: Final = -(-RECONCILIATION_BYTES_MAX // RECONCILE_PART_BYTES)
CLAIM_BYTES_MAX: Final = 4 << 10
_CLAIM_CONTEXT: Final = context("municipal-claim")

PaperId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
AfterId = Annotated[bytes, msgspec.Meta(max_length=16)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
PeriodText = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Z/-]{7,21}$")]
AnyPeriod = Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Z/-]{7,21})?$")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}\Z")]
Media = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+/[a-z0-9.+-]{1,60}(; charset=utf-8)?$")]
Size = Annotated[int, msgspec.Meta(ge=0, le=PAPER_BYTES_MAX)]
Place = Annotated[int, msgspec.Meta(ge=0, lt=PAPER_BYTES_MAX // CONFIRMED_PART_BYTES + 1)]
Day = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
ClaimNumber = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,59}$")]


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


# --- any party's line


class PapersQuery(_Body, frozen=True):
    """PAPERS: what there is for the asking party, of one period or ("") of all; after: id of the last one told."""

    period: AnyPeriod
    after: AfterId = b""


class PaperLine(_Body, frozen=True):
    """One document. id: 16 bytes; name: as a file; media: its type; size in bytes; digest of the whole."""

    id: PaperId
    period: PeriodText
    name: Name
    media: Media
    size: Size
    digest: Digest


class Papers(_Body, frozen=True):
    """PAPERS' answer: documents by period and name; more: whether others follow."""

    papers: list[PaperLine]
    more: bool


class PaperQuery(_Body, frozen=True):
    """PAPER: bytes number * PAPER_PART_BYTES and following of a document; the answer's body is those very bytes."""

    id: PaperId
    number: Place


# --- an operator's line


class ReconcilePart(_Body, frozen=True):
    """RECONCILE_PART: bytes number * RECONCILE_PART_BYTES and following of the result with this digest."""

    digest: Digest
    number: Annotated[int, msgspec.Meta(ge=0, lt=RECONCILE_PARTS_MAX)]
    data: Annotated[bytes, msgspec.Meta(min_length=1, max_length=RECONCILE_PART_BYTES)]


class Reconcile(_Body, frozen=True):
    """RECONCILE: the bytes of a Reconciliation (protocol.disclosure), or none when parts of this digest are held."""

    digest: Digest
    reconciliation: Annotated[bytes, msgspec.Meta(max_length=RECONCILE_PART_BYTES)]


# --- a municipality's line; the centre dials


class Confirmed(_Body, frozen=True):
    """CONFIRMED: bytes number * CONFIRMED_PART_BYTES and following of a document.

    An empty document has the one part 0 without bytes.
    """

    paper: PaperLine
    number: Place
    data: Annotated[bytes, msgspec.Meta(max_length=CONFIRMED_PART_BYTES)]


class Kept(_Body, frozen=True):
    """NOTED to a CONFIRMED: so many parts of the document are durable; whole: all, and the digest holds.

    Whoever brings a document goes on with the last multiple of CONFIRMED_AT_ONCE.
    """

    parts: int
    whole: bool


class Claim(_Body, frozen=True):
    """CLAIM: the municipality's claim for a period, if it has made one."""

    period: PeriodText


class Claimed(_Body, frozen=True):
    """CLAIMED: number, sum and date, and the signed file that says so (SignedClaim)."""

    number: ClaimNumber
    yen: int
    day: Day
    claim: Annotated[bytes, msgspec.Meta(max_length=CLAIM_BYTES_MAX)]


class MunicipalClaim(_Body, frozen=True, kw_only=True):
    """請求書 of a municipality to the centre (001-4-5): fees received less commission.

    statement: digest of the confirmed statement's file that it rests on. yen: fees less commission, negative when the
    municipality owes it.
    """

    version: int = 1
    party: str
    code: str
    environment: str
    period: PeriodText
    number: ClaimNumber
    day: Day
    copies: int
    fees: int
    commission: int
    yen: int
    statement: Digest
    made_us: int


class SignedClaim(_Body, frozen=True):
    """The canonical bytes of a MunicipalClaim, and the signature of the municipality's MANIFEST key over them."""

    claim: bytes
    key_id: str
    signature: bytes


class ClaimError(ValueError):
    """A claim that does not hold."""


_encode = msgspec.msgpack.Encoder().encode


def claim_to_sign(claim: bytes) -> bytes:
    """What the municipality's MANIFEST key signs: context("municipal-claim") | the claim's bytes."""
    return _CLAIM_CONTEXT + claim


def verify_claim(data: bytes, trust: Trust) -> MunicipalClaim:
    """The claim of a signed file, if a key of the municipality, valid then, signed it. Raises: ClaimError."""
    try:
        signed = msgspec.msgpack.decode(data, type=SignedClaim)
        claim = msgspec.msgpack.decode(signed.claim, type=MunicipalClaim)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ClaimError("it cannot be read") from error
    if _encode(claim) != signed.claim or _encode(signed) != data or claim.version != 1:
        raise ClaimError("it is not in the one form of what it says")
    if claim.yen != claim.fees - claim.commission:
        raise ClaimError("its sum is not fees less commission")
    try:
        key = trust.key(signed.key_id, purpose=Purpose.MANIFEST, at_us=claim.made_us)
        key.verify(signed.signature, claim_to_sign(signed.claim))
    except (KeysError, TrustError) as error:
        raise ClaimError(str(error)) from error
    return claim


def parts_of(size: int, part_bytes: int) -> int:
    """In how many parts a document of so many bytes travels."""
    return -(-size // part_bytes)
