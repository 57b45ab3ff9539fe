"""Every kind renders, reads back from its picture, and says in its text what it was given."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pypdfium2
import pytest
import typst
from PIL import Image

from gateway import fonts
from gateway.era import in_reiwa
from gateway.fonts import FontMissing
from gateway.peers.kit.content import IMPRESSION_BYTES_MAX, Row, Section
from gateway.peers.kit.errors import GlyphMissing, PageUnreadable, PictureInvalid, TextTooLong
from gateway.peers.kit.impressions import draw_impression
from gateway.peers.kit.reading import BACK_TEXT, read_pages, read_texts
from gateway.peers.kit.rendering import Renderer, pdf_to_sign
from gateway.peers.kit.verdict import split_mark
from protocol.certificates import KINDS, Kind
from protocol.document import PAGE_CODE_BYTES_MAX, Field, page_to_sign, read_page_code
from protocol.keys import Algorithm, verify
from tests.peers.kit.certificates import (
    ADDRESS_ROW,
    APPLICATION,
    CODE,
    ISSUED_AT_US,
    NAME,
    PSEUDONYM,
    Town,
    certificate,
    household,
    of_kind,
)


def key_of(town: Town) -> bytes:
    return town.trust.history.key(town.key_id).public_key


def bare(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_reads_back_from_the_picture_of_its_pages(kind: Kind, renderer: Renderer, town: Town) -> None:
    made = of_kind(kind)
    rendered = renderer.render(made, sign=town.sign, bindings=town.bindings(kind))
    assert read_pages(rendered.pdf) == rendered.codes
    assert len(rendered.codes) == len(made.pages)
    for number, (code, page) in enumerate(zip(rendered.codes, made.pages, strict=True), start=1):
        said, statement, signature = read_page_code(code)
        verify(Algorithm.ES256, key_of(town), signature, page_to_sign(statement))
        assert (said.municipality, said.kind, said.key_id) == (CODE, kind, town.key_id)
        assert (said.application, said.pseudonym) == (APPLICATION, PSEUDONYM)
        assert (said.page, said.pages, said.serial) == (number, len(made.pages), made.serial)
        assert (said.issued_at_us, tuple(said.fields)) == (ISSUED_AT_US, page.key_fields)


@pytest.mark.parametrize("kind", Kind)
def test_every_page_prints_its_rows_and_its_furniture(kind: Kind, renderer: Renderer, town: Town) -> None:
    made = of_kind(kind)
    texts = read_texts(renderer.render(made, sign=town.sign, bindings=town.bindings(kind)).pdf)
    for number, (text, page) in enumerate(zip(texts, made.pages, strict=True), start=1):
        printed = bare(text)
        furniture = (KINDS[kind].ja, "架空市", "合成データ", f"{number}/{len(made.pages)}頁", made.serial, "複写")
        furniture += ("（以下余白）" if number == len(made.pages) else "（次頁へ続く）",)
        furniture += ("令和8年11月21日", made.certifying, "架空市長合成太郎")
        rows = [each for section in page.sections for row in section.rows for each in (row.label, row.value)]
        for expected in (*furniture, *rows):
            assert bare(expected) in printed


def test_a_registered_variant_stands_in_the_text_with_its_selector(renderer: Renderer, town: Town) -> None:
    rendered = renderer.render(household(1), sign=town.sign, bindings=town.bindings(Kind.RESIDENT))
    assert "邉\U000e0110" in read_texts(rendered.pdf)[0]
    assert read_page_code(rendered.codes[0])[0].fields[1] == Field("氏名", NAME + "1")


def test_two_variants_of_a_character_print_as_two_glyphs(renderer: Renderer, town: Town) -> None:
    def printed(name: str) -> bytes:
        made = certificate(Kind.RESIDENT, [Section("", (Row("氏名", name),))])
        rendered = renderer.render(made, sign=lambda _: bytes(64), bindings=town.bindings(Kind.RESIDENT))
        return rendered.pdf

    one, two = printed("葛\U000e0103"), printed("葛\U000e0104")
    assert one != two
    assert one != printed("葛")


@pytest.mark.parametrize("text", ["葛\U000e0100", "\ue000", "\U000e0103", "a\tb", "改\n行", "𪚲\U000e01ef"])
def test_what_the_font_cannot_print_is_refused_and_named(text: str, renderer: Renderer, town: Town) -> None:
    made = certificate(Kind.RESIDENT, [Section("", (Row("氏名", text, key=True),))])
    with pytest.raises(GlyphMissing) as refused:
        renderer.render(made, sign=town.sign, bindings=town.bindings(Kind.RESIDENT))
    assert refused.value.field == "氏名"
    assert text not in str(refused.value)


def test_a_text_wider_than_its_count_of_characters_is_found_when_set(renderer: Renderer, town: Town) -> None:
    wide = Section("", (Row("備考", ("W" * 10 + " ") * 6, lines=1),))
    made = certificate(Kind.RESIDENT, [wide])
    with pytest.raises(TextTooLong) as refused:
        renderer.render(made, sign=town.sign, bindings=town.bindings(Kind.RESIDENT))
    assert refused.value.field == "備考"


def test_a_page_that_overflows_when_set_is_refused(renderer: Renderer, town: Town) -> None:
    rows = [Row("備考", ("W" * 10 + " ") * 6, lines=2) for _ in range(26)]
    made = certificate(Kind.RESIDENT, [Section("", tuple(rows))])
    with pytest.raises(TextTooLong) as refused:
        renderer.render(made, sign=town.sign, bindings=town.bindings(Kind.RESIDENT))
    assert refused.value.field == made.title


def test_text_is_printed_as_it_is_and_never_read_as_markup(renderer: Renderer, town: Town) -> None:
    text = '#panic("x") *b* $x$ @r \\ "]#[ <l>'
    made = certificate(Kind.RESIDENT, [Section(text, (Row("備考", text),))])
    printed = read_texts(renderer.render(made, sign=town.sign, bindings=town.bindings(Kind.RESIDENT)).pdf)[0]
    assert bare(printed).count(bare(text)) == 2


def test_a_code_over_its_bound_is_a_text_too_long(renderer: Renderer, town: Town) -> None:
    made = household(1)
    rows = tuple(Field("氏名", "漢" * 60) for _ in range(6))
    page = type(made.pages[0])(made.pages[0].sections, rows)
    over = type(made)(**{name: getattr(made, name) for name in made.__struct_fields__} | {"pages": (page,)})
    with pytest.raises(TextTooLong):
        renderer.render(over, sign=town.sign, bindings=town.bindings(Kind.RESIDENT))


def test_the_largest_key_fields_still_read_back(renderer: Renderer, town: Town) -> None:
    rows = tuple(Row("氏名", "漢" * 64, key=True) for _ in range(3))
    rendered = renderer.render(
        certificate(Kind.RESIDENT, [Section("", rows)]), sign=town.sign, bindings=town.bindings(Kind.RESIDENT)
    )
    assert 700 < len(rendered.codes[0]) <= PAGE_CODE_BYTES_MAX
    assert read_pages(rendered.pdf) == rendered.codes


def test_the_same_certificate_and_signatures_give_the_same_bytes(renderer: Renderer, town: Town) -> None:
    for made in (household(5), of_kind(Kind.SEAL)):
        bindings = town.bindings(made.kind)
        again = [renderer.render(made, sign=lambda data: data[:32] * 2, bindings=bindings) for _ in range(2)]
        again.append(Renderer().render(made, sign=lambda data: data[:32] * 2, bindings=bindings))
        assert again[0] == again[1] == again[2]


def test_a_page_is_small(renderer: Renderer, town: Town) -> None:
    for people in (1, 12):
        rendered = renderer.render(household(people), sign=town.sign, bindings=town.bindings(Kind.RESIDENT))
        assert len(rendered.pdf) < 80_000 * len(rendered.codes)


def test_the_files_last_line_signs_all_before_it(renderer: Renderer, town: Town) -> None:
    pdf = renderer.render(household(1), sign=town.sign, bindings=town.bindings(Kind.RESIDENT)).pdf
    mark = split_mark(pdf)
    assert mark is not None
    before, key_id, signature = mark
    assert before.endswith(b"%%EOF\n")
    assert pdf[len(before) :].startswith(b"%SEKISHO-1 ")
    assert key_id == town.key_id
    verify(Algorithm.ES256, key_of(town), signature, pdf_to_sign(before))


def test_one_renderer_serves_threads_without_mixing_documents(renderer: Renderer, town: Town) -> None:
    def make(number: int) -> tuple[int, str]:
        made = certificate(Kind.RESIDENT, [Section("", (Row("氏名", f"合成{number:04d}", key=True),))])
        pdf = renderer.render(made, sign=town.sign, bindings=town.bindings(Kind.RESIDENT)).pdf
        (code,) = read_pages(pdf)
        (field,) = read_page_code(code)[0].fields
        assert field.text in bare(read_texts(pdf)[0])
        return number, field.text

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(40))) == [(number, f"合成{number:04d}") for number in range(40)]


def test_bindings_of_another_kind_are_refused(renderer: Renderer, town: Town) -> None:
    with pytest.raises(ValueError, match="the bindings are of inkan"):
        renderer.render(household(1), sign=town.sign, bindings=town.bindings(Kind.SEAL))


@pytest.mark.parametrize("picture", [b"GIF89a", b"\x89PNG\r\n\x1a\n broken", bytes(IMPRESSION_BYTES_MAX + 1)])
def test_an_impression_that_is_no_small_png_is_refused(picture: bytes, renderer: Renderer, town: Town) -> None:
    made = certificate(Kind.SEAL, [Section("", (ADDRESS_ROW,))], impression=picture)
    with pytest.raises(PictureInvalid):
        renderer.render(made, sign=town.sign, bindings=town.bindings(Kind.SEAL))


@pytest.mark.parametrize("name", ["印", "合成", "合成印", "渡邉\U000e0110花子"])
def test_a_synthetic_impression_is_a_picture_that_prints(name: str, renderer: Renderer, town: Town) -> None:
    made = certificate(Kind.SEAL, [Section("", (ADDRESS_ROW,))], impression=draw_impression(name))
    assert len(renderer.render(made, sign=town.sign, bindings=town.bindings(Kind.SEAL)).codes) == 1


def test_days_of_reiwa_are_written_by_era() -> None:
    assert in_reiwa(date(2019, 5, 1)) == "令和元年5月1日"
    assert in_reiwa(date(2026, 11, 21)) == "令和8年11月21日"
    assert in_reiwa(date(2019, 4, 30)) == "2019-04-30"


def test_without_a_japanese_font_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "FAMILIES", ("No Such Mincho",))
    fonts.find_typeface.cache_clear()
    try:
        with pytest.raises(FontMissing, match="fonts-ipamj-mincho"):
            Renderer([tmp_path])
    finally:
        fonts.find_typeface.cache_clear()


def test_behind_every_page_is_a_back_that_bears_the_ground_and_nothing_else(renderer: Renderer, town: Town) -> None:
    rendered = renderer.render(household(9), sign=town.sign, bindings=town.bindings(Kind.RESIDENT))
    sides = sides_of(rendered.pdf)
    assert len(sides) == 2 * len(rendered.codes) > 2
    assert {"".join(text.split()) for text in sides[1::2]} == {BACK_TEXT}
    assert len(read_texts(rendered.pdf)) == len(rendered.codes)


@pytest.mark.parametrize("what", ["a page of another", "a picture", "a second back"])
def test_what_else_stands_on_a_back_is_a_page_without_a_code_or_with_anothers(
    what: str, renderer: Renderer, town: Town
) -> None:
    pdf = renderer.render(household(1), sign=town.sign, bindings=town.bindings(Kind.RESIDENT)).pdf
    other = renderer.render(household(1), sign=town.sign, bindings=town.bindings(Kind.RESIDENT))
    with pypdfium2.PdfDocument(pdf) as document, pypdfium2.PdfDocument(other.pdf) as foreign:
        if what == "a page of another":
            document.del_page(1)
            document.import_pages(foreign, pages=[0], index=1)
        elif what == "a second back":
            document.import_pages(foreign, pages=[1], index=1)
        else:
            picture = pypdfium2.PdfImage.new(document)
            picture.set_bitmap(pypdfium2.PdfBitmap.from_pil(Image.new("L", (8, 8))))
            back = document[1]
            back.insert_obj(picture)
            back.gen_content()
        out = io.BytesIO()
        document.save(out)
    if what == "a page of another":
        assert read_pages(out.getvalue())[1] == other.codes[0]
        return
    with pytest.raises(PageUnreadable) as refused:
        read_pages(out.getvalue())
    assert refused.value.page == 2


def sides_of(pdf: bytes) -> list[str]:
    """The text of every side."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [document[index].get_textpage().get_text_range() for index in range(len(document))]


