"""The provision history of a whole centre: real workers write it, ops fills it, the command reads it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.app.setup import SEED
from gateway.inquiry.cases import known_cases, known_residents
from gateway.line.dial import LineClient
from protocol.messages import InquiryByCode, Operation, encode
from protocol.outcomes import Outcome
from tests.kit.centre import Made, poll
from tests.kit.ledger_proof import entries_of, history_holds

WHO = ("--asked-by", "clerk-1", "--reference", "2026-17")


async def _sekisho(made: Made, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[bytes]:
    return await trio.run_process(
        [sys.executable, "-m", "gateway.cli", "history", *arguments, "--data", str(made.data)],
        stdin=typed.encode(),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


async def _listed(made: Made, *arguments: str, typed: str = "") -> list[dict[str, Any]]:
    done = await _sekisho(made, "list", *arguments, *WHO, "--json", typed=typed)
    assert done.returncode == 0, done.stderr.decode()
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


async def _ask(line: LineClient, key: str, case: str, *, times: int = 1) -> list[Outcome]:
    known = next(each for each in known_cases(SEED) if each.key == key)
    body = known.question(affair="vehicle-12-1", step=1, staff="staff-001", case=case)
    operation = Operation.INQUIRE_BY_CODE if isinstance(body, InquiryByCode) else Operation.INQUIRE_BY_NAME
    request_id = line.new_id()
    return [Outcome((await line.ask(operation, encode(body), request_id=request_id)).outcome) for _ in range(times)]


def _code_of(key: str) -> str:
    return next(each.code for each in known_cases(SEED) if each.key == key and each.code)


@pytest.mark.trio
async def test_what_was_shown_is_in_the_history_and_can_be_read_by_resident_case_and_party(made: Made) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        assert await _ask(line, "exact-by-code", "2026-7001", times=2) == [Outcome.EXACT] * 2
        assert await _ask(line, "exact-by-name", "2026-7001") == [Outcome.EXACT]
        assert await _ask(line, "variant-kanji", "2026-7002") == [Outcome.VARIANT]
        for key in ("none-by-code", "none-by-name", "ambiguous", "code-mistyped"):
            await _ask(line, key, "2026-7003")

        async def projected() -> bool:  # by ops, unasked
            rows = await made.owner(
                "select (select sum(length(subjects) / 16) from provision.batch)"
                " = (select count(*) from provision.record)"
            )
            return bool(rows[0][0])

        await poll(projected)
        by_case = await _listed(made, "--case", "2026-7001")
        assert [(row["outcome"], row["repeated"]) for row in by_case] == [
            ("EXACT", False),
            ("EXACT", True),
            ("EXACT", False),
        ]
        assert {row["case"] for row in by_case} == {"2026-7001"}
        assert {(row["party"], row["staff"], row["affair"], row["step_ja"]) for row in by_case} == {
            (by_case[0]["party"], "staff-001", "vehicle-12-1", "受理")
        }
        assert await _listed(made, "--case", "2026-7003") == []
        person = await _listed(made, "--subject", typed=_code_of("exact-by-code") + "\n")
        assert [row["request_id"] for row in person if row["case"] == "2026-7001"] == [
            by_case[0]["request_id"],
            by_case[1]["request_id"],
        ]
        everything = await _listed(made, "--party", by_case[0]["party"])
        assert [row for row in everything if row["case"] == "2026-7001"] == by_case
        assert await _listed(made, "--party", "nobody") == []
        rebuilt = await _sekisho(made, "project", "--rebuild")
        assert rebuilt.returncode == 0, rebuilt.stderr.decode()
        assert await _listed(made, "--party", by_case[0]["party"]) == everything
        trust = made.dialling(gateway).trust
    await history_holds(made, await entries_of(made, trust, closed=True))


@pytest.mark.trio
async def test_a_resident_is_told_when_to_whom_and_for_what_and_nothing_else(made: Made, tmp_path: Path) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        await _ask(line, "exact-by-code", "2026-7101")
    code = _code_of("exact-by-code")
    page = tmp_path / "report.html"
    text = await _sekisho(made, "disclose", *WHO, typed=code + "\n")
    written = await _sekisho(made, "disclose", *WHO, "--html", str(page), "--json", typed=code + "\n")
    assert (text.returncode, written.returncode) == (0, 0), text.stderr + written.stderr
    report = json.loads(written.stdout)
    assert report["count"] == len(report["provisions"]) > 0
    last = report["provisions"][-1]
    assert (last["purpose_ja"], last["step_ja"]) == ("道路運送車両法第12条第1項の変更登録の申請", "受理")
    assert last["given_en"] == "name, date of birth, sex, address, resident code, change information"
    said = text.stdout.decode()
    for part in ("いつ / when", "どこへ / to", "何のため / for", last["at"], last["to_ja"], last["purpose_en"]):
        assert part in said
    html = page.read_text()
    assert (html.count("<tr>"), last["at"] in html) == (report["count"] + 1, True)
    assert page.stat().st_mode & 0o077 == 0
    person = next(each.record for each in known_residents(SEED) if each.record.code == code)
    for shown in (said, html, written.stdout.decode(), (text.stderr + written.stderr).decode()):
        for secret in (code, person.name, person.address, person.birth, "staff-001", "2026-7101"):
            assert secret not in shown


@pytest.mark.trio
async def test_every_reading_is_written_down_without_the_code(made: Made) -> None:
    code = _code_of("exact-by-code")
    before = (await made.owner("select count(*) from provision.access"))[0][0]
    await _listed(made, "--subject", typed=code + "\n")
    await _listed(made, "--case", "2026-7001")
    await _listed(made, "--party", "mlit")
    assert (await _sekisho(made, "disclose", *WHO, typed=code)).returncode == 0
    assert (await _sekisho(made, "analyse", *WHO)).returncode == 0
    rows = await made.owner("select * from provision.access order by id offset $1", before)
    assert [row["kind"] for row in rows] == ["subject", "case", "party", "disclosure", "analysis"]
    assert {(row["asked_by"], row["reference"]) for row in rows} == {("clerk-1", "2026-17")}
    assert [row["target"] for row in rows] == ["", "", "mlit", "", ""]
    assert rows[0]["target_token"] == rows[3]["target_token"] is not None
    dump = "\n".join(str(tuple(row)) for row in await made.owner("select a::text from provision.access a"))
    assert code not in dump
    assert code.encode().hex() not in dump


@pytest.mark.trio
@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("list", *WHO), "", "give one of"),
        (("list", "--subject", "--party", "mlit", *WHO), "", "give one of"),
        (("list", "--subject", *WHO), "12345678901\n", "11 digits"),
        (("list", "--subject", "--asked-by", " ", "--reference", "x"), "", "printable characters"),
        (("list", "--party", "mlit", "--asked-by", "clerk-1"), "", "--reference"),
        (("list", "--party", "mlit", "--from", "2026-02-01", "--to", "2026-01-01", *WHO), "", "before --from"),
        (("close", "999999", "--closed-by", "auditor-1", "--finding", "none"), "", "no open candidate"),
    ],
)
async def test_a_reading_that_cannot_be_is_refused_in_words(
    made: Made, arguments: tuple[str, ...], typed: str, said: str
) -> None:
    done = await _sekisho(made, *arguments, typed=typed)
    assert done.returncode != 0
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert "12345678901" not in (done.stdout + done.stderr).decode()


@pytest.mark.trio
async def test_a_code_nobody_has_is_said_and_still_written_down(made: Made) -> None:
    absent = next(each.code for each in known_cases(SEED) if each.key == "none-by-code")
    before = (await made.owner("select count(*) from provision.access"))[0][0]
    done = await _sekisho(made, "list", "--subject", *WHO, typed=f"{absent}\n")
    assert done.returncode == 0
    assert "the register has nobody of this code" in done.stderr.decode()
    assert (await made.owner("select count(*) from provision.access"))[0][0] == before + 1


@pytest.mark.trio
async def test_a_year_past_its_retention_is_destroyed_by_two_people_and_the_statement_is_verified(
    made: Made, tmp_path: Path
) -> None:
    await made.owner("insert into provision.year_key values (2015, 'wrapped', 'seal-1')")
    await made.owner(
        "insert into provision.batch values ($1, 0, 0, 2015, $2, 'sealed')", b"r" * 16, b"t" * 16 + b"u" * 16
    )
    others = await made.owner("select count(*) from provision.batch where year <> 2015")
    two, alone = ("archivist-1", "head-1"), ("head-1", "head-1")

    async def retire(asked_by: str, approved_by: str) -> subprocess.CompletedProcess[bytes]:
        people = ("--asked-by", asked_by, "--approved-by", approved_by)
        return await _sekisho(made, "retire", *people, "--out", str(tmp_path))

    refused = await retire(*alone)
    assert (refused.returncode, b"two people" in refused.stderr) == (1, True)
    done = await retire(*two)
    assert done.returncode == 0, done.stderr.decode()
    assert "2015: 2 records in 1 batches destroyed" in done.stdout.decode()
    again = await retire(*two)
    assert "destroyed" not in again.stdout.decode()
    file = tmp_path / "retirement-2015.json"
    verified = await _sekisho(made, "verify-retirement", str(file))
    assert verified.returncode == 0, verified.stderr.decode()
    assert "asked by archivist-1, approved by head-1" in verified.stdout.decode()
    assert "nothing is left" in verified.stdout.decode()
    assert await made.owner("select count(*) from provision.batch") == others
    await made.owner(
        "insert into provision.record_rest select $1, 0, 0, 2015, $1, now(), '', '', '', 1, '', $1,"
        " gen_random_uuid(), 100, 1, 7",
        b"r" * 16,
    )
    left = await _sekisho(made, "verify-retirement", str(file))
    await made.owner("delete from provision.record where year = 2015")
    assert (left.returncode, b"1 rows are left of 2015" in left.stderr) == (1, True)
    file.write_bytes(file.read_bytes().replace(b'"records": 2', b'"records": 1'))
    forged = await _sekisho(made, "verify-retirement", str(file))
    assert (forged.returncode, b"not a retirement statement" in forged.stderr) == (1, True)


@pytest.mark.trio
async def test_candidates_are_found_shown_and_closed(made: Made) -> None:
    await made.owner(
        "insert into provision.record select $1, n, 0, 2026, $1,"
        " '2026-03-02 15:00+09'::timestamptz + n * interval '1 s', 'mlit', 'line-1', 'vehicle-12-1', 1,"
        " 'staff-mass', $1, gen_random_uuid(), 100, 1, 7 from generate_series(1, 100) n",
        b"q" * 16,
    )
    period = ("--from", "2026-03-02", "--to", "2026-03-02")
    try:
        for new in ("1 件新規", "0 件新規"):
            found = await _sekisho(made, "analyse", *period, *WHO)
            assert new in found.stdout.decode(), found.stderr.decode()
        shown = json.loads((await _sekisho(made, "analyse", *period, *WHO, "--json")).stdout)
        (one,) = [each for each in shown if each["subject"] == "staff mlit/staff-mass"]
        assert (one["rule"], one["window_on"], one["count"], one["closed_us"]) == (
            "mass-search",
            "2026-03-02",
            100,
            None,
        )
        closed = await _sekisho(
            made, "close", str(one["id"]), "--closed-by", "auditor-1", "--finding", "a planned check"
        )
        assert closed.returncode == 0, closed.stderr.decode()
        assert "staff-mass" not in (await _sekisho(made, "analyse", *period, *WHO)).stdout.decode()
    finally:
        await made.owner("delete from provision.record where staff = 'staff-mass'")
