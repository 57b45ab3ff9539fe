"""Rules about how a name is written and read."""

from collections.abc import Iterator

import msgspec

from tests.inquiry.corpus.cases import Person
from tests.inquiry.corpus.making import BASES, Made, Rules, ask_for, nobody, pairs, released, undecided

rules = Rules()
HOUSE = "東京都中野区中野4丁目8番1号"


def resident(name: str, kana: str = "シメイ フショウ", **more: object) -> Person:
    return msgspec.structs.replace(Person(name, kana, HOUSE), **more)


@rules("N01", "Asked as the register writes it, everything is the same: EXACT, with or without birth date and sex.")
def as_written() -> Iterator[Made]:
    for person in BASES:
        yield released(person, ask_for(person))
        yield released(person, ask_for(person, birth=person.birth))
        yield released(person, ask_for(person, birth=person.birth, sex=person.sex))


@rules("N02", "Width and spaces are not part of a name: EXACT.")
def width_and_spaces() -> Iterator[Made]:
    for person in BASES:
        if person.name != "SMITH JOHN":
            yield released(person, ask_for(person, name=person.name.replace(" ", "")))
            yield released(person, ask_for(person, name=person.name.replace(" ", "　")))
    smith = BASES[8]
    yield released(smith, ask_for(smith, name="ＳＭＩＴＨ　ＪＯＨＮ"))
    maria = resident("マリア ルイサ")
    yield released(maria, ask_for(maria, name="ﾏﾘｱ ﾙｲｻ"))


_VARIANTS = pairs("""
髙橋=高橋 髙木=高木 山﨑=山崎 山嵜=山崎 柴﨑=柴崎 渡邉=渡辺 渡邊=渡辺 渡邉=渡邊 田邉=田辺 川邊=川辺 德川=徳川
德永=徳永 濵田=浜田 濱田=浜田 濵口=濱口 栁沢=柳沢 栁田=柳田 桺原=柳原 𠮷田=吉田 𠮷川=吉川 齊藤=斉藤 齋藤=斎藤
澤田=沢田 栁澤=柳沢 宮澤=宮沢 島田=嶋田 嶌田=島田 小嶋=小島 廣田=広田 廣瀨=広瀬 國分=国分 國井=国井 冨田=富田
眞田=真田 榮田=栄田 靜岡=静岡 龍田=竜田 瀧川=滝川 條野=条野 萬田=万田 與田=与田 學田=学田 圓山=円山 鹽田=塩田
鹽谷=塩谷 關口=関口 關根=関根 藏本=蔵本 兒玉=児玉 實川=実川 黑田=黒田 嶽本=岳本 舘野=館野 曾根=曽根 彌永=弥永
峯岸=峰岸 楳原=梅原 檜山=桧山 枩田=松田 槇田=槙田 蘆田=芦田 櫻井=桜井 橫山=横山 劍持=剣持 鄕田=郷田 豐田=豊田
禮田=礼田 來栖=来栖 會田=会田 臺場=台場 倉田=仺田 緖方=緒方 總田=総田 經塚=経塚 惠田=恵田 壽田=寿田 恆川=恒川
應地=応地 戶田=戸田 靑木=青木 淸水=清水 瀨戸=瀬戸 燈田=灯田 將田=将田 尙田=尚田 收田=収田 淺田=浅田 淺野=浅野
濟木=済木 澁谷=渋谷 溪口=渓口 稻田=稲田 稻垣=稲垣 穗積=穂積 增田=増田 廐橋=厩橋 埜村=野村 桒原=桑原 杦本=杉本
𣘺本=橋本 槗本=橋本 圡屋=土屋 𡈽屋=土屋 吳田=呉田 內田=内田 內藤=内藤 舩橋=船橋 舩越=船越 鷗田=鴎田 靏田=鶴田
龜井=亀井 龜田=亀田 麥田=麦田 鶯谷=鴬谷
""")


@rules("N03", "異体字 of one group, either way round: VARIANT in name.")
def variants() -> Iterator[Made]:
    for one, other in _VARIANTS:
        yield released(resident(f"{one} 一郎"), ask_for(resident(f"{other} 一郎")), "name")
        yield released(resident(f"{other} 一郎"), ask_for(resident(f"{one} 一郎")), "name")


_GIVEN_VARIANTS = pairs("""
凛=凜 晃=晄 亘=亙 遥=遙 尭=堯 巌=巖 瑶=瑤 真理=眞理 恵=惠 寿=壽 栄一=榮一 広=廣 薫=薰 静=靜 国男=國男
""")


