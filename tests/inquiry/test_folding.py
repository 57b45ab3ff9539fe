"""Folding names, by tables and properties."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry import folding
from gateway.inquiry.errors import TableInvalid
from gateway.inquiry.folding import VARIANTS, fold_name, plain, read_variants, search_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("髙橋 一郎", "高橋一郎"),
        ("山﨑", "山崎"),
        ("山嵜", "山﨑"),
        ("渡邉", "渡辺"),
        ("渡邊", "渡邉"),
        ("德川", "徳川"),
        ("濵田", "浜田"),
        ("濱田", "濵田"),
        ("栁沢", "柳澤"),
        ("齋藤", "斎藤"),
        ("齊藤", "斉藤"),
        ("𠮷田", "吉田"),
        ("斉\U000e0101藤", "斉藤"),
        ("ウゞ", "ウブ"),
        ("國分", "国分"),
        ("廣瀨", "広瀬"),
        ("嶋田", "島田"),
        ("嶌田", "島田"),
        ("圡屋", "土屋"),
        ("佐々木", "佐佐木"),
        ("神\ufa19", "神神"),
        ("サトウ　ハナコ", "ｻﾄｳ ﾊﾅｺ"),
        ("さおり", "サオリ"),
        ("キョウコ", "キヨウコ"),
        ("キョーコ", "キョオコ"),
        ("オオノ", "オウノ"),
        ("オーノ", "オオノ"),
        ("ユーコ", "ユウコ"),
        ("ジョージ", "ジョ―ジ"),
        ("ジョ−ジ", "ジョ-ジ"),
        ("チヅル", "チズル"),
        ("ハヂメ", "ハジメ"),
        ("カヲル", "カオル"),
        ("ヴァレリー", "バレリー"),
        ("みすゞ", "ミスズ"),
        ("\U0001b006と", "イト"),  # 変体仮名
        ("John Smith", "ＪＯＨＮ　ＳＭＩＴＨ"),
        ("MARY-ANN", "MARY ANN"),
        ("マリア・ルイサ", "マリアルイサ"),
    ],
)
def test_two_ways_to_write_a_name_fold_to_one(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("田中", "中田"),
        ("佐藤", "左藤"),
        ("大田", "太田"),
        ("斉藤", "斎藤"),
        ("齊藤", "齋藤"),
        ("坂本", "阪本"),
        ("畑山", "畠山"),
        ("末広", "未広"),
    ],
)
def test_different_names_are_not_even_found_together(one: str, other: str) -> None:
    assert search_name(one) != search_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ハタ", "ハダ"),
        ("ヒロシ", "ヒロジ"),
        ("ワタナベ", "ハタナベ"),
        ("オオノ", "オノ"),
        ("ユウコ", "ユコ"),
        ("ジョージ", "ジョジ"),
        ("パク", "バク"),
    ],
)
def test_readings_that_are_found_together_are_still_different(one: str, other: str) -> None:
    assert search_name(one) == search_name(other)
    assert fold_name(one) != fold_name(other)


def test_plain_keeps_kanji_and_selectors_apart() -> None:
    assert plain("髙橋　一郎") == "髙橋一郎" != plain("高橋一郎")
    assert plain("\ufa19") != plain("神")
    assert plain("斉\U000e0101") != plain("斉")
    assert plain("ｻﾄｳ １") == "サトウ1"


def test_the_variant_table_is_large_enough_and_maps_to_itself_only() -> None:
    assert len(set(VARIANTS.values())) >= 600
    assert not VARIANTS.keys() & set(VARIANTS.values())
    assert all(unicodedata.normalize("NFKC", char) == char for pair in VARIANTS.items() for char in pair)


@pytest.mark.parametrize(
    "text", ["[a] rule\n高\n", "[a] rule\n高髙\n髙橋\n", "[a] rule\n高髙髙", "高髙", "[a]\n高髙", "[a] rule\n高髙 髙橋"]
)
def test_a_contradictory_variant_table_is_refused(text: str) -> None:
    with pytest.raises(TableInvalid):
        read_variants(text)


NAMES = st.text(
    alphabet=st.one_of(
        st.sampled_from(sorted(VARIANTS) + sorted(set(VARIANTS.values()))),
        st.characters(min_codepoint=0x3041, max_codepoint=0x30FF, categories=("Lo", "Lm", "Pd", "Po")),
        st.sampled_from("々〻 　・-‐−ーABCabcｱｲｳﾞﾟ\U000e0100\U000e0101"),
    ),
    max_size=20,
)


@given(NAMES)
def test_folding_a_folded_name_changes_nothing(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)
    assert search_name(fold_name(name)) == search_name(name)
    assert search_name(search_name(name)) == search_name(name)


@given(st.text(max_size=60))
def test_folding_anything_answers(text: str) -> None:
    assert fold_name(text) == fold_name(" " + text)
    assert plain(plain(text)) == plain(text)
    search_name(text)


@given(
    st.text(
        alphabet=st.one_of(st.characters(), st.sampled_from("邉邊辺髙﨑々〻ーヴゔゝゞヽヾガきゃッヅヲ・'’ 　ウオホA1"))
    )
)
def test_the_one_table_folds_as_the_steps_do(text: str) -> None:
    assert fold_name.__wrapped__(text) == folding._fold_with_neighbours(text)
