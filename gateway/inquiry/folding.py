"""Folding: two ways to write one name or one address become the same text.

Folding finds candidates and says which field differs; it never accepts anyone by itself (DOMAIN 2.3, Practice).
`plain` takes away only what no reader sees: width, spaces. `fold_name` and `fold_address` go further: 異体字 by our own
table, ideographic variation selectors, kana of either script and size, long vowel marks, hyphens, and an address's
numbers in any notation. NFKC alone folds none of 髙 﨑 邉 邊 德 濵 栁.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from gateway.inquiry.errors import TableInvalid

_TABLE: Final = "variants.txt"
_CACHE_TEXTS: Final = 1 << 13

_COMPATIBLE: Final = re.compile(r"[^\uF900-\uFAFF\U0002F800-\U0002FA1F]+")
_SPACES: Final = re.compile(r"\s+")
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_DASH: Final = "‐‑‒–—―−ー─━-"  # the ASCII hyphen last, for use in a character class
_SMALL_KANA: Final = dict(zip("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ", strict=True))
_KANA: Final = _SMALL_KANA | {"ヂ": "ジ", "ヅ": "ズ", "ヲ": "オ", "ヰ": "イ", "ヱ": "エ", "ヴ": "バ"}
_VU: Final = re.compile("ヴ([ァィェォアイエオ])")
_VU_ROW: Final = {"ァ": "バ", "ア": "バ", "ィ": "ビ", "イ": "ビ", "ェ": "ベ", "エ": "ベ", "ォ": "ボ", "オ": "ボ"}
_HIRAGANA: Final = {chr(c): chr(c + 0x60) for c in range(0x3041, 0x3097)}

# fmt: off
PREFECTURES: Final = (
    "北海道", "青森県", "岩手県", "宮城県", "秋田県", "山形県", "福島県", "茨城県",
    "栃木県", "群馬県", "埼玉県", "千葉県", "東京都", "神奈川県", "新潟県", "富山県",
    "石川県", "福井県", "山梨県", "長野県", "岐阜県", "静岡県", "愛知県", "三重県",
    "滋賀県", "京都府", "大阪府", "兵庫県", "奈良県", "和歌山県", "鳥取県", "島根県",
    "岡山県", "広島県", "山口県", "徳島県", "香川県", "愛媛県", "高知県", "福岡県",
    "佐賀県", "長崎県", "熊本県", "大分県", "宮崎県", "鹿児島県", "沖縄県",
)
# fmt: on
"""The 47 prefectures in the order of their codes: PREFECTURES[n - 1] is prefecture n."""


def read_variants(text: str) -> dict[str, str]:
    """Character to representative, from groups one a line with the representative first; # starts a comment.

    Raises: TableInvalid for a group of one, or a character in two groups.
    """
    table: dict[str, str] = {}
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        group = line.strip()
        if not group or group.startswith("#"):
            continue
        if len(group) < 2 or len(set(group)) != len(group) or not seen.isdisjoint(group):
            raise TableInvalid(_TABLE, number, "a character stands alone or twice")
        seen.update(group)
        table.update(dict.fromkeys(group[1:], group[0]))
    return table


def _translation(*tables: Mapping[str, str]) -> dict[int, str]:
    return {ord(old): new for table in tables for old, new in table.items()}


VARIANTS: Final[Mapping[str, str]] = read_variants(files("gateway.inquiry").joinpath(_TABLE).read_text("utf-8"))
"""Our own 異体字 table: variant to the character that stands for it."""
_TO_VARIANTS: Final = _translation(VARIANTS)
_TO_KATAKANA: Final = _translation(_HIRAGANA)
_TO_PLAIN_KANA: Final = _translation(_KANA)
_NAME_MARKS: Final = {ord(mark): None for mark in _DASH + "・･.,'’`"}


def plain(text: str) -> str:
    """Text as its reader sees it: one width, no spaces; kanji and their selectors stay as they are."""
    # Twice: taking out a space that NFKC made of a spacing accent lets the accent join the letter before it.
    return _width(_SPACES.sub("", _width(text)))


def _width(text: str) -> str:
    return _COMPATIBLE.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)


def _fold_kanji(text: str) -> str:
    folded = _SPACES.sub("", unicodedata.normalize("NFKC", text))
    return _SELECTORS.sub("", folded).translate(_TO_VARIANTS)


def _fold_kana(text: str) -> str:
    katakana = text.translate(_TO_KATAKANA)
    return _VU.sub(lambda vu: _VU_ROW[vu[1]], katakana).translate(_TO_PLAIN_KANA)


@lru_cache(maxsize=_CACHE_TEXTS)
def fold_name(name: str) -> str:
    """A name for comparing: no spaces, marks or long vowels, one kana, one kanji of each group, small Latin letters."""
    return _fold_kana(_fold_kanji(name)).translate(_NAME_MARKS).casefold()


class FoldedAddress(NamedTuple):
    """An address for comparing: the prefecture, "" where it was left out, and the rest with its numbers as 1-2-3."""

    prefecture: str
    rest: str


_DIGIT: Final = {digit: value for value, digit in enumerate("〇一二三四五六七八九")} | {"零": 0}
_TEN: Final = {"十": 10, "百": 100, "千": 1000}
_NUMERAL: Final = "〇零一二三四五六七八九十百千"
_COUNTED: Final = re.compile(rf"[{_NUMERAL}]+(?=丁目|番地|番(?![町丁])|号|条|線)")
_CHAINED: Final = re.compile(rf"(?<![{_NUMERAL}])[{_NUMERAL}]+(?:[のノ之{_DASH}][{_NUMERAL}]+)+(?![丸宮])")
_AFTER_DIGIT: Final = re.compile(rf"(?<=\d[のノ之\-])[{_NUMERAL}]+|(?<=番地)[{_NUMERAL}]+|(?<=番)[{_NUMERAL}]+$")
_NUMERALS: Final = re.compile(rf"[{_NUMERAL}]+")
_DIGIT_DASH: Final = re.compile(rf"(?<=\d)[{_DASH}]+(?=\d)")
_COUNTERS: Final = re.compile(
    r"(?<=\d)(?:丁目|番地|番(?![町丁])|号室|号|の(?=\d)|ノ(?=\d)|之(?=\d))+(?:[のノ之](?=\d))?"
)
_DASHES: Final = re.compile("-{2,}")
_LOOSE_DASH: Final = re.compile(r"(?<!\d)-+|-+(?!\d)")
_DIVISION: Final = re.compile("大字|小字|(?<=[町村市区])字|(?<=\\d)字")
_LINK_GA: Final = re.compile("(?<=[\u4e00-\u9fff])[ヶケがガヵカ箇](?=[\u4e00-\u9fff])")
_LINK_NO: Final = re.compile("(?<=[\u4e00-\u9fff])[のノ之乃](?=[\u4e00-\u9fff])")
_COUNTY: Final = re.compile("^(?!大和郡山市|郡山市|郡上市|蒲郡市|小郡市)[^市区町村\\d]{1,4}郡(?=[^町村\\d]{1,5}[町村])")
_FOLDED_PREFECTURES: Final = tuple(name.translate(_TO_VARIANTS) for name in PREFECTURES)


def _number(numeral: str) -> str:
    if not any(char in _TEN for char in numeral):
        return "".join(str(_DIGIT[char]) for char in numeral)
    total = digit = 0
    for char in numeral:
        if char in _TEN:
            total += (digit or 1) * _TEN[char]
            digit = 0
        else:
            digit = digit * 10 + _DIGIT[char]
    return str(total + digit)


def _figures(found: re.Match[str]) -> str:
    return _NUMERALS.sub(lambda run: _number(run[0]), found[0])


@lru_cache(maxsize=_CACHE_TEXTS)
def fold_address(address: str) -> FoldedAddress:
    """An address for comparing: kanji folded, numbers in figures joined by hyphens, 大字 字 and county left out."""
    text = _fold_kanji(address)
    prefecture = next((name for name in _FOLDED_PREFECTURES if text.startswith(name)), "")
    text = _DIVISION.sub("", _COUNTY.sub("", text[len(prefecture) :]))
    text = _COUNTED.sub(_figures, _CHAINED.sub(_figures, text))
    text = _AFTER_DIGIT.sub(_figures, _DIGIT_DASH.sub("-", text))
    text = _LINK_NO.sub("ノ", _LINK_GA.sub("ケ", _COUNTERS.sub("-", text)))
    text = _DASHES.sub("-", text)
    text = _LOOSE_DASH.sub("", _fold_kana(text).replace("ー", ""))
    return FoldedAddress(prefecture, text.casefold())


def town_key(address: str) -> str:
    """Municipality and town, without prefecture and numbers: coarse on purpose, for finding candidates."""
    return _town(fold_address(address).rest)


def _town(rest: str) -> str:
    return re.split(r"\d", rest, maxsplit=1)[0]
