"""Rules about how an address is written."""

from collections.abc import Iterator

import msgspec

from tests.inquiry.corpus.cases import Person
from tests.inquiry.corpus.making import BASES, Made, Rules, ask_for, nobody, released, undecided

rules = Rules()
ICHIRO = BASES[0]


def at(address: str, **more: object) -> Person:
    return msgspec.structs.replace(ICHIRO, address=address, **more)


def _same(pairs: tuple[tuple[str, str], ...]) -> Iterator[Made]:
    """The register has the first, the question the second, and the other way round."""
    for one, other in pairs:
        yield released(at(one), ask_for(ICHIRO, address=other), "address")
        yield released(at(other), ask_for(ICHIRO, address=one), "address")


def _different(pairs: tuple[tuple[str, str], ...]) -> Iterator[Made]:
    for one, other in pairs:
        yield nobody(at(one), ask_for(ICHIRO, address=other))
        yield nobody(at(other), ask_for(ICHIRO, address=one))


_NUMERAL = dict(zip(range(1, 10), "一二三四五六七八九", strict=True))


@rules("A01", "丁目 番 号 in figures, in kanji, by hyphens of any kind, by の: VARIANT in address.")
def notations() -> Iterator[Made]:
    for town in (
        "東京都中野区中野",
        "千葉県千葉市中央区千葉港",
        "大阪府大阪市北区梅田",
        "福岡県福岡市中央区天神",
        "愛知県名古屋市中区三の丸",
    ):
        a, b, c = 4, 8, 1
        person = at(f"{town}{a}丁目{b}番{c}号")
        k = [_NUMERAL[n] for n in (a, b, c)]
        for asked in (
            f"{town}{a}-{b}-{c}", f"{town}{k[0]}丁目{k[1]}番{k[2]}号", f"{town}{a}−{b}−{c}", f"{town}{a}ー{b}ー{c}",
            f"{town}{a}‐{b}‐{c}", f"{town}{k[0]}-{k[1]}-{k[2]}", f"{town}{k[0]}の{k[1]}の{k[2]}",
            f"{town}{a}丁目{b}-{c}",
            f"{town}{a}丁目{b}番地{c}", f"{town}{a}丁目{b}番地の{c}", f"{town} {a} - {b} - {c}",
            f"{town}{k[0]}丁目{b}番{c}",
            f"{town}{a}ノ{b}ノ{c}", f"{town}０{a}-０{b}-０{c}",
        ):  # fmt: skip
            yield released(person, ask_for(person, address=asked), "address")
        yield released(person, ask_for(person, address=f"{town}　{a}丁目 ８番{c}号"))


@rules("A02", "Lots: 番地 and its branches, large numbers by value or by places: VARIANT in address.")
def lots() -> Iterator[Made]:
    yield from _same((
        ("富山県高岡市広小路20番50号", "富山県高岡市広小路二十番五十号"),
        ("富山県高岡市広小路20番50号", "富山県高岡市広小路二〇-五〇"),
        ("茨城県つくば市天王台1234番地", "茨城県つくば市天王台千二百三十四番地"),
        ("茨城県つくば市天王台1234番地", "茨城県つくば市天王台一二三四"),
        ("茨城県つくば市天王台1234番地5", "茨城県つくば市天王台1234-5"),
        ("茨城県つくば市天王台1234番地の5", "茨城県つくば市天王台1234ノ5"),
        ("茨城県つくば市天王台105番地", "茨城県つくば市天王台百五番地"),
        ("愛媛県松山市平井町甲12番地", "愛媛県松山市平井町甲12"),
        ("石川県金沢市四十万町イ12番地3", "石川県金沢市四十万町イ12-3"),
        ("大阪府堺市堺区南瓦町3丁1番", "大阪府堺市堺区南瓦町3-1"),
    ))  # fmt: skip


