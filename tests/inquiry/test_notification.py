"""Rows of notifications, and what each does to a person's versions: tables, no database."""

import datetime as dt
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.changes import ChangeReason
from gateway.inquiry.errors import FieldInvalid, FileInvalid
from gateway.inquiry.notification import FIELDS, Notification, NotificationRow, read_notification
from gateway.inquiry.notified_file import LINE_BYTES_MAX, RUN_LINES, read_header, read_rows, read_runs, survey
from gateway.inquiry.retention import Retention
from gateway.inquiry.sample import as_row, notifications
from gateway.inquiry.synthetic import residents
from gateway.inquiry.versions import HISTORY_MAX, Now, change
from gateway.store.register_history import RetentionRow

TODAY = dt.date(2026, 11, 20)
DAY = dt.date(2026, 4, 1)
PERIODS = Retention([RetentionRow(kind, dt.date.min, 150, "t") for kind in ("superseded", "removed")])
GOOD = next(notifications(5, 1))
OTHER_CODE = list(residents(5, 2))[1].record.code


def row(**changes: str) -> NotificationRow:
    return msgspec.structs.replace(GOOD, **changes)


def test_a_right_row_is_read_whole() -> None:
    given = row(
        name="斉\U000e0101藤 一郎", former_surname="伊藤", alias="別名", my_number="123456789018",
        reason="304", previous_code=OTHER_CODE, birth="昭和10年3月頃", sex="0",
    )  # fmt: skip
    read = read_notification(given, today=TODAY)
    record = read.record
    assert (read.reason, read.previous_code, read.sequence) == (ChangeReason.CODE_CHANGED, OTHER_CODE, 1)
    assert (record.name, record.former_surname, record.alias) == ("斉\U000e0101藤 一郎", "伊藤", "別名")
    assert (record.birth, record.birth_sort, record.sex) == ("昭和10年3月頃", 19350300, 0)
    assert (record.my_number, record.municipality, record.synthetic) == ("123456789018", GOOD.municipality, True)


@pytest.mark.parametrize(
    ("changes", "field", "ground"),
    [
        ({"municipality": "121012"}, "municipality", "check-digit"),
        ({"municipality": "千葉市"}, "municipality", "digits"),
        ({"sequence": "0"}, "sequence", "digits"),
        ({"sequence": "１"}, "sequence", "digits"),
        ({"sequence": "9" * 5000}, "sequence", "digits"),
        ({"notified_on": "2026-02-29"}, "notified_on", "no-such-day"),
        ({"notified_on": "20260201"}, "notified_on", "no-such-day"),
        ({"notified_on": "2026-11-21"}, "notified_on", "future"),
        ({"reason": "110"}, "reason", "unknown"),
        ({"changed_on": "2026-02-29"}, "changed_on", "no-such-day"),
        ({"changed_on": "昭和10年3月頃"}, "changed_on", "no-such-day"),
        ({"code": GOOD.code[:-1]}, "code", "digits"),
        ({"code": GOOD.code[:10] + str((int(GOOD.code[10]) + 1) % 10)}, "code", "check-digit"),
        ({"reason": "304"}, "previous_code", "missing"),
        ({"previous_code": OTHER_CODE}, "previous_code", "unfitting"),
        ({"reason": "304", "previous_code": GOOD.code}, "previous_code", "unfitting"),
        ({"reason": "304", "previous_code": "1"}, "previous_code", "digits"),
        ({"name": ""}, "name", "missing"),
        ({"name": "あ" * 101}, "name", "too-long"),
        ({"name": "山田\n花子"}, "name", "characters"),
        ({"name": " 山田"}, "name", "characters"),
        ({"name": "\ue000田"}, "name", "characters"),
        ({"name": "山\ufffd"}, "name", "characters"),
        ({"name": "\U000e0101田"}, "name", "characters"),
        ({"kana": "ヤマダ\x00"}, "kana", "characters"),
        ({"address": ""}, "address", "missing"),
        ({"address": "あ" * 201}, "address", "too-long"),
        ({"alias": "\u202e"}, "alias", "characters"),
        ({"former_surname": "あ" * 101}, "former_surname", "too-long"),
        ({"birth": ""}, "birth", "unreadable"),
        ({"birth": "1980-13-01"}, "birth", "unreadable"),
        ({"sex": "3"}, "sex", "unknown"),
        ({"my_number": "123456789012"}, "my_number", "check-digit"),
        ({"synthetic": "yes"}, "synthetic", "unknown"),
    ],
)
def test_a_field_that_is_not_right_is_named_with_a_remedy_in_both_languages(
    changes: dict[str, str], field: str, ground: str
) -> None:
    with pytest.raises(FieldInvalid) as caught:
        read_notification(row(**changes), today=TODAY)
    error = caught.value
    assert error.field == field
    assert error.ground == ground or field == "birth"
    assert error.ja
    assert error.en
    value = changes.get(field, "")
    assert len(value) < 3 or value not in f"{error}{error.ja}{error.en}"


