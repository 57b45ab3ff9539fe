"""Every page's code, read back from the picture of the page as a camera would see it.

Not what the renderer meant but what a page shows: the page is drawn, and the drawing decoded. The code's known place is
drawn first; where it holds none, the whole page.

A page that bears the ground's words and no picture, and follows a front, is that front's back: it has no code and is no
page of the certificate. Whatever else stands on a back makes it a page, which then lacks its code.

What this opens may come from anybody: files, pages and pictures are bounded before they are decoded (FILE_BYTES_MAX,
PAGES_MAX, PAGE_MM_MAX, PICTURE_PIXELS_MAX). A hostile PDF can still make the PDF library work hard; who opens a file of
unknown origin does so in a process with limits (verdict.verify_confined).

The PDF library is not safe to call from two threads, so one lock guards it.

Source: DESIGN 10; ISO/IEC 18004.
"""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pypdfium2
import zxingcpp
from PIL import Image

from gateway.peers.kit.errors import FileUnreadable, PageUnreadable
from gateway.peers.kit.rendering import CODE_PLACE_MM
from protocol.document import PAGE_PREFIX, PAGES_MAX

FILE_BYTES_MAX: Final = 16 << 20
PICTURE_PIXELS_MAX: Final = 64_000_000
"""A4 at 600 dpi has 35 million; telephones make up to 50."""
PAGE_MM_MAX: Final = 450.0
_POINTS_PER_MM: Final = 72 / 25.4
_CROP_MARGIN_MM: Final = 4.0
_CROP_DPI: Final = 150
_PAGE_DPI: Final = 250
_QR: Final = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
BACK_TEXT: Final = "合成データ" + "複写" * 15
"""All that a back says, without spaces; beside it there is nothing but lines and areas."""
_BACK_OBJECTS: Final = frozenset({pypdfium2.raw.FPDF_PAGEOBJ_TEXT, pypdfium2.raw.FPDF_PAGEOBJ_PATH})
PDF_LIBRARY: Final = threading.Lock()
"""Held by whoever calls the PDF library, also outside this module."""


def read_pages(pdf: bytes) -> list[bytes]:
    """The bytes inside every page's code, in order; what they say is the caller's to check (protocol.document).

    Some 4 ms a page. Raises: FileUnreadable; PageUnreadable naming the first page without a code.
    """
    codes = []
    for number, code in enumerate(read_codes(pdf), start=1):
        if code is None:
            raise PageUnreadable(number)
        codes.append(code)
    return codes


def read_codes(pdf: bytes) -> list[bytes | None]:
    """As read_pages, None for a page whose code cannot be read. Raises: FileUnreadable."""
    with PDF_LIBRARY, _opened(pdf) as document:
        return [_read_page(document, index) for index in front_sides(document)]


def read_texts(pdf: bytes) -> list[str]:
    """The text layer of every page's front, in the order it was drawn. Raises: FileUnreadable."""
    with PDF_LIBRARY, _opened(pdf) as document:
        texts = []
        for index in front_sides(document):
            page = document[index]
            texts.append(_text_of(page))
            page.close()
        return texts


def front_sides(document: pypdfium2.PdfDocument) -> list[int]:
    """Where in a PDF the fronts of its pages are; the caller holds PDF_LIBRARY. Raises: FileUnreadable."""
    fronts: list[int] = []
    for index in range(len(document)):
        if not (fronts and fronts[-1] == index - 1 and _is_back(document, index)):
            fronts.append(index)
    if len(fronts) > PAGES_MAX:
        raise FileUnreadable(f"a certificate has 1 to {PAGES_MAX} pages, this file {len(fronts)}")
    return fronts


def _is_back(document: pypdfium2.PdfDocument, index: int) -> bool:
    page = document[index]
    try:
        if "".join(_text_of(page).split()) != BACK_TEXT:
            return False
        return all(each.type in _BACK_OBJECTS for each in page.get_objects(max_depth=1))
    finally:
        page.close()


def _text_of(page: pypdfium2.PdfPage) -> str:
    text = page.get_textpage()
    try:
        found: str = text.get_text_range()
        return found
    finally:
        text.close()


def read_picture(data: bytes) -> list[bytes]:
    """The codes of pages in a photograph or scan (PNG, JPEG), none when it shows none. Raises: FileUnreadable."""
    if len(data) > FILE_BYTES_MAX:
        raise FileUnreadable(f"the picture has over {FILE_BYTES_MAX >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
                if picture.width * picture.height > PICTURE_PIXELS_MAX:
                    raise FileUnreadable(f"the picture has over {PICTURE_PIXELS_MAX // 1_000_000} million pixels")
                picture.draft("L", picture.size)
                grey = picture.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FileUnreadable("the picture cannot be decoded") from None
    return _decode(grey)


@contextmanager
def _opened(pdf: bytes) -> Iterator[pypdfium2.PdfDocument]:
    if len(pdf) > FILE_BYTES_MAX:
        raise FileUnreadable(f"the file has over {FILE_BYTES_MAX >> 20} MiB")
    try:
        document = pypdfium2.PdfDocument(pdf)
    except pypdfium2.PdfiumError:
        raise FileUnreadable("the file is no PDF that can be opened, or it asks for a password") from None
    try:
        if not 1 <= len(document) <= 2 * PAGES_MAX:
            raise FileUnreadable(f"a certificate has 1 to {PAGES_MAX} pages of two sides, this file {len(document)}")
        yield document
    except pypdfium2.PdfiumError:
        raise FileUnreadable("a page of the file cannot be opened or drawn") from None
    finally:
        document.close()


def _read_page(document: pypdfium2.PdfDocument, index: int) -> bytes | None:
    page = document[index]
    try:
        width, height = (each / _POINTS_PER_MM for each in page.get_size())
        if not (0 < width <= PAGE_MM_MAX and 0 < height <= PAGE_MM_MAX):
            raise FileUnreadable(f"page {index + 1} has no paper's size")
        left, top, side = CODE_PLACE_MM
        near = (
            left - _CROP_MARGIN_MM,
            height - top - side - _CROP_MARGIN_MM,
            width - left - side - _CROP_MARGIN_MM,
            top - _CROP_MARGIN_MM,
        )
        if min(near) > 0:
            for code in _decode(_draw(page, _CROP_DPI, near)):
                return code
        found = _decode(_draw(page, _PAGE_DPI, (0, 0, 0, 0)))
        return found[0] if len(found) == 1 else None
    finally:
        page.close()


def _draw(page: pypdfium2.PdfPage, dpi: int, crop_mm: tuple[float, float, float, float]) -> Image.Image:
    left, bottom, right, top = (each * _POINTS_PER_MM for each in crop_mm)
    bitmap = page.render(scale=dpi / 72, crop=(left, bottom, right, top), grayscale=True, may_draw_forms=False)
    picture: Image.Image = bitmap.to_pil().copy()
    bitmap.close()
    return picture


def _decode(picture: Image.Image) -> list[bytes]:
    found = zxingcpp.read_barcodes(picture, formats=_QR)
    return [bytes(each.bytes) for each in found if each.bytes.startswith(PAGE_PREFIX)]
