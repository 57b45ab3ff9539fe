"""A certificate's pages as a signed PDF.

Every page carries its signed code (protocol.document.page_code) as a QR code at one place (CODE_PLACE_MM), the ground
pattern (地紋) with the latent word 複写, and the municipality's seal (公印) drawn here. Behind every page comes its
back, which bears the ground and nothing else; the picture that encrypts the front (スクランブル画像) is not made.

The file ends with one comment line after %%EOF,

    %SEKISHO-1 <key id> <base64 of the signature>

over context("pdf") | SHA-256 of all bytes before it, so that any later change of the file shows. The same certificate,
bindings and signatures give the same bytes: the file's time is issued_at_us.

A Renderer keeps its typesetter and its fonts; it may be called from any thread, one call at a time.

Source: DESIGN 10; DOMAIN 2.7; 001 12-3; ISO/IEC 18004 (QR code).
"""

import base64
import hashlib
import io
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import typst
import zxingcpp
from PIL import Image

from gateway.era import in_reiwa
from gateway.fonts import find_typeface
from gateway.peers.kit import KIT
from gateway.peers.kit.content import IMPRESSION_BYTES_MAX, Certificate, near_edge
from gateway.peers.kit.errors import GlyphMissing, PictureInvalid, RenderingFailed, TextTooLong
from protocol.document import DocumentError, PageStatement, encode_page, page_code, page_to_sign
from protocol.keys import context

CODE_PLACE_MM: Final = (18.0, 243.0, 40.0)
"""Left and upper edge of a page's code from the page's, and its side."""
PDF_MARK: Final = b"%SEKISHO-1 "
IMPRESSION_PIXELS_MAX: Final = 1_000
NOTES: Final = (
    "二次元コードに記載事項と署名が入っています。複写すると「複写」の文字が浮き出ます。",
    f"試験用に作られた架空の証明書です。効力はありません。 / Synthetic, of no effect. ({KIT})",
)
_TEMPLATE: Final = Path(__file__).parent / "templates" / "certificate.typ"


class Bindings(msgspec.Struct, frozen=True):
    """What a page's code says beside the printed text: whose it is, of which application, when, by which key."""

    municipality: str
    kind: str
    application: bytes
    pseudonym: bytes
    issued_at_us: int
    key_id: str


class Rendered(msgspec.Struct, frozen=True):
    """The PDF, and the bytes inside each page's code, in order."""

    pdf: bytes
    codes: list[bytes]


def pdf_to_sign(before: bytes) -> bytes:
    """What the municipality's manifest key signs of a PDF: its bytes before the mark's line."""
    return context("pdf") + hashlib.sha256(before).digest()


