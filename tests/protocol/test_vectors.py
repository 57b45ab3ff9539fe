"""The frozen vectors hold by an independent reading, and our own codec gives the same bytes.

The first half uses msgpack, hashlib, hmac and cryptography alone: it is a second implementation of docs/PROTOCOL.md.
"""

import base64
import hashlib
import hmac
import json
import zlib
from pathlib import Path
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import load_der_public_key

from protocol.handshake import read_hello, read_welcome
from protocol.ledger import CertificateEntry, decode_entry, decode_header, encode_entry, encode_header
from protocol.receipt import decode_receipt, encode_receipt, verify_receipt
from protocol.trust import decode_trust, encode_trust
from tests.vectors import make

HERE = Path(make.__file__).parent


def load(name: str) -> dict[str, Any]:
    """One vector file; hex strings as bytes where they are hex of some length."""
    return json.loads((HERE / f"{name}.json").read_text())


def x(value: str) -> bytes:
    """Bytes of hex."""
    return bytes.fromhex(value)


def context(label: bytes) -> bytes:
    """32 bytes: the project, the version, the label, NULs."""
    return (b"sekisho/1 " + label).ljust(32, b"\0")


def check_es256(spki: bytes, signature: bytes, signed: bytes) -> None:
    """Raise unless r||s holds."""
    assert len(signature) == 64
    key = load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    key.verify(der, signed, ec.ECDSA(hashes.SHA256()))


def take_frame(data: bytes) -> tuple[int, bytes, bytes]:
    """Type, header, payload."""
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    return data[4], data[:5], data[5:]


def take_envelope(data: bytes) -> tuple[int, str, bytes, bytes]:
    """Algorithm, key id, signature, body."""
    n = data[1]
    m = int.from_bytes(data[2 + n : 4 + n], "big")
    return data[0], data[2 : 2 + n].decode(), data[4 + n : 4 + n + m], data[4 + n + m :]


def leaf(data: bytes) -> bytes:
    """RFC 6962 leaf hash."""
    return hashlib.sha256(b"\0" + data).digest()


