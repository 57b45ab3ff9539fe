"""A photographed page proves its code alone, and reads as telephones take it."""

import io

import pytest
from PIL import Image, ImageFilter

from gateway.peers.kit.reading import read_picture
from gateway.peers.kit.rendering import Rendered
from gateway.peers.kit.verdict import Finding, Ground, Standing, verify_file
from protocol.document import read_page_code
from protocol.trust import Trust
from tests.peers.kit.photographs import as_jpeg, photographed


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_photographed_page_proves_its_code_and_not_the_paper(form: str, three: Rendered, trust: Trust) -> None:
    out = io.BytesIO()
    photographed(three.pdf, 1).save(out, form)
    verdict = verify_file(out.getvalue(), trusts=[trust])
    assert (verdict.standing, verdict.exit_status) == (Standing.CODE_ONLY, 3)
    assert [proven.statement for proven in verdict.pages] == [read_page_code(three.codes[1])[0]]


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    return picture.rotate(degrees, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)


def leaning(picture: Image.Image, by: float) -> Image.Image:
    """As seen from the side: the upper edge is shorter."""
    width, height = picture.size
    return picture.transform(
        (width, height),
        Image.Transform.QUAD,
        (-by * width, 0, 0, height, width, height, width * (1 + by), 0),
        resample=Image.Resampling.BICUBIC,
        fillcolor="white",
    )


def noisy(picture: Image.Image) -> Image.Image:
    return Image.blend(picture, Image.effect_noise(picture.size, 90).convert("RGB"), 0.25)


SHOTS = {
    "plain": lambda picture: picture,
    "turned by 4 degrees": lambda picture: turned(picture, 4),
    "turned by 17 degrees": lambda picture: turned(picture, -17),
    "upside down": lambda picture: turned(picture, 180),
    "on its side": lambda picture: turned(picture, 90),
    "from the side": lambda picture: leaning(picture, 0.06),
    "out of focus": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.1)),
    "in the dark": lambda picture: picture.point(lambda value: value // 3 + 10),
    "noisy": noisy,
    "all of it": lambda picture: noisy(leaning(turned(picture, 3), 0.03).filter(ImageFilter.GaussianBlur(0.7))),
}


@pytest.mark.parametrize("quality", [85, 40])
@pytest.mark.parametrize("shot", SHOTS)
def test_a_page_reads_as_telephones_photograph_it(shot: str, quality: int, three: Rendered) -> None:
    picture = SHOTS[shot](photographed(three.pdf))
    assert read_picture(as_jpeg(picture, quality)) == [three.codes[0]]


def test_a_picture_without_a_code_is_refused(trust: Trust) -> None:
    verdict = verify_file(as_jpeg(Image.new("RGB", (500, 500), "white")), trusts=[trust])
    assert verdict.findings == (Finding(Ground.CODE_UNREADABLE),)
