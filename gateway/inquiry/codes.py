"""Check digits of the codes a record carries: 住民票コード, 個人番号 and 全国地方公共団体コード.

All are text: leading zeros count. Their rules differ in what they make of a remainder of 0 or 1. Nothing here knows
whose code it is, and no error repeats one.
Source: DOMAIN 2.2 (施行規則1条; 平成14年総務省告示436号 by its published samples; 平成26年総務省令85号5条).
"""

from operator import mul
from typing import Final

from gateway.inquiry.errors import FieldInvalid
from protocol import municipality_code

_CODE_WEIGHTS: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_MY_NUMBER_WEIGHTS: Final = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
CODE_DIGITS: Final = 11
MY_NUMBER_DIGITS: Final = 12


def _remainder(weights: tuple[int, ...], digits: str) -> int:
    """Weighted sum of ASCII digits modulo 11."""
    weighted: int = sum(map(mul, weights, digits.encode()))
    return (weighted - ord("0") * sum(weights)) % 11


def code_remainder(body: str) -> int:
    """Weighted sum modulo 11 of a code's first ten digits."""
    return _remainder(_CODE_WEIGHTS, body)


def code_check_digit(body: str) -> str | None:
    """The eleventh digit for ten digits; None for remainders 0 and 1, whose rule no source confirms."""
    remainder = code_remainder(body)
    return None if remainder < 2 else str(11 - remainder)


def code_is_valid(code: str) -> bool:
    """Whether text is a well-formed 住民票コード: 11 ASCII digits with a fitting last one.

    Remainder 0 allows 0 and 1, remainder 1 allows 0: the unconfirmed cases are not refused.
    """
    if not _digits(code, CODE_DIGITS):
        return False
    remainder = code_remainder(code[:10])
    if remainder == 0:
        return code[10] in "01"
    return int(code[10]) == (0 if remainder == 1 else 11 - remainder)


def my_number_check_digit(body: str) -> str:
    """The twelfth digit of a 個人番号 for eleven digits; 0 for remainders 0 and 1."""
    remainder = _remainder(_MY_NUMBER_WEIGHTS, body)
    return "0" if remainder < 2 else str(11 - remainder)


def my_number_is_valid(number: str) -> bool:
    """Whether text is a well-formed 個人番号: 12 ASCII digits with a fitting last one."""
    return _digits(number, MY_NUMBER_DIGITS) and number[11] == my_number_check_digit(number[:11])


def require_code(code: str, field: str = "code") -> None:
    """Raises: FieldInvalid unless `code` is a well-formed 住民票コード."""
    if not code_is_valid(code):
        raise _invalid(field, code, CODE_DIGITS, "住民票コード", "resident code")


def require_my_number(number: str, field: str = "my_number") -> None:
    """Raises: FieldInvalid unless `number` is a well-formed 個人番号."""
    if not my_number_is_valid(number):
        raise _invalid(field, number, MY_NUMBER_DIGITS, "個人番号", "individual number")


def require_municipality(code: str, field: str = "municipality") -> None:
    """Raises: FieldInvalid unless `code` is a well-formed 全国地方公共団体コード."""
    if not municipality_code.is_valid(code):
        raise _invalid(field, code, municipality_code.DIGITS, "全国地方公共団体コード", "municipality code")


def _digits(text: str, count: int) -> bool:
    return len(text) == count and text.isascii() and text.isdigit()


def _invalid(field: str, text: str, count: int, ja: str, en: str) -> FieldInvalid:
    if not _digits(text, count):
        return FieldInvalid(
            field,
            "digits",
            ja=f"{ja}は半角数字{count}桁で記入してください",
            en=f"write the {en} in {count} ASCII digits",
        )
    return FieldInvalid(
        field,
        "check-digit",
        ja=f"{ja}の検査数字が合いません。番号を確かめてください",
        en=f"the check digit does not fit; verify the {en}",
    )
