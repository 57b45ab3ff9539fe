"""The ground pattern hides a word on the original, and a copy brings it out."""

import pypdfium2
import pytest
from PIL import Image, ImageFilter, ImageStat

from gateway.peers.kit.rendering import Renderer
from protocol.certificates import Kind
from tests.peers.kit.certificates import Town, of_kind

DPI = 600
WORD_MM = (22.0, 182.0, 46.0, 23.0)
"""Where one latent 複写 stands on a page whose text ends above it."""
PLAIN_MM = (22.0, 208.0, 46.0, 14.0)


def ink(picture: Image.Image, place_mm: tuple[float, float, float, float]) -> float:
    left, top, width, height = (each * DPI / 25.4 for each in place_mm)
    part = picture.crop((int(left), int(top), int(left + width), int(top + height)))
    return 255 - ImageStat.Stat(part).mean[0]


@pytest.fixture(scope="module", params=["front", "back"])
def original(request: pytest.FixtureRequest, renderer: Renderer, town: Town) -> Image.Image:
    """A side of a page at a printer's resolution."""
    pdf = renderer.render(of_kind(Kind.INCOME), sign=town.sign, bindings=town.bindings(Kind.INCOME)).pdf
    document = pypdfium2.PdfDocument(pdf)
    picture: Image.Image = (
        document[("front", "back").index(request.param)].render(scale=DPI / 72, grayscale=True).to_pil().copy()
    )
    document.close()
    return picture


def test_on_the_original_the_word_is_as_light_as_its_ground(original: Image.Image) -> None:
    assert ink(original, WORD_MM) == pytest.approx(ink(original, PLAIN_MM), rel=0.02)
    assert ink(original, WORD_MM) > 5


@pytest.mark.parametrize("threshold", [215, 225, 235])
def test_on_a_copy_the_ground_is_lost_and_the_word_remains(threshold: int, original: Image.Image) -> None:
    seen = original.filter(ImageFilter.GaussianBlur(2.5))  # a copier's optics: about a tenth of a millimetre
    copy = seen.point([0 if level < threshold else 255 for level in range(256)])
    assert ink(copy, PLAIN_MM) == 0
    assert ink(copy, WORD_MM) > 4
