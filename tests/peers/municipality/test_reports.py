"""Completions, voids and corrections as the centre reports them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.line.dial import LineClient
from gateway.peers.municipality import reports
from protocol.application import Transition
from protocol.issuance import Report, Reported, ReportsQuery
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from tests.peers.municipality.kit import Sitting, Town, World, made
from tests.peers.municipality.test_refusals import open_incidents


def report(number: int, application: bytes, *, transition: int = Transition.COMPLETED, **changes: object) -> Report:
    """One report of one copy at 300 yen."""
    made_up = Report(
        number=number,
        transition=transition,
        application=application,
        kind="juminhyo",
        operator="operator-a",
        store="store-1",
        copies=1,
        yen=300,
        deposited_at_us=1_790_000_000_000_000,
        store_day="2026-09-21",
        at_us=1_790_000_000_000_001,
        ground=0,
    )
    return msgspec.structs.replace(made_up, **changes)


async def told(client: LineClient, body: Report | ReportsQuery) -> int:
    """Up to where the municipality has noted."""
    operation = Operation.REPORT if isinstance(body, Report) else Operation.REPORTED
    result = await client.ask(operation, encode(body))
    assert result.outcome == Outcome.NOTED
    return msgspec.msgpack.decode(result.body, type=Reported).number


@pytest.mark.trio
async def test_reports_are_noted_in_order_once_and_outlive_a_restart(town: Town, world: World) -> None:
    body = Sitting(world).issue(copies=2)
    application = body.application.statement.application
    first = report(1, application, copies=2, yen=600)
    void = report(2, application, transition=Transition.VOIDED, copies=-2, yen=-600, ground=1)
    async with town.answering() as client:
        await made(client, body)
        assert await told(client, ReportsQuery()) == 0
        assert await told(client, first) == 1
        assert await told(client, first) == 1
        assert await told(client, report(3, application)) == 1  # a gap is not noted
    async with town.answering() as client:
        assert await told(client, ReportsQuery()) == 1
        assert await told(client, void) == 2
        assert await told(client, report(1, application, copies=9)) == 2  # another content changes nothing
        with town.opened() as municipality:
            assert reports.reports(municipality.store) == [first, void]
            assert municipality.store.row("SELECT count(*) FROM held") == (0,)
    assert open_incidents(town) == ["report-gap", "report-differs"]


@pytest.mark.trio
async def test_a_report_of_what_was_not_issued_here_is_noted_and_an_incident(town: Town, world: World) -> None:
    body = Sitting(world).issue()
    application = body.application.statement.application
    async with town.answering() as client:
        await made(client, body)
        assert await told(client, report(1, b"\1" * 16)) == 1
        assert await told(client, report(2, application, kind="inkan")) == 2
        assert await told(client, report(3, application, copies=5)) == 3
    assert open_incidents(town) == ["report-unmatched"] * 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Transition.COMPLETED, Transition.VOIDED, Transition.CORRECTED_1]),
            st.sampled_from(["juminhyo", "inkan"]),
            st.integers(-20, 20),
            st.integers(-20_000, 20_000),
        )
    )
)
def test_totals_of_the_kinds_add_up_to_the_whole(rows: list[tuple[int, str, int, int]]) -> None:
    listed = [
        report(number, b"\1" * 16, transition=transition, kind=kind, copies=copies, yen=yen)
        for number, (transition, kind, copies, yen) in enumerate(rows, start=1)
    ]
    *kinds, whole = reports.totals(listed) or [reports.Total("", 0, 0, 0, 0, 0)]
    assert whole.kind == ""
    assert whole.yen == sum(yen for *_, yen in rows) == sum(each.yen for each in kinds)
    assert whole.copies == sum(copies for *_, copies, _ in rows) == sum(each.copies for each in kinds)
    assert whole.completions + whole.voids + whole.corrections == len(rows)
