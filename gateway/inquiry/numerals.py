"""漢数字: numbers written in kanji, in places (二〇, 一二) or by value (二十, 百二十三).

Not here: which of a text's numerals are numbers at all: 三 is one in 三丁目, none in 三ツ境 (inquiry.addresses).
"""

from typing import Final

NUMERALS: Final = "〇零一二三四五六七八九十百千"
"""Every character a numeral here is made of, for use in a character class."""
_DIGIT: Final = {digit: value for value, digit in enumerate("〇一二三四五六七八九")} | {"零": 0}
_TEN: Final = {"十": 10, "百": 100, "千": 1000}


def in_figures(numeral: str) -> str:
    """The figures of a numeral: 二十三 and 二三 are "23", 百五 is "105", 〇三 is "03"."""
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
