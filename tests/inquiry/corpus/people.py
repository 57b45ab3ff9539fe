"""Rules about birth dates, sex, and people who can be taken for one another."""

from collections.abc import Iterator

import msgspec

from tests.inquiry.corpus.cases import Person
from tests.inquiry.corpus.making import BASES, Made, Rules, ask_for, nobody, released, undecided

rules = Rules()
HOUSE = "東京都中野区中野4丁目8番1号"
FATHER = Person("佐藤 弘", "サトウ ヒロシ", HOUSE, "1948-03-04")


def like(person: Person, **changes: object) -> Person:
    return msgspec.structs.replace(person, **changes)


@rules(
    "B01",
    "A birth date is the same day in any notation of the entry, days of two eras and days that never were too: EXACT.",
)
def births() -> Iterator[Made]:
    for entry, asked in (
        ("1912-07-30", "1912-07-30"), ("明治45年7月30日", "1912-07-30"), ("大正元年7月30日", "1912-07-30"),
        ("大正15年12月25日", "1926-12-25"), ("昭和元年12月25日", "1926-12-25"), ("昭和64年1月7日", "1989-01-07"),
        ("平成元年1月8日", "1989-01-08"), ("S50.11.23", "1975-11-23"), ("昭和五十年十一月二十三日", "1975-11-23"),
        ("1951-02-29", "1951-02-29"), ("昭和26年2月29日", "1951-02-29"), ("令和元年5月1日", "2019-05-01"),
    ):  # fmt: skip
        person = like(FATHER, birth=entry)
        yield released(person, ask_for(person, birth=asked))


@rules("B02", "An uncertain birth date fits what it leaves open: VARIANT in birth.")
def uncertain() -> Iterator[Made]:
    for entry, asked in _UNCERTAIN:
        person = like(FATHER, birth=entry)
        yield released(person, ask_for(person, birth=asked), "birth")


_UNCERTAIN = (
    ("昭和10年3月頃", "1935-03-15"), ("昭和10年頃", "1935-12-31"), ("年月日不詳", "1935-01-01"),
    ("推定昭和10年3月5日", "1935-03-05"),
    ("昭和10年3月5日頃", "1935-03-05"), ("昭和10年3月上旬", "1935-03-10"), ("昭和10年3月中旬", "1935-03-11"),
    ("昭和10年3月下旬", "1935-03-31"), ("昭和10年3月日不詳", "1935-03-20"), ("昭和10年月日不詳", "1935-07-07"),
    ("1935年3月", "1935-03-01"),
)  # fmt: skip


@rules("B03", "A birth date that contradicts: NONE, however well the rest fits.")
def contradicted() -> Iterator[Made]:
    for person in BASES:
        yield nobody(person, ask_for(person, birth="1944-04-04"))
    for entry, asked in (
        ("昭和10年3月頃", "1935-04-01"), ("昭和10年頃", "1936-01-01"), ("推定昭和10年3月5日", "1935-03-06"),
        ("昭和10年3月上旬", "1935-03-11"), ("昭和10年3月中旬", "1935-03-21"), ("昭和10年3月下旬", "1935-03-20"),
        ("明治45年7月30日", "1912-07-31"), ("1951-02-29", "1951-03-01"), ("1951-02-28", "1951-02-29"),
        ("1975-11-23", "1975-11-24"), ("1975-11-23", "1957-11-23"), ("1975-12-11", "1975-11-12"),
    ):  # fmt: skip
        person = like(FATHER, birth=entry)
        yield nobody(person, ask_for(person, birth=asked))


@rules("B04", "Sex is optional; unknown in the entry: VARIANT in sex; contradicted: NONE.")
def sexes() -> Iterator[Made]:
    for person in BASES[:4]:
        yield released(person, ask_for(person, sex=person.sex))
        yield nobody(person, ask_for(person, sex=3 - person.sex))
        yield released(like(person, sex=0), ask_for(person, sex=person.sex), "sex")


@rules("P01", "Father and son of one name in one house: nobody is shown until the birth date tells them apart.")
def father_and_son() -> Iterator[Made]:
    for person in BASES[:6]:
        both = person, like(person, birth="2003-09-09")
        yield undecided(both, ask_for(person))
        yield undecided(both, ask_for(person, sex=person.sex))
        yield released(both, ask_for(person, birth=person.birth))
        yield released(both, ask_for(person, birth="2003-09-09"), meant=1)
        yield nobody(both, ask_for(person, birth="1999-09-09"))


@rules(
    "P02",
    "Twins and siblings share house, surname and birth date; the name tells them apart: EXACT, and a third name: NONE.",
)
def twins() -> Iterator[Made]:
    for one, other, third in (
        ("翔", "翼", "翠"),
        ("愛", "恵", "望"),
        ("一郎", "二郎", "三郎"),
        ("花", "華", "葉菜"),
        ("正", "政", "昌"),
    ):
        both = (
            like(FATHER, name=f"佐藤 {one}", kana="サトウ イチ"),
            like(FATHER, name=f"佐藤 {other}", kana="サトウ ニ"),
        )
        yield released(both, ask_for(both[0], birth=FATHER.birth))
        yield released(both, ask_for(both[1], birth=FATHER.birth), meant=1)
        yield nobody(both, ask_for(both[0], name=f"佐藤 {third}", birth=FATHER.birth))


