"""Folding addresses: what is one place, what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.addresses import PREFECTURES, fold_address, same_place, town_key

CHIBA = "千葉県千葉市中央区千葉港1丁目2番3号"


@pytest.mark.parametrize(
    "other",
    [
        "千葉県千葉市中央区千葉港1丁目2番3号",
        "千葉県千葉市中央区千葉港一丁目二番三号",
        "千葉市中央区千葉港1-2-3",
        "千葉市中央区千葉港１－２－３",
        "千葉市中央区千葉港1−2−3",
        "千葉市中央区千葉港1ー2ー3",
        "千葉市中央区千葉港 1 - 2 - 3",
        "千葉市中央区 千葉港 1丁目2番地3",
        "千葉市中央区千葉港1丁目2番地の3",
        "千葉市中央区千葉港1丁目2番地ノ3",
        "千葉市中央区千葉港1丁目 2番 3号",
        "千葉市中央区大字千葉港1‐2‐3",
        "千葉市中央区千葉港一の二の三",
        "千葉市中央区千葉港一−二−三",
        "千葉市中央区千葉港1-2-3-201",
        "千葉市中央区千葉港1-2-3 201号室",
        "千葉市中央区千葉港1丁目2番3号サンハイツ201",
    ],
)
def test_notations_of_one_address_are_one_place_in_one_town(other: str) -> None:
    assert same_place(CHIBA, other)
    assert same_place(other, CHIBA)
    assert town_key(other) == town_key(CHIBA) == town_key("千葉市中央区千葉港")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("千代田区霞ヶ関2-1-2", "東京都千代田区霞が関二丁目1番2号"),
        ("千代田区丸ノ内1-1", "千代田区丸の内1番1号"),
        ("横浜市瀬谷区三ツ境1-2", "横浜市瀬谷区三ッ境1番地2"),
        ("横浜市瀬谷区三ツ境1-2", "横浜市瀬谷区三つ境一番地二"),
        ("一宮市一ノ宮1-2", "一宮市一の宮1番地2"),
        ("流山市つつじが丘1-2-3", "流山市つつじヶ丘一丁目2番3号"),
        ("千葉県印旛郡酒々井町中央台4丁目11番地", "酒々井町中央台4-11"),
        ("山形県北村山郡大石田町緑町1", "大石田町緑町1番地"),
        ("北海道余市郡余市町朝日町26番地", "余市町朝日町26"),
        ("東京都八丈島八丈町大賀郷2551-2", "東京都八丈町大賀郷2551番地2"),
        ("札幌市中央区北三条西六丁目", "北海道札幌市中央区北3条西6丁目"),
        ("札幌市中央区北三条西六丁目1番地", "札幌市中央区北3条西6-1"),
        ("高岡市広小路二十番五十号", "高岡市広小路20-50"),
        ("高岡市広小路〇〇七番", "高岡市広小路7"),
        ("仙台市青葉区1番町1-1", "仙台市青葉区一番町一丁目1番"),
        ("和歌山市九番丁15", "和歌山市九番丁十五番地"),
        ("港区麻布十番1-2-3", "港区麻布十番一丁目2番3号"),
        ("堺市堺区南瓦町3-1", "堺市堺区南瓦町3丁1番"),
        ("福島市大森字西ノ内12", "福島市大字大森字西の内12番地"),
        ("横手市十文字町字梨木1", "横手市十文字町梨木1"),
        ("三沢市三沢字三123番地", "三沢市三沢字三の123"),
        ("神戸市中央区三宮町1-1 サンビル2F", "神戸市中央区三宮町1丁目1番サンビル2階"),
        ("港区三田1-2-3 第二コーポ 101", "港区三田1-2-3第2コーポ101号室"),
        ("港区三田1-2-3 A-101", "港区三田1丁目2番3号A101"),
        ("港区三田1-2-3-2-101", "港区三田1-2-3-2-101"),
        ("港区三田1丁目2番3号コーポ三田2号棟101号室", "港区三田1-2-3 コーポ三田2-101"),
        ("港区三田1丁目2番3号コーポ三田2号棟101号室", "港区三田1-2-3-101"),
        ("港区三田12サンハイツ201", "港区三田12番地 サンハイツ201号室"),
        ("京都市中京区寺町通御池上る上本能寺前町488番地", "京都市中京区上本能寺前町488"),
        ("京都市中京区寺町通御池上る上本能寺前町488番地", "京都府京都市中京区寺町御池上ル上本能寺前町488"),
        ("京都市東山区三条通南二筋目白川筋西入二丁目北側南木之元町1", "京都市東山区南木之元町1番地"),
    ],
)
def test_places_written_otherwise_are_the_same(one: str, other: str) -> None:
    assert same_place(one, other)
    assert town_key(one) == town_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("東京都府中市元町1-1", "広島県府中市元町1-1"),
        ("千葉市中央区千葉港1-23", "千葉市中央区千葉港12-3"),
        ("千葉市中央区千葉港1-2", "千葉市中央区千葉港1-2-3"),
        ("千葉市中央区千葉港1-2-3", "千葉市中央区千葉港1-2-3-4"),
        ("千葉市中央区千葉港1丁目2番", "千葉市中央区千葉港1番2号"),
        ("千葉市中央区千葉港1-2-3 201", "千葉市中央区千葉港1-2-3201"),
        ("千葉市中央区千葉港1-2-3-201", "千葉市中央区千葉港1-2-3-202"),
        ("千葉市中央区千葉港1-2-3-201", "千葉市中央区千葉港1丁目2番3号サンハイツ202号室"),
        ("千葉市中央区千葉港1-2-3 サンハイツ201", "千葉市中央区千葉港1-2-3 ムーンハイツ201"),
        ("千葉市中央区千葉港1-2-3 サンハイツ2号棟201", "千葉市中央区千葉港1-2-3 サンハイツ201"),
        ("仙台市青葉区一番町1-1", "仙台市青葉区二番町1-1"),
        ("三沢市三沢字三123番地", "三沢市三沢字3123番地"),
        ("札幌市中央区北三条西六丁目", "札幌市中央区北六条西三丁目"),
        ("京都市中京区寺町通御池上る亀屋町1", "京都市中京区御幸町通御池下る亀屋町1"),
        ("松山市平井町甲12番地", "松山市平井町乙12番地"),
        ("郡山市湖南町1-1", "湖南町1-1"),
        ("北海道古宇郡泊村泊1-1", "北海道国後郡泊村泊1-1"),
    ],
)
def test_other_places_are_not_the_same(one: str, other: str) -> None:
    assert not same_place(one, other)


ADDRESSES = st.text(
    alphabet=st.sampled_from(
        "千葉県市中央区郡町村字大三ツ境一二十百丁目番地号棟室の之ノヶケがー-−‐ 0123456789サンハイツABF京都通上る入ル"
    ),
    max_size=30,
)


@given(ADDRESSES | st.text(max_size=60), ADDRESSES)
def test_places_compare_the_same_from_either_side(one: str, other: str) -> None:
    assert same_place(one, one)
    assert same_place(one, other) == same_place(other, one)
    assert not same_place(one, other) or town_key(one) == town_key(other)


@given(ADDRESSES)
def test_reading_an_address_loses_no_figure_and_only_its_prefecture_twice(address: str) -> None:
    folded = fold_address(address)
    assert folded.prefecture in ("", *PREFECTURES)
    assert fold_address(" " + address + "　") == folded
    assert len(set(PREFECTURES)) == 47


PIECES = st.sampled_from(
    [
        "千葉県",
        "千葉市",
        "京都市中京区",
        "印旛郡",
        "酒々井町",
        "大字",
        "字",
        "霞ケ",
        "丸ノ",
        "内",
        "1",
        "23",
        "一",
        "十二",
        "丁目",
        "番地",
        "番",
        "号",
        "条",
        "西",
        "の",
        "-",
        "ー",
        " ",
        "　",
        "４",
        "上ル",
        "通",
        "三宅島",
        "町",
        "A",
    ]
)


@given(st.lists(PIECES, max_size=9).map("".join))
def test_a_town_is_that_of_the_whole_address_whatever_is_read_of_it(address: str) -> None:
    assert town_key(address) == fold_address(address).town
