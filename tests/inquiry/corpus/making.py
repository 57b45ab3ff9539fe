"""How rules make cases: a rule is a function that yields them, with its id and its sentence."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.inquiry.corpus.cases import Case, Person, Question

Made = tuple[tuple[Person, ...], Question, str, int | None, tuple[str, ...]]
Rule = Callable[[], Iterator[Made]]

BASES: tuple[Person, ...] = (
    Person("髙橋 一郎", "タカハシ イチロウ", "東京都中野区中野4丁目8番1号"),
    Person("渡邉 花子", "ワタナベ ハナコ", "千葉県千葉市中央区千葉港1丁目2番3号", "1982-02-03", 2),
    Person("山﨑 浩二", "ヤマザキ コウジ", "神奈川県横浜市瀬谷区三ツ境12番地5", "1969-07-30"),
    Person("斎藤 由美子", "サイトウ ユミコ", "愛知県名古屋市中区三の丸3丁目1番2号", "1991-12-25", 2),
    Person("柳沢 健", "ヤナギサワ ケン", "富山県高岡市広小路7番50号", "2000-02-29"),
    Person("大野 翔太", "オオノ ショウタ", "宮城県仙台市青葉区一番町4丁目7番17号", "2011-03-11"),
    Person("廣瀬 さおり", "ヒロセ サオリ", "北海道札幌市中央区北3条西6丁目1番地", "1958-08-15", 2),
    Person("島田 正", "シマダ タダシ", "和歌山県和歌山市九番丁15番地", "1937-01-02"),
    Person("SMITH JOHN", "スミス ジョン", "東京都港区麻布十番2丁目3番4号ヒルズ麻布501号室", "1988-05-06"),
    Person("佐々木 トメ", "ササキ トメ", "福島県福島市大森字西ノ内12番地", "1930-10-10", 2),
)
"""Residents that many rules vary; nobody is meant."""


def ask_for(person: Person, **changes: Any) -> Question:
    """A question that names a person as the register has them, but for the changes."""
    return Question(**({"name": person.name, "address": person.address} | changes))


def released(people: Person | tuple[Person, ...], ask: Question, *differing: str, meant: int = 0) -> Made:
    """The person meant is released, with these fields differing."""
    people = people if isinstance(people, tuple) else (people,)
    return people, ask, "VARIANT" if differing else "EXACT", meant, differing


def nobody(people: Person | tuple[Person, ...], ask: Question) -> Made:
    """The question means none of these people."""
    return (people if isinstance(people, tuple) else (people,)), ask, "NONE", None, ()


def undecided(people: Person | tuple[Person, ...], ask: Question) -> Made:
    """The question may mean more than one, or may mean somebody else: nobody is to be shown."""
    return (people if isinstance(people, tuple) else (people,)), ask, "AMBIGUOUS", None, ()


def pairs(words: str) -> list[tuple[str, str]]:
    """Pairs written one=other, parted by spaces."""
    return [(one, other) for one, _, other in (word.partition("=") for word in words.split())]


class Rules:
    """Rules by id, in order."""

    def __init__(self) -> None:
        self.sentences: dict[str, str] = {}
        self._makers: dict[str, Rule] = {}

    def __call__(self, rule: str, sentence: str) -> Callable[[Rule], Rule]:
        def keep(maker: Rule) -> Rule:
            self.sentences[rule] = sentence
            self._makers[rule] = maker
            return maker

        return keep

    def build(self) -> list[Case]:
        """Every rule's cases."""
        return [
            Case(f"{rule}-{number:02d}", rule, *made)
            for rule, maker in self._makers.items()
            for number, made in enumerate(maker(), 1)
        ]
