"""A municipality that fails is left alone, tried by one, and taken back."""

import pytest
import trio

from gateway.issuance import incidents as incidents_module
from gateway.issuance.breaker import FAILURES, PAUSE_S, PAUSE_S_MAX, Breaker, BreakerState
from gateway.issuance.incidents import IncidentKind, Incidents
from gateway.issuance.making import newest
from gateway.store.errors import StoreUnavailable


def _broken(now=0.0):
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.allow(now)
        breaker.failed(now)
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not():
    breaker = Breaker()
    for _ in range(3 * FAILURES):
        assert breaker.allow(0.0)
        breaker.failed(0.0)
        if breaker.state(0.0) is BreakerState.CLOSED:
            breaker.succeeded()
    assert breaker.state(0.0) is BreakerState.CLOSED
    assert _broken().state(0.0) is BreakerState.OPEN
    assert not _broken().allow(PAUSE_S - 0.1)


def test_after_its_pause_one_tries_and_the_others_wait_for_what_becomes_of_it():
    breaker = _broken()
    assert breaker.allow(PAUSE_S)
    assert not breaker.allow(PAUSE_S)
    breaker.succeeded()
    assert breaker.allow(PAUSE_S)
    assert breaker.allow(PAUSE_S)


def test_a_try_that_was_given_up_before_asking_leaves_the_turn_to_the_next():
    breaker = _broken()
    assert breaker.allow(PAUSE_S)
    breaker.abandoned()
    assert breaker.allow(PAUSE_S)


def test_each_failed_try_doubles_the_pause_up_to_its_bound():
    breaker, now, pauses = _broken(), 0.0, []
    for _ in range(8):
        began = now
        while not breaker.allow(now):
            now += 0.5
        pauses.append(now - began)
        breaker.failed(now)
    assert pauses == [min(PAUSE_S * 2**n, PAUSE_S_MAX) for n in range(8)]


def test_the_newest_kit_is_by_number_and_not_by_letter():
    assert newest(frozenset({"kit-2026.9", "kit-2026.10", "kit-2025.11"})) == "kit-2026.10"


class _Store:
    """Away for a while."""

    def __init__(self, failures):
        self.failures = failures
        self.written = []

    async def open(self, **incident):
        """As IncidentStore."""
        await trio.lowlevel.checkpoint()
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        self.written.append(incident["detail"])


@pytest.mark.trio
async def test_an_incident_that_cannot_be_written_is_written_later_in_its_order(monkeypatch):
    monkeypatch.setattr(incidents_module, "RETRY_S", 0.01)
    store = _Store(3)
    incidents = Incidents(store, now_us=lambda: 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(incidents.run)
        for detail in ("one", "two"):
            await incidents.open(IncidentKind.LATE, municipality="121002", application=None, detail=detail)
        assert store.written == []
        with trio.fail_after(5):
            while len(store.written) < 2:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert store.written == ["one", "two"]
