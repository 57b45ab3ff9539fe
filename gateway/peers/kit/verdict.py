"""What a certificate's file, or a photographed page of it, proves; and what it does not.

A PDF is accepted when all of this holds: its last line signs every byte before it; every page shows a code signed by
the municipality's MANIFEST key, valid when it was issued; the codes are pages 1 to N of one certificate; and every key
field of a code stands in its page's text. Otherwise it is refused, and the findings say what does not hold.

A photograph or scan proves its code at most: that the municipality once signed these fields. The paper beside the code
may have been altered, or the code copied onto it, so a person compares the fields with the paper. Nothing here proves
that the certificate is still true today, nor what the municipality's own source held.

Decisions are pure but for decoding the file. A file of unknown origin is judged in a process with limits
(confined.verify_confined).

Source: DESIGN 10; DOMAIN 2.7; docs/ISSUANCE.md.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from gateway.fonts import is_selector
from gateway.peers.kit import reading
from gateway.peers.kit.errors import FileUnreadable
from gateway.peers.kit.rendering import PDF_MARK, pdf_to_sign
from protocol.document import DocumentError, PageStatement, page_to_sign, read_page_code
from protocol.keys import KeyIdUnknown, KeyOutsideValidity, PublicKey, Purpose, SignatureInvalid
from protocol.trust import Trust, TrustError

PNG_HEAD: Final = b"\x89PNG\r\n\x1a\n"
JPEG_HEAD: Final = b"\xff\xd8\xff"
_MARK: Final = re.compile(re.escape(PDF_MARK) + rb"([!-~]{1,64}) ([A-Za-z0-9+/]{86}==)\n")
_MARK_BYTES_MAX: Final = len(PDF_MARK) + 64 + 1 + 88 + 1


class Standing(StrEnum):
    """The answer in one word."""

    ACCEPTED = "accepted"
    CODE_ONLY = "code-only"
    REFUSED = "refused"


class Ground(StrEnum):
    """Why a file is refused; stable codes."""

    FILE_UNREADABLE = "file-unreadable"
    NOT_EXAMINED = "not-examined"
    MARK_MISSING = "mark-missing"
    FILE_CHANGED = "file-changed"
    CODE_UNREADABLE = "code-unreadable"
    CODE_MALFORMED = "code-malformed"
    CODE_FORGED = "code-forged"
    KEY_UNKNOWN = "key-unknown"
    KEY_NOT_VALID = "key-not-valid"
    KEY_OF_ANOTHER = "key-of-another"
    OTHER_CERTIFICATE = "other-certificate"
    PAGE_OUT_OF_PLACE = "page-out-of-place"
    TEXT_DIFFERS = "text-differs"


WORDS: Final[dict[Ground, tuple[str, str]]] = {
    Ground.FILE_UNREADABLE: ("ファイルを開けません: {detail}", "the file cannot be opened: {detail}"),
    Ground.NOT_EXAMINED: (
        "安全な範囲の時間とメモリーでは検査できません: {detail}",
        "the file could not be examined within safe time and memory: {detail}",
    ),
    Ground.MARK_MISSING: (
        "ファイル末尾の署名がありません（スキャン、または別のソフトで保存されたもの）",
        "the file does not end with its signature (a scan, or saved by another program)",
    ),
    Ground.FILE_CHANGED: ("署名された後にファイルが変更されています", "the file was changed after it was signed"),
    Ground.CODE_UNREADABLE: ("二次元コードを読み取れません", "shows no code that can be read"),
    Ground.CODE_MALFORMED: ("二次元コードの内容が正しくありません", "the code holds no page's statement"),
    Ground.CODE_FORGED: ("二次元コードの署名が一致しません", "the code's signature does not hold"),
    Ground.KEY_UNKNOWN: (
        "署名した鍵「{detail}」は、指定された信頼情報にありません",
        "signed by key {detail}, which is in none of the trust bundles given",
    ),
    Ground.KEY_NOT_VALID: (
        "署名した鍵「{detail}」は、交付の時点で有効ではありません（失効または期間外）",
        "signed by key {detail}, which was not valid when the certificate was issued (revoked or expired)",
    ),
    Ground.KEY_OF_ANOTHER: (
        "署名した鍵「{detail}」は、この市区町村のものではありません",
        "signed by key {detail}, which is not this municipality's",
    ),
    Ground.OTHER_CERTIFICATE: ("別の証明書の頁です", "is a page of another certificate"),
    Ground.PAGE_OUT_OF_PLACE: ("頁の順序または枚数が合いません", "the order or number of pages is not as issued"),
    Ground.TEXT_DIFFERS: (
        "「{detail}」の印字が二次元コードの内容と異なります",
        "the printed text of {detail} is not what the code says",
    ),
}
SUMMARIES: Final[dict[Standing, tuple[str, str]]] = {
    Standing.ACCEPTED: (
        "真正: 市区町村が署名したファイルのままで、すべての頁が一つの証明書のものです。",
        "accepted: the file is as the municipality signed it, and all pages are of one certificate.",
    ),
    Standing.CODE_ONLY: (
        "二次元コードは真正です。用紙そのものは証明されません。下の内容を用紙の印字と一字ずつ比べてください。",
        "code proven; the paper itself is not proven: compare the fields below with the paper, letter by letter.",
    ),
    Standing.REFUSED: ("不合格: 真正と認められません。", "refused: this is not proven."),
}
NOT_PROVEN: Final = (
    "証明されないこと: 現在も同じ内容であること、市区町村の原簿の正しさ。",
    "Not proven: that it is still so today, and that the municipality's own register is right.",
)


class Finding(msgspec.Struct, frozen=True):
    """One thing that does not hold; page counts from 1, None for the file. detail: a key id, a label, a bound."""

    ground: Ground
    page: int | None = None
    detail: str = ""

    @property
    def ja(self) -> str:
        """The finding in Japanese."""
        where = f"{self.page}頁: " if self.page else ""
        return where + WORDS[self.ground][0].format(detail=self.detail)

    @property
    def en(self) -> str:
        """The finding in English."""
        where = f"page {self.page}: " if self.page else ""
        return where + WORDS[self.ground][1].format(detail=self.detail)


class Proven(msgspec.Struct, frozen=True):
    """A page's statement whose signature held; signer is the owner of the trust bundle. page: where it was found."""

    page: int
    statement: PageStatement
    signer: str


