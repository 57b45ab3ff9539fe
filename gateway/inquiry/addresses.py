"""Folding addresses: prefecture, town, numbers and building, however they are written.

An address is read into parts, and parts are compared: 千葉県千葉市中央区千葉港1丁目2番3号サンハイツ201号室 and
千葉市中央区千葉港一の二の三 are one place, of which the second leaves something out. What is left out does not
contradict: prefecture, county, 大字 and 字, Kyoto's streets, building and room. What is given twice must agree, units
too: 1丁目2番 is not 1番2号.

Numerals in the names of towns are safe because 三ツ境 and 一番町 are nowhere cut, and because every numeral is turned
to figures on both sides alike; only a number with a counter, a hyphen or nothing after it belongs to the numbers. The
reading may cut oddly where a town ends in a number; it cuts both addresses alike.

Not here: grades (gateway.inquiry.matching). Source: DOMAIN 2.3; 住居表示に関する法律 2条 (街区方式, 道路方式).
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.inquiry.folding import fold_kanji
from gateway.inquiry.kana import DASHES, modern_katakana
from gateway.inquiry.numerals import NUMERALS, in_figures

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

ROOM_LEAST: Final = 100
"""A fourth number without any unit is a room from here on, as in 4-8-1-201; below, it may be a branch of a lot."""


class FoldedAddress(NamedTuple):
    """An address for comparing; "" or () for what it leaves out.

    `numbers` are (figures, unit) in order, unit 丁目, 番, 号 or "" where none is written; `street` is Kyoto's 通り名;
    `building` the letters of what follows the numbers and `rooms` its figures.
    """

    prefecture: str
    county: str
    town: str
    street: str
    numbers: tuple[tuple[str, str], ...]
    building: str
    rooms: tuple[str, ...]


_KANJI: Final = "\u4e00-\u9fff"
_FOLDED_PREFECTURES: Final = {fold_kanji(name): name for name in PREFECTURES}
# Cities that hold 郡 in their name, and counties that hold 市 or 村 in theirs.
_COUNTY: Final = re.compile(
    "^(?!大和郡山市|郡山市|郡上市|蒲郡市|小郡市)((?:余市|高市|田村|[北東西]村山|[^市区町村\\d]{1,4})郡)(?=\\D{1,6}?[町村])"
)
_ISLAND: Final = re.compile("^(?:三宅島(?=三宅村)|八丈島(?=八丈町))")
_DIVISION: Final = re.compile("大字|小字|(?<=.)(?<!文)字(?!$)")
_LINK_GA: Final = re.compile(f"(?<=[{_KANJI}\\d])[ケガカ箇](?=[{_KANJI}])(?![{NUMERALS}])|(?<=[ァ-ヺ])ガ(?=[丘台])")
_LINK_NO: Final = re.compile(
    f"(?<=[{_KANJI}\\d])[ノ之乃](?=[{_KANJI}])(?![{NUMERALS}])|(?<=[{NUMERALS}\\d地番])[ノ之乃](?=[{NUMERALS}\\d])"
)
_STREET: Final = re.compile(
    rf"^(京都市.{{1,3}}?区)(.+(?:[上下]ガ?ル|[東西](?:入[ルリ]?|イル)))((?:[{NUMERALS}\d]+丁目)?(?:[東西南北]側)?)(?=[^\d{NUMERALS}])"
)
_STREET_WORDS: Final = re.compile("通|ガ(?=ル)|(?<=入)[ルリ]")
_NUMERAL: Final = re.compile(f"[{NUMERALS}]+")
_DIGIT_DASH: Final = re.compile(rf"(?<=\d) *[{DASHES}]+ *(?=\d)")
_DASH: Final = re.compile(rf"(?<!\d)[{DASHES}]+|[{DASHES}]+(?!\d)")
_SPACE: Final = re.compile(r"(?<!\d) +| +(?=丁目|番|号|$)")
_SPACES: Final = re.compile(r"\s+")
_UNIT: Final = r"丁目|丁(?=[\d番]|$)|番地|番(?![町丁館街])|号(?![棟館室線])"
# A number begins the numbers where nothing but more of them, a building in kana or the end follows: 西12号北 is a town.
_START: Final = re.compile(
    r"\d++(?=丁目|丁(?=[\d番]|$)|番地|[番号](?=[-ノ\d ァ-ヺA-Za-z]|$)|[-ノ]\d| |$|[A-Za-z]|(?![ツケノガ])[ァ-ヺ]{2})"
)
_NUMBER: Final = re.compile(rf"(\d++)({_UNIT})?+(?![階棟室館F]|号[棟館室])([-ノ](?=\d))?")
_NUMBERED: Final = re.compile(rf"([^\s\d{NUMERALS}{DASHES}]+)[0-9]+(丁目|番地)")
"""An address whose town is said by what stands before its first number, whatever the number is."""
_UNITS: Final = {"丁": "丁目", "番地": "番"}
_ROOM_WORDS: Final = re.compile(r"(?<=\d)(?:号[棟館室]?|[棟室館階]|F(?![A-Za-z]))+|(?<=[A-Za-z])棟")
_ROOMS: Final = re.compile(r"\d+")


@lru_cache(maxsize=1 << 13)
def fold_address(address: str) -> FoldedAddress:
    """Read an address into parts that compare; every text is read, and none raises."""
    text = modern_katakana(fold_kanji(_SPACES.sub(" ", address).strip()))
    prefecture = ""
    for length in (3, 4):  # 千葉県, 神奈川県
        if text[:length] in _FOLDED_PREFECTURES:
            prefecture, text = _FOLDED_PREFECTURES[text[:length]], text[length:].lstrip()
            break
    county = ""
    within = _COUNTY.match(text) if "郡" in text else None
    if within is not None:
        county, text = within[1], text[within.end() :].lstrip()
    elif "島" in text:
        text = _ISLAND.sub("", text)
    if "字" in text:
        text = _DIVISION.sub("", text)
    street = ""
    if text.startswith("京都市"):
        on = _STREET.match(text)
        if on is not None:
            street = _SPACES.sub("", _figures(_STREET_WORDS.sub("", on[2]) + on[3]))
            text = on[1] + text[on.end() :]
    text = _LINK_NO.sub("ノ", _LINK_GA.sub("ケ", text))
    text = _DASH.sub("", _DIGIT_DASH.sub("-", _figures(text)))
    if " " in text:
        text = _SPACE.sub("", text)
    start = _START.search(text)
    if start is None:
        return FoldedAddress(prefecture, county, text.replace(" ", "").casefold(), street, (), "", ())
    numbers, end = _numbers(text, start.start())
    building, rooms = _building(text[end:])
    town = text[: start.start()].replace(" ", "").casefold()
    return FoldedAddress(prefecture, county, town, street, numbers, building, rooms)


def town_key(address: str) -> str:
    """Municipality and town, without prefecture and numbers: coarse on purpose, for finding candidates."""
    numbered = _NUMBERED.match(address)
    if numbered is not None and "京都市" not in numbered[1]:
        # Towns repeat and house numbers do not: read so, most of a register's addresses are in the cache.
        address = f"{numbered[1]}1{numbered[2]}"
    return fold_address(address).town


@lru_cache(maxsize=1 << 13)
def same_place(one: str, other: str) -> bool:
    """Whether nothing in two addresses contradicts: one place, of which either may leave something out."""
    a, b = fold_address(one), fold_address(other)
    if a.town != b.town:
        return False
    if not (_agree(a.prefecture, b.prefecture) and _agree(a.county, b.county) and _agree(a.street, b.street)):
        return False
    shorter, longer = (a, b) if len(a.numbers) <= len(b.numbers) else (b, a)
    length = len(shorter.numbers)
    units = []
    for (figures, unit), (other_figures, other_unit) in zip(a.numbers, b.numbers, strict=False):
        if figures != other_figures or not _agree(unit, other_unit):
            return False
        units.append(unit or other_unit)
    rooms = longer.rooms
    if len(longer.numbers) > length:
        room, unit = longer.numbers[length]
        if len(longer.numbers) > length + 1 or unit or not _is_whole(units, room):
            return False
        rooms = (room, *rooms)
    return _same_building(shorter.building, shorter.rooms, longer.building, rooms)


def _is_whole(units: list[str], room: str) -> bool:
    """Whether numbers with these units need no other, so that one more is a room's."""
    if units and units[-1] == "号":
        return True
    return len(units) == 3 and (units[0] == "丁目" or int(room) >= ROOM_LEAST)


