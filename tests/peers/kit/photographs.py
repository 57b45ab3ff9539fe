"""Pages as pictures."""

import io

import pypdfium2
from PIL import Image


def photographed(pdf: bytes, page: int = 0, dpi: int = 200) -> Image.Image:
    """A page's front as a flat picture."""
    document = pypdfium2.PdfDocument(pdf)
    picture: Image.Image = document[page * 2].render(scale=dpi / 72).to_pil().convert("RGB").copy()
    document.close()
    return picture


def as_jpeg(picture: Image.Image, quality: int = 60) -> bytes:
    """Compressed as a telephone does."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()