class Verdict(msgspec.Struct, frozen=True):
    """What was found. pages are those whose codes are proven, also in a refused file."""

    standing: Standing
    findings: tuple[Finding, ...]
    pages: tuple[Proven, ...]

    @property
    def exit_status(self) -> int:
        """Of the command: 0 accepted, 1 refused, 3 the code alone is proven."""
        return {Standing.ACCEPTED: 0, Standing.REFUSED: 1, Standing.CODE_ONLY: 3}[self.standing]


def refused(ground: Ground, detail: str = "") -> Verdict:
    """A file that could not be examined at all."""
    return Verdict(Standing.REFUSED, (Finding(ground, detail=detail),), ())


def verify_file(data: bytes, *, trusts: Sequence[Trust], owners: Mapping[str, str] | None = None) -> Verdict:
    """Judge a PDF, or a photographed or scanned page (PNG, JPEG).

    trusts: the municipalities' bundles. owners: municipality code to the owner whose bundle alone may sign for it, as
    far as it is known; for other codes any bundle's key counts, and the verdict names the signer. Raises nothing.
    """
    judge = _Judge(trusts, owners or {})
    try:
        if data.startswith((PNG_HEAD, JPEG_HEAD)):
            return judge.picture(data)
        return judge.file(data)
    except FileUnreadable as error:
        return refused(Ground.FILE_UNREADABLE, error.why)


def split_mark(data: bytes) -> tuple[bytes, str, bytes] | None:
    """The bytes that a PDF's last line signs, its key id and signature; None when there is no such line."""
    at = data.rfind(PDF_MARK, max(0, len(data) - _MARK_BYTES_MAX))
    found = _MARK.fullmatch(data, at) if at > 0 and data[at - 1 : at] == b"\n" else None
    if found is None:
        return None
    signature = base64.b64decode(found[2])
    if base64.b64encode(signature) != found[2]:  # another spelling of the same signature is a changed file
        return None
    return data[:at], found[1].decode(), signature


class _Unproven(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, ground: Ground, detail: str = "") -> None:
        super().__init__(ground)
        self.ground = ground
        self.detail = detail


