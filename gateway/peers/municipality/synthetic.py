"""Synthetic residents (合成データ): nobody in here exists.

The first ten are test cases that never change whatever the seed (`CASES` names them); the others are drawn from the
seed. Family names say that they are made up, and an individual number (個人番号) has a check digit that is deliberately
wrong, so it can be no living person's.
"""

import functools
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import msgspec

from gateway.peers.kit.impressions import draw_impression
from gateway.peers.municipality.records import Entry, Register, Resident, Seal, Tax

NOTE: Final = "合成データ"
WAITING: Final = 7
RESIDENTS_MIN: Final = 18
"""The ten cases, and the eight others of the large household."""
CASES: Final[dict[int, str]] = {
    0: "ordinary, with a child (8)",
    1: "head of a household of nine (1, 10 to 17)",
    2: "suppressed (支援措置)",
    3: "a move is pending (転出予定)",
    4: "seal registration cancelled (印鑑登録廃止)",
    5: "a name too long to print",
    6: "characters with variation selectors (IVS)",
    7: "an entered change waits (仮登録)",
    8: "a child under 15, of the household of 0",
    9: "former names; domicile elsewhere; no seal, no tax",
}
_FAMILY: Final = ("合成", "見本", "試験", "仮名", "例示", "架空", "模擬", "雛形", "標本", "試作")
_FAMILY_KANA: Final = (
    "ゴウセイ",
    "ミホン",
    "シケン",
    "カメイ",
    "レイジ",
    "カクウ",
    "モギ",
    "ヒナガタ",
    "ヒョウホン",
    "シサク",
)
_GIVEN: Final = ("太郎", "花子", "一郎", "和子", "次郎", "幸子", "三郎", "恵子", "健", "桜", "翔", "葵")
_GIVEN_KANA: Final = (
    *("タロウ", "ハナコ", "イチロウ", "カズコ", "ジロウ", "サチコ"),
    *("サブロウ", "ケイコ", "ケン", "サクラ", "ショウ", "アオイ"),
)
_TOWNS: Final = ("見本町", "試験台", "例示が丘", "架空坂", "標本通")
_MY_NUMBER_WEIGHTS: Final = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def make(*, place: str, count: int, seed: int, today: date) -> tuple[list[Resident], list[Register]]:
    """Residents 0 to count - 1 and their family registers. place begins every address (千葉県見本市).

    Raises: ValueError below RESIDENTS_MIN.
    """
    if count < RESIDENTS_MIN:
        raise ValueError(f"at least {RESIDENTS_MIN} residents are needed for the test cases, not {count}")
    maker = _Maker(place, seed, today)
    people = list(maker.cases())
    people += [maker.drawn(number) for number in range(len(people), count)]
    return people, _registers(people)


def waiting_change(resident: Resident) -> Resident:
    """The change that waits for case 7: a new address, entered and not committed."""
    return msgspec.structs.replace(resident, address=f"{resident.address}-未確定")


