"""Whatever happens in whatever order: the table holds, and money, paper and notices agree."""

import tempfile
from pathlib import Path

import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.peers.kiosk.errors import ChoiceInvalid, OutOfOrder
from gateway.peers.kiosk.machine import Kiosk
from gateway.peers.kiosk.steps import AFTER_MONEY, BEFORE_MONEY, LEFT_ALONE, TABLE, WAITING, Event, State
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.peers.kiosk.fakes import PIN, TOWN, Centre, Place, PowerCut, Town

LATER = (State.PAYING, State.PRINTING, State.RECEIPT, State.TAKE)


def test_every_state_is_of_one_sort_and_can_be_reached_and_left() -> None:
    assert set(State) == {State.START, State.OUT_OF_ORDER} | WAITING | BEFORE_MONEY | AFTER_MONEY | LEFT_ALONE
    assert not WAITING & BEFORE_MONEY - {State.CARD}
    reached = {State.START}
    for _ in State:
        reached |= {after for (state, _), after in TABLE.items() if state in reached}
    assert reached == set(State)
    assert {state for state, _ in TABLE} == set(State)


def test_no_way_to_the_paper_leads_past_the_money_or_the_verification() -> None:
    def reachable(without: State) -> set[State]:
        found = {State.START}
        for _ in State:
            found |= {after for (state, _), after in TABLE.items() if state in found and after is not without}
        return found

    assert State.PRINTING not in reachable(State.PAYING)
    assert State.PAYING not in reachable(State.VERIFYING)
    assert State.APPLYING not in reachable(State.AUTHENTICATING)
    assert State.AUTHENTICATING not in reachable(State.SIGNING)


def test_after_the_money_nothing_is_refused_and_nobody_leaves() -> None:
    for state in (*AFTER_MONEY, State.RECEIPT, State.TAKE):
        assert (state, Event.REFUSE) not in TABLE
        assert (state, Event.LEAVE) not in TABLE


STEPS = {
    "begin": lambda kiosk, place: kiosk.begin(),
    "card": lambda kiosk, place: kiosk.insert_card("card"),
    "bent": lambda kiosk, place: kiosk.insert_card("bent"),
    "pin": lambda kiosk, place: kiosk.enter_pin(PIN),
    "wrong pin": lambda kiosk, place: kiosk.enter_pin("0000"),
    "town": lambda kiosk, place: kiosk.choose_municipality(TOWN),
    "kind": lambda kiosk, place: kiosk.choose_kind("juminhyo"),
    "closed": lambda kiosk, place: kiosk.choose_kind("shotoku"),
    "options": lambda kiosk, place: kiosk.choose_options(options=2, copies=2),
    "back": lambda kiosk, place: kiosk.back(),
    "agree": lambda kiosk, place: kiosk.agree(),
    "pay": lambda kiosk, place: kiosk.pay(),
    "receipt": lambda kiosk, place: kiosk.take_receipt(),
    "take": lambda kiosk, place: kiosk.take_all(),
    "leave": lambda kiosk, place: kiosk.leave(),
    "acknowledge": lambda kiosk, place: kiosk.acknowledge(),
    "clear": lambda kiosk, place: kiosk.clear_fault(),
    "tick": lambda kiosk, place: kiosk.tick(),
}
ON = ["begin", "card", "pin", "town", "kind", "options", "agree", "pay", "receipt", "take"]


def now_later(place: Place, seconds: int) -> None:
    place.now_us += seconds * 1_000_000


def jam(place: Place, copy: int, page: int) -> None:
    place.stack.jam = (copy, page)


EVENTS = st.one_of(
    st.sampled_from(sorted(STEPS)).map(lambda name: ("step", name)),
    st.integers(1, len(ON)).map(lambda count: ("on", count)),
    st.sampled_from([1, 30, 70, 700]).map(lambda seconds: ("wait", seconds)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)).map(lambda at: ("jam", at)),
    st.sampled_from([True, False]).map(lambda away: ("relay", away)),
    st.sampled_from([True, False]).map(lambda fails: ("slot", fails)),
    st.sampled_from([0, Outcome.NOT_ENTITLED, Outcome.DOCUMENT_WITHHELD]).map(lambda outcome: ("document", outcome)),
    st.integers(0, 30).map(lambda step: ("cut", step)),
    st.just(("deliver", 0)),
)

