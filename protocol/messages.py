"""What travels inside sealed frames, as typed structs.

Every message is a MessagePack array in canonical form. The body of a request and of a response is a byte string that
holds MessagePack of its own, decoded by operation: so one bad body refuses one request, and commitments cover the
bytes the peers exchanged. Nothing here knows keys, frames or sessions.

Source: docs/PROTOCOL.md, Messages and Operations.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, Final

import msgspec

from protocol import issuance, limits, papers

RequestId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Operation(IntEnum):
    """What a request asks for."""

    INQUIRE_BY_CODE = 1
    INQUIRE_BY_NAME = 2
    RECEIPT = 3
    DISCLAIM = 4
    BATCH = 5
    APPROVE = 6

    # the certificate centre's, on an operator's line
    CHALLENGE = 20
    AUTHENTICATE = 21
    MENU = 22
    APPLY = 23
    DOCUMENT = 24
    PART = 25
    COMPLETE = 26
    VOID = 27
    CORRECT = 28
    ERASE = 29
    STATUS = 30

    # a municipality's, on the line the certificate centre dials
    ISSUE = 40
    MADE_PART = 41
    REPORT = 42
    REPORTED = 43
    CONFIRMED = 44
    CLAIM = 45

    # a relay's, on a kiosk's line
    KIOSK_CALL = 50
    KIOSK_EVENT = 51

    # the centre's own acts of settlement, which no line carries
    SETTLE = 60

    # documents of settlement, on the lines of both centres; a reconciliation on an operator's alone
    PAPERS = 61
    PAPER = 62
    RECONCILE = 63
    RECONCILE_PART = 64


PROOFLESS: Final = frozenset(
    {
        Operation.RECEIPT,
        Operation.CHALLENGE,
        Operation.MENU,
        Operation.PART,
        Operation.STATUS,
        Operation.PAPERS,
        Operation.PAPER,
        Operation.RECONCILE_PART,
    }
)
"""Operations that write no entry: their refusals for cause come without proof."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """[request id (16 bytes, UUIDv7), operation, deadline budget in ms, body]."""

    request_id: bytes
    operation: int
    deadline_ms: int
    body: bytes


class RequestBatch(msgspec.Struct, frozen=True, array_like=True):
    """The signed content of a REQUEST frame: [session id, sequence from 0, issued-at in microseconds, [request]]."""

    session: bytes
    sequence: int
    issued_at_us: int
    requests: list[Request]


class InquiryByCode(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """照会 by 住民票コード: affair, step, staff, case reference, 11-digit code as text.

    approval is the request id of the APPROVE that lets it pass above the volume limits, or None.
    """

    affair: str
    step: int
    staff: str
    case: str
    code: str
    approval: RequestId | None = None


class InquiryByName(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """照会 by name with address; birth date as YYYY-MM-DD text and sex (1 male, 2 female) are optional.

    approval as in InquiryByCode.
    """

    affair: str
    step: int
    staff: str
    case: str
    name: str
    address: str
    birth: str | None = None
    sex: int | None = None
    approval: RequestId | None = None


class BatchInquiry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """一括提供方式: affair, step, staff, case, count of records wanted. Known here so as to be refused by name."""

    affair: str
    step: int
    staff: str
    case: str
    count: int


class ReceiptQuery(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The proof of a known id; tree_size asks for finality in the checkpoint of that size, 0 in the latest."""

    request_id: bytes
    tree_size: int = 0