@rules("P03", "Two of a house who are read alike: the reading shows nobody, with the birth date it is VARIANT in kana.")
def read_alike() -> Iterator[Made]:
    for one, other in (("浩", "弘"), ("翔", "将"), ("裕子", "優子"), ("明", "章")):
        both = like(FATHER, name=f"佐藤 {one}"), like(FATHER, name=f"佐藤 {other}", birth="1950-05-05")
        yield undecided(both, ask_for(both[0], name="サトウ ヒロシ"))
        yield released(both, ask_for(both[0], name="サトウ ヒロシ", birth=FATHER.birth), "kana")
        yield released(both, ask_for(both[0], name="さとう ひろし", birth="1950-05-05"), "kana", meant=1)
        yield released(both, ask_for(both[1]), meant=1)


@rules("P04", "Two whose names collide only by folding: as written EXACT; in a third spelling nobody is shown.")
def collide_by_folding() -> Iterator[Made]:
    for one, other, third in (
        ("髙橋", "高橋", None), ("渡邉", "渡邊", "渡辺"), ("山﨑", "山嵜", "山崎"), ("濵田", "濱田", "浜田"),
        ("嶋田", "嶌田", "島田"), ("栁田", "桺田", "柳田"), ("齊藤", "斉藤", None),
    ):  # fmt: skip
        both = like(FATHER, name=f"{one} 弘"), like(FATHER, name=f"{other} 弘", birth="1950-05-05")
        yield released(both, ask_for(both[0]))
        yield released(both, ask_for(both[1]), meant=1)
        yield undecided(both, ask_for(both[0], address="中野区中野4-8-1"))
        if third:
            yield undecided(both, ask_for(both[0], name=f"{third} 弘"))
            yield released(both, ask_for(both[0], name=f"{third} 弘", birth="1950-05-05"), "name", meant=1)


@rules(
    "P05",
    "Two whose readings collide only for finding (ヒロシ, ヒロジ): the reading shows nobody without the birth date.",
)
def collide_for_finding() -> Iterator[Made]:
    for one, other in (
        ("ヒロシ", "ヒロジ"),
        ("ユウコ", "ユコ"),
        ("ケン", "ゲン"),
        ("ワカ", "ハカ"),
        ("リョウ", "リョ"),
        ("カナ", "ガナ"),
    ):
        both = (
            like(FATHER, name="佐藤 甲", kana=f"サトウ {one}"),
            like(FATHER, name="佐藤 乙", kana=f"サトウ {other}", birth="1950-05-05"),
        )
        yield undecided(both, ask_for(both[0], name=f"サトウ {one}"))
        yield undecided(both, ask_for(both[0], name=f"サトウ {other}"))
        yield released(both, ask_for(both[0], name=f"サトウ {one}", birth=FATHER.birth), "kana")
        yield released(both, ask_for(both[0], name=f"サトウ {other}", birth="1950-05-05"), "kana", meant=1)
        # A brother who is not in the register is not his brother.
        yield undecided(both[0], ask_for(both[0], name=f"サトウ {other}"))


@rules("P06", "Namesakes in the next block or the next room: each is found at their own place, and nobody at a third.")
def next_door() -> Iterator[Made]:
    for here, there, nowhere in (
        ("中野4丁目8番1号", "中野4丁目8番2号", "中野4丁目8番3号"),
        ("中野4丁目8番1号", "中野4丁目18番1号", "中野4丁目28番1号"),
        ("中野4丁目8番1号", "中野5丁目8番1号", "中野6丁目8番1号"),
        ("中野4丁目8番1号中野荘201号室", "中野4丁目8番1号中野荘202号室", "中野4丁目8番1号中野荘203号室"),
        ("弥生町1番地", "弥生町11番地", "弥生町111番地"),
    ):
        both = tuple(like(FATHER, address=f"東京都中野区{place}") for place in (here, there))
        yield released(both, ask_for(both[0]))
        yield released(both, ask_for(both[1]), meant=1)
        yield nobody(both, ask_for(both[0], address=f"東京都中野区{nowhere}"))
    rooms = tuple(like(FATHER, address=f"{HOUSE}中野荘{room}号室") for room in (201, 202))
    yield undecided(rooms, ask_for(rooms[0], address=HOUSE))
    yield undecided(rooms, ask_for(rooms[0], address=f"{HOUSE}中野荘"))
    yield released(rooms, ask_for(rooms[0], address=f"{HOUSE} 202"), "address", meant=1)


@rules("P07", "Who lived here before is not who lives here: as written today EXACT; where today does not tell, nobody.")
def who_lived_here() -> Iterator[Made]:
    for name in ("佐藤 弘", "髙橋 弘", "渡邉 弘"):
        here = like(FATHER, name=name)
        moved = like(here, address="千葉県市川市八幡1丁目1番1号", former_addresses=(HOUSE,), birth="1960-06-06")
        yield released((moved, here), ask_for(here), meant=1)
        yield undecided((moved, here), ask_for(here, address="中野区中野4-8-1"))
        yield released((moved, here), ask_for(here, address="中野区中野4-8-1", history=False), "address", meant=1)
        yield released((moved, here), ask_for(here, birth="1960-06-06"), "former_address")
        yield nobody((moved, here), ask_for(here, birth="1960-06-06", history=False))


@rules("P08", "Another person altogether, in the same house or of the same name elsewhere: NONE.")
def strangers() -> Iterator[Made]:
    for person, other in zip(BASES, (*BASES[1:], BASES[0]), strict=True):
        yield nobody(person, ask_for(person, name=other.name))
        yield nobody(person, ask_for(person, name=other.kana))
        yield nobody(person, ask_for(person, address=other.address))
        yield nobody((person, other), ask_for(person, address=other.address, birth=person.birth))
