"""Paper that is void: the pages as pictures with 返金済・無効 across each, and the first pages of a copy that jammed.

Source: 000契9-1.
"""

import io
from functools import lru_cache
from typing import Final

import pypdfium2
from PIL import Image, ImageDraw, ImageFont

from gateway.peers.kit.reading import PDF_LIBRARY, front_sides

WORDS: Final = "返金済・無効"
WORDS_EN: Final = "REFUNDED / VOID"
FONT: Final = "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf"
DOTS_AN_INCH: Final = 110
_INK: Final = (190, 0, 30)
_A4: Final = (DOTS_AN_INCH * 210 * 10 // 254, DOTS_AN_INCH * 297 * 10 // 254)


def pages_of(pdf: bytes, count: int) -> bytes:
    """The first so many pages of a PDF, with their backs, as a PDF."""
    with PDF_LIBRARY:
        source = pypdfium2.PdfDocument(pdf)
        part = pypdfium2.PdfDocument.new()
        try:
            ends = [*front_sides(source), len(source)]
            part.import_pages(source, list(range(ends[min(count, len(ends) - 1)])))
            out = io.BytesIO()
            part.save(out)
            return out.getvalue()
        finally:
            part.close()
            source.close()


def marked(pdf: bytes) -> bytes:
    """The same pages as pictures, marked; a paper that cannot be drawn becomes an empty sheet that is marked."""
    try:
        pictures = [_mark(picture) for picture in _pictures(pdf)]
    except pypdfium2.PdfiumError:
        pictures = [_mark(Image.new("RGB", _A4, (255, 255, 255)))]
    out = io.BytesIO()
    pictures[0].save(out, "PDF", save_all=True, append_images=pictures[1:], resolution=DOTS_AN_INCH)
    return out.getvalue()


def _pictures(pdf: bytes) -> list[Image.Image]:
    with PDF_LIBRARY:
        document = pypdfium2.PdfDocument(pdf)
        try:
            pages = [document[index] for index in range(len(document))]
            drawn = [page.render(scale=DOTS_AN_INCH / 72).to_pil().convert("RGB") for page in pages]
            for page in pages:
                page.close()
            return drawn
        finally:
            document.close()


def _mark(page: Image.Image) -> Image.Image:
    size = page.width // 8
    band = Image.new("RGBA", (page.width, size * 2), (255, 255, 255, 0))
    draw = ImageDraw.Draw(band)
    draw.text((band.width / 2, size * 0.6), WORDS, font=_font(size), fill=(*_INK, 200), anchor="mm")
    draw.text((band.width / 2, size * 1.5), WORDS_EN, font=_font(size // 2), fill=(*_INK, 200), anchor="mm")
    turned = band.rotate(25, expand=True, resample=Image.Resampling.BICUBIC)
    for third in (1, 3, 5):
        at = ((page.width - turned.width) // 2, page.height * third // 6 - turned.height // 2)
        page.paste(turned, at, turned)
    return page


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, size)