SITTING = st.integers(0, 40).map(lambda step: ("sitting", step))


class Cut:
    """Power that fails at the nth step from now, if any."""

    def __init__(self) -> None:
        self.left: int | None = None

    def __call__(self, step: str) -> None:
        if self.left is not None:
            if self.left == 0:
                raise PowerCut
            self.left -= 1


async def played(place: Place, centre: Centre, events: list[tuple[str, object]]) -> None:
    power = Cut()
    kiosk = place.kiosk(power)
    await kiosk.recover()
    for kind, value in events:
        try:
            match kind:
                case "step":
                    await attempted(kiosk, place, str(value))
                case "on":
                    for name in ON[: int(value)]:
                        await attempted(kiosk, place, name)
                case "sitting":  # from the start on, with a cut at this step
                    power.left = int(value)
                    for name in ON:
                        await attempted(kiosk, place, name)
                    power.left = None
                case "wait":
                    now_later(place, int(value))
                    await attempted(kiosk, place, "tick")
                case "jam":
                    jam(place, *value)
                case "relay":
                    centre.connected = not value
                case "slot":
                    place.slot.fails = bool(value)
                case "document":
                    centre.answers = {Operation.DOCUMENT: int(value)} if value else {}
                case "cut":
                    power.left = int(value)
                case _:
                    await kiosk.settling.deliver()
        except PowerCut:
            power = Cut()
            kiosk = place.kiosk(power)
            await kiosk.recover()
        if kiosk.state in LATER:
            assert kiosk.view.yen == 600
        if kiosk.state in (State.START, State.OUT_OF_ORDER, State.REFUSED, State.REFUNDED, State.RECEIPT):
            sitting = kiosk._sitting
            assert sitting is None or (sitting.keys is None and sitting.document is None)
    centre.connected = True
    kiosk = place.kiosk()
    await kiosk.recover()
    assert await kiosk.settling.deliver() == 0


async def attempted(kiosk: Kiosk, place: Place, name: str) -> None:
    before = kiosk.state
    try:
        await STEPS[name](kiosk, place)
    except (OutOfOrder, ChoiceInvalid):
        assert kiosk.state is before


def agree(place: Place, centre: Centre) -> None:
    completed = {body.application: body for body in centre.told(Operation.COMPLETE)}
    void = {body.application for body in centre.told(Operation.VOID)}
    assert not completed.keys() & void
    assert len(completed) == len(centre.told(Operation.COMPLETE))
    assert sum(place.slot.held.values()) == 600 * len(completed)
    good = {stem for (stem, _), paper in place.stack.papers.items() if not paper.void}
    assert len(good) == len(completed)
    assert all(paper.out == paper.pages for paper in place.stack.papers.values() if not paper.void)
    assert len({body.application for body in centre.told(Operation.ERASE)}) == len(centre.told(Operation.ERASE))
    assert {body.application for body in centre.told(Operation.ERASE)} >= completed.keys() | void


_TOWN: list[Town] = []


@settings(max_examples=100, deadline=None)
@example([("sitting", 7)])
@example([("jam", (2, 1)), ("sitting", 20), ("sitting", 30)])
@given(st.lists(SITTING | EVENTS, min_size=3, max_size=25))
def test_in_any_order_money_paper_and_notices_agree(events) -> None:
    with tempfile.TemporaryDirectory() as directory:
        if not _TOWN:
            _TOWN.append(Town(Path(directory)))
        centre = Centre(_TOWN[0])
        place = Place(Path(directory), centre)
        centre.now_us = lambda: place.now_us
        try:
            trio.run(played, place, centre, events)
            agree(place, centre)
        finally:
            place.journal.close()