class Disclaim(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The party's declaration that it never received the answer to this id."""

    request_id: bytes
    ground: str


class Approve(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A second person's approval of very questions (牽制体制): affair, step, approver's staff number, case reference.

    digests: 1 to APPROVAL_DIGESTS_MAX, each protocol.approval.approval_digest of one question of another member of
    staff. expires_at_us: after it no question passes by this approval. Source: 002 別2-2(9)イ.
    """

    affair: str
    step: int
    staff: str
    case: str
    digests: Annotated[list[Digest], msgspec.Meta(min_length=1, max_length=limits.APPROVAL_DIGESTS_MAX)]
    expires_at_us: int


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """Body of EXACT and VARIANT: the fields that differ by variant, and the record as the register keeps it."""

    differing: list[str]
    record: msgspec.Raw


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Body of every other outcome: field at fault or "", what would mend it or "", and when to try again."""

    field: str = ""
    remedy: str = ""
    retry_after_ms: int = 0


class Response(msgspec.Struct, frozen=True, array_like=True):
    """A recorded response: [request id, outcome, body, commitment key (32 bytes), entry as its very bytes]."""

    request_id: bytes
    outcome: int
    body: bytes
    key: bytes
    entry: bytes


class BlockShare(msgspec.Struct, frozen=True, array_like=True):
    """A session's run of one block: header bytes, key id, signature, index of the first, responses, range proof."""

    header: bytes
    key_id: str
    signature: bytes
    first: int
    responses: list[Response]
    proof: list[bytes]


class Transient(msgspec.Struct, frozen=True, array_like=True):
    """An unrecorded response: [request id, outcome, body]."""

    request_id: bytes
    outcome: int
    body: bytes


class ResponseBatch(msgspec.Struct, frozen=True, array_like=True):
    """The content of a RESPONSE frame: at most one share of a block, and any unrecorded responses."""

    share: BlockShare | None
    transients: list[Transient]


class NoticeKind(IntEnum):
    """What a NOTICE tells the line."""

    CHECKPOINT = 1
    SUSPENSION = 2
    RESUMPTION = 3
    TARIFF = 4
    HOURS = 5
    STOP = 6
    KEYS = 7
    PARTICIPATION = 8  # a municipality or an operator joins, changes or leaves
    OFFERS = 9  # kinds of certificates, and cards for them


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """[kind, issued-at in microseconds, text]; for CHECKPOINT the text is the signed note."""

    kind: int
    at_us: int
    text: str


class Credit(msgspec.Struct, frozen=True, array_like=True):
    """How many requests may be unanswered on this connection from now on."""

    window: int


class Drain(msgspec.Struct, frozen=True, array_like=True):
    """No further request is admitted; what is in flight will be answered within so many ms."""

    within_ms: int


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """Why the line is closed: a FaultCode and a sentence without personal data."""

    code: int
    detail: str


encode = msgspec.msgpack.Encoder().encode
"""Canonical MessagePack of any struct here."""

BODY_DECODERS: Final[Mapping[int, msgspec.msgpack.Decoder[Any]]] = {
    Operation.INQUIRE_BY_CODE: msgspec.msgpack.Decoder(InquiryByCode),
    Operation.INQUIRE_BY_NAME: msgspec.msgpack.Decoder(InquiryByName),
    Operation.RECEIPT: msgspec.msgpack.Decoder(ReceiptQuery),
    Operation.DISCLAIM: msgspec.msgpack.Decoder(Disclaim),
    Operation.BATCH: msgspec.msgpack.Decoder(BatchInquiry),
    Operation.APPROVE: msgspec.msgpack.Decoder(Approve),
    Operation.CHALLENGE: msgspec.msgpack.Decoder(issuance.Challenge),
    Operation.AUTHENTICATE: msgspec.msgpack.Decoder(issuance.Authenticate),
    Operation.MENU: msgspec.msgpack.Decoder(issuance.MenuQuery),
    Operation.APPLY: msgspec.msgpack.Decoder(issuance.Apply),
    Operation.DOCUMENT: msgspec.msgpack.Decoder(issuance.Fetch),
    Operation.PART: msgspec.msgpack.Decoder(issuance.Part),
    Operation.COMPLETE: msgspec.msgpack.Decoder(issuance.Complete),
    Operation.VOID: msgspec.msgpack.Decoder(issuance.Void),
    Operation.CORRECT: msgspec.msgpack.Decoder(issuance.Correct),
    Operation.ERASE: msgspec.msgpack.Decoder(issuance.Erase),
    Operation.STATUS: msgspec.msgpack.Decoder(issuance.StatusQuery),
    Operation.ISSUE: msgspec.msgpack.Decoder(issuance.Issue),
    Operation.MADE_PART: msgspec.msgpack.Decoder(issuance.Part),
    Operation.REPORT: msgspec.msgpack.Decoder(issuance.Report),
    Operation.REPORTED: msgspec.msgpack.Decoder(issuance.ReportsQuery),
    Operation.CONFIRMED: msgspec.msgpack.Decoder(papers.Confirmed),
    Operation.CLAIM: msgspec.msgpack.Decoder(papers.Claim),
    Operation.KIOSK_CALL: msgspec.msgpack.Decoder(issuance.KioskCall),
    Operation.KIOSK_EVENT: msgspec.msgpack.Decoder(issuance.KioskEvent),
    Operation.PAPERS: msgspec.msgpack.Decoder(papers.PapersQuery),
    Operation.PAPER: msgspec.msgpack.Decoder(papers.PaperQuery),
    Operation.RECONCILE: msgspec.msgpack.Decoder(papers.Reconcile),
    Operation.RECONCILE_PART: msgspec.msgpack.Decoder(papers.ReconcilePart),
}

Inquiry = InquiryByCode | InquiryByName
PapersBody = papers.PapersQuery | papers.PaperQuery
InquiryCentreBody = Inquiry | ReceiptQuery | Disclaim | BatchInquiry | Approve | PapersBody
CertificateCentreBody = (
    issuance.Challenge
    | issuance.Authenticate
    | issuance.MenuQuery
    | issuance.Apply
    | issuance.Fetch
    | issuance.Part
    | issuance.Complete
    | issuance.Void
    | issuance.Correct
    | issuance.Erase
    | issuance.StatusQuery
    | ReceiptQuery
    | PapersBody
    | papers.Reconcile
    | papers.ReconcilePart
)
MunicipalityBody = (
    issuance.Issue | issuance.Part | issuance.Report | issuance.ReportsQuery | papers.Confirmed | papers.Claim
)
RelayBody = issuance.KioskCall | issuance.KioskEvent
Body = InquiryCentreBody | CertificateCentreBody | MunicipalityBody | RelayBody


class BodyError(ValueError):
    """A request body that is not what its operation takes."""


def decode_body(operation: int, body: bytes) -> Body:
    """Read a request's body by its operation.

    Raises: KeyError for an unknown operation; BodyError when it is too long, of the wrong shape, or not canonical.
    """
    decoder = BODY_DECODERS[operation]
    if len(body) > limits.REQUEST_BODY_BYTES_MAX:
        raise BodyError("the body is too long")
    try:
        value: Body = decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BodyError("the body is malformed") from error
    if encode(value) != body:
        raise BodyError("the body is not canonical")
    return value
