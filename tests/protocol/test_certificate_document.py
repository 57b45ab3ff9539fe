"""Manifest, page codes and seal: what does not belong together is refused."""

import hashlib
import os

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocol.document import (
    PAGE_CODE_BYTES_MAX,
    Document,
    DocumentError,
    Field,
    Manifest,
    PageStatement,
    check_ciphertext,
    check_manifest,
    check_pages,
    decode_manifest,
    encode_manifest,
    encode_page,
    open_document,
    page_code,
    read_page_code,
    salted,
    seal_document,
    session_digest,
    statement_digest,
)
from protocol.issuance import Apply, Authenticate, Issue, KioskSession, Statement
from protocol.limits import REQUEST_BODY_BYTES_MAX
from protocol.messages import Operation, decode_body, encode
from protocol.request_id import make_request_id

KEY = X25519PrivateKey.generate()
SESSION = KioskSession("lawson-dev", "kiosk-1", b"\4" + bytes(64), KEY.public_key().public_bytes_raw())
APPLICATION = make_request_id(1_790_000_000_000, bytes(10))
STATEMENT = Statement(APPLICATION, "121002", "juminhyo", 0, 2, 1_790_000_000_000_000)
SALT = bytes(range(32))
PSEUDONYM = bytes(16)


def code(number: int, pages: int, *, application: bytes = APPLICATION, text: str = "合成 花子") -> bytes:
    statement = PageStatement(
        1, "121002", "juminhyo", application, PSEUDONYM, "第1号", number, pages, 1, "manifest-1", [Field("氏名", text)]
    )
    return page_code(encode_page(statement), bytes(64))


def made(codes: list[bytes]) -> tuple[Manifest, Document, bytes]:
    document = Document(SALT, b"%PDF-1.7 synthetic")
    sealed = seal_document(document, application=APPLICATION, session=SESSION)
    manifest = Manifest(
        1,
        "121002",
        APPLICATION,
        session_digest(SESSION),
        statement_digest(STATEMENT),
        PSEUDONYM,
        "juminhyo",
        0,
        2,
        "第1号",
        "kit-1",
        1,
        [salted(SALT, n, c) for n, c in enumerate(codes, start=1)],
        salted(SALT, 0, document.pdf),
        hashlib.sha256(sealed).digest(),
    )
    return manifest, document, sealed


def checked(manifest: Manifest, **other: object) -> None:
    given = {
        "statement": STATEMENT,
        "session": SESSION,
        "municipality": "121002",
        "pseudonym": PSEUDONYM,
        "kits": frozenset({"kit-1"}),
    }
    check_manifest(manifest, **(given | other))  # type: ignore[arg-type]


def test_a_document_comes_through_whole() -> None:
    codes = [code(1, 2), code(2, 2)]
    manifest, document, sealed = made(codes)
    assert decode_manifest(encode_manifest(manifest)) == manifest
    checked(manifest)
    check_ciphertext(manifest, sealed)
    opened = open_document(sealed, key=KEY, application=APPLICATION, session=SESSION)
    assert opened == document
    assert [page.page for page in check_pages(manifest, opened, codes)] == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"statement": msgspec.structs.replace(STATEMENT, kind="inkan")},
        {"statement": msgspec.structs.replace(STATEMENT, copies=1)},
        {"statement": msgspec.structs.replace(STATEMENT, options=1)},
        {"statement": msgspec.structs.replace(STATEMENT, application=make_request_id(1, bytes(10)))},
        {"session": msgspec.structs.replace(SESSION, kiosk="kiosk-2")},
        {"municipality": "162027"},
        {"pseudonym": b"\1" * 16},
        {"kits": frozenset({"kit-2"})},
    ],
)
def test_a_manifest_of_something_else_is_refused(other: dict[str, object]) -> None:
    manifest, _, _ = made([code(1, 1)])
    with pytest.raises(DocumentError, match="of another"):
        checked(manifest, **other)


def test_a_foreign_page_in_the_middle_is_refused() -> None:
    right = [code(1, 3), code(2, 3), code(3, 3)]
    manifest, document, _ = made(right)
    foreign = code(2, 3, application=make_request_id(2, bytes(10)))
    for read in (
        [right[0], foreign, right[2]],
        [right[0], right[2], right[1]],
        right[:2],
        [*right, foreign],
        [right[0], right[0], right[2]],
    ):
        with pytest.raises(DocumentError):
            check_pages(manifest, document, read)
    wrongly_listed, document, _ = made([right[0], foreign, right[2]])
    with pytest.raises(DocumentError, match="page 2"):
        check_pages(wrongly_listed, document, [right[0], foreign, right[2]])


def test_another_session_or_application_opens_nothing() -> None:
    _, _, sealed = made([code(1, 1)])
    other = KioskSession("lawson-dev", "kiosk-2", SESSION.sign_key, SESSION.seal_key)
    for application, session, key in (
        (make_request_id(1, bytes(10)), SESSION, KEY),
        (APPLICATION, other, KEY),
        (APPLICATION, SESSION, X25519PrivateKey.generate()),
    ):
        with pytest.raises(DocumentError):
            open_document(sealed, key=key, application=application, session=session)
    with pytest.raises(DocumentError):
        open_document(sealed[:-1], key=KEY, application=APPLICATION, session=SESSION)


def test_one_changed_byte_of_the_ciphertext_is_seen() -> None:
    manifest, _, sealed = made([code(1, 1)])
    with pytest.raises(DocumentError):
        check_ciphertext(manifest, sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_a_code_that_is_none_is_refused() -> None:
    good = code(1, 1)
    for bad in (b"", b"SK1", good[:-1], b"SK2" + good[3:], good + b"\0", os.urandom(300)):
        with pytest.raises(DocumentError):
            read_page_code(bad)
    with pytest.raises(DocumentError, match=str(PAGE_CODE_BYTES_MAX)):
        code(1, 1, text="長" * 400)


def test_the_largest_order_to_a_municipality_fits_a_body() -> None:
    authentication = Authenticate(
        KioskSession("o" * 40, "k" * 40, SESSION.sign_key, SESSION.seal_key),
        bytes(40),
        bytes(900),
        bytes(64),
        1,
        bytes(1600),
        bytes(256),
        "121002",
    )
    body = encode(Issue(authentication, Apply(STATEMENT, bytes(64)), PSEUDONYM, "kit-1"))
    assert len(body) <= REQUEST_BODY_BYTES_MAX
    assert encode(decode_body(Operation.ISSUE, body)) == body
