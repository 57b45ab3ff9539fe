"""The certificate on its way: the municipality's signed manifest, the code on every page, the seal to the kiosk.

Theory. A page is right only if it says so itself. The municipality prints on each page a two-dimensional code that
holds a signed PageStatement: the printed key fields, page n of N, the application, the subject's pseudonym. Its
manifest, signed too, binds the application, the kiosk's session, municipality, kind, options and copies to the salted
hash of every page's code, of the PDF and of the ciphertext. The document is sealed by HPKE to the session's X25519
key, so gateway and relay carry what they cannot read; the salt travels inside the seal, so nobody outside can try
guesses against the hashes. The kiosk compares all of it, and decodes every page's code, before it takes money and
before it prints.

What this cannot see: wrong data in the municipality's own source.

Shapes: hashes are SHA-256; signatures ES256 raw r||s over context | canonical bytes. Invariant 3 rests on this module.
Source: DESIGN 10; DOMAIN 2.12; RFC 9180 (HPKE: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM).
"""

import hashlib
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from protocol.issuance import DOCUMENT_BYTES_MAX, ApplicationId, Digest, KioskSession, Pseudonym, Statement
from protocol.keys import context

SALT_BYTES: Final = 32
PAGES_MAX: Final = 40
PAGE_CODE_BYTES_MAX: Final = 1_000
"""A QR code of version 24 holds 1,171 bytes at error correction L and 911 at M; larger does not survive a camera."""
PAGE_PREFIX: Final = b"SK1"
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_encode: Final = msgspec.msgpack.Encoder().encode


class DocumentError(ValueError):
    """A manifest, page code or sealed document that is not what it must be; the sentence says which."""


class _Struct(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


class Field(_Struct, frozen=True):
    """One printed key field: its label and its text, both as printed (氏名, 住所, 生年月日 ...)."""

    label: str
    text: str


class PageStatement(_Struct, frozen=True):
    """What a page's code says. page counts from 1 to pages; serial is the issue number (発行番号) printed on it."""

    version: int
    municipality: str
    kind: str
    application: ApplicationId
    pseudonym: Pseudonym
    serial: str
    page: int
    pages: int
    issued_at_us: int
    key_id: str
    fields: list[Field]


class Manifest(_Struct, frozen=True):
    """What the municipality signs of a document.

    session: SHA-256 of the session's canonical bytes; statement: of the application statement's; ciphertext: of the
    sealed document's bytes; pdf and page_codes are salted (`salted`).
    """

    version: int
    municipality: str
    application: ApplicationId
    session: Digest
    statement: Digest
    pseudonym: Pseudonym
    kind: str
    options: int
    copies: int
    serial: str
    kit: str
    issued_at_us: int
    page_codes: Annotated[list[Digest], msgspec.Meta(min_length=1, max_length=PAGES_MAX)]
    pdf: Digest
    ciphertext: Digest


class Document(_Struct, frozen=True):
    """What is sealed to the kiosk: the salt of the hashes, and the PDF with all pages of one copy."""

    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]
    pdf: bytes


_read_manifest: Final = msgspec.msgpack.Decoder(Manifest)
_read_page: Final = msgspec.msgpack.Decoder(PageStatement)
_read_document: Final = msgspec.msgpack.Decoder(Document)


def manifest_to_sign(manifest: bytes) -> bytes:
    """What the municipality's manifest key signs."""
    return context("manifest") + manifest


def page_to_sign(statement: bytes) -> bytes:
    """What the municipality's manifest key signs for a page."""
    return context("page") + statement


def encode_manifest(manifest: Manifest) -> bytes:
    """Canonical bytes."""
    return _encode(manifest)


def decode_manifest(data: bytes) -> Manifest:
    """Read a manifest; its signature is the caller's to check. Raises: DocumentError."""
    try:
        manifest = _read_manifest.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DocumentError("the manifest is malformed") from error
    if _encode(manifest) != data:
        raise DocumentError("the manifest is not canonical")
    return manifest


def encode_page(statement: PageStatement) -> bytes:
    """Canonical bytes of a page's statement, to be signed."""
    return _encode(statement)


def page_code(statement: bytes, signature: bytes) -> bytes:
    """The bytes inside a page's code: prefix | signature (64) | statement. Raises: DocumentError over its bound."""
    code = PAGE_PREFIX + signature + statement
    if len(signature) != 64 or len(code) > PAGE_CODE_BYTES_MAX:
        raise DocumentError(f"a page's code has at most {PAGE_CODE_BYTES_MAX} bytes, not {len(code)}")
    return code


