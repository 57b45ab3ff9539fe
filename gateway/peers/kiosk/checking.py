"""Is this the document that was asked for? What the kiosk checks before it takes money.

In order: the municipality's signature over the manifest, by a MANIFEST key of the very municipality that was applied
to; the manifest's bindings to this session and this statement; the ciphertext's hash; the seal; the PDF's hash; and the
code of every page as it reads from the page itself, with the municipality's signature over each. A document of another
person, session or application, an old one, a swapped one, or one with a foreign page fails at one of these. What is
printed are the very bytes that passed: their digest is compared once more when the money is in.

What this cannot see: wrong data in the municipality's own source.
Source: DESIGN 10; DOMAIN 2.12; docs/PROTOCOL.md, Certificates.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.peers.kiosk.errors import DocumentRefused
from protocol.document import (
    Document,
    DocumentError,
    Manifest,
    PageStatement,
    check_ciphertext,
    check_manifest,
    check_pages,
    decode_manifest,
    manifest_to_sign,
    open_document,
    page_to_sign,
    read_page_code,
)
from protocol.issuance import Issued, KioskSession, Statement
from protocol.keys import KeysError, Purpose
from protocol.trust import Trust, TrustError

SKEW_US: Final = 5 * 60 * 1_000_000
"""Clocks of kiosk and municipality differ by no more."""
_SERIAL: Final = re.compile(r"[A-Za-z0-9-]{1,40}")
"""An issue number (発行番号) names paper in the tray."""

ReadPages = Callable[[bytes], Awaitable[list[bytes]]]
"""The code of every page of a PDF, in order, read from the page's picture. Raises: DocumentRefused."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, by whom: all a document is held against."""

    statement: Statement
    session: KioskSession
    trust: Trust
    kits: frozenset[str]


def check_issued(issued: Issued, expected: Expected, *, now_us: int) -> Manifest:
    """The manifest, signed by the municipality and bound to what was asked. Raises: DocumentRefused."""
    try:
        manifest = decode_manifest(issued.manifest)
        statement = expected.statement
        if not statement.asked_at_us - SKEW_US <= manifest.issued_at_us <= now_us + SKEW_US:
            raise DocumentRefused("manifest-time")
        key = expected.trust.key(issued.key_id, purpose=Purpose.MANIFEST, at_us=manifest.issued_at_us)
        key.verify(issued.signature, manifest_to_sign(issued.manifest))
        check_manifest(
            manifest,
            statement=statement,
            session=expected.session,
            municipality=statement.municipality,
            pseudonym=None,
            kits=expected.kits,
        )
        if not _SERIAL.fullmatch(manifest.serial):
            raise DocumentRefused("manifest-serial")
    except DocumentError as error:
        raise DocumentRefused("manifest-binding") from error
    except (KeysError, TrustError) as error:
        raise DocumentRefused("manifest-signature") from error
    return manifest


def open_sealed(sealed: bytes, manifest: Manifest, expected: Expected, *, key: X25519PrivateKey) -> Document:
    """The document inside. Raises: DocumentRefused."""
    try:
        check_ciphertext(manifest, sealed)
        return open_document(sealed, key=key, application=expected.statement.application, session=expected.session)
    except DocumentError as error:
        raise DocumentRefused("seal") from error


def digest_of(document: Document) -> bytes:
    """SHA-256 of the very bytes that are printed: taken when their pages were checked, and compared at the printer."""
    return hashlib.sha256(document.pdf).digest()


async def check_document(
    document: Document, manifest: Manifest, expected: Expected, *, read_pages: ReadPages
) -> list[PageStatement]:
    """Read every page and hold it against the manifest; the statements of the pages. Raises: DocumentRefused."""
    codes = await read_pages(document.pdf)
    try:
        statements = check_pages(manifest, document, codes)
        for code in codes:
            page, signed, signature = read_page_code(code)
            key = expected.trust.key(page.key_id, purpose=Purpose.MANIFEST, at_us=page.issued_at_us)
            key.verify(signature, page_to_sign(signed))
    except DocumentError as error:
        raise DocumentRefused("pages") from error
    except (KeysError, TrustError) as error:
        raise DocumentRefused("page-signature") from error
    return statements