@rules("N04", "異体字 in given names: VARIANT in name.")
def variants_in_given_names() -> Iterator[Made]:
    for one, other in _GIVEN_VARIANTS:
        yield released(resident(f"佐藤 {one}"), ask_for(resident(f"佐藤 {other}")), "name")


@rules("N05", "異体字 chosen by a selector (IVS) are kept in the record and folded for finding: VARIANT in name.")
def selectors() -> Iterator[Made]:
    for name in ("渡邉", "斉藤", "辻", "葛西", "芦田", "榊"):
        chosen = name[0] + "\U000e0101" + name[1:]
        yield released(resident(f"{chosen} 一郎"), ask_for(resident(f"{name} 一郎")), "name")
        yield released(resident(f"{name} 一郎"), ask_for(resident(f"{chosen} 一郎")), "name")
        yield released(resident(f"{chosen} 一郎"), ask_for(resident(f"{chosen} 一郎")))
        other = name[0] + "\U000e0102" + name[1:]
        yield released(resident(f"{chosen} 一郎"), ask_for(resident(f"{other} 一郎")), "name")


@rules("N06", "々, ゝ, 変体仮名 and the kana of a written name, spelled out or in the other script: VARIANT in name.")
def marks() -> Iterator[Made]:
    spellings = (
        ("佐々木 誠", "佐佐木 誠"), ("野々村 誠", "野野村 誠"), ("奈々 誠", "奈奈 誠"), ("佐藤 みすゞ", "佐藤 みすず"),
        ("佐藤 さゝ", "佐藤 ささ"), ("佐藤 \U0001b006と", "佐藤 いと"), ("佐藤 さおり", "佐藤 サオリ"),
        ("佐藤 チヅ", "佐藤 ちず"), ("佐藤 かをる", "佐藤 かおる"), ("マリア・ルイサ", "マリア ルイサ"),
        ("MARY-ANN LEE", "MARY ANN LEE"), ("Lee Ann", "LEE ANN"),
    )  # fmt: skip
    for one, other in spellings:
        yield released(resident(one), ask_for(resident(other)), "name")


@rules("N07", "Asked by the reading in either script and width: VARIANT in kana.")
def readings() -> Iterator[Made]:
    hiragana = {chr(c): chr(c - 0x60) for c in range(0x30A1, 0x30F7)}
    for person in BASES:
        yield released(person, ask_for(person, name=person.kana), "kana")
        yield released(person, ask_for(person, name=person.kana.replace(" ", "")), "kana")
        yield released(person, ask_for(person, name="".join(hiragana.get(c, c) for c in person.kana)), "kana")


_SPELLINGS = pairs("""
キョウコ=キヨウコ キョウコ=キョーコ ショウタ=シヨウタ ジュンコ=ジユンコ ユウコ=ユーコ コウジ=コオジ
コウジ=コージ リョウ=リョオ チヅル=チズル ハジメ=ハヂメ カオル=カヲル キエ=キヱ イネ=ヰネ シズカ=シヅカ
ジョージ=ジョ−ジ ジョージ=ジョ-ジ ジョージ=ジヨオジ ヴィクトル=ビクトル ヴァレリー=バレリー エヴァ=エバ
イッペイ=イツペイ テッペイ=テツペイ
""")


@rules("N08", "One reading in two spellings (small kana, ヂ ヅ ヲ, long vowels, ヴ): VARIANT in kana.")
def spellings() -> Iterator[Made]:
    for one, other in _SPELLINGS:
        person = resident("佐藤 某", f"サトウ {one}")
        yield released(person, ask_for(person, name=f"サトウ {other}"), "kana")
        person = resident("大野 某", f"オオノ {other}")
        yield released(person, ask_for(person, name=f"オーノ {one}"), "kana")


_SURNAMES = pairs("""
ヤマザキ=ヤマサキ ナカジマ=ナカシマ エガワ=エカワ タカダ=タカタ フジタ=フシタ ワタナベ=ワタナヘ オオノ=オノ
カワイ=カハイ ハタ=ハダ コバヤシ=コハヤシ
""")