class Renderer:
    """Sets certificates. fonts: font files or folders to prefer over the system's. Raises: FontMissing."""

    def __init__(self, fonts: Sequence[Path] = ()) -> None:
        self._typeface = find_typeface(tuple(fonts))
        self._compiler = typst.Compiler(
            _TEMPLATE, root=_TEMPLATE.parent, font_paths=self._typeface.fonts, ignore_system_fonts=True
        )
        self._lock = threading.Lock()

    def render(self, certificate: Certificate, *, sign: Callable[[bytes], bytes], bindings: Bindings) -> Rendered:
        """The signed PDF of one copy; sign is asked once a page and once for the file (ES256 raw r||s).

        Synchronous, some 5 ms a page. Raises: TextTooLong, GlyphMissing (both TextRefused, naming the field),
        PictureInvalid, RenderingFailed; ValueError when the bindings are of another kind; what sign raises.
        """
        if bindings.kind != certificate.kind:
            raise ValueError(f"the bindings are of {bindings.kind}, the certificate of {certificate.kind}")
        self._check_glyphs(certificate)
        _check_impression(certificate.impression)
        codes = [_code(certificate, number, sign, bindings) for number in range(1, len(certificate.pages) + 1)]
        data = {
            "font": self._typeface.family,
            "title": certificate.title,
            "municipality": certificate.municipality_ja,
            "mayor": _mayor(certificate),
            "serial": certificate.serial,
            "issued": in_reiwa(certificate.issued_on),
            "certifying": certificate.certifying,
            "impression": list(certificate.impression),
            "seal": _seal_columns(f"{certificate.municipality_ja}長之印"),
            "place": CODE_PLACE_MM,
            "notes": NOTES,
            "pages": [
                {
                    "code": list(_qr(code)),
                    "near": any(near_edge(row) for section in page.sections for row in section.rows),
                    "sections": [
                        {
                            "heading": section.heading,
                            "amounts": section.amounts,
                            "rows": [(row.label, row.value, row.lines, near_edge(row)) for row in section.rows],
                        }
                        for section in page.sections
                    ],
                }
                for page, code in zip(certificate.pages, codes, strict=True)
            ],
        }
        before = self._set(certificate, msgspec.json.encode(data).decode(), bindings.issued_at_us // 1_000_000) + b"\n"
        signature = base64.b64encode(sign(pdf_to_sign(before)))
        return Rendered(before + PDF_MARK + bindings.key_id.encode() + b" " + signature + b"\n", codes)

    def _set(self, certificate: Certificate, data: str, at_s: int) -> bytes:
        try:
            with self._lock:
                pdf = self._compiler.compile(format="pdf", sys_inputs={"data": data}, timestamp=at_s, pdf_tags=False)
        except typst.TypstError as error:
            message = str(error)
        else:
            if isinstance(pdf, bytes):
                return pdf
            raise RenderingFailed
        # raised outside the handler: the typesetter's error shows the text it failed on
        if "TOO-LONG " not in message:
            raise RenderingFailed
        raise TextTooLong(_place_name(certificate, message.partition("TOO-LONG ")[2].partition(" END")[0]))

    def _check_glyphs(self, certificate: Certificate) -> None:
        holds = self._typeface.characters.holds
        for name, text in (
            ("title", certificate.title),
            ("municipality", certificate.municipality_ja),
            ("mayor", certificate.mayor_ja),
            ("serial", certificate.serial),
            ("certifying", certificate.certifying),
        ):
            if not holds(text):
                raise GlyphMissing(name)
        for page in certificate.pages:
            for section in page.sections:
                if not holds(section.heading):
                    raise GlyphMissing("heading")
                for row in section.rows:
                    if not holds(row.label) or not holds(row.value):
                        raise GlyphMissing(row.label if holds(row.label) else "label")


def _code(certificate: Certificate, number: int, sign: Callable[[bytes], bytes], bindings: Bindings) -> bytes:
    fields = certificate.pages[number - 1].key_fields
    statement = encode_page(
        PageStatement(
            version=1,
            municipality=bindings.municipality,
            kind=bindings.kind,
            application=bindings.application,
            pseudonym=bindings.pseudonym,
            serial=certificate.serial,
            page=number,
            pages=len(certificate.pages),
            issued_at_us=bindings.issued_at_us,
            key_id=bindings.key_id,
            fields=list(fields),
        )
    )
    try:
        return page_code(statement, sign(page_to_sign(statement)))
    except DocumentError:
        longest = max(fields, key=lambda field: len(field.text), default=None)
        raise TextTooLong(longest.label if longest else "serial") from None


def _qr(code: bytes) -> bytes:
    """The code as a PNG of one pixel a module; error correction M (15 %) while a camera still resolves the modules."""
    level = "M" if len(code) <= 666 else "L"  # version 20 at most, 97 modules, at M; then version 23 at L
    barcode = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.QRCode, ec_level=level)
    modules: Any = barcode.to_image(scale=1, add_quiet_zones=False)  # a buffer, which its types do not say
    height, width = modules.shape
    out = io.BytesIO()
    Image.frombuffer("L", (width, height), bytes(modules), "raw", "L", 0, 1).convert("1").save(out, "PNG")
    return out.getvalue()


def _check_impression(png: bytes) -> None:
    if not png:
        return
    if len(png) > IMPRESSION_BYTES_MAX:
        raise PictureInvalid(f"it has over {IMPRESSION_BYTES_MAX} bytes")
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
            if max(picture.size) > IMPRESSION_PIXELS_MAX:
                raise PictureInvalid(f"it has over {IMPRESSION_PIXELS_MAX} pixels a side")
            picture.load()
    except (OSError, ValueError, SyntaxError):
        raise PictureInvalid("it is no PNG") from None


def _mayor(certificate: Certificate) -> str:
    return f"{certificate.municipality_ja}長　{certificate.mayor_ja}"


def _seal_columns(text: str) -> list[str]:
    """The seal's characters in columns read downwards, listed from the left (the right-hand column is read first)."""
    side = next(side for side in range(1, len(text) + 1) if side * side >= len(text))
    return [text[at : at + side] for at in range(0, len(text), side)][::-1]


def _place_name(certificate: Certificate, place: str) -> str:
    """The label of the row at "page section row", or the title when it is a whole page that overflows."""
    indices = [int(each) for each in place.split()]
    if len(indices) != 3:
        return certificate.title
    page, section, row = indices
    return certificate.pages[page].sections[section].rows[row].label
