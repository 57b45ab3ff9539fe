"""The connection to the database dies in COMMIT."""

import random
import tempfile
from pathlib import Path

import msgspec
import pytest
import trio

from tests.app.conftest import FULL
from tests.kit.centre import Load, Made
from tests.kit.cutting import Moment, cutting_wire
from tests.kit.ledger_proof import prove

CUTS = 201 if FULL else 27


@pytest.mark.trio
async def test_cutting_the_connection_in_commit_loses_and_doubles_nothing(made: Made) -> None:
    chance = random.Random(2)
    with tempfile.TemporaryDirectory(prefix="sekisho-wire-") as directory:
        async with cutting_wire(made.dsns.gateway, Path(directory)) as wire:
            dsns = msgspec.structs.replace(made.dsns, gateway=wire.through(made.dsns.gateway))
            async with made.gateway(dsns) as gateway:
                async with made.line(gateway) as line, Load(line).running() as load:
                    await load.answered(20)
                    while wire.made < CUTS:
                        # One alone, or several in a row: then the CLOSE that settles the first is in doubt as well.
                        wire.cuts.extend(chance.choices(list(Moment), k=chance.choice((1, 1, 2, 3))))
                        with trio.fail_after(30):
                            while wire.cuts:
                                await trio.sleep(0.002)
                        await load.answered(5)
                assert gateway.restarts == 0
            trust = made.dialling(gateway).trust
    await prove(made, trust, asked=load.asked, results=load.results)