@rules("N09", "A surname's reading without voicing or length, the given name as registered: VARIANT in kana.")
def surnames() -> Iterator[Made]:
    for one, other in _SURNAMES:
        person = resident("某 一郎", f"{one} イチロウ")
        yield released(person, ask_for(person, name=f"{other} イチロウ"), "kana")
        yield released(person, ask_for(person, name=f"{other}イチロウ", birth=person.birth), "kana")


_GIVEN = pairs("""
ヒロジ=ヒロシ コウジ=コウシ ユウコ=ユコ ケン=ゲン ジュン=シュン ワカ=ハカ リョウ=リョ カズヤ=カスヤ
""")


@rules("N10", "A given name's reading that agrees only without voicing or length may be a brother's: nobody is shown.")
def given_names_in_doubt() -> Iterator[Made]:
    for one, other in _GIVEN:
        person = resident("佐藤 某", f"サトウ {one}")
        yield undecided(person, ask_for(person, name=f"サトウ {other}"))
        yield undecided(person, ask_for(person, name=f"サトウ {other}", sex=1))


@rules("N11", "As N10, but the birth date asked for is the person's: VARIANT in kana; or is not: NONE.")
def given_names_confirmed() -> Iterator[Made]:
    for one, other in _GIVEN:
        person = resident("佐藤 某", f"サトウ {one}")
        yield released(person, ask_for(person, name=f"サトウ {other}", birth=person.birth), "kana")
        yield nobody(person, ask_for(person, name=f"サトウ {other}", birth="1979-01-01"))


_FAMILIES = pairs("""
斉藤=斎藤 齊藤=齋藤 斉藤=齋藤 佐藤=左藤 大田=太田 坂本=阪本 畑山=畠山 荘司=庄司 山崎=山碕 杉本=椙本 界=堺
末広=未広 田中=田仲 伊藤=伊東 安部=阿部 川井=河合 長田=永田 古谷=古屋 菊池=菊地 小野=尾野 土屋=士屋 千田=干田
大木=犬木 鳥田=島田 鈴木=鈴水 加藤=加東 辺見=逸見 沢木=択木 岡田=丘田 松本=松木 石井=右井 日高=目高 入江=人江
""")


@rules("N12", "Names that look or sound alike are different names: NONE, and beside one another each is found EXACT.")
def other_families() -> Iterator[Made]:
    for one, other in _FAMILIES:
        people = resident(f"{one} 一郎"), resident(f"{other} 一郎")
        yield nobody(people[0], ask_for(people[1]))
        yield released(people, ask_for(people[1]), meant=1)


@rules("N13", "旧氏 with the given name, and 通称, stand in the entry: VARIANT in that field, whatever the affair.")
def names_of_today() -> Iterator[Made]:
    for surname in ("佐藤", "鈴木", "髙橋", "渡邉"):
        person = resident("田中 花子", former_surname=surname)
        yield released(person, ask_for(person, name=f"{surname} 花子"), "former_surname")
        yield released(person, ask_for(person, name=f"{surname}花子", history=False), "former_surname")
        yield released(person, ask_for(person, name=f"田中［{surname}］花子"), "former_surname")
        yield released(person, ask_for(person, name=f"田中({surname}) 花子"), "former_surname")
        yield nobody(person, ask_for(person, name=f"田代({surname}) 花子"))
    person = resident("田中 花子", former_surname="髙橋")
    yield released(person, ask_for(person, name="高橋花子"), "former_surname")
    yield nobody(person, ask_for(person, name="髙橋"))
    yield nobody(person, ask_for(person, name="髙橋 華子"))
    for alias in ("山田 太郎", "金本 花子", "LEE KIM"):
        person = resident("LI WEI", alias=alias)
        yield released(person, ask_for(person, name=alias), "alias")
        yield released(person, ask_for(person, name=alias.replace(" ", ""), history=False), "alias")
        yield released(person, ask_for(person))


@rules(
    "N14", "A name of the past finds a person where the affair may search the past: VARIANT in former_name, else NONE."
)
def names_of_the_past() -> Iterator[Made]:
    for former in ("佐藤 花子", "鈴木 花子", "髙橋 花子", "渡邉 花子", "𠮷田 花子"):
        person = resident("田中 花子", former_names=(former,))
        yield released(person, ask_for(person, name=former), "former_name")
        yield nobody(person, ask_for(person, name=former, history=False))
    person = resident("田中 花子", former_names=("髙橋 花子", "佐藤 花子"))
    yield released(person, ask_for(person, name="高橋花子"), "former_name")
    yield nobody(person, ask_for(person, name="高橋陽子"))
