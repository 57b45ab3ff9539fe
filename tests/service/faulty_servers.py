"""Issuing servers that do wrong in the midst of a service, beside those of tests.peers.municipality.faults."""

from collections.abc import Callable
from typing import ClassVar

import pypdfium2

from gateway.peers.kit.content import Certificate
from gateway.peers.municipality.crafting import Commission, Made, Workshop
from protocol.document import Document
from tests.peers.municipality.faults import written


class Collision(Workshop):
    """Does `then` once, after a page of a certificate of that kind was set and before it is released."""

    kind: ClassVar[str] = ""
    then: ClassVar[Callable[[], object] | None] = None

    async def make(self, certificate: Certificate, commission: Commission) -> Made:
        """See Workshop."""
        made = await super().make(certificate, commission)
        if commission.statement.kind == Collision.kind and Collision.then is not None:
            then, Collision.then = Collision.then, None
            then()
        return made


class SecondPageOfAnother(Workshop):
    """Page 2 is page 1 of whoever came before: another person's, content and code, honestly hashed and signed."""

    previous: ClassVar[tuple[Certificate, Commission] | None] = None

    def document(self, certificate: Certificate, commission: Commission, key_id: str) -> tuple[Document, list[bytes]]:
        """See Workshop."""
        document, codes = super().document(certificate, commission, key_id)
        before, SecondPageOfAnother.previous = SecondPageOfAnother.previous, (certificate, commission)
        if before is None or len(codes) < 3:
            return document, codes
        foreign, foreign_codes = super().document(*before, key_id)
        codes[1] = foreign_codes[0]
        with pypdfium2.PdfDocument(document.pdf) as pdf, pypdfium2.PdfDocument(foreign.pdf) as other:
            pdf.del_page(1)
            pdf.import_pages(other, pages=[0], index=1)
            return Document(salt=document.salt, pdf=written(pdf)), codes
