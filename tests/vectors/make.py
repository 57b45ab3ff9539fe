"""Write the frozen vectors of the line protocol: `python -m tests.vectors.make`.

Keys, nonces and times are computed from names (tests.kit.lines), so the bytes come out the same each time. ECDSA is
randomised: a signature already in a file is kept as long as it verifies, and only then replaced. All data is synthetic.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import papers
from protocol.application import Transition
from protocol.approval import approval_digest
from protocol.checkpoint import Checkpoint, NoteSignature, body_to_sign, format_note
from protocol.commitment import commitment_key, month_of
from protocol.document import (
    Document,
    DocumentError,
    Field,
    Manifest,
    PageStatement,
    encode_manifest,
    encode_page,
    manifest_to_sign,
    open_document,
    page_code,
    page_to_sign,
    salted,
    seal_document,
    session_digest,
    statement_digest,
)
from protocol.envelope import pack
from protocol.frames import FrameType, encode_frame
from protocol.handshake import Hello, Welcome, encode, hello_to_sign, welcome_to_sign
from protocol.invoice import (
    STANDARD_TAX,
    BlockRange,
    DocumentKind,
    Invoice,
    Item,
    Rests,
    SignedInvoice,
    encode_invoice,
    encode_signed,
    pack_item,
    sums_of,
    to_sign,
)
from protocol.issuance import (
    Apply,
    KioskSession,
    Statement,
    erasure_to_sign,
    session_to_sign,
    statement_to_sign,
)
from protocol.keys import Algorithm, KeysError, context
from protocol.ledger import (
    BLOCK_CONTEXT,
    CertificateEntry,
    Delivery,
    close_header,
    decode_entry,
    encode_entry,
    encode_header,
    header_hash,
)
from protocol.merkle import Tree
from protocol.messages import (
    Approve,
    InquiryByCode,
    InquiryByName,
    Notice,
    NoticeKind,
    Operation,
    ReceiptQuery,
    Request,
    RequestBatch,
    ResponseBatch,
)
from protocol.outcomes import Outcome
from protocol.proofs import decode_segment, encode_segment, gather
from protocol.receipt import Finality, Opening, Proof, Receipt, encode_receipt
from protocol.session import Sealer, derive_session, ephemeral_public
from protocol.settlement import NOTHING, Amount, Cell, Column, Key
from protocol.trust import encode_trust
from tests.kit.lines import (
    BINDING,
    BLOCK,
    CENTRE_LINE,
    CHECKPOINT,
    ENVIRONMENT,
    MONTH_KEY,
    NOW_US,
    PARTY,
    PEER,
    ROLE,
    STREAM,
    TRUST,
    Signer,
    make_block,
    make_id,
    make_request,
    private_key,
)

HERE = Path(__file__).parent
PROVENANCE = "python -m tests.vectors.make; keys are SHA-256 of their names mod (n - 1) + 1; hex; synthetic data"
RANGES = ((0, 7), (0, 1), (2, 5), (3, 4), (6, 7), (4, 7))


class Frozen:
    """The signatures and bundles that were frozen earlier, by name."""

    def __init__(self, path: Path) -> None:
        self.before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"signatures": {}}
        self.signatures: dict[str, str] = {}

    def sign(self, name: str, signer: Signer, signed: bytes) -> bytes:
        """The frozen signature if it still holds, else a fresh one."""
        signature = bytes.fromhex(self.before["signatures"].get(name, ""))
        try:
            signer.public.verify(signature, signed)
        except KeysError:
            signature = signer.sign(signed)
        self.signatures[name] = signature.hex()
        return signature


def raw_private(key: ec.EllipticCurvePrivateKey) -> str:
    """The private number, 32 bytes."""
    return key.private_numbers().private_value.to_bytes(32, "big").hex()


def make_handshake(frozen: Frozen) -> dict[str, Any]:
    """HELLO, WELCOME, session keys, a sealed REQUEST, PING, NOTICE and a clear FAULT."""
    peer_key, centre_key = private_key("peer ephemeral"), private_key("centre ephemeral")
    nonces = hashlib.sha256(b"peer").digest(), hashlib.sha256(b"centre").digest()
    hello = encode(Hello([1], ROLE, ENVIRONMENT, nonces[0], ephemeral_public(peer_key)))
    welcome = encode(Welcome(1, ROLE, ENVIRONMENT, nonces[1], ephemeral_public(centre_key), 0, 2, 1024, 10_000))
    hello_signature = frozen.sign("hello", PEER, hello_to_sign(hello, binding=BINDING))
    welcome_signature = frozen.sign("welcome", CENTRE_LINE, welcome_to_sign(welcome, binding=BINDING, hello_body=hello))
    keys = derive_session(
        own=peer_key, other=ephemeral_public(centre_key), binding=BINDING, hello_body=hello, welcome_body=welcome
    )
    query = Request(make_id(1), Operation.RECEIPT, 1_000, encode(ReceiptQuery(make_id(0))))
    body = encode(RequestBatch(keys.session, 0, NOW_US, [make_request(0), query]))
    envelope = pack(Algorithm.ES256, PEER.key_id, frozen.sign("request", PEER, context("request") + body), body)
    hello_envelope = pack(Algorithm.ES256, PEER.key_id, hello_signature, hello)
    welcome_envelope = pack(Algorithm.ES256, CENTRE_LINE.key_id, welcome_signature, welcome)
    to_centre, to_peer = Sealer(keys.to_centre), Sealer(keys.to_peer)
    notice = encode(Notice(NoticeKind.TARIFF, NOW_US, "synthetic"))
    return {
        "peer_ephemeral_private": raw_private(peer_key),
        "centre_ephemeral_private": raw_private(centre_key),
        "peer_line_public_spki": PEER.der.hex(),
        "centre_line_public_spki": CENTRE_LINE.der.hex(),
        "binding": BINDING.hex(),
        "hello_body": hello.hex(),
        "hello_frame": encode_frame(FrameType.HELLO, hello_envelope).hex(),
        "welcome_body": welcome.hex(),
        "welcome_frame": encode_frame(FrameType.WELCOME, welcome_envelope).hex(),
        "session": keys.session.hex(),
        "to_centre": keys.to_centre.hex(),
        "to_peer": keys.to_peer.hex(),
        "request_body": body.hex(),
        "request_envelope": envelope.hex(),
        "request_frame": to_centre.seal(FrameType.REQUEST, envelope).hex(),
        "ping_frame": to_centre.seal(FrameType.PING, b"heartbea").hex(),
        "notice_content": notice.hex(),
        "notice_frame": to_peer.seal(FrameType.NOTICE, notice).hex(),
        "clear_fault_frame": encode_frame(FrameType.FAULT, encode([914, "synthetic"])).hex(),
        "signatures": frozen.signatures,
    }


def make_block_vector(frozen: Frozen) -> dict[str, Any]:
    """Seven entries, their commitments, the header, range proofs and a RESPONSE content."""
    requests = [make_request(n) for n in range(7)]
    block = make_block(requests, outcome=Outcome.EXACT)
    block.signature = frozen.sign("block", BLOCK, context(BLOCK_CONTEXT) + block.header)
    following = encode_header(close_header(stream=STREAM, height=1, previous=header_hash(block.header), at_us=NOW_US))
    first = decode_entry(block.responses[0].entry)
    fields = {name: getattr(first, name) for name in first.__struct_fields__}
    return {
        "block_public_spki": BLOCK.der.hex(),
        "month": month_of(make_id(0)),
        "month_key": MONTH_KEY.hex(),
        "party": PARTY,
        "entries": [response.entry.hex() for response in block.responses],
        "first_entry": {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()},
        "questions": [
            {
                "request_id": request.request_id.hex(),
                "operation": int(request.operation),
                "request": request.body.hex(),
                "outcome": int(response.outcome),
                "response": response.body.hex(),
                "commitment_key": commitment_key(MONTH_KEY, PARTY, request.request_id).hex(),
            }
            for request, response in zip(requests, block.responses, strict=True)
        ],
        "root": block.tree.root.hex(),
        "header": block.header.hex(),
        "header_hash": header_hash(block.header).hex(),
        "next_header": following.hex(),
        "ranges": [
            {"lo": lo, "hi": hi, "proof": [node.hex() for node in block.tree.range_proof(lo, hi)]} for lo, hi in RANGES
        ],
        "response_content": encode(ResponseBatch(block.share(2, 5), [])).hex(),
        "signatures": frozen.signatures,
    }


def make_receipt_vector(frozen: Frozen) -> dict[str, Any]:
    """The final receipt of the fourth of seven answers, its checkpoint note, and the trust bundle it rests on."""
    requests = [make_request(n) for n in range(7)]
    block = make_block(requests, outcome=Outcome.EXACT)
    signature = frozen.sign("block", BLOCK, context(BLOCK_CONTEXT) + block.header)
    answer = block.responses[3]
    tree = Tree([bytes([n]) * 32 for n in range(4)] + [header_hash(block.header)])
    checkpoint = Checkpoint(TRUST.origin, tree.size, tree.root, NOW_US)
    note = format_note(
        checkpoint,
        [NoteSignature(CHECKPOINT.key_id, frozen.sign("checkpoint", CHECKPOINT, body_to_sign(checkpoint)))],
    )
    receipt = Receipt(
        Proof(answer.entry, 3, block.tree.range_proof(3, 4), block.header, BLOCK.key_id, signature),
        Opening(requests[3].operation, requests[3].body, int(answer.outcome), answer.body, answer.key),
        Finality(note, 4, tree.range_proof(4, 5)),
    )
    trust = frozen.before.get("trust_bundle") or encode_trust(TRUST).hex()
    return {
        "trust_bundle": trust,
        "checkpoint_note": note,
        "receipt": encode_receipt(receipt).hex(),
        "signatures": frozen.signatures,
    }


def make_approval_vector(frozen: Frozen) -> dict[str, Any]:
    """Two questions, their digests, the APPROVE body of both, and the bodies that use it."""
    approval = make_id(9)
    questions: list[tuple[Operation, InquiryByCode | InquiryByName]] = [
        (Operation.INQUIRE_BY_CODE, InquiryByCode("pension", 1, "staff-1", "2026-0001", "00000000000")),
        (
            Operation.INQUIRE_BY_NAME,
            InquiryByName("pension", 2, "staff-1", "2026-0002", "見本 太郎", "見本県見本市1-1", "1970-01-01", 1),
        ),
    ]
    digests = [approval_digest(operation, body) for operation, body in questions]
    approve = Approve("pension", 1, "staff-2", "2026-0001", digests, NOW_US + 600_000_000)
    return {
        "approval": approval.hex(),
        "questions": [
            {
                "operation": int(operation),
                "body": encode(body).hex(),
                "digest": digest.hex(),
                "body_with_approval": encode(msgspec.structs.replace(body, approval=approval)).hex(),
            }
            for (operation, body), digest in zip(questions, digests, strict=True)
        ],
        "approve_body": encode(approve).hex(),
        "signatures": frozen.signatures,
    }


def make_certificate_vector(frozen: Frozen) -> dict[str, Any]:
    """A session, an application, a document of two pages, its manifest, and the entry of its completion."""
    seal_key = X25519PrivateKey.from_private_bytes(hashlib.sha256(b"kiosk seal").digest())
    session_signer, town = Signer("kiosk session"), Signer("manifest-2026")
    point = session_signer.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    session = KioskSession("operator-1", "kiosk-1", point, seal_key.public_key().public_bytes_raw())
    application, nonce, pseudonym = make_id(20), bytes(range(40)), bytes(range(16))
    statement = Statement(application, "121002", "juminhyo", 3, 2, NOW_US)
    signed = frozen.sign("statement", session_signer, statement_to_sign(statement))
    document = Document(bytes(range(32)), b"%PDF-1.7 synthetic")
    pages, codes = [], []
    for number, text in enumerate(("見本 花子", "見本 太郎"), start=1):
        page = encode_page(
            PageStatement(
                1,
                "121002",
                "juminhyo",
                application,
                pseudonym,
                "第000001号",
                number,
                2,
                NOW_US,
                town.key_id,
                [Field("氏名", text)],
            )
        )
        pages.append(page)
        codes.append(page_code(page, frozen.sign(f"page {number}", town, page_to_sign(page))))
    sealed = bytes.fromhex(frozen.before.get("sealed", ""))
    try:
        kept = open_document(sealed, key=seal_key, application=application, session=session) == document
    except DocumentError:
        kept = False
    if not kept:  # HPKE is randomised: what is frozen stays as long as it opens
        sealed = seal_document(document, application=application, session=session)
    manifest = encode_manifest(
        Manifest(
            1,
            "121002",
            application,
            session_digest(session),
            statement_digest(statement),
            pseudonym,
            "juminhyo",
            3,
            2,
            "第000001号",
            "kit-2026.1",
            NOW_US,
            [salted(document.salt, number, code) for number, code in enumerate(codes, start=1)],
            salted(document.salt, 0, document.pdf),
            hashlib.sha256(sealed).digest(),
        )
    )
    entry = CertificateEntry(
        2,
        "operator-1",
        "relay-1",
        make_id(21),
        bytes(32),
        int(Operation.COMPLETE),
        "juminhyo",
        0,
        "city-1",
        int(Outcome.COMPLETED),
        1,
        600,
        230,
        1,
        bytes(32),
        NOW_US,
        None,
        Delivery(application, int(Transition.COMPLETED), 2, NOW_US, "2026-04-01", "store-1", "kiosk-1"),
    )
    return {
        "seal_private": seal_key.private_bytes_raw().hex(),
        "session": encode(session).hex(),
        "nonce": nonce.hex(),
        "session_to_sign": session_to_sign(session, nonce).hex(),
        "statement": encode(statement).hex(),
        "apply_body": encode(Apply(statement, signed)).hex(),
        "erasure_to_sign": erasure_to_sign(application, NOW_US).hex(),
        "application": application.hex(),
        "erased_at_us": NOW_US,
        "manifest_public_spki": town.der.hex(),
        "salt": document.salt.hex(),
        "pdf": document.pdf.hex(),
        "page_statements": [page.hex() for page in pages],
        "page_codes": [code.hex() for code in codes],
        "sealed": sealed.hex(),
        "manifest": manifest.hex(),
        "manifest_signature": frozen.sign("manifest", town, manifest_to_sign(manifest)).hex(),
        "entry": encode_entry(entry).hex(),
        "signatures": frozen.signatures,
    }


def make_papers_vector(frozen: Frozen) -> dict[str, Any]:
    """A document of three parts, the bodies that list, fetch and bring it, a reconciliation's, and a claim."""
    data = bytes(n % 251 for n in range(2 * papers.CONFIRMED_PART_BYTES + 5))
    line = papers.PaperLine(
        make_id(30),
        "2026-08",
        "statement.invoice",
        "application/octet-stream",
        len(data),
        hashlib.sha256(data).digest(),
    )
    town = Signer("manifest-2026")
    claim = encode(
        papers.MunicipalClaim(
            party="city-1",
            code="121002",
            environment=ENVIRONMENT,
            period="2026-08",
            number="121002-2026-08",
            day="2026-09-14",
            copies=3,
            fees=900,
            commission=345,
            yen=555,
            statement=line.digest,
            made_us=NOW_US,
        )
    )
    signed = papers.SignedClaim(claim, town.key_id, frozen.sign("claim", town, papers.claim_to_sign(claim)))
    size = papers.CONFIRMED_PART_BYTES
    return {
        "data": data.hex(),
        "papers_query": encode(papers.PapersQuery("2026-08", make_id(29))).hex(),
        "papers": encode(papers.Papers([line], False)).hex(),
        "paper_query": encode(papers.PaperQuery(line.id, 0)).hex(),
        "confirmed": [encode(papers.Confirmed(line, n, data[n * size : (n + 1) * size])).hex() for n in range(3)],
        "kept": encode(papers.Kept(3, True)).hex(),
        "reconcile": encode(papers.Reconcile(hashlib.sha256(b"result").digest(), b"result")).hex(),
        "reconcile_part": encode(papers.ReconcilePart(hashlib.sha256(b"result").digest(), 0, b"result")).hex(),
        "claim_query": encode(papers.Claim("2026-08")).hex(),
        "claimed": encode(papers.Claimed("121002-2026-08", 555, "2026-09-14", encode(signed))).hex(),
        "manifest_public_spki": town.der.hex(),
        "signatures": frozen.signatures,
    }


