"""A payer fetches and contests over its own line, by the commands, at a real centre."""

from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from gateway.app.setup import SEED
from gateway.cli.invoice import command
from gateway.inquiry.cases import known_cases
from protocol.messages import encode
from protocol.outcomes import Outcome
from protocol.receipt import decode_receipt, verify_receipt
from tests.kit.centre import Made


async def _run(*arguments: object) -> Result:
    """The command, in a process's own way: on a thread of its own."""
    return await trio.to_thread.run_sync(lambda: CliRunner().invoke(command, list(map(str, arguments))))


@pytest.mark.trio
async def test_an_answer_that_never_came_is_fetched_or_disclaimed_once(made: Made, tmp_path: Path) -> None:
    known = next(each for each in known_cases(SEED) if each.key == "exact-by-code")
    body = known.question(affair="vehicle-12-1", step=1, staff="staff-001", case="2026-8001")
    ids = tmp_path / "ids"
    async with made.gateway() as gateway, made.line(gateway) as line:
        asked = await line.ask(1, encode(body))
        assert asked.outcome == Outcome.EXACT
        name = asked.request.request_id.hex()
        ids.write_text(f"{name}\n")
        place = ("--line", made.data / "ministry", "--line-port", gateway.port, "--receipts", tmp_path)
        fetched = await _run("fetch", ids, *place)
        assert (fetched.exit_code, fetched.output) == (0, "1 fetched\n")
        disclaimed = await _run("disclaim", ids, *place, "--ground", "no answer came")
        assert (disclaimed.exit_code, disclaimed.output) == (0, "1 disclaimed\n")
        again = await _run("disclaim", ids, *place, "--ground", "no answer came")
        assert again.exit_code == 1
        assert "1 not disclaimed" in again.output
        trust = made.dialling(gateway).trust
    kept = [(tmp_path / f"{name}{each}.receipt").read_bytes() for each in ("", "-disclaimed")]
    assert [verify_receipt(decode_receipt(each), trust).entry.yen for each in kept] == [10, -10]
