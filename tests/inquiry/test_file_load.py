"""Loading files of notifications on PostgreSQL: histories, refusals, order, and going on after any end."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from gateway.inquiry.changes import ChangeReason
from gateway.inquiry.errors import FileInvalid, LoadBusy
from gateway.inquiry.file_load import Loaded, load_file
from gateway.inquiry.index import name_tokens
from gateway.inquiry.notification import NotificationRow
from gateway.inquiry.notified_file import RUN_LINES
from gateway.inquiry.record import ResidentRecord, decode_record
from gateway.inquiry.sample import as_row, notifications
from gateway.inquiry.synthetic import residents
from gateway.store.pool import Database, open_database
from gateway.store.register import SealedRow, look_up_by_code
from gateway.store.register_history import (
    RetentionRow,
    count_versions,
    lock_loading,
    purge_expired,
    read_notified,
    set_retention,
)
from protocol.messages import InquiryByCode, InquiryByName
from protocol.outcomes import Outcome
from tests.inquiry.kit import KEYS, TODAY, ask
from tests.kit.database import DatabaseDsn

pytestmark = pytest.mark.guest
PEOPLE = [each.record for each in residents(21, 6)]
HOME, AWAY = "121011", "162027"
DAY = dt.date(2026, 4, 1)


@asynccontextmanager
async def owner(dsn: DatabaseDsn) -> AsyncIterator[Database]:
    async with open_database(dsn.owner, role="test", size=2) as db:
        yield db


def write(path: Path, rows: list[NotificationRow]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


async def load(db: Database, path: Path, *, today: dt.date = TODAY, progress=lambda *_: None) -> Loaded:
    return await load_file(
        db, KEYS, path, "jsonl", refusals=rejected(path), today=today, progress=progress, processes=0
    )


def rejected(path: Path) -> Path:
    return path.with_name(path.name + ".rejected")


def refusals(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in rejected(path).read_text().splitlines()]


class Town:
    """A municipality that numbers its notifications."""

    def __init__(self, code: str = HOME) -> None:
        self.code = code
        self.number = 0

    def says(self, reason: ChangeReason, record: ResidentRecord, on: dt.date = DAY, **more: str) -> NotificationRow:
        self.number += 1
        told = msgspec.structs.replace(record, municipality=self.code, changed_reason=int(reason))
        row = as_row(told, number=self.number, notified_on=on)
        return msgspec.structs.replace(row, **more)


async def versions(db: Database) -> list[tuple[object, ...]]:
    """Every version as it opens, without what is random: the register's content."""
    rows = await db.fetch(
        "select record_id, version, key_id, schema, sealed, superseded_on, expires_on,"
        " (select array_agg(token order by token) from register.name_token n where n.record_id = r.record_id)"
        " from register.record r"
    )
    out = []
    for row in rows:
        record = decode_record(KEYS.open_record(SealedRow(*row[:5])))
        standing = row[5] is None
        tokens = sorted(name_tokens(KEYS.index_key, record)) if standing else None
        assert not standing or row[7] == tokens
        out.append((record.code, row[1], record, row[5], row[6]))
    return sorted(out, key=lambda each: (str(each[0]), int(each[1])))


async def by_code(db: Database, record: ResidentRecord) -> Outcome:
    return (await ask(db, InquiryByCode("12-1", 1, "s", "c", record.code))).outcome