def test_a_gothic_font_serves_where_mincho_is_missing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "FAMILIES", ("IPAexGothic",))
    fonts.find_typeface.cache_clear()
    bindings = town.bindings(Kind.RESIDENT)
    try:
        plain = certificate(Kind.RESIDENT, [Section("", (Row("氏名", "合成 太郎", key=True),))])
        rendered = Renderer().render(plain, sign=town.sign, bindings=bindings)
        assert read_pages(rendered.pdf) == rendered.codes
        with pytest.raises(GlyphMissing):
            Renderer().render(household(1), sign=town.sign, bindings=bindings)
    finally:
        fonts.find_typeface.cache_clear()


def test_a_font_that_a_package_carries_serves_where_the_system_has_none(
    tmp_path: Path, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(Path(each.path) for each in typst.Fonts().fonts() if each.family == "IPAexGothic" and each.path)
    (tmp_path / "synthetic_fonts").mkdir()
    (tmp_path / "synthetic_fonts" / "__init__.py").touch()
    (tmp_path / "synthetic_fonts" / path.name).symlink_to(path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fonts, "PACKAGES", ("no_such_fonts", "synthetic_fonts"))
    real = typst.Fonts
    monkeypatch.setattr(fonts.typst, "Fonts", lambda **asked: real(**{**asked, "include_system_fonts": False}))
    fonts.find_typeface.cache_clear()
    try:
        assert fonts.find_typeface().family == "IPAexGothic"
    finally:
        fonts.find_typeface.cache_clear()
