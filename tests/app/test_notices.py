"""Changes of the directory are told to the lines they concern: at once, later to who was away, or by a person."""

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

import msgspec
import pytest
import trio

from gateway.directory.model import Document, NoticeDeadlines, Scope, Stop, Suspension, Terms
from gateway.line.dial import LineClient
from protocol.messages import Notice, NoticeKind, Operation
from protocol.outcomes import Outcome
from tests.kit.centre import Made, by_code, poll

HOUR_US = 3_600_000_000


def replaced(**changes: object) -> Callable[[Document], Document]:
    return lambda document: msgspec.structs.replace(document, **changes)


def suspended(scope: Scope, target: str) -> Callable[[Document], Document]:
    now_us = time.time_ns() // 1_000
    return replaced(
        suspensions=(
            Suspension(scope=scope, target=target, from_us=now_us, until_us=now_us + HOUR_US, ground="a test"),
        )
    )


def stopped(document: Document) -> Document:
    now_us = time.time_ns() // 1_000
    return replaced(stops=(Stop(from_us=now_us + HOUR_US, until_us=now_us + 2 * HOUR_US, ground="a test"),))(document)


def dearer(document: Document) -> Document:
    (contract,) = document.contracts
    terms = Terms(valid_from=contract.terms[-1].valid_from.replace(year=2099), version=99, yen_per_record=11)
    return replaced(contracts=(msgspec.structs.replace(contract, terms=(*contract.terms, terms)),))(document)


def shorter(document: Document) -> Document:
    (contract,) = document.contracts
    hours = msgspec.structs.replace(contract.hours[0], valid_from=contract.hours[0].valid_from.replace(year=2099))
    return replaced(contracts=(msgspec.structs.replace(contract, hours=(*contract.hours, hours)),))(document)


def heard(line: LineClient, kind: NoticeKind) -> list[Notice]:
    return [notice for notice in line.notices if notice.kind == kind]


async def until_heard(line: LineClient, kind: NoticeKind, count: int = 1, *, within_s: float) -> None:
    async def enough() -> bool:
        return len(heard(line, kind)) >= count

    await poll(enough, within_s=within_s)


async def run(made: Made, *arguments: str) -> tuple[int, str]:
    """`sekisho directory ...` as a process of its own: exit status and output."""
    done = await trio.run_process(
        [sys.executable, "-m", "gateway.cli", "directory", *arguments, "--dsn", made.dsns.ops],
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return str(response.read().decode())


@pytest.mark.trio
@pytest.mark.parametrize("scope", [Scope.ALL, Scope.PARTY, Scope.AFFAIR, Scope.LINE])
async def test_a_suspension_of_any_scope_stops_every_worker_and_is_told_at_once(made: Made, scope: Scope) -> None:
    target = {Scope.ALL: "", Scope.PARTY: "mlit", Scope.AFFAIR: "vehicle-12-1", Scope.LINE: "mlit/line-1"}[scope]
    async with made.gateway() as gateway, made.line(gateway) as line:
        assert (await line.ask(Operation.INQUIRE_BY_CODE, by_code())).outcome == Outcome.EXACT
        async with made.directory(suspended(scope, target)):
            await until_heard(line, NoticeKind.SUSPENSION, gateway.workers, within_s=1.0)
            outcomes = {(await line.ask(Operation.INQUIRE_BY_CODE, by_code())).outcome for _ in range(20)}
            assert outcomes == {Outcome.SUSPENDED}
        await until_heard(line, NoticeKind.RESUMPTION, gateway.workers, within_s=1.0)
        assert (await line.ask(Operation.INQUIRE_BY_CODE, by_code())).outcome == Outcome.EXACT
        (text,) = {notice.text for notice in heard(line, NoticeKind.SUSPENSION)}
        assert text.startswith("提供停止")
        assert "a test" in text


@pytest.mark.trio
@pytest.mark.parametrize(
    ("change", "kind"), [(stopped, NoticeKind.STOP), (dearer, NoticeKind.TARIFF), (shorter, NoticeKind.HOURS)]
)
async def test_a_stop_a_fee_and_hours_are_told(
    made: Made, change: Callable[[Document], Document], kind: NoticeKind
) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        async with made.directory(change):
            await until_heard(line, kind, gateway.workers, within_s=2.0)
        await until_heard(line, kind, 2 * gateway.workers, within_s=2.0)


@pytest.mark.trio
async def test_a_line_that_was_away_is_told_when_it_comes_and_only_then_does_the_clock_stop(made: Made) -> None:
    await made.owner("delete from directory.notice")
    async with made.gateway() as gateway, made.directory(suspended(Scope.PARTY, "mlit")):
        status, output = await run(made, "notices")
        assert status == 0
        assert re.search(r"SUSPENSION  mlit/line-1  0:59:[0-5][0-9] left", output)
        async with made.line(gateway) as line:
            await until_heard(line, NoticeKind.SUSPENSION, within_s=2.0)

            async def nothing_waits() -> bool:
                return "nothing to tell" in (await run(made, "notices"))[1]

            await poll(nothing_waits, within_s=5.0)
            assert "told after 0:00:" in (await run(made, "notices", "--all"))[1]


@pytest.mark.trio
async def test_what_could_not_be_told_in_time_is_overdue_until_a_person_closes_it(made: Made) -> None:
    await made.owner("delete from directory.notice")

    def far_off(document: Document) -> Document:
        """A line nobody opens, and little time."""
        absent = msgspec.structs.replace(document.lines[0], name="line-9", keys=())
        return replaced(lines=(*document.lines, absent), notices=NoticeDeadlines(suspension_minutes=1))(document)

    async with made.directory(far_off), made.directory(suspended(Scope.LINE, "mlit/line-9")), made.gateway() as gateway:
        await made.owner("update directory.notice set due_us = decided_us - 1")

        async def counted() -> bool:
            return "sekisho_notices_overdue 1.0" in await trio.to_thread.run_sync(scrape, gateway.ops_port)

        await poll(counted, within_s=10.0)
        status, output = await run(made, "notices")
        assert status == 1
        assert "OVERDUE by" in output
        number = output.split()[0]
        close = ("close-notice", number, "--by", "duty officer")
        assert await run(made, *close) == (0, f"notice {number} closed by duty officer\n")
        status, output = await run(made, *close)
        assert status == 1
        assert "not open" in output
        assert (await run(made, "notices"))[0] == 0
    await made.owner("delete from directory.notice")
