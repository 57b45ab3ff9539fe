"""Business days, notices that are refused, and what a receipt says."""

from datetime import UTC, datetime

import pytest

from gateway.peers.kiosk.settling import Stand
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.peers.kiosk.fakes import up_to_pay


async def unsigned(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize(
    ("begins", "at", "day"),
    [
        (0, datetime(2026, 11, 20, 14, 59, 59, tzinfo=UTC), "2026-11-20"),
        (0, datetime(2026, 11, 20, 15, 0, 0, tzinfo=UTC), "2026-11-21"),
        (5, datetime(2026, 11, 20, 19, 59, 59, tzinfo=UTC), "2026-11-20"),
        (5, datetime(2026, 11, 20, 20, 0, 0, tzinfo=UTC), "2026-11-21"),
        (0, datetime(2026, 12, 31, 15, 0, 0, tzinfo=UTC), "2027-01-01"),
    ],
)
def test_a_stores_business_day_begins_at_its_hour_in_japan(begins, at, day) -> None:
    stand = Stand(operator="o", kiosk="k", store="s", certificate=b"", sign=unsigned, day_begins_hour=begins)
    assert stand.store_day(int(at.timestamp()) * 1_000_000) == day


@pytest.mark.trio
async def test_a_notice_the_centre_refuses_is_told_once_and_staff_hear_of_it(place, centre) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    await kiosk.pay()
    centre.answers[Operation.COMPLETE] = Outcome.APPLICATION_STATE
    assert await kiosk.settling.deliver() == 0
    assert centre.faults == [f"notice-{int(Operation.COMPLETE)}-refused-{int(Outcome.APPLICATION_STATE)}"]
    centre.answers.clear()
    again = place.kiosk()
    await again.recover()
    assert await again.settling.deliver() == 0
    assert not centre.told(Operation.COMPLETE)


@pytest.mark.trio
@pytest.mark.parametrize("outcome", [Outcome.BUSY, Outcome.UNAVAILABLE, Outcome.PENDING])
async def test_a_notice_that_must_wait_waits_under_its_id(place, centre, outcome) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    await kiosk.pay()
    centre.answers[Operation.COMPLETE] = outcome
    assert await kiosk.settling.deliver() == 1, "the erasure does not wait for it"
    [line] = [
        each for trail in place.journal.trails.values() for each in trail.untold if each.number == Operation.COMPLETE
    ]
    centre.answers.clear()
    assert await kiosk.settling.deliver() == 0
    assert line.request_id in centre.notices


@pytest.mark.trio
async def test_a_notice_whose_id_is_too_old_goes_out_under_a_new_one_with_the_same_words(place, centre) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    await kiosk.pay()
    call = centre.call
    stale: list[tuple[bytes, bytes]] = []

    async def first_is_stale(operation, body, *, request_id=None):
        if operation == Operation.COMPLETE and not stale:
            stale.append((request_id, body))
            return Outcome.STALE_REQUEST_ID, b""
        if operation == Operation.COMPLETE:
            assert body == stale[0][1]
        return await call(operation, body, request_id=request_id)

    centre.call = first_is_stale
    assert await kiosk.settling.deliver() == 0
    assert len(centre.told(Operation.COMPLETE)) == 1
    assert stale[0][0] not in centre.notices