@rules("A03", "Numerals in the names of towns are part of the name, in figures or in kanji: VARIANT in address.")
def numerals_in_towns() -> Iterator[Made]:
    yield from _same((
        ("神奈川県横浜市瀬谷区三ツ境12番地5", "神奈川県横浜市瀬谷区三ッ境12-5"),
        ("神奈川県横浜市瀬谷区三ツ境12番地5", "横浜市瀬谷区三つ境十二番地五"),
        ("東京都八王子市八幡町8番8号", "東京都八王子市八幡町八-八"),
        ("東京都千代田区一番町1番地1", "千代田区一番町1-1"),
        ("東京都千代田区三番町6番地", "東京都千代田区三番町六"),
        ("和歌山県和歌山市九番丁15番地", "和歌山市九番丁15"),
        ("宮城県仙台市青葉区一番町4丁目7番17号", "仙台市青葉区1番町4-7-17"),
        ("東京都港区六本木6丁目10番1号", "東京都港区六本木六-一〇-一"),
        ("東京都港区麻布十番2丁目3番4号", "港区麻布十番2-3-4"),
        ("東京都千代田区四番町5番地", "千代田区四番町五番地"),
        ("北海道札幌市中央区北三条西6丁目1番地", "札幌市中央区北3条西6-1"),
        ("北海道札幌市西区二十四軒4条3丁目1番1号", "札幌市西区24軒四条三丁目1-1"),
        ("北海道旭川市一条通9丁目50番地", "旭川市1条通九丁目50"),
        ("京都府京都市下京区四条町355番地", "京都市下京区四条町355"),
        ("新潟県三条市三条1番地2", "新潟県三条市三条1-2"),
        ("岐阜県大垣市十六町1番地", "大垣市十六町1"),
        ("東京都中央区八丁堀1丁目2番3号", "東京都中央区八丁堀一-二-三"),
        ("千葉県八千代市大和田新田312番地5", "八千代市大和田新田三一二-五"),
        ("三重県四日市市九の城町1番2号", "四日市市九ノ城町1-2"),
        ("東京都台東区三ノ輪1丁目2番3号", "台東区三の輪1-2-3"),
        ("北海道上川郡東川町西12号北34番地", "東川町西12号北34"),
        ("北海道石狩郡当別町青山奥三番川34番地5", "当別町青山奥三番川34-5"),
        ("愛媛県越智郡上島町魚島二番耕地67番地", "上島町魚島二番耕地67"),
        ("新潟県南魚沼市五箇12番地", "南魚沼市五箇十二番地"),
        ("大阪府堺市中区辻之12番地", "堺市中区辻之 12"),
        ("岩手県和賀郡西和賀町川尻40地割73番地", "西和賀町川尻四十地割73"),
    ))  # fmt: skip


@rules("A04", "Prefecture, county, island, 大字 and 字 left out do not contradict: VARIANT in address.")
def left_out() -> Iterator[Made]:
    yield from _same((
        ("東京都中野区中野4丁目8番1号", "中野区中野4丁目8番1号"),
        ("北海道札幌市中央区北3条西6丁目1番地", "札幌市中央区北3条西6丁目1番地"),
        ("三重県津市栄町1番地", "津市栄町1番地"),
        ("千葉県印旛郡酒々井町中央台4丁目11番地", "酒々井町中央台4丁目11番地"),
        ("山形県北村山郡大石田町緑町1番地", "山形県大石田町緑町1番地"),
        ("北海道余市郡余市町朝日町26番地", "余市町朝日町26番地"),
        ("奈良県高市郡明日香村岡55番地", "明日香村岡55"),
        ("佐賀県三養基郡基山町宮浦666番地", "佐賀県基山町宮浦666"),
        ("東京都八丈島八丈町大賀郷2551番地2", "東京都八丈町大賀郷2551-2"),
        ("東京都三宅島三宅村阿古497番地", "三宅村阿古497"),
        ("埼玉県川越市大字下松原1番地", "埼玉県川越市下松原1番地"),
        ("福島県福島市大森字西ノ内12番地", "福島市大字大森西の内12"),
        ("秋田県横手市十文字町字梨木1番地", "横手市十文字町梨木1"),
        ("北海道中川郡幕別町字南勢123番地", "北海道幕別町南勢123"),
    ))  # fmt: skip


