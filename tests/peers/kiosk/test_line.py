"""A kiosk with its real parts: line, cards, documents of the kit, journal, coins, tray, and processes of its own."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from gateway.peers.kiosk.errors import SetupIncomplete
from gateway.peers.kiosk.running import running_kiosk
from gateway.peers.kiosk.setup import open_kiosk
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import Trouble
from gateway.peers.kiosk.visit import Wish, visit
from gateway.peers.kit.reading import read_codes, read_pages
from protocol.issuance import KioskFact
from protocol.messages import Operation
from protocol.outcomes import CATALOGUE, Outcome
from tests.peers.kiosk.fakes import PIN, TOWN
from tests.peers.kiosk.relays import RealTown, Yard
from tests.peers.kiosk.screens import make_cards

pytestmark = pytest.mark.trio
ROOT = Path(__file__).parents[3]
TOLD_S = 20


@pytest.fixture(scope="module")
def cards(tmp_path_factory) -> Path:
    return make_cards(tmp_path_factory.mktemp("jpki") / "jpki")


@pytest.fixture(scope="module")
def real_town(tmp_path_factory) -> RealTown:
    return RealTown(tmp_path_factory.mktemp("real-town"))


@pytest.fixture
def yard(tmp_path, real_town, cards) -> Yard:
    return Yard(tmp_path, real_town, cards)


def wish(**facts: object) -> Wish:
    return Wish(**({"card": "resident-0", "pin": PIN, "municipality": TOWN, "kind": "juminhyo", "copies": 2} | facts))


async def run(yard: Yard, data: Path, *more: str, card: str = "resident-0") -> subprocess.CompletedProcess[bytes]:
    """`sekisho kiosk run` as a process."""
    return await trio.run_process(
        [
            *(sys.executable, "-m", "gateway.cli", "kiosk", "run", "--data", str(data), "--pin", PIN),
            *("--card", str(yard.cards / f"{card}.card"), "--municipality", TOWN, "--kind", "juminhyo"),
            *("--relay-port", str(yard.port), *more),
        ],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def tray(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "tray").iterdir())


async def test_over_a_real_line_a_document_of_the_kit_is_printed_and_reported(yard) -> None:
    data = yard.kiosk("kiosk-1")
    async with yard.open(), running_kiosk(open_kiosk(data), relay_port=yard.port) as running:
        await running.link.wait_open(TOLD_S)
        seen = await visit(running.kiosk, wish())
        assert (seen.state, seen.trouble) == (State.RECEIPT, "")
        assert seen.applied_us is not None
        assert len(seen.pages) >= 2
        with trio.fail_after(TOLD_S):
            await running.kiosk.settling.delivered()
            while KioskFact.IDLE not in yard.centre.facts[1:]:
                await trio.sleep(0.01)
    assert tray(data) == [
        f"certificate-{seen.stem}-1.pdf",
        f"certificate-{seen.stem}-2.pdf",
        f"receipt-{seen.slip}.txt",
    ]
    codes = read_pages((data / "tray" / f"certificate-{seen.stem}-1.pdf").read_bytes())
    assert len(codes) == len(seen.pages)
    assert len(yard.centre.told(Operation.COMPLETE)) == len(yard.centre.told(Operation.ERASE)) == 1
    expected = [
        KioskFact.IDLE,
        KioskFact.IN_USE,
        KioskFact.DEPOSITED,
        KioskFact.PRINTING,
        KioskFact.PRINTED,
        KioskFact.IDLE,
    ]
    assert yard.centre.facts == expected


async def test_a_jam_leaves_marked_paper_that_passes_for_no_certificate(yard) -> None:
    data = yard.kiosk("kiosk-1")
    async with yard.open(), running_kiosk(open_kiosk(data), relay_port=yard.port) as running:
        await running.link.wait_open(TOLD_S)
        running.printer.jam = (2, 2)
        seen = await visit(running.kiosk, wish())
        assert (seen.state, seen.trouble) == (State.REFUNDED, Trouble.PAPER_JAM)
        assert running.slot.total_yen == 0
        with trio.fail_after(TOLD_S):
            await running.kiosk.settling.delivered()
    names = tray(data)
    assert [name.partition("-")[0] for name in names] == ["receipt", "void", "void"]
    first, second = (data / "tray" / name for name in names[1:])
    assert b"%SEKISHO" not in first.read_bytes()
    assert read_codes(first.read_bytes()) == [None, None] * len(seen.pages)  # both sides of each page are marked
    assert read_codes(second.read_bytes()) == [None, None]
    assert len(yard.centre.told(Operation.VOID)) == 1


async def test_nothing_of_the_document_is_on_the_disk_but_in_the_tray(yard) -> None:
    data = yard.kiosk("kiosk-1")
    async with yard.open(), running_kiosk(open_kiosk(data), relay_port=yard.port) as running:
        await running.link.wait_open(TOLD_S)
        seen = await visit(running.kiosk, wish(copies=1))
    name = next(field.text for field in seen.pages[0].fields if field.label == "氏名")
    pdf = (data / "tray" / f"certificate-{seen.stem}-1.pdf").read_bytes()
    for path in data.rglob("*"):
        if path.is_file() and path.parent.name != "tray":
            content = path.read_bytes()
            assert name.encode() not in content
            assert pdf[100:200] not in content
            assert seen.pages[0].pseudonym not in content


async def test_the_command_prints_what_came_and_says_why_nothing_did(yard) -> None:
    data = yard.kiosk("kiosk-1")
    async with yard.open():
        done = await run(yard, data, "--copies", "1", "--option", "domicile")
        assert done.returncode == 0, done.stderr.decode()
        assert "certificate-" in done.stdout.decode()
        assert "printing" in done.stderr.decode()
        yard.centre.answers[Operation.AUTHENTICATE] = Outcome.CARD_REVOKED
        refused = await run(yard, data)
        assert refused.returncode == 1
        assert CATALOGUE[Outcome.CARD_REVOKED].ja in refused.stderr.decode()
        unreadable = await run(yard, data, card="bent")
        assert unreadable.returncode == 1
        assert "カードを読み取れません" in unreadable.stderr.decode()


async def test_a_process_that_loses_its_power_is_settled_by_the_next(yard) -> None:
    data = yard.kiosk("kiosk-1")
    async with yard.open():
        cut = await run(yard, data, "--copies", "2", "--fault", "power:put-out-1-2-after")
        assert cut.returncode == 70
        assert not yard.centre.told(Operation.COMPLETE)
        lying = tray(data)
        assert lying
        done = await run(yard, data, "--copies", "1", card="resident-1")
        assert done.returncode == 0, done.stderr.decode()
        [void] = yard.centre.told(Operation.VOID)
        [complete] = yard.centre.told(Operation.COMPLETE)
        assert void.application != complete.application
        assert len(yard.centre.told(Operation.ERASE)) == 2
        assert any(name.startswith("void-") for name in tray(data))


async def test_the_screens_are_served_by_a_process_that_ends_at_a_signal(yard) -> None:
    data = yard.kiosk("kiosk-1")
    async with yard.open():
        command = [sys.executable, "-m", "gateway.cli", "kiosk", "serve", "--data", str(data), "--port", "0"]
        async with trio.open_nursery() as nursery:
            process = await nursery.start(
                partial(
                    trio.run_process,
                    [*command, "--relay-port", str(yard.port)],
                    stdout=subprocess.PIPE,
                    env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                )
            )
            said = b""
            with trio.fail_after(TOLD_S):
                while b"\n" not in said:
                    said += await process.stdout.receive_some()
            assert b"kiosk: http://127.0.0.1:" in said
            process.send_signal(signal.SIGTERM)
            with trio.fail_after(TOLD_S):
                await process.wait()
    assert process.returncode == 0


async def test_a_directory_that_cannot_be_a_kiosk_says_what_is_missing(yard, tmp_path) -> None:
    with pytest.raises(SetupIncomplete, match="kiosk init"):
        open_kiosk(tmp_path / "nothing")
    data = yard.kiosk("kiosk-1")
    with pytest.raises(SetupIncomplete, match="not empty"):
        yard.kiosk("kiosk-1")
    (yard.bundles / f"{TOWN}.bundle").unlink()
    with pytest.raises(SetupIncomplete, match="trust bundle"):
        open_kiosk(data)