class _Maker:
    def __init__(self, place: str, seed: int, today: date) -> None:
        self._place = place
        self._draw = random.Random(seed)  # noqa: S311 - synthetic data, reproducible by its seed
        self._fixed = random.Random(0)  # noqa: S311
        self._today = today
        self._impression = functools.cache(draw_impression)  # drawn once a family name

    def cases(self) -> Iterator[Resident]:
        """Numbers 0 to 17."""
        one = self._one
        parent, large = one(0, household=0), one(1, household=1)
        moving = (self._today + timedelta(days=7)).isoformat()
        yield parent
        yield large
        yield msgspec.structs.replace(one(2, household=2), suppressed=True)
        yield msgspec.structs.replace(one(3, household=3), moving_on=moving)
        fourth = one(4, household=4)
        seal = fourth.seal and msgspec.structs.replace(fourth.seal, cancelled=True)
        yield msgspec.structs.replace(fourth, seal=seal)
        yield self._renamed(one(5, household=5), "見本" + "長" * 190, "ミホン" + "チョウ" * 20)
        yield self._renamed(one(6, household=6), "葛\U000e0103城 邉\U000e0110子", "カツラギ ナベコ")
        yield one(7, household=7)
        child = f"{self._today.year - 9:04d}-05-05"
        yield self._joined(one(8, household=0), parent, "子", birth=child, seal=None, taxes=())
        ninth = one(9, household=9)
        yield msgspec.structs.replace(
            ninth,
            former_names=("仮名 桜", "例示 桜"),
            register=None,
            domicile="東京都架空区標本通一丁目1番",
            seal=None,
            taxes=(),
        )
        for number in range(10, RESIDENTS_MIN):
            relation = "妻" if number == 10 else "子"
            yield self._joined(one(number, household=1), large, relation, birth=f"{1990 + number:04d}-02-{number:02d}")

    def drawn(self, number: int) -> Resident:
        """A resident living alone, of the seed."""
        return self._one(number, household=number, draw=self._draw)

    def _one(self, number: int, *, household: int, draw: random.Random | None = None) -> Resident:
        draw = draw or self._fixed
        family, given = draw.randrange(len(_FAMILY)), draw.randrange(len(_GIVEN))
        name = f"{_FAMILY[family]} {_GIVEN[given]}"
        birth = date(1935, 1, 1) + timedelta(days=draw.randrange(25_000))
        since = birth + timedelta(days=draw.randrange(2_000, 6_000))
        town = f"{self._place}{draw.choice(_TOWNS)}{draw.randrange(1, 6)}丁目"
        block = f"{draw.randrange(1, 40)}番"
        year, assessed = self._today.year - 1, draw.randrange(1, 60) * 10_000
        paid = assessed if number < RESIDENTS_MIN or draw.random() < 0.9 else assessed // 2
        return Resident(
            number=number,
            household=household,
            name=name,
            kana=f"{_FAMILY_KANA[family]} {_GIVEN_KANA[given]}",
            birth=birth.isoformat(),
            sex="女" if given % 2 else "男",
            address=f"{town}{block}{draw.randrange(1, 30)}号",
            address_since=since.isoformat(),
            resident_since=since.isoformat(),
            previous_address=f"{self._place}{draw.choice(_TOWNS)}1丁目{draw.randrange(1, 40)}番",
            relation="世帯主",
            domicile=f"{town}{block}",
            register_head=name,
            register=number,
            my_number=_invalid_my_number(draw),
            seal=Seal(f"{number:06d}", since.isoformat(), self._impression(name.split(" ")[0])),
            taxes=(Tax(year, assessed * 12, assessed, paid), Tax(year - 1, assessed * 11, assessed, assessed)),
            note=NOTE,
        )

    @staticmethod
    def _joined(member: Resident, head: Resident, relation: str, **changes: object) -> Resident:
        """A member of a head's household and family register."""
        family, kana = head.name.split(" ")[0], head.kana.split(" ")[0]
        return msgspec.structs.replace(
            member,
            household=head.household,
            register=head.register,
            register_head=head.name,
            domicile=head.domicile,
            address=head.address,
            relation=relation,
            name=f"{family} {member.name.split(' ')[1]}",
            kana=f"{kana} {member.kana.split(' ')[1]}",
            **changes,
        )

    @staticmethod
    def _renamed(resident: Resident, name: str, kana: str) -> Resident:
        return msgspec.structs.replace(resident, name=name, kana=kana, register_head=name)


def _registers(people: list[Resident]) -> list[Register]:
    members: dict[int, list[Resident]] = {}
    for each in people:
        if each.register is not None:
            members.setdefault(each.register, []).append(each)
    return [
        Register(
            number=number,
            domicile=family[0].domicile,
            head=family[0].register_head,
            made_on=family[0].resident_since,
            entries=tuple(_entry(each) for each in family),
        )
        for number, family in members.items()
    ]


def _entry(each: Resident) -> Entry:
    return Entry(
        resident=each.number,
        name=each.name,
        birth=each.birth,
        father=f"{each.name.split(' ')[0]} 父",
        mother=f"{each.name.split(' ')[0]} 母",
        relation="長女" if each.sex == "女" else "長男",
        events=(("出生", f"{each.birth} 出生地 {each.domicile}"),),
        addresses=((each.address_since, each.address),),
    )


def _invalid_my_number(draw: random.Random) -> str:
    """Twelve figures whose last is not the check digit (平成26年総務省令85号 5条)."""
    body = [draw.randrange(10) for _ in range(11)]
    rest = sum(digit * weight for digit, weight in zip(body, _MY_NUMBER_WEIGHTS, strict=True)) % 11
    check = 0 if rest <= 1 else 11 - rest
    return "".join(map(str, body)) + str((check + 1) % 10)
