"""A file is accepted only as it was signed; what does not hold is named."""

import base64
import io
import zlib
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.peers.kit.confined import verify_confined
from gateway.peers.kit.errors import FileUnreadable, PageUnreadable
from gateway.peers.kit.reading import FILE_BYTES_MAX, PICTURE_PIXELS_MAX, read_pages, read_picture
from gateway.peers.kit.rendering import PDF_MARK, Rendered, Renderer, pdf_to_sign
from gateway.peers.kit.verdict import Finding, Ground, Standing, Verdict, split_mark, verify_file
from protocol.certificates import Kind
from protocol.document import read_page_code
from protocol.keys import Purpose
from protocol.trust import Trust
from tests.peers.kit.certificates import CODE, ISSUED_AT_US, Town, household
from tests.peers.kit.photographs import photographed


def grounds(verdict: Verdict) -> set[Ground]:
    return {finding.ground for finding in verdict.findings}


def merged(*parts: tuple[bytes, int]) -> bytes:
    """A PDF of pages taken from others, without the municipality's mark."""
    made = pypdfium2.PdfDocument.new()
    for pdf, page in parts:
        source = pypdfium2.PdfDocument(pdf)
        made.import_pages(source, [page * 2])  # the fronts
        source.close()
    out = io.BytesIO()
    made.save(out)
    made.close()
    return out.getvalue()


def marked(before: bytes, town: Town) -> bytes:
    """Those bytes under the town's own mark: what a town's broken program might hand out."""
    before = before if before.endswith(b"\n") else before + b"\n"
    signature = base64.b64encode(town.sign(pdf_to_sign(before)))
    return before + PDF_MARK + town.key_id.encode() + b" " + signature + b"\n"


# --- files


def test_a_file_as_it_was_signed_is_accepted(one: Rendered, three: Rendered, trust: Trust) -> None:
    for rendered in (one, three):
        verdict = verify_file(rendered.pdf, trusts=[trust])
        assert (verdict.standing, verdict.findings) == (Standing.ACCEPTED, ())
        assert [proven.statement for proven in verdict.pages] == [read_page_code(code)[0] for code in rendered.codes]
        assert {proven.signer for proven in verdict.pages} == {"town-139998"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_refused(data: st.DataObject, one: Rendered, trust: Trust) -> None:
    at = data.draw(st.integers(0, len(one.pdf) - 1))
    bit = data.draw(st.integers(1, 255))
    changed = one.pdf[:at] + bytes([one.pdf[at] ^ bit]) + one.pdf[at + 1 :]
    assert verify_file(changed, trusts=[trust]).standing == Standing.REFUSED


def test_every_changed_bit_of_the_mark_is_refused(one: Rendered, trust: Trust) -> None:
    mark = split_mark(one.pdf)
    assert mark is not None
    tail = one.pdf[-150:]
    for at in range(len(one.pdf) - len(tail), len(one.pdf)):
        changed = one.pdf[:at] + bytes([one.pdf[at] ^ 1]) + one.pdf[at + 1 :]
        again = split_mark(changed)
        assert again is None or again != mark
    appended = one.pdf + b"\n"
    assert grounds(verify_file(appended, trusts=[trust])) == {Ground.MARK_MISSING}


def test_bytes_added_before_the_mark_are_seen(one: Rendered, trust: Trust) -> None:
    before, _, _ = split_mark(one.pdf) or (b"", "", b"")
    changed = before + b"% later\n" + one.pdf[len(before) :]
    verdict = verify_file(changed, trusts=[trust])
    assert (verdict.standing, grounds(verdict)) == (Standing.REFUSED, {Ground.FILE_CHANGED})


def test_a_page_of_another_certificate_is_named(three: Rendered, renderer: Renderer, town: Town, trust: Trust) -> None:
    bindings = town.bindings(Kind.RESIDENT, application=bytes(16))
    other = renderer.render(household(9), sign=town.sign, bindings=bindings)
    swapped = merged((three.pdf, 0), (other.pdf, 1), (three.pdf, 2))
    verdict = verify_file(swapped, trusts=[trust])
    assert verdict.standing == Standing.REFUSED
    assert Finding(Ground.OTHER_CERTIFICATE, 2) in verdict.findings
    assert Ground.MARK_MISSING in grounds(verdict)
    assert grounds(verify_file(marked(swapped, town), trusts=[trust])) == {Ground.OTHER_CERTIFICATE}


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 1), (0, 1, 2, 2)])
def test_pages_left_out_added_or_turned_are_named(
    order: tuple[int, ...], three: Rendered, town: Town, trust: Trust
) -> None:
    changed = marked(merged(*((three.pdf, page) for page in order)), town)
    assert grounds(verify_file(changed, trusts=[trust])) == {Ground.PAGE_OUT_OF_PLACE}


def test_a_text_that_is_not_the_codes_is_named(renderer: Renderer, town: Town, trust: Trust) -> None:
    made = household(1)
    page = made.pages[0]
    fields = tuple(type(field)(field.label, field.text.replace("花子", "別人")) for field in page.key_fields)
    lying = type(made)(
        **{name: getattr(made, name) for name in made.__struct_fields__}
        | {"pages": (type(page)(page.sections, fields),)}
    )
    pdf = renderer.render(lying, sign=town.sign, bindings=town.bindings(Kind.RESIDENT)).pdf
    verdict = verify_file(pdf, trusts=[trust])
    assert verdict.findings == (Finding(Ground.TEXT_DIFFERS, 1, "氏名"),)
    assert "氏名" in verdict.findings[0].ja
    assert "氏名" in verdict.findings[0].en