def _same_building(one: str, rooms: tuple[str, ...], other: str, other_rooms: tuple[str, ...]) -> bool:
    if not _agree(one, other):
        return False
    if not rooms or not other_rooms or rooms == other_rooms:
        return True
    # 201 alone is サンハイツ2号棟201号室 too, but サンハイツ201 is not サンハイツ2号棟201.
    fewer, more = (rooms, other_rooms) if len(rooms) < len(other_rooms) else (other_rooms, rooms)
    return not (one and other) and more[-len(fewer) :] == fewer


def _agree(one: str, other: str) -> bool:
    return one == other or not one or not other


def _figures(text: str) -> str:
    return _NUMERAL.sub(_in_figures, text)


def _in_figures(run: re.Match[str]) -> str:
    """Figures for a numeral, parted by a hyphen from figures that touch it: 字三123 is not 字3123."""
    text, before, after = run.string, run.start(), run.end()
    head = "-" if before and text[before - 1].isdecimal() else ""
    tail = "-" if after < len(text) and text[after].isdecimal() else ""
    return head + in_figures(run[0]) + tail


def _numbers(text: str, at: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """The numbers that begin at a place, and where they end."""
    numbers: list[tuple[str, str]] = []
    while (found := _NUMBER.match(text, at)) is not None:
        unit = found[2] or ""
        numbers.append((found[1].lstrip("0") or "0", _UNITS.get(unit, unit)))
        at = found.end()
        if not found[3] and unit in ("", "号"):
            break
    return tuple(numbers), at


def _building(text: str) -> tuple[str, tuple[str, ...]]:
    if not text:
        return "", ()
    text = _ROOM_WORDS.sub(" ", text)
    rooms = tuple(figures.lstrip("0") or "0" for figures in _ROOMS.findall(text))
    return _ROOMS.sub("", text).replace(" ", "").replace("-", "").casefold(), rooms