def mth(nodes: list[bytes]) -> bytes:
    """RFC 6962 root over leaf hashes, recursively."""
    if len(nodes) == 1:
        return nodes[0]
    k = 1 << (len(nodes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + mth(nodes[:k]) + mth(nodes[k:])).digest()


def rebuild(nodes: dict[int, bytes], size: int, proof: list[bytes]) -> bytes:
    """Root from a run of leaf hashes by place, and a range proof: siblings level by level, left before right."""
    rest = iter(proof)
    while size > 1:
        lo, last = min(nodes), max(nodes)
        if lo % 2:
            nodes[lo - 1] = next(rest)
        if last % 2 == 0 and last + 1 < size:
            nodes[last + 1] = next(rest)
        nodes = {
            i // 2: hashlib.sha256(b"\1" + nodes[i] + nodes[i + 1]).digest() if i + 1 in nodes else nodes[i]
            for i in sorted(nodes)
            if i % 2 == 0
        }
        size = (size + 1) // 2
    assert next(rest, None) is None
    return nodes[0]


def test_the_handshake_and_its_keys() -> None:
    v = load("handshake")
    kind, _, payload = take_frame(x(v["hello_frame"]))
    algorithm, key_id, signature, hello = take_envelope(payload)
    assert (kind, algorithm, key_id, hello) == (1, 1, "peer-line-1", x(v["hello_body"]))
    check_es256(x(v["peer_line_public_spki"]), signature, context(b"hello") + x(v["binding"]) + hello)
    kind, _, payload = take_frame(x(v["welcome_frame"]))
    _, _, signature, welcome = take_envelope(payload)
    assert (kind, welcome) == (2, x(v["welcome_body"]))
    signed = context(b"welcome") + x(v["binding"]) + hashlib.sha256(hello).digest() + welcome
    check_es256(x(v["centre_line_public_spki"]), signature, signed)

    point = msgpack.unpackb(welcome)[4]
    own = ec.derive_private_key(int(v["peer_ephemeral_private"], 16), ec.SECP256R1())
    secret = own.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    transcript = hashlib.sha256(
        context(b"transcript") + x(v["binding"])
        + len(hello).to_bytes(4, "big") + hello + len(welcome).to_bytes(4, "big") + welcome
    ).digest()  # fmt: skip
    prk = hmac.digest(transcript, secret, "sha256")
    okm = block = b""
    for n in (1, 2, 3):
        block = hmac.digest(prk, block + context(b"session") + bytes([n]), "sha256")
        okm += block
    assert (okm[:32], okm[32:64], okm[64:]) == (x(v["session"]), x(v["to_centre"]), x(v["to_peer"]))


def test_the_sealed_frames() -> None:
    v = load("handshake")
    kind, header, payload = take_frame(x(v["request_frame"]))
    content = AESGCM(x(v["to_centre"])).decrypt(bytes(12), payload, header)
    assert (kind, content) == (3, x(v["request_envelope"]))
    _, _, signature, body = take_envelope(content)
    check_es256(x(v["peer_line_public_spki"]), signature, context(b"request") + body)
    session, sequence, issued_at, requests = msgpack.unpackb(body)
    assert (session, sequence, issued_at) == (x(v["session"]), 0, 1_790_000_000_000_000)
    assert [request[1] for request in requests] == [1, 3]
    assert msgpack.packb(msgpack.unpackb(body)) == body
    kind, header, payload = take_frame(x(v["ping_frame"]))
    assert kind == 7
    assert AESGCM(x(v["to_centre"])).decrypt(bytes(11) + b"\1", payload, header) == b"heartbea"
    kind, header, payload = take_frame(x(v["notice_frame"]))
    assert kind == 5
    assert AESGCM(x(v["to_peer"])).decrypt(bytes(12), payload, header) == x(v["notice_content"])
    kind, _, payload = take_frame(x(v["clear_fault_frame"]))
    assert (kind, msgpack.unpackb(payload)) == (10, [914, "synthetic"])


def check_block(header: bytes, spki: bytes, signature: bytes) -> list[Any]:
    """A header whose signature holds, as fields."""
    check_es256(spki, signature, context(b"block") + header)
    return msgpack.unpackb(header)


def test_the_block_its_root_and_range_proofs() -> None:
    v = load("block")
    header = check_block(x(v["header"]), x(v["block_public_spki"]), x(v["signatures"]["block"]))
    leaves = [leaf(x(entry)) for entry in v["entries"]]
    assert header[0:4] == [1, bytes(range(16)), 0, bytes(32)]
    assert header[4:6] == [mth(leaves), 7]
    assert header[4] == x(v["root"])
    assert leaf(x(v["header"])) == x(v["header_hash"]) == msgpack.unpackb(x(v["next_header"]))[3]
    assert msgpack.unpackb(x(v["next_header"]))[4:] == [hashlib.sha256().digest(), 0, 1_790_000_000_000_000, 2]
    for case in v["ranges"]:
        run = dict(list(enumerate(leaves))[case["lo"] : case["hi"]])
        assert rebuild(run, 7, [x(node) for node in case["proof"]]) == header[4]


def test_the_commitments_in_the_entries() -> None:
    v = load("block")
    for question, entry in zip(v["questions"], v["entries"], strict=True):
        fields = msgpack.unpackb(x(entry))
        assert msgpack.packb(fields) == x(entry)
        assert len(fields) == 17
        rid = x(question["request_id"])
        label = b"sekisho/1 commitment\0" + v["party"].encode() + b"\0" + rid
        key = hmac.digest(x(v["month_key"]), label, "sha256")
        assert key == x(question["commitment_key"])
        asked = hmac.digest(key, b"q" + bytes([question["operation"]]) + x(question["request"]), "sha256")
        outcome = question["outcome"].to_bytes(2, "big")
        answered = hmac.digest(key, b"a" + outcome + x(question["response"]), "sha256")
        assert (fields[1], fields[3], fields[4], fields[14]) == (v["party"], rid, asked, answered)


def test_a_response_content() -> None:
    v = load("block")
    share, transients = msgpack.unpackb(x(v["response_content"]))
    header, key_id, signature, first, responses, proof = share
    assert (transients, key_id, first, len(responses)) == ([], "centre-block-1", 2, 3)
    fields = check_block(header, x(v["block_public_spki"]), signature)
    assert rebuild({first + n: leaf(r[4]) for n, r in enumerate(responses)}, fields[5], proof) == fields[4]


def test_the_digests_of_approved_questions() -> None:
    v = load("approval")
    approve = msgpack.unpackb(x(v["approve_body"]))
    assert len(approve) == 6
    for question, digest in zip(v["questions"], approve[4], strict=True):
        *body, approval = msgpack.unpackb(x(question["body_with_approval"]))
        assert approval == x(v["approval"])
        bare = msgpack.packb([*body, None])
        assert bare == x(question["body"])
        operation = question["operation"].to_bytes(2, "big")
        assert hashlib.sha256(b"sekisho/1 approved request\0" + operation + bare).digest() == digest
        assert digest == x(question["digest"])


def test_a_receipt_and_its_trust_bundle() -> None:
    v = load("receipt")
    bundle = msgpack.unpackb(x(v["trust_bundle"]))
    root_id, algorithm, signature, history = msgpack.unpackb(bundle["history"])
    assert (bundle["format"], algorithm) == ("sekisho-trust/1", 1)
    check_es256(bundle["root"], signature, context(b"key-history") + history)
    keys = {key[0]: key for key in msgpack.unpackb(history)[3]}
    assert (keys[root_id][1], keys[root_id][3]) == ("history", bundle["root"])

    receipt = msgpack.unpackb(x(v["receipt"]))
    assert receipt["format"] == "sekisho-receipt/1"
    proof, opening = receipt["proof"], receipt["opening"]
    _, purpose, _, spki, since, until = keys[proof["key_id"]]
    fields = check_block(proof["header"], spki, proof["signature"])
    assert (purpose, until) == ("block", None)
    assert since <= fields[6]
    assert rebuild({proof["index"]: leaf(proof["entry"])}, fields[5], proof["path"]) == fields[4]
    entry = msgpack.unpackb(proof["entry"])
    asked = hmac.digest(opening["key"], b"q" + bytes([opening["operation"]]) + opening["request"], "sha256")
    answer = b"a" + opening["outcome"].to_bytes(2, "big") + opening["response"]
    finality = receipt["finality"]
    assert finality["note"] == v["checkpoint_note"]
    body, _, lines = finality["note"].partition("\n\n")
    origin, size, root, _ = body.split("\n")
    dash, key_id, signature64 = lines.strip().split(" ")
    assert (origin, dash) == ("sekisho/centre-test/inquiry", "—")
    check_es256(keys[key_id][3], base64.b64decode(signature64), context(b"checkpoint") + body.encode() + b"\n")
    nodes = {finality["position"]: leaf(proof["header"])}
    assert rebuild(nodes, int(size), finality["path"]) == base64.b64decode(root)
    assert (entry[4], entry[14]) == (asked, hmac.digest(opening["key"], answer, "sha256"))


def hpke_open(sealed: bytes, private: bytes, info: bytes) -> bytes:
    """RFC 9180 base mode: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM 0x0002; first message."""

    def extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(prk: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return HKDFExpand(hashes.SHA256(), length, labelled).derive(prk)

    key, enc, ciphertext = X25519PrivateKey.from_private_bytes(private), sealed[:32], sealed[32:]
    kem, hpke = b"KEM\0\x20", b"HPKE\0\x20\0\1\0\2"
    shared = key.exchange(X25519PublicKey.from_public_bytes(enc))
    eae = extract(b"", kem, b"eae_prk", shared)
    secret = expand(eae, kem, b"shared_secret", enc + key.public_key().public_bytes_raw(), 32)
    psk_id, info_hash = extract(b"", hpke, b"psk_id_hash", b""), extract(b"", hpke, b"info_hash", info)
    schedule = b"\0" + psk_id + info_hash
    prk = extract(secret, hpke, b"secret", b"")
    return AESGCM(expand(prk, hpke, b"key", schedule, 32)).decrypt(
        expand(prk, hpke, b"base_nonce", schedule, 12), ciphertext, b""
    )


def test_a_certificate_from_session_to_page() -> None:
    v = load("certificate")
    session, statement = msgpack.unpackb(x(v["session"])), msgpack.unpackb(x(v["statement"]))
    assert x(v["session_to_sign"]) == context(b"kiosk-session") + msgpack.packb([session, x(v["nonce"])])
    told, signature = msgpack.unpackb(x(v["apply_body"]))
    assert told == statement
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), session[2])
    point.verify(encode_dss_signature(r, s), context(b"application") + x(v["statement"]), ec.ECDSA(hashes.SHA256()))
    erased = msgpack.packb([x(v["application"]), v["erased_at_us"]])
    assert x(v["erasure_to_sign"]) == context(b"erasure") + erased

    manifest = msgpack.unpackb(x(v["manifest"]))
    check_es256(x(v["manifest_public_spki"]), x(v["manifest_signature"]), context(b"manifest") + x(v["manifest"]))
    assert manifest[2] == statement[0] == x(v["application"])
    assert manifest[3] == hashlib.sha256(x(v["session"])).digest()
    assert manifest[4] == hashlib.sha256(x(v["statement"])).digest()
    assert manifest[14] == hashlib.sha256(x(v["sealed"])).digest()
    info = context(b"document") + x(v["application"]) + manifest[3]
    salt, pdf = msgpack.unpackb(hpke_open(x(v["sealed"]), x(v["seal_private"]), info))
    assert (salt, pdf) == (x(v["salt"]), x(v["pdf"]))

    def salted(number: int, content: bytes) -> bytes:
        return hashlib.sha256(context(b"salted") + salt + number.to_bytes(2, "big") + content).digest()

    assert manifest[13] == salted(0, pdf)
    assert manifest[12] == [salted(n, x(code)) for n, code in enumerate(v["page_codes"], start=1)]
    for number, (code, page) in enumerate(zip(v["page_codes"], v["page_statements"], strict=True), start=1):
        assert x(code)[:3] == b"SK1"
        assert x(code)[67:] == x(page)
        check_es256(x(v["manifest_public_spki"]), x(code)[3:67], context(b"page") + x(page))
        fields = msgpack.unpackb(x(page))
        assert (fields[3], fields[6], fields[7]) == (x(v["application"]), number, 2)

    entry = msgpack.unpackb(x(v["entry"]))
    assert (len(entry), entry[0], entry[17][0], entry[17][1]) == (18, 2, x(v["application"]), 4)