async def test_a_life_of_notifications_leaves_its_versions(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    home, away = Town(), Town(AWAY)
    person, other = PEOPLE[:2]
    moved = msgspec.structs.replace(person, address="富山県高岡市広小路7番50号")
    recoded = msgspec.structs.replace(moved, code=PEOPLE[5].code)
    rows = [
        home.says(ChangeReason.BORN, person, dt.date(2024, 2, 28)),
        home.says(ChangeReason.BORN, other, dt.date(2024, 2, 28)),
        away.says(ChangeReason.MOVED_IN, moved, dt.date(2024, 2, 29)),
        home.says(ChangeReason.MOVED_OUT, person, dt.date(2024, 3, 1)),
        away.says(ChangeReason.CODE_CHANGED, recoded, dt.date(2024, 4, 1), previous_code=moved.code),
        away.says(ChangeReason.DIED, recoded, dt.date(2025, 4, 1)),
    ]
    async with owner(database_dsn) as db:
        for at, some in enumerate((rows, rows[:4], rows[4:])):  # in one run, or each where the last left it
            if at == 1:
                await db.execute("truncate register.record, register.name_token, register.notified")
            if at:
                assert (await load(db, write(tmp_path / f"{at}.jsonl", some))).refused == 0
            else:
                assert (await load(db, write(tmp_path / "0.jsonl", some))).accepted == len(rows)
            if at == 1:
                continue
            found = [(v[1], v[3], v[4]) for v in await versions(db) if v[0] in (person.code, recoded.code)]
            assert sorted(found, key=lambda each: each[0]) == [
                (1, dt.date(2024, 2, 29), dt.date(2174, 3, 1)),
                (2, dt.date(2024, 4, 1), dt.date(2174, 4, 2)),
                (3, dt.date(2024, 3, 1), dt.date(2174, 3, 2)),
                (4, dt.date(2025, 4, 1), dt.date(2175, 4, 2)),
                (5, None, dt.date(2175, 4, 2)),
            ]
            assert await by_code(db, person) == Outcome.NONE
            assert await by_code(db, recoded) == Outcome.EXACT
            assert await by_code(db, other) == Outcome.EXACT
            gone = InquiryByName("12-1", 1, "s", "c", person.name, person.address)
            assert (await ask(db, gone)).outcome in (Outcome.VARIANT, Outcome.AMBIGUOUS)
        assert [state[:3] for state in await read_notified(db)] == [
            (HOME, 3, dt.date(2024, 3, 1)),
            (AWAY, 3, dt.date(2025, 4, 1)),
        ]


async def test_the_standing_version_is_the_one_that_is_looked_up(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    home = Town()
    person = PEOPLE[0]
    rows = [home.says(ChangeReason.BORN, person)]
    rows += [
        home.says(ChangeReason.MOVED_WITHIN, msgspec.structs.replace(person, address=f"町{n}番")) for n in range(5)
    ]
    async with owner(database_dsn) as db:
        await load(db, write(tmp_path / "n.jsonl", rows))
        tokens = await db.fetch("select code_token from register.record limit 1")
        (found,) = await look_up_by_code(db, parties=["p"], request_ids=[bytes(16)], tokens=[tokens[0][0]], today=TODAY)
        assert found.row is not None
        record = decode_record(KEYS.open_record(found.row))
        assert (found.row.version, record.address) == (6, "町4番")
        assert record.former_addresses == ("町3番", "町2番", "町1番", "町0番", person.address)
        assert await count_versions(db, TODAY) == (1, 5, 0)


async def test_out_of_order_and_repeated_notifications_are_refused_and_gaps_are_counted(
    database_dsn: DatabaseDsn, tmp_path: Path
) -> None:
    home = Town()
    one, two, three, four = (home.says(ChangeReason.BORN, person, dt.date(2026, 4, 2)) for person in PEOPLE[:4])
    late = msgspec.structs.replace(three, sequence="9", notified_on="2026-04-01")
    path = write(tmp_path / "n.jsonl", [two, two, one, late, four, msgspec.structs.replace(four, sequence="12")])
    async with owner(database_dsn) as db:
        loaded = await load(db, path)
        assert (loaded.accepted, loaded.refused) == (2, 4)
        assert [(each["line"], each["field"], each["ground"]) for each in refusals(path)] == [
            (2, "sequence", "duplicate"),
            (3, "sequence", "out-of-order"),
            (4, "notified_on", "out-of-order"),
            (5, "sequence", "out-of-order"),
        ]
        assert await read_notified(db) == [(HOME, 12, dt.date(2026, 4, 2), 2, 4, 8)]


async def test_refusals_hold_the_remedy_and_nothing_of_the_row(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    home = Town()
    rows = [
        home.says(ChangeReason.BORN, PEOPLE[0]),
        home.says(ChangeReason.BORN, PEOPLE[1], name=PEOPLE[1].name + "\x00", kana="ヤバイ"),
        home.says(ChangeReason.DIED, PEOPLE[2]),
        home.says(ChangeReason.CODE_CHANGED, PEOPLE[0], previous_code=PEOPLE[3].code),
    ]
    path = write(tmp_path / "n.jsonl", rows)
    async with owner(database_dsn) as db:
        loaded = await load(db, path)
    assert (loaded.accepted, loaded.refused) == (1, 3)
    text = rejected(path).read_text()
    for record in PEOPLE[:4]:
        assert not any(part in text for part in (record.code, record.name, record.kana, record.address, record.birth))
    assert [(each["line"], each["field"]) for each in refusals(path)] == [(2, "name"), (3, "code"), (4, "code")]
    assert all(each["ja"] and each["en"] and each["sequence"] for each in refusals(path))
    assert rejected(path).stat().st_mode & 0o777 == 0o600


async def test_a_code_of_another_person_is_not_given_twice(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    home = Town()
    one, other = PEOPLE[:2]
    taken = msgspec.structs.replace(one, code=other.code)
    path = write(
        tmp_path / "n.jsonl",
        [
            home.says(ChangeReason.BORN, one),
            home.says(ChangeReason.BORN, other),
            home.says(ChangeReason.CODE_CHANGED, taken, previous_code=one.code),
        ],
    )
    async with owner(database_dsn) as db:
        assert (await load(db, path)).refused == 1
        assert await by_code(db, one) == await by_code(db, other) == Outcome.EXACT
    assert refusals(path)[0]["ground"] == "taken"


async def test_a_file_loaded_to_its_end_is_not_loaded_again(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    path = write(tmp_path / "n.jsonl", list(notifications(31, 300)))
    async with owner(database_dsn) as db:
        first = await load(db, path)
        before = await versions(db)
        again = await load(db, path)
        assert not first.finished_before
        assert again == msgspec.structs.replace(first, begun_at=300, finished_before=True)
        assert await versions(db) == before


class StoppedError(Exception):
    pass


async def test_a_load_that_failed_goes_on_exactly_once(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    rows = list(notifications(32, RUN_LINES * 2 + 500))
    rows[100] = msgspec.structs.replace(rows[100], name="")
    rows[RUN_LINES + 5] = msgspec.structs.replace(rows[RUN_LINES + 5], birth="いつか")
    path = write(tmp_path / "n.jsonl", rows)

    def stop(at, _lines) -> None:
        if at.line < len(rows):
            raise StoppedError

    async with owner(database_dsn) as db:
        for _ in range(2):
            with pytest.raises(StoppedError):
                await load(db, path, progress=stop)
            with rejected(path).open("a") as file:
                file.write("written by a run that was not committed\n")
        loaded = await load(db, path)
        assert loaded.begun_at == RUN_LINES * 2
        assert (loaded.lines, loaded.accepted + loaded.refused) == (len(rows), len(rows))
        stopped = await versions(db)
        wrong = refusals(path)
        await db.execute("truncate register.record, register.name_token, register.notified, register.load_progress")
        assert (await load(db, path)).begun_at == 0
        assert await versions(db) == stopped
        assert refusals(path) == wrong


async def test_two_loads_at_once_do_not_mix(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    path = write(tmp_path / "n.jsonl", list(notifications(33, 10)))
    async with owner(database_dsn) as db, db.transaction() as connection:
        assert await lock_loading(connection)
        with pytest.raises(LoadBusy):
            await load(db, path)


async def test_a_file_with_a_wrong_header_loads_nothing(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("code,name\n")
    async with owner(database_dsn) as db:
        with pytest.raises(FileInvalid, match="municipality"):
            await load_file(
                db, KEYS, path, "csv", refusals=rejected(path), today=TODAY, progress=lambda *_: None, processes=0
            )
        assert not await db.fetch("select 1 from register.load_progress")
    assert not rejected(path).exists()


async def test_what_is_past_its_period_does_not_exist_and_is_purged(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    home = Town()
    person, other = PEOPLE[:2]
    rows = [
        home.says(ChangeReason.BORN, person, dt.date(2020, 1, 1)),
        home.says(ChangeReason.BORN, other, dt.date(2020, 1, 1)),
        home.says(ChangeReason.MOVED_WITHIN, msgspec.structs.replace(other, address="新町1番"), dt.date(2020, 1, 2)),
        home.says(ChangeReason.DIED, person, dt.date(2020, 1, 2)),
    ]
    async with owner(database_dsn) as db:
        for kind in ("superseded", "removed"):
            await set_retention(db, RetentionRow(kind, dt.date(2019, 1, 1), 5, "test"))
        await load(db, write(tmp_path / "n.jsonl", rows))
        assert await by_code(db, person) == Outcome.NONE  # ended on 2 January 2025
        assert await by_code(db, other) == Outcome.EXACT
        assert await count_versions(db, TODAY) == (1, 0, 3)
        assert await count_versions(db, dt.date(2025, 1, 2)) == (2, 2, 0)
        assert await purge_expired(db, dt.date(2025, 1, 2)) == 0
        assert await purge_expired(db, TODAY) == 3
        assert await count_versions(db, TODAY) == (1, 0, 0)
        tokens = await db.fetch("select distinct record_id from register.name_token")
        assert len(tokens) == 1


async def test_nobody_is_built_on_a_record_past_its_period(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    home = Town()
    person = PEOPLE[0]
    async with owner(database_dsn) as db:
        for kind in ("superseded", "removed"):
            await set_retention(db, RetentionRow(kind, dt.date(2019, 1, 1), 5, "test"))
        first = [home.says(r, person, dt.date(2020, 1, 1)) for r in (ChangeReason.BORN, ChangeReason.DIED)]
        await load(db, write(tmp_path / "1.jsonl", first))
        new = home.says(ChangeReason.MOVED_IN, msgspec.structs.replace(person, address="新町1番"), DAY)
        assert (await load(db, write(tmp_path / "2.jsonl", [new]))).refused == 0
        ((_, version, record, _, _),) = await versions(db)
        assert (version, record.former_addresses) == (1, ())


KILLED = """
import datetime, pathlib, sys, time
from gateway.host import run_guest
from gateway.inquiry.file_load import load_file
from gateway.store.pool import open_database
from tests.inquiry.kit import KEYS, TODAY

async def main(dsn, path):
    def said(at, lines):
        print(at.line, flush=True)
    async with open_database(dsn, size=2, role="test") as db:
        await load_file(db, KEYS, path, "jsonl", refusals=path.with_name(path.name + ".rejected"), today=TODAY,
                        progress=said)

if __name__ == "__main__":
    run_guest(main, sys.argv[1], pathlib.Path(sys.argv[2]))
"""


async def test_a_load_killed_at_any_moment_goes_on_to_the_same_register(
    database_dsn: DatabaseDsn, tmp_path: Path
) -> None:
    rows = list(notifications(34, RUN_LINES * 5))
    rows[3000] = msgspec.structs.replace(rows[3000], name="")
    path = write(tmp_path / "n.jsonl", rows)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    arguments = [sys.executable, str(script), database_dsn.owner, str(path)]
    environment = dict(os.environ, PYTHONPATH=str(Path.cwd()))

    def killed(runs: int) -> None:
        process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        for _ in range(runs):
            assert process.stdout.readline()
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait(20)

    async with owner(database_dsn) as db:
        for runs in (1, 2):
            await trio.to_thread.run_sync(killed, runs)
        loaded = await load(db, path)
        assert loaded.begun_at >= RUN_LINES * 3
        went_on = await versions(db)
        await db.execute("truncate register.record, register.name_token, register.notified, register.load_progress")
        await load(db, path)
        assert await versions(db) == went_on
        assert [each["line"] for each in refusals(path)] == [3001]


async def test_processes_beside_prepare_the_same_rows(database_dsn: DatabaseDsn, tmp_path: Path) -> None:
    rows = list(notifications(35, 5_000))
    path = write(tmp_path / "n.jsonl", rows)
    async with owner(database_dsn) as db:
        loaded = await load_file(
            db, KEYS, path, "jsonl", refusals=rejected(path), today=TODAY, progress=lambda *_: None, processes=2
        )
        assert (loaded.lines, loaded.refused) == (5_000, 0)
        beside = await versions(db)
        await db.execute("truncate register.record, register.name_token, register.notified, register.load_progress")
        await load(db, path)
        assert await versions(db) == beside
