"""Keys rotated under a running centre: SIGHUP makes its processes sign with the new ones, and the old receipts hold."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import trio

from certs.material import TlsMaterial
from gateway.line.dial import LineClient, open_line
from gateway.peers.line_file import Dialling
from protocol.checkpoint import parse_note
from protocol.keys import Purpose
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.receipt import Receipt, ReceiptError, verify_receipt
from tests.kit.centre import Made, by_code, poll, refusal

ROTATED = (Purpose.LINE, Purpose.BLOCK, Purpose.CHECKPOINT, Purpose.CHECKPOINT_PQ, Purpose.SEAL)


def _hsm(made: Made, name: str, *rest: str) -> None:
    """`sekisho hsm`, in a process of its own."""
    keys = made.configuration
    place = ["--keystore", keys.keystore_uri, "--passphrase-file", str(keys.passphrase_file)]
    subprocess.run(
        [sys.executable, "-m", "gateway.cli", "hsm", name, *place, *rest], check=True, capture_output=True, timeout=60
    )


async def _receipts(line: LineClient, count: int = 1) -> list[Receipt]:
    found: list[Receipt] = []

    async def ask() -> None:
        result = await line.ask(Operation.INQUIRE_BY_CODE, by_code())
        assert result.outcome == Outcome.EXACT
        receipt = result.receipt()
        assert receipt is not None
        found.append(receipt)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(ask)
    return found


async def _is_let_in(dialling: Dialling) -> bool:
    """Whether this end, with the trust it holds, believes the centre's WELCOME."""
    material = TlsMaterial(dialling.files, now=datetime.now(UTC))
    async with open_line(dialling.target, material=material, trust=dialling.trust, sign=dialling.sign) as line:
        why = await refusal(line)
        assert why is None or "line-turned" in why
        return why is None


@pytest.mark.trio
async def test_a_rotation_takes_effect_with_sighup_and_old_receipts_hold_by_the_history(made: Made) -> None:
    async with made.gateway() as running:
        pids = dict(running.pids)
        before = made.dialling(running)
        async with made.line(running) as line:
            (old,) = await _receipts(line)
            for purpose in ROTATED:
                _hsm(made, "rotate", purpose.value, "--key-id", f"{purpose.value}-turned")
            for bundle in (made.data / "trust.bundle", made.data / "ministry" / "trust.bundle"):
                _hsm(made, "trust", "--out", str(bundle))
            (still,) = await _receipts(line)  # peers take the new bundle while everything is signed as before
            assert still.proof.key_id == old.proof.key_id
        os.kill(os.getpid(), signal.SIGHUP)
        after = made.dialling(running)

        async with made.line(running) as line:

            async def turned() -> bool:
                return {each.proof.key_id for each in await _receipts(line, 20)} == {"block-turned"}

            await poll(turned, within_s=20)
            (new,) = await _receipts(line)

        async def checkpoint_turned() -> bool:
            rows = await made.owner("select note from ledger.checkpoint order by size desc limit 1")
            return "checkpoint-turned" in {each.key_id for each in parse_note(rows[0][0]).signatures}

        await poll(checkpoint_turned, within_s=20)
        assert verify_receipt(old, after.trust).opened
        assert verify_receipt(new, after.trust).opened
        with pytest.raises(ReceiptError):
            verify_receipt(new, before.trust)
        assert not await _is_let_in(before), "WELCOME is not signed with the new key"
        assert running.restarts == 0
        assert running.pids == pids
