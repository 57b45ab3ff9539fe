"""Marks fall on whole characters and on nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.peers.ministry.marks import Difference, Piece, characters, code_points, mark

SELECTED = "邉\U000e0104"

TEXT = st.text(alphabet="高髙橋邉邊渡辺花子 　がゔ\U000e0100\U000e0104\u3099", max_size=12)


def test_a_variant_is_marked_where_it_stands() -> None:
    marks = mark("高橋花子", "髙橋花子")
    assert marks.asked == (Piece("高", True), Piece("橋花子", False))
    assert marks.registered == (Piece("髙", True), Piece("橋花子", False))
    assert marks.differences == (Difference(position=1, asked="高", registered="髙"),)


def test_a_selector_belongs_to_its_base() -> None:
    marks = mark("渡邉", "渡" + SELECTED)
    assert marks.registered == (Piece("渡", False), Piece(SELECTED, True))
    assert marks.differences == (Difference(position=2, asked="邉", registered=SELECTED),)


@pytest.mark.parametrize(("asked", "registered"), [("高橋花子", "高橋　花子"), ("高橋 花子", "高橋花子")])
def test_spaces_are_never_marked(asked: str, registered: str) -> None:
    marks = mark(asked, registered)
    assert marks.differences == ()
    assert "".join(p.text for p in marks.registered) == registered


def test_what_is_missing_or_added_is_one_difference() -> None:
    assert mark("千葉市中央区", "千葉県千葉市中央区").differences == (
        Difference(position=1, asked="", registered="千葉県"),
    )
    assert mark("一丁目二番", "一丁目").differences == (Difference(position=4, asked="二番", registered=""),)


def test_a_run_of_the_same_length_is_told_apart_character_by_character() -> None:
    assert mark("斎藤", "齋籐").differences == (
        Difference(position=1, asked="斎", registered="齋"),
        Difference(position=2, asked="藤", registered="籐"),
    )


def test_code_points_tell_apart_what_looks_alike() -> None:
    assert code_points(SELECTED) == "U+9089 U+E0104"


@given(TEXT, TEXT)
def test_nothing_is_lost_and_differences_stand_if_and_only_if_the_texts_differ(asked: str, registered: str) -> None:
    marks = mark(asked, registered)
    assert "".join(p.text for p in marks.asked) == asked
    assert "".join(p.text for p in marks.registered) == registered
    bare = [[c for c in characters(text) if not c.isspace()] for text in (asked, registered)]
    assert bool(marks.differences) == (bare[0] != bare[1])


@given(TEXT)
def test_a_text_is_the_same_as_itself(text: str) -> None:
    assert not any(p.differs for p in mark(text, text).asked)