def make_invoice_vector(frozen: Frozen) -> dict[str, Any]:
    """An invoice of two cells and the four items under it; and the proofs of three of seven answers as one segment."""
    centre = Signer("centre-invoice-1")
    keys = [Key("op-1", "city-1", "juminhyo", "s-1"), Key("op-1", "city-2", "inkan", "s-1")]
    items = [
        Item(make_id(40), 0, Column.SOLD, False, 2, 600, 230),
        Item(make_id(41), 1, Column.SOLD, False, 1, 450, 115),
        Item(make_id(42), 0, Column.VOIDED, False, -2, -600, -230),
        Item(make_id(43), 1, Column.SOLD, True, 1, 450, 115),
    ]
    sums = sums_of(items)
    cells = tuple(
        Cell(key, *(sums.get((number, column), NOTHING) for column in Column), carried, (1,))
        for number, (key, carried) in enumerate(zip(keys, (NOTHING, Amount(1, 1, 450, 115)), strict=True))
    )
    net = cells[0].net + cells[1].net
    data = b"".join(map(pack_item, items))
    invoice = encode_invoice(
        Invoice(
            version=1,
            kind=int(DocumentKind.INVOICE),
            number="certificate-2026-08-op-1-fees",
            issuer=TRUST.centre,
            role="certificate",
            environment=ENVIRONMENT,
            party="op-1",
            period="2026-08",
            issued_on="2026-09-11",
            due_on="2026-09-18",
            agreement="synthetic",
            cells=cells,
            net=net,
            due_yen=net.due_yen,
            tax=STANDARD_TAX,
            tax_yen=STANDARD_TAX.within(net.commission),
            tax_supplier="op-1",
            rests=Rests((BlockRange(STREAM, 3, 9, 4),), 12, bytes(32), NOW_US, NOW_US - 2, NOW_US - 3),
            items=len(items),
            items_digest=hashlib.sha256(data).digest(),
            issued_us=NOW_US,
        )
    )
    signature = frozen.sign("invoice", centre, to_sign(invoice))
    block = make_block([make_request(n) for n in range(7)], outcome=Outcome.EXACT)
    signed = frozen.sign("block", BLOCK, context(BLOCK_CONTEXT) + block.header)
    blocks = gather(
        Proof(block.responses[n].entry, n, block.tree.range_proof(n, n + 1), block.header, BLOCK.key_id, signed)
        for n in (5, 1, 2)
    )
    segment = bytes.fromhex(frozen.before.get("segment", ""))
    if not segment or decode_segment(segment) != blocks:  # how zlib packs is another matter with every version of it
        segment = encode_segment(blocks)
    return {
        "file": encode_signed(SignedInvoice(invoice, centre.key_id, signature)).hex(),
        "items": data.hex(),
        "segment": segment.hex(),
        "invoice_public_spki": centre.der.hex(),
        "block_public_spki": BLOCK.der.hex(),
        "signatures": frozen.signatures,
    }


MAKERS = {
    "handshake": make_handshake,
    "block": make_block_vector,
    "receipt": make_receipt_vector,
    "approval": make_approval_vector,
    "certificate": make_certificate_vector,
    "papers": make_papers_vector,
    "invoice": make_invoice_vector,
}


def main() -> None:
    """Write every file beside this one."""
    for name, maker in MAKERS.items():
        path = HERE / f"{name}.json"
        vector = {"provenance": PROVENANCE, **maker(Frozen(path))}
        path.write_text(json.dumps(vector, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
