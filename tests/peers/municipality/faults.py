"""Issuing servers that do wrong what servers of the field did wrong (DOMAIN 2.12); none of it is in the product."""

import io
from collections.abc import Callable
from typing import ClassVar

import msgspec
import pypdfium2
import trio

from gateway.line.serving import LineServer
from gateway.peers.kit.content import Certificate
from gateway.peers.municipality.crafting import Commission, Made, Workshop
from protocol.document import Document


class Delayed(Workshop):
    """Answers after `seconds`."""

    seconds: ClassVar[float] = 1.0

    async def make(self, certificate: Certificate, commission: Commission) -> Made:
        """See Workshop."""
        await trio.sleep(self.seconds)
        return await super().make(certificate, commission)


class Between(Workshop):
    """Does `then` once after a page was set and before it is released."""

    then: ClassVar[Callable[[], object] | None] = None
    made_count: ClassVar[int] = 0

    async def make(self, certificate: Certificate, commission: Commission) -> Made:
        """See Workshop."""
        made = await super().make(certificate, commission)
        Between.made_count += 1
        then, Between.then = Between.then, None
        if then is not None:
            then()
        return made


class PreviousPerson(Workshop):
    """Seals the PDF of whoever came before, with the manifest's codes of this one."""

    previous: ClassVar[Document | None] = None

    def document(self, certificate: Certificate, commission: Commission, key_id: str) -> tuple[Document, list[bytes]]:
        """See Workshop."""
        document, codes = super().document(certificate, commission, key_id)
        before, PreviousPerson.previous = PreviousPerson.previous, document
        return before or document, codes


class PreviousFile(Workshop):
    """Seals the whole work for whoever came before: PDF and codes are his, signed as this one's."""

    previous: ClassVar[tuple[Document, list[bytes]] | None] = None

    def document(self, certificate: Certificate, commission: Commission, key_id: str) -> tuple[Document, list[bytes]]:
        """See Workshop."""
        work = super().document(certificate, commission, key_id)
        before, PreviousFile.previous = PreviousFile.previous, work
        return before or work


class ForeignPage(Workshop):
    """Puts a page of the one before into the middle of each document: content and code, honestly hashed."""

    previous: ClassVar[Certificate | None] = None

    def document(self, certificate: Certificate, commission: Commission, key_id: str) -> tuple[Document, list[bytes]]:
        """See Workshop. The foreign page is set under its own application, then spliced in."""
        document, codes = super().document(certificate, commission, key_id)
        before, ForeignPage.previous = ForeignPage.previous, certificate
        if before is None:
            return document, codes
        other = msgspec.structs.replace(
            commission,
            statement=msgspec.structs.replace(commission.statement, application=b"\1" * 16),
            serial=before.serial,
        )
        foreign, foreign_codes = super().document(before, other, key_id)
        middle = len(codes) // 2
        pdf = spliced(document.pdf, foreign.pdf, middle)
        codes[middle] = foreign_codes[middle]
        return Document(salt=document.salt, pdf=pdf), codes


class OtherSession(Workshop):
    """Signs the manifest of, and seals to, the session that came before."""

    previous: ClassVar[Commission | None] = None

    def made(self, certificate: Certificate, commission: Commission) -> Made:
        """See Workshop."""
        before, OtherSession.previous = OtherSession.previous, commission
        return super().made(certificate, commission if before is None else before)


class Stale(Workshop):
    """Runs a kit that was retired."""

    kit = "kit-2025.9"


class AnswersTwice(LineServer):
    """Sends its first answer twice."""

    answered = 0

    def _answer(self, key: tuple[object, bytes], outcome: int, body: bytes) -> None:
        self.answered += 1
        held = self._open[key]
        super()._answer(key, outcome, body)
        if self.answered == 1:
            self._open[key] = held
            super()._answer(key, outcome, body)


def spliced(pdf: bytes, foreign: bytes, index: int) -> bytes:
    """A PDF with the front of one page replaced by that of another."""
    with pypdfium2.PdfDocument(pdf) as document, pypdfium2.PdfDocument(foreign) as other:
        document.del_page(2 * index)
        document.import_pages(other, pages=[2 * index], index=2 * index)
        return written(document)


def written(document: pypdfium2.PdfDocument) -> bytes:
    """The file of a PDF."""
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()
