"""From a certificate's content to a sealed document with its signed manifest, in a bounded pool of threads.

Everything about one document lives in the arguments and local names of one call: there is no spool, no temporary file,
no current document. That is what the failures of the field lacked (DOMAIN 2.12). A renderer is used by one call at a
time and keeps nothing of it.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import trio

from gateway.peers.kit import KIT
from gateway.peers.kit.content import Certificate
from gateway.peers.kit.rendering import Bindings, Renderer
from hsm.interface import KeyStore
from protocol.document import (
    SALT_BYTES,
    Document,
    Manifest,
    encode_manifest,
    manifest_to_sign,
    salted,
    seal_document,
    session_digest,
    statement_digest,
)
from protocol.issuance import Issued, KioskSession, Statement
from protocol.keys import Purpose

MANIFEST_VERSION: Final = 1


class Commission(msgspec.Struct, frozen=True, kw_only=True):
    """What one document is made for and bound to."""

    session: KioskSession
    statement: Statement
    pseudonym: bytes
    serial: str
    at_us: int


class Made(msgspec.Struct, frozen=True):
    """A sealed document and what is said of it on the line."""

    issued: Issued
    sealed: bytes


class Workshop:
    """Makes documents; as many at once as there are renderers."""

    kit: str = KIT

    def __init__(
        self,
        renderers: Sequence[Renderer],
        keystore: KeyStore,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._free = list(renderers)
        self._limiter = trio.CapacityLimiter(len(renderers))
        self._keystore = keystore
        self._random = random

    async def make(self, certificate: Certificate, commission: Commission) -> Made:
        """Render, seal, sign. A call that has begun is not abandoned; one that waits for its turn may be cancelled.

        Raises: TextRefused and other KitErrors, DocumentError, HsmError.
        """
        return await trio.to_thread.run_sync(self.made, certificate, commission, limiter=self._limiter)

    def made(self, certificate: Certificate, commission: Commission) -> Made:
        """The work itself, in a thread of its own."""
        statement = commission.statement
        key_id = self._keystore.current(Purpose.MANIFEST, commission.at_us).key_id
        document, codes = self.document(certificate, commission, key_id)
        sealed = seal_document(document, application=statement.application, session=commission.session)
        manifest = encode_manifest(
            Manifest(
                version=MANIFEST_VERSION,
                municipality=statement.municipality,
                application=statement.application,
                session=session_digest(commission.session),
                statement=statement_digest(statement),
                pseudonym=commission.pseudonym,
                kind=statement.kind,
                options=statement.options,
                copies=statement.copies,
                serial=commission.serial,
                kit=self.kit,
                issued_at_us=commission.at_us,
                page_codes=[salted(document.salt, number, code) for number, code in enumerate(codes, start=1)],
                pdf=salted(document.salt, 0, document.pdf),
                ciphertext=hashlib.sha256(sealed).digest(),
            )
        )
        signature = self._keystore.sign(key_id, manifest_to_sign(manifest))
        return Made(Issued(manifest=manifest, key_id=key_id, signature=signature, size=len(sealed)), sealed)

    def document(self, certificate: Certificate, commission: Commission, key_id: str) -> tuple[Document, list[bytes]]:
        """The document before it is sealed, and its pages' codes."""
        statement = commission.statement
        bindings = Bindings(
            municipality=statement.municipality,
            kind=statement.kind,
            application=statement.application,
            pseudonym=commission.pseudonym,
            issued_at_us=commission.at_us,
            key_id=key_id,
        )
        renderer = self._free.pop()  # the limiter lets in no more calls than there are renderers
        try:
            rendered = renderer.render(
                certificate, sign=lambda signed: self._keystore.sign(key_id, signed), bindings=bindings
            )
        finally:
            self._free.append(renderer)
        return Document(salt=self._random(SALT_BYTES), pdf=rendered.pdf), rendered.codes
