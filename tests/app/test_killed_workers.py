"""Workers that die in the middle of their work."""

import os
import random
import signal

import pytest
import trio

from tests.app.conftest import FULL
from tests.kit.centre import Load, Made
from tests.kit.ledger_proof import prove

KILLS = 50 if FULL else 6


@pytest.mark.trio
async def test_killing_workers_under_load_loses_and_doubles_nothing(made: Made) -> None:
    chance = random.Random(1)
    async with made.gateway() as gateway:
        async with made.line(gateway) as line, Load(line).running() as load:
            for number in range(KILLS):
                await load.answered(20)
                await trio.sleep(chance.random() * 0.05)
                slot = f"worker-{number % gateway.workers}"
                os.kill(gateway.pids[slot], signal.SIGKILL)
                with trio.fail_after(20):
                    while gateway.restarts <= number:
                        await trio.sleep(0.01)
        trust = made.dialling(gateway).trust
    await prove(made, trust, asked=load.asked, results=load.results)
