"""Kana for comparing, in two strengths.

`same_sound` is spelling: what is read alike is written alike. Hiragana and 変体仮名 become katakana, small kana large,
ヂ ヅ ヲ ヰ ヱ their modern sound, ヴァ バ, ゝ ヾ what they repeat, a long vowel mark the vowel it lengthens, and ウ
after the オ row オ: キョウコ, キヨウコ and キョーコ are one. `same_search` is for finding only: it also takes away
voicing (ハ バ パ), makes ワ ハ, and drops vowels that lengthen: ヒロシ and ヒロジ, オオノ and オノ are found together,
and are still different people.

Source: DOMAIN 2.3 (住民記録システム標準仕様書 2.1.2).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

DASHES: Final = "‐‑‒–—―−ー─━-"
"""Signs that stand for a hyphen or a long vowel; the ASCII hyphen last, for use in a character class."""

_ROWS: Final = {
    "ア": "アカサタナハマヤラワガザダバパ",
    "イ": "イキシチニヒミリギジビピ",
    "ウ": "ウクスツヌフムユルグズブプ",
    "エ": "エケセテネヘメレゲゼデベペ",
    "オ": "オコソトノホモヨロゴゾドボポ",
}
_VOWEL: Final = {kana: vowel for vowel, row in _ROWS.items() for kana in row}
_SYLLABLES: Final = (
    "A I U E O KA KI KU KE KO SA SI SU SE SO TA TI TU TE TO NA NI NU NE NO HA HI HU HE HO"
    " MA MI MU ME MO YA YU YO RA RI RU RE RO WA WI WE WO N SHI CHI TSU FU"
)
_OF_SYLLABLES: Final = (
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワイエオンシチツフ"
)
_MODERN: Final = dict(zip("ァィゥェォッャュョヮヵヶヂヅヲヰヱ", "アイウエオツヤユヨワカケジズオイエ", strict=True))
_HENTAIGANA: Final = range(0x1B002, 0x1B11F)


def _hentaigana() -> dict[int, str]:
    """Code to katakana, by the name Unicode gives each: HENTAIGANA LETTER KA-3."""
    of = dict(zip(_SYLLABLES.split(), _OF_SYLLABLES, strict=True))
    names = {code: unicodedata.name(chr(code), "") for code in _HENTAIGANA}
    return {
        code: of[syllable]
        for code, name in names.items()
        if name.startswith("HENTAIGANA") and (syllable := name.split()[-1].split("-")[0]) in of
    }


_TO_KATAKANA: Final = {code: chr(code + 0x60) for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)} | _hentaigana()
_TO_MODERN: Final = {ord(old): new for old, new in _MODERN.items()}
PER_CHARACTER: Final = {
    code: chr(code).translate(_TO_KATAKANA).translate(_TO_MODERN) for code in (_TO_KATAKANA | _TO_MODERN)
}
"""What `modern_katakana` makes of each character, where none of its neighbours matters."""
BY_NEIGHBOUR: Final = "ヴゔヽヾゝゞ" + DASHES
"""Characters that `same_sound` reads with what stands beside them. So is ウ, after the オ row."""
_VU: Final = re.compile("ヴ([ァィェォアイエオ]?)")
_VU_ROW: Final = dict(zip("ァアィイェエォオ", "ババビビベベボボ", strict=True)) | {"": "ブ"}
_REPEATED: Final = re.compile("([ァ-ヺ])([ヽヾ]+)")
_LENGTHENED: Final = re.compile(f"([ァ-ヺ]?)[{DASHES}]+")
_O_ROW_U: Final = re.compile(f"(?<=[{_ROWS['オ']}])ウ+")
_UNVOICED: Final = str.maketrans(
    "ガギグゲゴザジズゼゾダデドバビブベボパピプペポワ", "カキクケコサシスセソタテトハヒフヘホハヒフヘホハ"
)
_SOME_VOWEL: Final = re.compile(f"[{''.join(_ROWS)}]")
_SAME_VOWEL: Final = re.compile("|".join(f"(?<=[{row}]){vowel}+" for vowel, row in _ROWS.items()))


def modern_katakana(text: str) -> str:
    """Text with its kana as full-size katakana of today's spelling; everything else, dashes too, as it was."""
    katakana = text.translate(_TO_KATAKANA)
    if "ヽ" in katakana or "ヾ" in katakana:
        katakana = _REPEATED.sub(_repeated, katakana)
    if "ヴ" in katakana:  # afterwards: ウヾ has become one
        katakana = _VU.sub(lambda vu: _VU_ROW[vu[1]], katakana)
    return katakana.translate(_TO_MODERN)


def same_sound(text: str) -> str:
    """Text with what is read alike written alike; a dash after kana is a long vowel, any other goes."""
    return same_vowels(_LENGTHENED.sub(lambda found: found[1] + _VOWEL.get(found[1], ""), modern_katakana(text)))


def same_vowels(katakana: str) -> str:
    """The last step of same_sound: ウ after the オ row is オ."""
    return _O_ROW_U.sub(lambda run: "オ" * len(run[0]), katakana) if "ウ" in katakana else katakana


@lru_cache(maxsize=1 << 13)
def same_search(sound: str) -> str:
    """What same_sound gave, without voicing and long vowels; for finding candidates only."""
    sound = sound.translate(_UNVOICED)
    return _SAME_VOWEL.sub("", sound) if _SOME_VOWEL.search(sound) else sound


def _repeated(found: re.Match[str]) -> str:
    plain = unicodedata.normalize("NFD", found[1])[0]
    voiced = unicodedata.normalize("NFC", plain + "\u3099")[0]
    return found[1] + found[2].replace("ヽ", plain).replace("ヾ", voiced)
