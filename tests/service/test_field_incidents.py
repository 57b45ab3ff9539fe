"""The seven incidents of the field, played against the whole service: no wrong document leaves it (DOMAIN 2.12)."""

import pytest

from tests.service.incident_kit import CHIBA, Field, assert_delivered, sit, wish


@pytest.mark.trio
async def test_without_a_fault_both_workers_and_both_servers_deliver(front_reset: Field) -> None:
    field, witness = front_reset, front_reset.witness()
    async with field.front() as ([member], _):
        for turn in range(12):
            assert_delivered(await sit(member, wish(CHIBA, (0, 1, 6, 9)[turn % 4]), witness=witness))
            if all(server.bench.made_for for server in field.servers[CHIBA]):
                return
    raise AssertionError("one server or worker was never used")