@rules("A05", "ヶ ケ が, の ノ 之, and 異体字 in the names of places: VARIANT in address.")
def links() -> Iterator[Made]:
    yield from _same((
        ("東京都千代田区霞が関2丁目1番2号", "東京都千代田区霞ヶ関2丁目1番2号"),
        ("東京都千代田区霞が関2丁目1番2号", "東京都千代田区霞ケ関2-1-2"),
        ("千葉県鎌ケ谷市新鎌ケ谷2丁目6番1号", "鎌ヶ谷市新鎌ヶ谷2-6-1"),
        ("茨城県龍ケ崎市3710番地", "竜ヶ崎市3710"),
        ("東京都千代田区丸の内1丁目1番", "東京都千代田区丸ノ内1丁目1番"),
        ("千葉県流山市つつじが丘1丁目2番3号", "流山市つつじヶ丘1-2-3"),
        ("愛知県名古屋市中区三の丸3丁目1番2号", "愛知県名古屋市中区三之丸3丁目1番2号"),
        ("兵庫県西宮市甲子園九番町1番2号", "西宮市甲子園九番町1-2"),
        ("群馬県館林市城町1番1号", "群馬県舘林市城町1番1号"),
        ("静岡県浜松市中央区元城町103番地", "静岡県濱松市中央区元城町103番地"),
        ("東京都渋谷区代々木1丁目1番1号", "東京都澁谷区代代木1丁目1番1号"),
    ))  # fmt: skip


_BLOCK = "東京都中野区中野4丁目8番1号"


@rules("A06", "Building or room given in one and left out in the other, or written otherwise: VARIANT in address.")
def buildings_left_out() -> Iterator[Made]:
    yield from _same((
        (f"{_BLOCK}サンハイツ201号室", _BLOCK),
        (f"{_BLOCK}サンハイツ201号室", f"{_BLOCK}サンハイツ"),
        (f"{_BLOCK}サンハイツ201号室", f"{_BLOCK}201"),
        (f"{_BLOCK}サンハイツ201号室", f"{_BLOCK} 201号室"),
        (f"{_BLOCK}サンハイツ201号室", f"{_BLOCK}-201"),
        (f"{_BLOCK}サンハイツ201号室", "中野区中野4-8-1-201"),
        (f"{_BLOCK}サンハイツ201号室", "中野区中野4-8-1 サンハイツ 201"),
        (f"{_BLOCK}サンハイツ201号室", "中野区中野4-8-1 201"),
        (f"{_BLOCK}サンハイツ201号室", f"{_BLOCK}サンハイツ-201"),
        (f"{_BLOCK}サンハイツ2号棟201号室", f"{_BLOCK}サンハイツ2-201"),
        (f"{_BLOCK}第二コーポ101", f"{_BLOCK}第2コーポ101号室"),
        (f"{_BLOCK}サンビル3階", f"{_BLOCK}サンビル3F"),
        (f"{_BLOCK}A棟101", f"{_BLOCK} A-101"),
        ("東京都中野区中野12番地サンハイツ201号室", "中野区中野12 サンハイツ201"),
    ))  # fmt: skip


@rules("A07", "Building or room given in both and different: NONE.")
def other_rooms() -> Iterator[Made]:
    yield from _different((
        (f"{_BLOCK}サンハイツ201号室", f"{_BLOCK}サンハイツ202号室"),
        (f"{_BLOCK}サンハイツ201号室", "中野区中野4-8-1-202"),
        (f"{_BLOCK}サンハイツ201号室", "中野区中野4-8-1 202"),
        (f"{_BLOCK}サンハイツ201号室", f"{_BLOCK}ムーンハイツ201号室"),
        (f"{_BLOCK}サンハイツ1号棟201号室", f"{_BLOCK}サンハイツ2号棟201号室"),
        (f"{_BLOCK}第一コーポ101", f"{_BLOCK}第二コーポ101"),
        (f"{_BLOCK} A-101", f"{_BLOCK} B-101"),
        (f"{_BLOCK}-201", f"{_BLOCK}-202"),
        (f"{_BLOCK}-201", "東京都中野区中野4丁目8番1201号"),
    ))  # fmt: skip


