"""Check digits of the two codes a record carries: 住民票コード and 全国地方公共団体コード.

Both are text: leading zeros count. Nothing here knows whose code it is.
Source: DOMAIN 2.2 (施行規則1条; 平成14年総務省告示436号 by its published samples).
"""

from typing import Final

_CODE_WEIGHTS: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_MUNICIPALITY_WEIGHTS: Final = (6, 5, 4, 3, 2)
CODE_DIGITS: Final = 11
MUNICIPALITY_DIGITS: Final = 6


def code_remainder(body: str) -> int:
    """Weighted sum modulo 11 of a code's first ten digits."""
    return sum(map(int.__mul__, _CODE_WEIGHTS, map(int, body))) % 11


def code_check_digit(body: str) -> str | None:
    """The eleventh digit for ten digits; None for remainders 0 and 1, whose rule no source confirms."""
    remainder = code_remainder(body)
    return None if remainder < 2 else str(11 - remainder)


def code_is_valid(code: str) -> bool:
    """Whether text is a well-formed 住民票コード: 11 ASCII digits with a fitting last one.

    Remainder 0 allows 0 and 1, remainder 1 allows 0: the unconfirmed cases are not refused.
    """
    if len(code) != CODE_DIGITS or not (code.isascii() and code.isdigit()):
        return False
    remainder = code_remainder(code[:10])
    if remainder == 0:
        return code[10] in "01"
    return int(code[10]) == (0 if remainder == 1 else 11 - remainder)


def municipality_is_valid(code: str) -> bool:
    """Whether text is a well-formed 全国地方公共団体コード: 6 ASCII digits, the last (11 - sum mod 11) mod 10."""
    if len(code) != MUNICIPALITY_DIGITS or not (code.isascii() and code.isdigit()):
        return False
    remainder = sum(map(int.__mul__, _MUNICIPALITY_WEIGHTS, map(int, code[:5]))) % 11
    return int(code[5]) == (11 - remainder) % 10