def test_the_day_of_a_death_may_be_uncertain_and_others_may_not() -> None:
    assert read_notification(row(reason="203", changed_on="昭和10年3月頃"), today=TODAY).record.changed_on
    with pytest.raises(FieldInvalid):
        read_notification(row(reason="203", changed_on="いつか"), today=TODAY)


def test_an_impossible_birth_date_of_an_entry_is_kept() -> None:
    assert read_notification(row(birth="1951-02-29"), today=TODAY).record.birth == "1951-02-29"


# What a notification does.

BASE = next(residents(5, 1)).record


def notified(reason: ChangeReason, on: dt.date = DAY, **changes: object) -> Notification:
    record = msgspec.structs.replace(BASE, changed_reason=int(reason), **changes)
    return Notification(1, on, reason, "", record)


def now(expires_on: dt.date | None = None, **changes: object) -> Now:
    return Now(msgspec.structs.replace(BASE, **changes), 3, expires_on)


def test_an_amendment_supersedes_and_what_was_goes_into_the_history() -> None:
    before = now(former_names=("古 名",), former_surname="伊藤", alias="通 称", name="山田 花子")
    decided = change(before, notified(ChangeReason.MOVED_WITHIN, name="佐藤 花子", address="新しい住所"), PERIODS)
    version = decided.version
    assert (version.version, version.expires_on, version.superseded_on) == (4, None, None)
    assert version.record.former_names == ("山田 花子", "伊藤 花子", "通 称", "古 名")
    assert version.record.former_addresses[0] == BASE.address
    assert decided.standing_expires_on == dt.date(2176, 4, 2)


def test_a_name_that_comes_back_is_not_a_former_one() -> None:
    before = now(name="佐藤 花子", former_names=("山田 花子",))
    decided = change(before, notified(ChangeReason.CORRECTED_EX_OFFICIO, name="山田 花子"), PERIODS)
    assert decided.version.record.former_names == ("佐藤 花子",)


def test_the_history_has_a_bound_and_forgets_the_oldest() -> None:
    before = now(former_addresses=tuple(f"住所{at}" for at in range(HISTORY_MAX)))
    kept = change(before, notified(ChangeReason.MOVED_WITHIN, address="新"), PERIODS).version.record.former_addresses
    assert len(kept) == HISTORY_MAX
    assert kept[0] == BASE.address
    assert f"住所{HISTORY_MAX - 1}" not in kept


def test_a_removal_stands_as_the_last_version_until_its_own_period_ends() -> None:
    decided = change(now(), notified(ChangeReason.DIED), PERIODS)
    assert decided.version.superseded_on is None
    assert decided.version.expires_on == decided.standing_expires_on == dt.date(2176, 4, 2)


def test_an_amendment_of_a_removed_person_leaves_the_end_and_a_new_entry_lifts_it() -> None:
    removed = now(expires_on=dt.date(2170, 1, 1))
    assert change(removed, notified(ChangeReason.ERROR_CORRECTED), PERIODS).version.expires_on == dt.date(2170, 1, 1)
    assert change(removed, notified(ChangeReason.REMOVAL_CANCELLED), PERIODS).version.expires_on is None


def test_a_moving_out_that_comes_after_the_new_entry_takes_no_standing() -> None:
    decided = change(now(municipality="162027"), notified(ChangeReason.MOVED_OUT), PERIODS)
    assert decided.version.superseded_on == DAY
    assert decided.version.expires_on == dt.date(2176, 4, 2)
    assert decided.standing_expires_on is None


@pytest.mark.parametrize(
    ("stands", "reason", "field", "ground"),
    [
        (None, ChangeReason.MOVED_WITHIN, "code", "not-registered"),
        (None, ChangeReason.DIED, "code", "not-registered"),
        (now(), ChangeReason.BORN, "code", "registered-already"),
        (now(municipality="162027"), ChangeReason.MOVED_WITHIN, "municipality", "not-the-residence"),
        (now(municipality="162027"), ChangeReason.DIED, "municipality", "not-the-residence"),
    ],
)
def test_a_notification_that_does_not_fit_what_stands_is_refused(
    stands: Now | None, reason: ChangeReason, field: str, ground: str
) -> None:
    with pytest.raises(FieldInvalid) as caught:
        change(stands, notified(reason), PERIODS)
    assert (caught.value.field, caught.value.ground) == (field, ground)


