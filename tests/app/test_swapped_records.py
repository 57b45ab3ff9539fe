"""Somebody with the owner's rights exchanges parts of two residents' rows in the register."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.app.setup import SEED
from gateway.app.supervisor import running_gateway
from gateway.inquiry.cases import known_cases, known_residents
from gateway.inquiry.errors import RegisterCorrupt
from protocol.messages import InquiryByCode, Operation, Request, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from tests.kit.centre import Made

ONE, OTHER = known_residents(SEED)[0].record_id, known_residents(SEED)[2].record_id
QUESTIONS = ("exact-by-code", "exact-by-name")
SEALED = ("sealed",)
WHOLE = ("sealed", "version", "key_id", "schema", "superseded_on", "expires_on")
FREE = b"a token of none."


async def _swap(made: Made, columns: tuple[str, ...]) -> None:
    sets = ", ".join(f"{column} = other.{column}" for column in columns)
    await made.owner(
        f"update register.record r set {sets} from register.record other"
        " where (r.record_id = $1 and other.record_id = $2) or (r.record_id = $2 and other.record_id = $1)",
        ONE,
        OTHER,
    )


async def _swap_tokens(made: Made) -> None:
    """Each row is found by the other's code."""
    rows = await made.owner("select record_id, code_token from register.record where record_id in ($1, $2)", ONE, OTHER)
    tokens = {row[0]: row[1] for row in rows}
    for record, token in ((ONE, FREE), (OTHER, tokens[ONE]), (ONE, tokens[OTHER])):
        await made.owner("update register.record set code_token = $2 where record_id = $1", record, token)


async def _swap_name_tokens(made: Made) -> None:
    """Each row is found by the other's name, town and birth date; codes and sealed records stay."""
    rows = await made.owner("select token, record_id from register.name_token where record_id in ($1, $2)", ONE, OTHER)
    await made.owner("delete from register.name_token where record_id in ($1, $2)", ONE, OTHER)
    await made.owner(
        "insert into register.name_token (token, record_id) select * from unnest($1::bytea[], $2::bytea[])",
        [row[0] for row in rows],
        [OTHER if row[1] == ONE else ONE for row in rows],
    )


@asynccontextmanager
async def _swapped(made: Made, columns: tuple[str, ...]) -> AsyncIterator[None]:
    await _swap(made, columns)
    try:
        yield
    finally:
        await _swap(made, columns)


async def _answers(made: Made, *, log_file: Path | None = None) -> dict[str, Result]:
    results = {}
    async with running_gateway(made.configuration, made.dsns, log_file=log_file) as gateway, made.line(gateway) as line:
        for case in known_cases(SEED):
            if case.key not in QUESTIONS:
                continue
            body = case.question(affair="vehicle-12-1", step=1, staff="staff-001", case="2026-0001")
            operation = Operation.INQUIRE_BY_CODE if isinstance(body, InquiryByCode) else Operation.INQUIRE_BY_NAME
            results[case.key] = await line.ask_once(Request(line.new_id(), operation, 5_000, encode(body)))
    return results


@pytest.mark.trio
@pytest.mark.parametrize("columns", [SEALED, WHOLE], ids=["sealed", "whole"])
async def test_records_under_each_others_ids_release_nothing(made: Made, columns: tuple[str, ...]) -> None:
    async with _swapped(made, columns):
        results = await _answers(made)
    for result in results.values():
        assert (result.outcome, result.entry) == (Outcome.UNAVAILABLE, None)


@pytest.mark.trio
async def test_a_record_under_anothers_code_releases_nothing(made: Made) -> None:
    await _swap_tokens(made)
    try:
        results = await _answers(made)
    finally:
        await _swap_tokens(made)
    by_code = results["exact-by-code"]
    assert (by_code.outcome, by_code.entry) == (Outcome.UNAVAILABLE, None)


@pytest.mark.trio
async def test_a_record_under_anothers_names_releases_nothing_costs_nothing_and_raises_an_alarm(
    made: Made, tmp_path: Path
) -> None:
    claims = await made.owner("select count(*) from ledger.claim")
    await _swap_name_tokens(made)
    try:
        results = await _answers(made, log_file=tmp_path / "log")
    finally:
        await _swap_name_tokens(made)
    by_name = results["exact-by-name"]
    assert (by_name.outcome, by_name.entry) == (Outcome.UNAVAILABLE, None)
    assert results["exact-by-code"].outcome == Outcome.EXACT, "the question by code does not go by names"
    assert (await made.owner("select count(*) from ledger.claim"))[0][0] == claims[0][0] + 1
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    alarms = [event for event in events if event["event"] == "register_corrupt"]
    assert [(alarm["level"], alarm["code"]) for alarm in alarms] == [("error", RegisterCorrupt.code)]


@pytest.mark.trio
async def test_put_back_they_are_answered_again(made: Made) -> None:
    results = await _answers(made)
    assert {result.outcome for result in results.values()} == {Outcome.EXACT}
