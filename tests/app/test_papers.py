"""A ministry lists and fetches its invoices over its own line, by the command, while others see nothing of them."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from gateway.cli.ministry import command
from gateway.line.papers import PapersFailed, list_papers
from gateway.peers.ministry.setup import make_ministry
from gateway.store.settlement_acts import PART_BYTES
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from protocol.papers import PaperQuery, PapersQuery
from tests.kit.centre import Made

PERIOD = "2026-Q1"


async def _put(made: Made, name: str, data: bytes, *, party: str = "mlit", period: str = PERIOD) -> bytes:
    """A document as a step of settlement leaves it."""
    identity = os.urandom(16)
    parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
    await made.owner(
        "with d as (insert into settlement.document values ($1, $2, $3, $4, 'application/pdf', $5, $6, 1))"
        " insert into settlement.document_part"
        " select $1, n - 1, p from unnest($7::bytea[]) with ordinality as u (p, n)",
        identity,
        party,
        period,
        name,
        len(data),
        hashlib.sha256(data).digest(),
        parts,
    )
    return identity


async def _run(*arguments: object) -> Result:
    """The command, in a process's own way: on a thread of its own."""
    return await trio.to_thread.run_sync(lambda: CliRunner().invoke(command, list(map(str, arguments))))


@pytest.mark.trio
async def test_the_command_lists_fetches_and_fetches_nothing_twice(made: Made, tmp_path: Path) -> None:
    invoice, table = os.urandom(PART_BYTES + 12_345), b"\xef\xbb\xbfa,b\r\n"
    await _put(made, "invoice.pdf", invoice)
    theirs = await _put(made, "theirs.pdf", b"x", party="another")
    await _put(made, "items.csv", table)
    desk, out = tmp_path / "desk", tmp_path / "out"
    make_ministry(desk, made.data / "ministry", now=datetime.now(UTC))
    async with made.gateway() as gateway:
        line = ("--data", desk, "--line-port", gateway.port)
        listed = await _run("papers", PERIOD, *line, "--json")
        assert [json.loads(each)["name"] for each in listed.output.splitlines()] == ["invoice.pdf", "items.csv"]
        fetched = await _run("papers", PERIOD, *line, "--out", out)
        assert fetched.exit_code == 0, fetched.output
        assert fetched.output.count("fetched") == 2
        assert (out / PERIOD / "invoice.pdf").read_bytes() == invoice
        assert (out / PERIOD / "items.csv").read_bytes() == table
        assert (await _run("papers", PERIOD, *line, "--out", out)).output.count("stood") == 2
        assert "no documents" in (await _run("papers", "2026-Q2", *line)).output
        async with made.line(gateway) as own:
            result = await own.ask(Operation.PAPER, encode(PaperQuery(theirs, 0)))
            assert (result.outcome, result.entry) == (Outcome.PAPER_UNKNOWN, None)


@pytest.mark.trio
async def test_a_period_that_is_none_is_refused_and_the_line_stays(made: Made) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        result = await line.ask(Operation.PAPERS, encode(PapersQuery("../etc", b"")))
        assert result.outcome == Outcome.MALFORMED_BODY
        with pytest.raises(PapersFailed) as failed:
            await list_papers(line, "May")
        assert failed.value.outcome == Outcome.MALFORMED_BODY
        assert await list_papers(line, "2020-Q1") == []