def test_a_document_its_parts_and_a_claim() -> None:
    v = load("papers")
    data = x(v["data"])
    (paper,), more = msgpack.unpackb(x(v["papers"]))
    assert (paper[4], paper[5], more) == (len(data), hashlib.sha256(data).digest(), False)
    assert msgpack.unpackb(x(v["papers_query"]))[0] == paper[1]
    assert msgpack.unpackb(x(v["paper_query"])) == [paper[0], 0]
    parts = [msgpack.unpackb(x(each)) for each in v["confirmed"]]
    assert [part[:2] for part in parts] == [[paper, number] for number in range(3)]
    assert b"".join(part[2] for part in parts) == data
    assert {len(part[2]) for part in parts[:-1]} == {2048}
    assert msgpack.unpackb(x(v["kept"])) == [len(parts), True]
    digest, result = msgpack.unpackb(x(v["reconcile"]))
    assert digest == hashlib.sha256(result).digest()
    assert msgpack.unpackb(x(v["reconcile_part"])) == [digest, 0, result]
    number, yen, day, file = msgpack.unpackb(x(v["claimed"]))
    claim, _, signature = msgpack.unpackb(file)
    check_es256(x(v["manifest_public_spki"]), signature, context(b"municipal-claim") + claim)
    version, _, _, _, period, named, dated, copies, fees, commission, due, statement, _ = msgpack.unpackb(claim)
    assert (version, period, named, dated, copies) == (1, *msgpack.unpackb(x(v["claim_query"])), number, day, 3)
    assert (fees - commission, statement) == (due, paper[5])
    assert due == yen


