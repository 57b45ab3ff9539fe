"""How many certificates a second one core renders, and how many pages it reads back: `python -m bench.kit`.

One thread, one renderer, synthetic residents, signatures by a key in memory (a store's signature comes on top). Each
figure is documents or pages of `SECONDS` divided by them, after the fonts are warm.
"""

import time
from collections.abc import Callable
from datetime import date
from typing import Final

import click
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.peers.kit.content import Certificate, Row, Section, paginate
from gateway.peers.kit.reading import read_pages
from gateway.peers.kit.rendering import Bindings, Rendered, Renderer
from protocol.certificates import Kind

SECONDS: Final = 2.0
GOAL_DOCUMENTS_S: Final = 100.0
"""Of one page, on one core."""


def household(people: int, number: int) -> Certificate:
    """A synthetic 住民票 of so many people; number makes each document's text its own."""
    sections = [
        Section(
            f"世帯員 {each}",
            (
                Row("氏名", f"合成 {chr(0x30A1 + (number * 7 + each) % 80)}子", key=True),
                Row("生年月日", "昭和50年5月3日", key=True),
                Row("性別", "女"),
                Row("続柄", "子"),
                Row("住民となった年月日", "平成3年1月1日"),
            ),
        )
        for each in range(1, people + 1)
    ]
    return paginate(
        kind=Kind.RESIDENT,
        municipality_ja="架空市",
        mayor_ja="合成 太郎",
        serial=f"139998-2026-{number:07d}",
        issued_on=date(2026, 11, 21),
        common=(Row("住所", f"架空県架空市合成町一丁目{number}番", key=True), Row("世帯主", "合成 太郎")),
        sections=sections,
    )


class _Maker:
    """A renderer with a key of its own, and certificates of households to render."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._renderer = Renderer()

    def _sign(self, data: bytes) -> bytes:
        first, second = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return first.to_bytes(32, "big") + second.to_bytes(32, "big")

    def render(self, people: int, number: int) -> Rendered:
        """One document."""
        bindings = Bindings(
            municipality="139998",
            kind=Kind.RESIDENT,
            application=number.to_bytes(16, "big"),
            pseudonym=bytes(16),
            issued_at_us=1_795_000_000_000_000,
            key_id="manifest-1",
        )
        return self._renderer.render(household(people, number), sign=self._sign, bindings=bindings)


def documents_per_s() -> float:
    """Documents of one page that this thread renders in a second."""
    maker = _Maker()
    maker.render(1, 0)
    return _rate(lambda number: maker.render(1, number))


def main() -> None:
    """Measure and print."""
    maker = _Maker()
    pages = {people: maker.render(people, 0) for people in (1, 4, 12)}
    for people, made in pages.items():
        rate = _rate(lambda number, people=people: maker.render(people, number))  # type: ignore[misc]
        goal = f" (goal {GOAL_DOCUMENTS_S:.0f})" if people == 1 else ""
        size = len(made.pdf) / 1_000 / len(made.codes)
        click.echo(
            f"render {people:2} people, {len(made.codes)} pages: {rate:6.0f} documents/s{goal}, {size:.0f} kB a page"
        )
    many = pages[12]
    rate = _rate(lambda _: read_pages(many.pdf))
    click.echo(f"read back: {rate * len(many.codes):6.0f} pages/s")


def _rate(make: Callable[[int], object]) -> float:
    started, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < SECONDS:
        count += 1
        make(count)
    return count / passed


if __name__ == "__main__":
    main()