# Files.


def csv_line(each: NotificationRow) -> bytes:
    return ",".join('"' + text.replace('"', '""') + '"' for text in msgspec.structs.astuple(each)).encode()


def test_csv_and_json_lines_give_the_same_rows() -> None:
    rows = list(notifications(7, 50))
    assert read_rows([csv_line(each) for each in rows], "csv", FIELDS) == rows
    assert read_rows([msgspec.json.encode(each) for each in rows], "jsonl", ()) == rows


@pytest.mark.parametrize(
    ("line", "ground"),
    [
        (b'"open', "quotes"),
        (b"a,b", "columns"),
        ("高橋".encode("cp932"), "not-utf8"),
        (b"x" * (LINE_BYTES_MAX + 1), "too-long"),
    ],
)
def test_a_line_that_is_no_row_is_refused_alone(line: bytes, ground: str) -> None:
    rows = list(notifications(7, 3))
    lines = [csv_line(rows[0]), line, b"", csv_line(rows[1]), csv_line(rows[2])]
    first, wrong, empty, *rest = read_rows(lines, "csv", FIELDS)
    assert (first, empty, rest) == (rows[0], None, rows[1:])
    assert isinstance(wrong, FieldInvalid)
    assert (wrong.field, wrong.ground) == ("row", ground)


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b'{"extra": "1"}', b"\xff", b"{" * (LINE_BYTES_MAX + 1)])
def test_a_json_line_that_is_no_row_is_refused(line: bytes) -> None:
    (wrong,) = read_rows([line], "jsonl", ())
    assert isinstance(wrong, FieldInvalid)


@given(st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), max_size=12))
def test_any_bytes_are_read_as_rows_or_refused_line_by_line(lines: list[bytes]) -> None:
    for form, header in (("csv", FIELDS), ("jsonl", ())):
        assert len(read_rows(lines, form, header)) == len(lines)


def test_runs_hold_every_line_once_from_where_they_are_asked(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    lines = [b"%d" % at for at in range(1, RUN_LINES * 2 + 6)]
    lines[4] = b"x" * (LINE_BYTES_MAX * 3)
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    assert survey(path)[1] == len(lines) - 1
    for after in (0, 7, RUN_LINES, len(lines)):
        runs = list(read_runs(path, "jsonl", after_line=after))
        got = [line for run in runs for line in run.lines]
        wanted = [line[: LINE_BYTES_MAX + 2] for line in lines[after:]]
        assert got == wanted
        assert [run.first for run in runs] == [after + 1 + at for at in range(0, len(wanted), RUN_LINES)]


@pytest.mark.parametrize("header", [b"", b"code,name", b"\xff\xfe", ",".join((*FIELDS, "x")).encode(), b'"'])
def test_a_header_that_is_not_the_layouts_is_refused_before_anything_is_loaded(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "n.csv"
    path.write_bytes(header + b"\n")
    with pytest.raises(FileInvalid):
        read_header(path, "csv")


def test_a_header_may_order_the_columns_and_leave_out_optional_ones(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    names = [name for name in reversed(FIELDS) if name not in ("alias", "my_number")]
    path.write_text("\ufeff" + ",".join(names) + "\r\n" + ",".join(getattr(GOOD, name) for name in names) + "\n")
    header = read_header(path, "csv")
    (run,) = read_runs(path, "csv", after_line=0)
    assert read_rows(run.lines, "csv", header) == [None, msgspec.structs.replace(GOOD, alias="", my_number="")]


def test_the_sample_is_right_in_itself_synthetic_and_the_same_for_a_seed() -> None:
    rows = list(notifications(9, 3000))
    assert rows == list(notifications(9, 3000)) != list(notifications(10, 3000))
    read = [read_notification(each, today=TODAY) for each in rows]
    assert all(each.record.synthetic for each in read)
    assert {each.reason.group for each in read} == {1, 2, 3}
    assert len({each.record.code for each in read}) < len(read)
    assert as_row(read[0].record, number=1, notified_on=read[0].notified_on) == rows[0]


def test_a_record_fits_the_layout_and_back() -> None:
    read = read_notification(as_row(BASE, number=1, notified_on=DAY), today=TODAY)
    assert read.record == msgspec.structs.replace(BASE, former_names=(), former_addresses=())