def test_an_invoice_its_sums_and_its_items() -> None:
    v = load("invoice")
    file = msgpack.unpackb(x(v["file"]))
    assert file.pop("format") == "sekisho-invoice/1"
    check_es256(x(v["invoice_public_spki"]), file["signature"], context(b"invoice") + file["invoice"])
    fields = msgpack.unpackb(file["invoice"])
    assert msgpack.packb(fields) == file["invoice"]
    cells, net, due, (parts, of, rounding), tax, supplier, rests, count, digest, _ = fields[11:]
    data = x(v["items"])
    assert (count, digest) == (len(data) // 32, hashlib.sha256(data).digest())
    columns = [[[0, 0, 0, 0] for _ in range(4)] for _ in cells]
    carried = [[0, 0, 0, 0] for _ in cells]
    for at in range(0, len(data), 32):
        cell, column, is_carried = int.from_bytes(data[at + 16 : at + 20], "big"), data[at + 20], data[at + 21]
        places = ((22, 24), (24, 28), (28, 32))
        amounts = [1, *(int.from_bytes(data[at + lo : at + hi], "big", signed=True) for lo, hi in places)]
        for sums in (columns[cell][column - 1], *([carried[cell]] if is_carried else [])):
            sums[:] = [a + b for a, b in zip(sums, amounts, strict=True)]
    assert [cell[1:5] for cell in cells] == columns
    assert [cell[5] for cell in cells] == carried
    assert net == [sum(column[n] for cell in columns for column in cell) for n in range(4)]
    assert due == net[2] - net[3] == 670
    assert (parts, of, rounding, tax, supplier) == (10, 110, 0, net[3] * 10 // 110, "op-1")
    ranges, size, root, _, frozen_us, previous_us = rests
    assert ([each[3] for each in ranges], size, root) == ([count], 12, bytes(32))
    assert frozen_us - previous_us == 1


def test_a_segment_of_proofs() -> None:
    v = load("invoice")
    data = x(v["segment"])
    packed, plain = int.from_bytes(data[4:8], "big"), zlib.decompress(data[12:])
    assert (data[:4], packed, int.from_bytes(data[8:12], "big")) == (b"SKPF", len(data) - 12, len(plain))
    ((header, key_id, signature, indices, entries, nodes),) = msgpack.unpackb(plain)
    fields = check_block(header, x(v["block_public_spki"]), signature)
    assert (key_id, indices, fields[5]) == ("centre-block-1", [1, 2, 5], 7)
    level, size, rest = dict(zip(indices, map(leaf, entries), strict=True)), 7, iter(nodes)
    while size > 1:  # a neighbour that is not known is the next node, from left to right
        for place in sorted(level):
            if place ^ 1 < size and place ^ 1 not in level:
                level[place ^ 1] = next(rest)
        level = {
            place // 2: hashlib.sha256(b"\1" + node + level[place + 1]).digest() if place + 1 in level else node
            for place, node in level.items()
            if place % 2 == 0
        }
        size = (size + 1) // 2
    assert (level[0], next(rest, None)) == (fields[4], None)


# --- our own codec agrees


@pytest.mark.parametrize("name", make.MAKERS)
def test_our_codec_makes_the_same_vector_again(name: str) -> None:
    frozen = load(name)
    made = make.MAKERS[name](make.Frozen(HERE / f"{name}.json"))
    assert {"provenance": make.PROVENANCE, **made} == frozen


def test_our_codec_reads_them() -> None:
    v = load("handshake")
    hello = read_hello(x(v["hello_body"]))
    assert read_welcome(x(v["welcome_body"]), hello=hello).credit == 1024
    v = load("block")
    for entry in map(x, v["entries"]):
        assert encode_entry(decode_entry(entry)) == entry
    assert encode_header(decode_header(x(v["next_header"]))) == x(v["next_header"])
    completed = decode_entry(x(load("certificate")["entry"]))
    assert isinstance(completed, CertificateEntry)
    assert encode_entry(completed) == x(load("certificate")["entry"])
    v = load("receipt")
    trust = decode_trust(x(v["trust_bundle"]))
    receipt = decode_receipt(x(v["receipt"]))
    assert encode_receipt(receipt) == x(v["receipt"])
    assert encode_trust(trust) == x(v["trust_bundle"])
    verified = verify_receipt(receipt, trust, kept_note=v["checkpoint_note"])
    assert verified.opened
    assert verified.checkpoint is not None