def test_a_page_without_a_code_is_named(three: Rendered, trust: Trust) -> None:
    blank = pypdfium2.PdfDocument.new()
    blank.new_page(595, 842)
    out = io.BytesIO()
    blank.save(out)
    blank.close()
    changed = merged((three.pdf, 0), (out.getvalue(), 0))
    assert Finding(Ground.CODE_UNREADABLE, 2) in verify_file(changed, trusts=[trust]).findings
    with pytest.raises(PageUnreadable) as refused:
        read_pages(changed)
    assert refused.value.page == 2


# --- keys


def test_an_unknown_key_is_named(one: Rendered, other_town: Town, town: Town) -> None:
    for trusts in ([], [other_town.trust]):
        verdict = verify_file(one.pdf, trusts=trusts)
        assert (verdict.standing, verdict.pages) == (Standing.REFUSED, ())
        assert verdict.findings == (Finding(Ground.KEY_UNKNOWN, 1, town.key_id),)


def test_a_towns_key_signs_for_no_other_town(one: Rendered, town: Town, other_town: Town) -> None:
    trusts = [other_town.trust, town.trust]
    assert verify_file(one.pdf, trusts=trusts, owners={CODE: town.owner}).standing == Standing.ACCEPTED
    verdict = verify_file(one.pdf, trusts=trusts, owners={CODE: other_town.owner})
    assert (verdict.standing, grounds(verdict)) == (Standing.REFUSED, {Ground.KEY_OF_ANOTHER})


def test_a_signature_by_another_key_under_the_towns_id_is_forged(renderer: Renderer, town: Town, trust: Trust) -> None:
    key = town.store.current(Purpose.LINE, ISSUED_AT_US).key_id
    pdf = renderer.render(
        household(1), sign=lambda data: town.store.sign(key, data), bindings=town.bindings(Kind.RESIDENT)
    ).pdf
    assert verify_file(pdf, trusts=[trust]).findings == (Finding(Ground.CODE_FORGED, 1),)


def test_a_key_outside_its_validity_is_named(tmp_path: Path, renderer: Renderer) -> None:
    old = Town(tmp_path, owner="town-old")
    old.store.rotate(Purpose.MANIFEST, key_id="manifest-new", now_us=ISSUED_AT_US - 1_000, overlap_us=0)
    pdf = renderer.render(household(1), sign=old.sign, bindings=old.bindings(Kind.RESIDENT)).pdf
    verdict = verify_file(pdf, trusts=[old.trust])
    assert verdict.findings == (Finding(Ground.KEY_NOT_VALID, 1, old.key_id),)


# --- bad files


def bomb() -> bytes:
    """A small PNG of a picture over the bound: 20,000 by 20,000 in one colour."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    side = 20_000
    head = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    body = zlib.compress(bytes(side + 1) * 200, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_bad_files_are_refused_clearly(one: Rendered, trust: Trust) -> None:
    protected = one.pdf.replace(b"/Info", b"/Encrypt <</Filter/Standard/V 1/R 2/O(a)/U(b)/P 0>>/Info")
    for bad in (b"", b"hello", b"%PDF-1.7\n", one.pdf[:20_000], protected, bomb(), b"\xff\xd8\xff\xe0 broken"):
        verdict = verify_file(bad, trusts=[trust])
        assert verdict.standing == Standing.REFUSED
        assert grounds(verdict) <= {Ground.FILE_UNREADABLE, Ground.MARK_MISSING, Ground.CODE_UNREADABLE}
        assert verdict.findings


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), form=st.sampled_from(["pdf", "png", "jpeg"]))
def test_no_broken_file_brings_the_verdict_down(data: st.DataObject, form: str, one: Rendered, trust: Trust) -> None:
    out = io.BytesIO()
    if form != "pdf":
        photographed(one.pdf, dpi=40).save(out, form)
    whole = bytearray(one.pdf if form == "pdf" else out.getvalue())
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    verdict = verify_file(broken, trusts=[trust])
    assert verdict.standing == Standing.REFUSED or broken == one.pdf


def test_files_and_pictures_over_their_bounds_are_not_decoded() -> None:
    with pytest.raises(FileUnreadable):
        read_pages(bytes(FILE_BYTES_MAX + 1))
    with pytest.raises(FileUnreadable):
        read_picture(b"\x89PNG" + bytes(FILE_BYTES_MAX))
    with pytest.raises(FileUnreadable):
        read_picture(bomb())
    assert PICTURE_PIXELS_MAX < 20_000**2


def test_a_file_of_unknown_origin_is_judged_in_a_process_of_its_own(one: Rendered, trust: Trust) -> None:
    assert verify_confined(one.pdf, trusts=[trust]) == verify_file(one.pdf, trusts=[trust])
    assert verify_confined(b"%PDF-", trusts=[trust]).standing == Standing.REFUSED


def nested(levels: int) -> bytes:
    """A PDF of a few hundred bytes that draws 10 ** levels rectangles."""
    form = b"<</Type/XObject/Subtype/Form/BBox[0 0 999 999]"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>>>",
        b"<</Length 6>>stream\n/F Do \nendstream",
        *(
            form + b"/Resources<</XObject<</F %d 0 R>>>>/Length 60>>stream\n%s\nendstream" % (6 + each, b"/F Do " * 10)
            for each in range(levels)
        ),
        form + b"/Length 16>>stream\n0 0 10 10 re f  \nendstream",
    ]
    out = b"%PDF-1.7\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (at, part) for at, part in enumerate(parts, start=1))
    return out + b"trailer<</Size %d/Root 1 0 R>>\n%%%%EOF\n" % (len(parts) + 1)


def test_a_file_that_takes_too_much_is_refused_and_harms_only_its_own_process(trust: Trust) -> None:
    verdict = verify_confined(nested(12), trusts=[trust])
    assert (verdict.standing, grounds(verdict)) == (Standing.REFUSED, {Ground.NOT_EXAMINED})
