"""Folding, by tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.errors import TableInvalid
from gateway.inquiry.folding import (
    PREFECTURES,
    VARIANTS,
    fold_address,
    fold_name,
    plain,
    read_variants,
    town_key,
)
from gateway.inquiry.matching import same_place


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("髙橋 一郎", "高橋一郎"),
        ("山﨑", "山崎"),
        ("渡邉", "渡辺"),
        ("渡邊", "渡邉"),
        ("德川", "徳川"),
        ("濵田", "浜田"),
        ("濱田", "濵田"),
        ("栁沢", "柳澤"),
        ("齋藤", "斉藤"),
        ("𠮷田", "吉田"),
        ("斉\U000e0101藤", "斉藤"),
        ("國分", "国分"),
        ("廣瀨", "広瀬"),
        ("嶋田", "島田"),
        ("サトウ　ハナコ", "ｻﾄｳ ﾊﾅｺ"),
        ("さおり", "サオリ"),
        ("キョウコ", "キヨウコ"),
        ("ジョージ", "ジョジ"),
        ("チヅル", "チズル"),
        ("ヴァレリー", "バレリ"),
        ("John Smith", "ＪＯＨＮ　ＳＭＩＴＨ"),
        ("マリア・ルイサ", "マリアルイサ"),
    ],
)
def test_two_ways_to_write_a_name_fold_to_one(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(("one", "other"), [("田中", "中田"), ("ハタ", "ハダ"), ("佐藤", "左藤"), ("大田", "太田")])
def test_different_names_stay_different(one: str, other: str) -> None:
    assert fold_name(one) != fold_name(other)


@pytest.mark.parametrize(
    "other",
    [
        "千葉県千葉市中央区千葉港1丁目2番3号",
        "千葉県千葉市中央区千葉港一丁目二番三号",
        "千葉市中央区千葉港1-2-3",
        "千葉市中央区千葉港１－２－３",
        "千葉市中央区 千葉港 1丁目2番地3",
        "千葉市中央区千葉港1丁目2番地の3",
        "千葉市中央区大字千葉港1‐2‐3",
        "千葉市中央区千葉港一の二の三",
    ],
)
def test_notations_of_one_address_are_one_place(other: str) -> None:
    assert same_place("千葉県千葉市中央区千葉港1丁目2番3号", other)
    assert town_key(other) == "千葉市中央区千葉港"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("千代田区霞ヶ関2-1-2", "東京都千代田区霞が関二丁目1番2号"),
        ("千代田区丸ノ内1-1", "千代田区丸の内1番1号"),
        ("千葉県印旛郡酒々井町中央台4丁目11番地", "酒々井町中央台4-11"),
        ("札幌市中央区北三条西六丁目", "北海道札幌市中央区北3条西6丁目"),
        ("高岡市広小路二十番五十号", "高岡市広小路20-50"),
    ],
)
def test_places_written_otherwise_are_the_same(one: str, other: str) -> None:
    assert same_place(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("東京都府中市元町1-1", "広島県府中市元町1-1"),
        ("千葉市中央区千葉港1-23", "千葉市中央区千葉港12-3"),
        ("千葉市中央区千葉港1-2", "千葉市中央区千葉港1-2-3"),
        ("仙台市青葉区一番町1-1", "仙台市青葉区二番町1-1"),
    ],
)
def test_other_places_are_not_the_same(one: str, other: str) -> None:
    assert not same_place(one, other)


def test_plain_keeps_kanji_and_selectors_apart() -> None:
    assert plain("髙橋　一郎") == "髙橋一郎" != plain("高橋一郎")
    assert plain("\ufa19") != plain("神")
    assert plain("斉\U000e0101") != plain("斉")
    assert plain("ｻﾄｳ １") == "サトウ1"


def test_the_variant_table_is_large_enough_and_maps_to_itself_only() -> None:
    assert len(VARIANTS) >= 150
    assert not VARIANTS.keys() & set(VARIANTS.values())
    assert len(set(PREFECTURES)) == 47


@pytest.mark.parametrize("text", ["高\n", "高髙\n髙橋\n", "高髙髙"])
def test_a_contradictory_variant_table_is_refused(text: str) -> None:
    with pytest.raises(TableInvalid):
        read_variants(text)


@given(st.text(max_size=60))
def test_folding_anything_answers_and_is_stable(text: str) -> None:
    assert fold_name(text) == fold_name(" " + text)
    folded = fold_address(text)
    assert same_place(text, text)
    assert not folded.prefecture or folded.prefecture in PREFECTURES
    assert plain(plain(text)) == plain(text)