@rules("A08", "Another number, another block, another town, or the same figures with other units: NONE.")
def other_blocks() -> Iterator[Made]:
    yield from _different((
        (_BLOCK, "東京都中野区中野4丁目8番2号"),
        (_BLOCK, "東京都中野区中野4丁目81番"),
        (_BLOCK, "東京都中野区中野4-81"),
        (_BLOCK, "東京都中野区中野48-1"),
        (_BLOCK, "東京都中野区中野4-8"),
        (_BLOCK, "東京都中野区中野4丁目8番"),
        (_BLOCK, "東京都中野区東中野4丁目8番1号"),
        (_BLOCK, "東京都中野区中央4丁目8番1号"),
        (_BLOCK, "東京都杉並区中野4丁目8番1号"),
        (_BLOCK, "中野4丁目8番1号"),
        ("千葉県千葉市中央区千葉港1丁目2番", "千葉県千葉市中央区千葉港1番2号"),
        ("茨城県つくば市天王台123番地4", "茨城県つくば市天王台12番地34"),
        ("茨城県つくば市天王台123番地", "茨城県つくば市天王台123番地4"),
        ("宮城県仙台市青葉区一番町1丁目1番1号", "宮城県仙台市青葉区二番町1丁目1番1号"),
        ("北海道札幌市中央区北3条西6丁目1番地", "北海道札幌市中央区北6条西3丁目1番地"),
        ("北海道札幌市中央区北3条西6丁目1番地", "北海道札幌市中央区南3条西6丁目1番地"),
        ("和歌山県和歌山市九番丁15番地", "和歌山県和歌山市十番丁15番地"),
        ("和歌山県和歌山市九番丁15番地", "和歌山県和歌山市九番丁1番地5"),
        ("愛媛県松山市平井町甲12番地", "愛媛県松山市平井町乙12番地"),
        ("神奈川県横浜市瀬谷区三ツ境12番地5", "神奈川県横浜市瀬谷区二ツ橋町12番地5"),
        ("青森県三沢市三沢字三123番地", "青森県三沢市三沢字3123番地"),
        ("東京都港区麻布十番2丁目3番4号", "東京都港区麻布台2丁目3番4号"),
        ("北海道古宇郡泊村大字泊村1番地", "北海道国後郡泊村大字泊村1番地"),
    ))  # fmt: skip


@rules("A09", "Kyoto's streets: left out or written otherwise VARIANT in address; two that differ: NONE.")
def kyoto() -> Iterator[Made]:
    yield from _same((
        ("京都府京都市中京区寺町通御池上る上本能寺前町488番地", "京都市中京区上本能寺前町488"),
        ("京都府京都市中京区寺町通御池上る上本能寺前町488番地", "京都市中京区寺町御池上ル上本能寺前町488"),
        ("京都府京都市中京区寺町通御池上る上本能寺前町488番地", "京都市中京区寺町通御池上がる上本能寺前町四八八"),
        ("京都府京都市下京区烏丸通七条下る東塩小路町1番地", "京都市下京区東塩小路町1"),
        ("京都府京都市東山区三条通南二筋目白川筋西入二丁目北側南木之元町1番地", "京都市東山区南木之元町1"),
        ("京都府京都市上京区今出川通烏丸東入相国寺門前町1番地", "京都市上京区今出川通烏丸東入ル相国寺門前町1"),
    ))  # fmt: skip
    yield from _different((
        ("京都市中京区寺町通御池上る亀屋町1番地", "京都市中京区御幸町通御池上る亀屋町1番地"),
        ("京都市中京区寺町通御池上る亀屋町1番地", "京都市中京区寺町通御池下る亀屋町1番地"),
        ("京都市上京区今出川通烏丸東入相国寺門前町1番地", "京都市上京区今出川通烏丸東入相国寺門前町2番地"),
    ))  # fmt: skip