class _Judge:
    def __init__(self, trusts: Sequence[Trust], owners: Mapping[str, str]) -> None:
        self._trusts = trusts
        self._owners = owners

    def picture(self, data: bytes) -> Verdict:
        codes = reading.read_picture(data)
        if not codes:
            return refused(Ground.CODE_UNREADABLE)
        findings, pages = self._pages(codes)
        return Verdict(Standing.REFUSED if findings else Standing.CODE_ONLY, tuple(findings), tuple(pages))

    def file(self, data: bytes) -> Verdict:
        codes = reading.read_codes(data)
        findings, pages = self._pages(codes)
        mark = self._mark(data, pages)
        findings = [*([mark] if mark else []), *findings, *_together(pages, len(codes)), *_texts(data, pages)]
        return Verdict(Standing.REFUSED if findings else Standing.ACCEPTED, tuple(findings), tuple(pages))

    def _pages(self, codes: Sequence[bytes | None]) -> tuple[list[Finding], list[Proven]]:
        findings, pages = [], []
        for number, code in enumerate(codes, start=1):
            try:
                pages.append(self._page(number, code))
            except _Unproven as error:
                findings.append(Finding(error.ground, number, error.detail))
        return findings, pages

    def _page(self, number: int, code: bytes | None) -> Proven:
        if code is None:
            raise _Unproven(Ground.CODE_UNREADABLE)
        try:
            statement, signed, signature = read_page_code(code)
        except DocumentError:
            raise _Unproven(Ground.CODE_MALFORMED) from None
        signer = self._signer(statement, statement.key_id, page_to_sign(signed), signature, Ground.CODE_FORGED)
        return Proven(number, statement, signer)

    def _mark(self, data: bytes, pages: Sequence[Proven]) -> Finding | None:
        mark = split_mark(data)
        if mark is None:
            return Finding(Ground.MARK_MISSING)
        if not pages:
            return None  # nothing says whose file it is or when it was made; every page has its own finding
        before, key_id, signature = mark
        try:
            self._signer(pages[0].statement, key_id, pdf_to_sign(before), signature, Ground.FILE_CHANGED)
        except _Unproven as error:
            return Finding(error.ground, detail=error.detail)
        return None

    def _signer(self, statement: PageStatement, key_id: str, signed: bytes, signature: bytes, forged: Ground) -> str:
        """The owner whose key signed this, of those who may sign for this municipality. Raises: _Unproven."""
        owner = self._owners.get(statement.municipality)
        worst = Ground.KEY_UNKNOWN
        for trust in self._trusts:
            key = _key(trust, key_id, statement.issued_at_us)
            if isinstance(key, Ground):
                worst = key if worst == Ground.KEY_UNKNOWN else worst
            elif owner is not None and trust.centre != owner:
                worst = Ground.KEY_OF_ANOTHER
            elif _signs(key, signature, signed):
                return trust.centre
            else:
                worst = forged
        raise _Unproven(worst, printable(key_id) if worst != forged else "")


def printable(text: str) -> str:
    """Text nobody vouched for: bounded, without what a terminal would obey; variation selectors stay."""
    shown = "".join(char if char.isprintable() or is_selector(ord(char)) else "?" for char in text[:200])
    return shown + "..." if len(text) > 200 else shown


def _key(trust: Trust, key_id: str, at_us: int) -> PublicKey | Ground:
    try:
        return trust.key(key_id, purpose=Purpose.MANIFEST, at_us=at_us)
    except KeyOutsideValidity:
        return Ground.KEY_NOT_VALID
    except (KeyIdUnknown, TrustError):
        return Ground.KEY_UNKNOWN


def _signs(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except SignatureInvalid:
        return False
    return True


def _together(pages: Sequence[Proven], many: int) -> list[Finding]:
    """What keeps proven pages from being pages 1 to N of one certificate, each where it belongs."""
    findings = []
    for each in pages:
        first, said = pages[0].statement, each.statement
        if _certificate(said) != _certificate(first):
            findings.append(Finding(Ground.OTHER_CERTIFICATE, each.page))
        elif said.page != each.page or said.pages != many:
            findings.append(Finding(Ground.PAGE_OUT_OF_PLACE, each.page))
    return findings


def _certificate(said: PageStatement) -> tuple[object, ...]:
    return (
        said.version,
        said.municipality,
        said.kind,
        said.application,
        said.pseudonym,
        said.serial,
        said.issued_at_us,
        said.key_id,
    )


def _texts(data: bytes, pages: Sequence[Proven]) -> list[Finding]:
    """Key fields of proven pages that their page's text layer does not hold."""
    texts = [_bare(text) for text in reading.read_texts(data)]
    return [
        Finding(Ground.TEXT_DIFFERS, each.page, printable(field.label))
        for each in pages
        for field in each.statement.fields
        if _bare(field.text) not in texts[each.page - 1]
    ]


def _bare(text: str) -> str:
    """Text as a text layer can be compared: it loses spaces, hyphens at a line's end, and which of two variants of a
    character with one glyph was meant."""
    return "".join(char for char in text if not (char.isspace() or char in "-\u00ad\ufffe" or is_selector(ord(char))))