def read_page_code(code: bytes) -> tuple[PageStatement, bytes, bytes]:
    """Statement, its bytes, and its signature (unchecked). Raises: DocumentError."""
    at = len(PAGE_PREFIX)
    signature, statement = code[at : at + 64], code[at + 64 :]
    if not code.startswith(PAGE_PREFIX) or len(code) > PAGE_CODE_BYTES_MAX:
        raise DocumentError("this code is not one of a certificate's page")
    try:
        page = _read_page.decode(statement)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DocumentError("the page's code is malformed") from error
    if _encode(page) != statement or not 1 <= page.page <= page.pages <= PAGES_MAX:
        raise DocumentError("the page's code is not canonical")
    return page, statement, signature


def salted(salt: bytes, what: int, content: bytes) -> bytes:
    """SHA-256(context("salted") | salt | u16 what | content): what is 0 for the PDF, the page's number for its code."""
    return hashlib.sha256(context("salted") + salt + what.to_bytes(2, "big") + content).digest()


def session_digest(session: KioskSession) -> bytes:
    """SHA-256 of the session's canonical bytes."""
    return hashlib.sha256(_encode(session)).digest()


def statement_digest(statement: Statement) -> bytes:
    """SHA-256 of the application statement's canonical bytes."""
    return hashlib.sha256(_encode(statement)).digest()


def _info(application: bytes, session: KioskSession) -> bytes:
    return context("document") + application + session_digest(session)


def seal_document(document: Document, *, application: bytes, session: KioskSession) -> bytes:
    """The document for this session alone: HPKE's encapsulated key and ciphertext.

    Raises: DocumentError when it is over DOCUMENT_BYTES_MAX or the session's key is none.
    """
    try:
        key = X25519PublicKey.from_public_bytes(session.seal_key)
        sealed: bytes = _SUITE.encrypt(_encode(document), key, info=_info(application, session))
    except ValueError as error:
        raise DocumentError("the session's key takes no seal") from error
    if len(sealed) > DOCUMENT_BYTES_MAX:
        raise DocumentError(f"a sealed document has at most {DOCUMENT_BYTES_MAX} bytes")
    return sealed


def open_document(sealed: bytes, *, key: X25519PrivateKey, application: bytes, session: KioskSession) -> Document:
    """The document, at the kiosk. Raises: DocumentError."""
    try:
        return _read_document.decode(_SUITE.decrypt(sealed, key, info=_info(application, session)))
    except (InvalidTag, ValueError, msgspec.DecodeError) as error:
        raise DocumentError("the sealed document does not open for this session") from error


def check_manifest(
    manifest: Manifest,
    *,
    statement: Statement,
    session: KioskSession,
    municipality: str,
    pseudonym: bytes | None,
    kits: frozenset[str],
) -> None:
    """What gateway and kiosk compare of a manifest whose signature held; None leaves out what a kiosk cannot know.

    Raises: DocumentError naming the first binding that does not hold.
    """
    bindings = (
        ("version", manifest.version == 1),
        ("municipality", manifest.municipality == municipality == statement.municipality),
        ("application", manifest.application == statement.application),
        ("session", manifest.session == session_digest(session)),
        ("statement", manifest.statement == statement_digest(statement)),
        ("pseudonym", pseudonym is None or manifest.pseudonym == pseudonym),
        ("kind", manifest.kind == statement.kind),
        ("options", manifest.options == statement.options),
        ("copies", manifest.copies == statement.copies),
        ("kit", manifest.kit in kits),
    )
    for what, holds in bindings:
        if not holds:
            raise DocumentError(f"the manifest is of another {what}")


def check_ciphertext(manifest: Manifest, sealed: bytes) -> None:
    """Raises: DocumentError when these are not the bytes the manifest names."""
    if hashlib.sha256(sealed).digest() != manifest.ciphertext:
        raise DocumentError("the sealed document is not the one of the manifest")


def check_pages(manifest: Manifest, document: Document, codes: list[bytes]) -> list[PageStatement]:
    """Compare the codes read from every page of the PDF, in order, with manifest and document; the kiosk's last gate.

    Returns: the statements. Their signatures are the caller's to check (page_to_sign). Raises: DocumentError.
    """
    if salted(document.salt, 0, document.pdf) != manifest.pdf:
        raise DocumentError("the PDF is not the one of the manifest")
    if len(codes) != len(manifest.page_codes):
        raise DocumentError(f"the document has {len(codes)} pages, the manifest {len(manifest.page_codes)}")
    statements = []
    for number, (code, expected) in enumerate(zip(codes, manifest.page_codes, strict=True), start=1):
        page, _, _ = read_page_code(code)
        if (
            salted(document.salt, number, code) != expected
            or page.page != number
            or page.pages != len(codes)
            or page.application != manifest.application
            or page.pseudonym != manifest.pseudonym
            or page.municipality != manifest.municipality
            or page.kind != manifest.kind
            or page.serial != manifest.serial
        ):
            raise DocumentError(f"page {number} is not of this application")
        statements.append(page)
    return statements