@rules(
    "A10", "Municipalities of one name: given, the prefecture tells them apart; left out, two namesakes are undecided."
)
def namesakes_of_places() -> Iterator[Made]:
    for first, second, rest in (
        ("東京都", "広島県", "府中市元町1番1号"),
        ("北海道", "福島県", "伊達市本町1番地"),
        ("千葉県", "愛知県", "旭市中央1丁目1番1号"),
    ):
        both = at(first + rest), at(second + rest)
        yield nobody(both[0], ask_for(ICHIRO, address=second + rest))
        yield released(both, ask_for(ICHIRO, address=first + rest))
        yield released(both, ask_for(ICHIRO, address=second + rest), meant=1)
        yield undecided(both, ask_for(ICHIRO, address=rest))
        yield released(both[0], ask_for(ICHIRO, address=rest), "address")


@rules(
    "A11", "An address of the past finds a person where the affair may search it: VARIANT in former_address, else NONE."
)
def addresses_of_the_past() -> Iterator[Made]:
    for former, asked in (
        ("千葉県市川市八幡1丁目1番1号", "千葉県市川市八幡1丁目1番1号"),
        ("千葉県市川市八幡1丁目1番1号", "市川市八幡1-1-1"),
        ("富山県高岡市広小路7番50号", "高岡市広小路七-五〇"),
        ("宮城県仙台市青葉区一番町4丁目7番17号", "仙台市青葉区一番町4-7-17-301"),
    ):
        person = at(_BLOCK, former_addresses=("大阪府大阪市北区梅田1丁目1番1号", former))
        yield released(person, ask_for(person, address=asked), "former_address")
        yield nobody(person, ask_for(person, address=asked, history=False))
    person = at(_BLOCK, former_addresses=("千葉県市川市八幡1丁目1番1号",))
    yield nobody(person, ask_for(person, address="千葉県市川市八幡1丁目1番2号"))
    yield released(person, ask_for(person, address="市川市八幡1-1-1", name="高橋一郎"), "name", "former_address")


@rules("A12", "Name, address and birth date all written otherwise at once: VARIANT in each.")
def all_at_once() -> Iterator[Made]:
    for kanji, asked_name, address in (
        ("髙橋 一郎", "高橋一郎", "中野区中野4-8-1"),
        ("渡邉 一郎", "渡邊　一郎", "東京都中野区中野四-八-一"),
        ("齋藤 一郎", "斎藤一郎", "中野区中野4-8-1-201"),
        ("山﨑 一郎", "山崎一郎", "中野区中野4丁目8−1"),
    ):
        person = at(_BLOCK, name=kanji, birth="昭和10年3月頃", sex=0)
        ask = ask_for(person, name=asked_name, address=address, birth="1935-03-15", sex=1)
        yield released(person, ask, "name", "address", "birth", "sex")


@rules("X01", "Known limits: a clerk would know the person, the gateway says NONE; no wrong person is released.")
def limits() -> Iterator[Made]:
    for one, other in (
        ("東京都新宿区四谷1丁目1番1号", "東京都新宿区四ツ谷1丁目1番1号"),
        ("東京都千代田区霞が関2丁目1番2号", "東京都千代田区霞関2丁目1番2号"),
        ("千葉県千葉市中央区千葉港1丁目2番3号", "千葉県千葉市千葉港1丁目2番3号"),
        ("北海道札幌市西区二十四軒4条3丁目1番1号", "札幌市西区二十四軒4-3-1-1"),
        (f"{_BLOCK}サンハイツⅡ201号室", f"{_BLOCK}サンハイツ2 201号室"),
    ):
        yield released(at(one), ask_for(ICHIRO, address=other), "address")
    smith = BASES[8]
    yield released(smith, ask_for(smith, name="JOHN SMITH"), "name")
    yield released(BASES[6], ask_for(BASES[6], name="廣瀬 沙織"), "name")
    yield released(ICHIRO, ask_for(ICHIRO, name="高橋 イチロウ"), "name")
