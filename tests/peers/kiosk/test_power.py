"""The power is cut at every step; the kiosk starts again, and money, paper and notices agree."""

import pytest

from gateway.peers.kiosk.coins import SimulatedCoinSlot
from gateway.peers.kiosk.errors import JournalDamaged, SetupIncomplete
from gateway.peers.kiosk.journal import Act, Journal, Line, Trail
from gateway.peers.kiosk.recovery import Remedy, remedy
from gateway.peers.kiosk.steps import State
from protocol.issuance import Ground
from protocol.messages import Operation
from tests.peers.kiosk.fakes import NOW_US, Centre, Place, PowerCut, up_to_pay

pytestmark = pytest.mark.trio
APP = bytes(15) + b"\x01"


class Power:
    """Counts steps, and cuts at one."""

    def __init__(self, cut_at: int | None = None) -> None:
        self.cut_at = cut_at
        self.steps: list[str] = []
        self.off = False

    def __call__(self, step: str) -> None:
        if self.off or len(self.steps) == self.cut_at:
            self.off = True
            raise PowerCut
        self.steps.append(step)


async def sitting(place: Place, power: Power, *, jam: tuple[int, int] | None = None, cut: bool = True) -> None:
    try:
        kiosk = place.kiosk(power)
        await kiosk.recover()
        await up_to_pay(kiosk, copies=2)
        place.stack.jam = jam
        await kiosk.pay()
        if kiosk.state is State.RECEIPT:
            await kiosk.take_receipt()
            await kiosk.take_all()
        await kiosk.settling.deliver()
    except PowerCut:
        assert cut


def agrees(place: Place, centre: Centre) -> str:
    """What became of it: money, paper and notices say the same, or the test fails."""
    held = sum(place.slot.held.values())
    completes, voids = centre.told(Operation.COMPLETE), centre.told(Operation.VOID)
    papers = list(place.stack.papers.values())
    assert len(completes) + len(voids) <= 1
    if completes:
        assert held == 600
        assert [(paper.out, paper.void) for paper in papers] == [(2, False)] * 2
        assert completes[0].copies == 2
        return "complete"
    assert held == 0
    assert all(paper.void for paper in papers)
    if voids:
        return "void"
    assert not papers
    return "nothing"


async def all_steps(tmp_path, centre, jam=None) -> list[str]:
    directory = tmp_path / "steps"
    directory.mkdir()
    power = Power()
    await sitting(Place(directory, centre), power, jam=jam, cut=False)
    return power.steps


@pytest.mark.parametrize("jam", [None, (1, 2), (2, 1)])
async def test_wherever_the_power_is_cut_money_paper_and_notices_agree_after_the_start(tmp_path, town, jam) -> None:
    steps = await all_steps(tmp_path, Centre(town), jam)
    assert len(steps) > 25
    ends: dict[str, list[str]] = {"complete": [], "void": [], "nothing": []}
    for cut_at, step in enumerate(steps):
        directory = tmp_path / f"cut-{cut_at}"
        directory.mkdir()
        centre = Centre(town)
        place = Place(directory, centre)
        await sitting(place, Power(cut_at), jam=jam)
        kiosk = place.kiosk()
        await kiosk.recover()
        assert await kiosk.settling.deliver() == 0
        ends[agrees(place, centre)].append(step)
        assert len(centre.told(Operation.ERASE)) == len(centre.sessions) or step == "opened-before"
        before = dict(centre.notices)
        again = place.kiosk()  # a second start changes nothing
        await again.recover()
        assert await again.settling.deliver() == 0
        assert centre.notices == before
    assert {"opened-before", "document-after", "money-after", "take-before"} <= set(ends["nothing"])
    assert {"take-after", "paid-before", "page-after", "put-out-1-1-before"} <= set(ends["void"])
    if jam is None:
        assert {"put-out-2-2-after", "done-before", "done-after", "notice-before", "told-after"} <= set(
            ends["complete"]
        )
    else:
        assert not ends["complete"]
        assert {"spoil-before", "refund-after", "give-back-after", "refunded-before", "told-after"} <= set(ends["void"])


async def test_the_power_is_cut_again_while_it_recovers(tmp_path, town) -> None:
    for first in range(14, 24):
        for second in range(12):
            directory = tmp_path / f"{first}-{second}"
            directory.mkdir()
            centre = Centre(town)
            place = Place(directory, centre)
            await sitting(place, Power(first))
            try:
                kiosk = place.kiosk(Power(second))
                await kiosk.recover()
                await kiosk.settling.deliver()
            except PowerCut:
                pass
            kiosk = place.kiosk()
            await kiosk.recover()
            assert await kiosk.settling.deliver() == 0
            agrees(place, centre)


async def test_a_user_who_took_the_paper_before_the_power_went_leaves_a_void(tmp_path, town) -> None:
    """The last page may or may not be out, and nobody can look: refunded and void is the safe side."""
    centre = Centre(town)
    place = Place(tmp_path, centre)
    steps = await all_steps(tmp_path, centre)
    centre.notices.clear()
    await sitting(place, Power(steps.index("put-out-2-2-after") + 1))
    place.stack.papers.clear()
    kiosk = place.kiosk()
    await kiosk.recover()
    await kiosk.settling.deliver()
    [void] = centre.told(Operation.VOID)
    assert void.ground == Ground.MISPRINT


async def test_remedies() -> None:
    def trail(**facts: object) -> Trail:
        return Trail(application=APP, opened_at_us=0, copies=1, pages=2, **facts)

    both = [(1, 1), (1, 2)]
    cases = [
        (trail(), 0, 0, Remedy.NOTHING),
        (trail(money_at_us=1), 0, 0, Remedy.NOTHING),
        (trail(money_at_us=1), 300, 0, Remedy.VOID),
        (trail(money_at_us=1, paid_at_us=1), 0, 0, Remedy.VOID),
        (trail(money_at_us=1, paid_at_us=1, started=both[:1]), 300, 1, Remedy.VOID),
        (trail(money_at_us=1, paid_at_us=1, started=both), 300, 0, Remedy.VOID),
        (trail(money_at_us=1, paid_at_us=1, started=both), 300, 1, Remedy.COMPLETE),
        (trail(money_at_us=1, paid_at_us=1, started=both, done_at_us=1), 300, 0, Remedy.COMPLETE),
        (trail(money_at_us=1, paid_at_us=1, started=both, spoilt=1), 300, 1, Remedy.VOID),
    ]
    for known, held, whole, expected in cases:
        assert remedy(known, held_yen=held, copies_whole=whole) is expected, known


async def test_a_torn_last_line_is_cut_off_and_an_earlier_one_is_damage(tmp_path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        for copy in (1, 2):
            journal.write(Line(act=Act.PAGE, application=APP, at_us=NOW_US, number=copy, page=1))
    whole = path.read_bytes()
    for torn in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:torn])
        with Journal(path) as journal:
            assert journal.trails[APP].started == [(1, 1)]
            journal.write(Line(act=Act.PAGE, application=APP, at_us=NOW_US, number=2, page=1))
        assert path.read_bytes() == whole
    path.write_bytes(whole.replace(b'"number":1', b'"number":3', 1))
    with pytest.raises(JournalDamaged):
        Journal(path)


async def test_two_processes_cannot_be_one_kiosk(tmp_path) -> None:
    with Journal(tmp_path / "journal"), pytest.raises(SetupIncomplete, match="another process"):
        Journal(tmp_path / "journal")
    Journal(tmp_path / "journal").close()


async def test_a_coin_slots_torn_last_line_never_happened(tmp_path) -> None:
    path = tmp_path / "coins"
    slot = SimulatedCoinSlot(path)
    slot.take(600, "slip-1")
    slot.take(300, "slip-2")
    slot.close()
    whole = path.read_bytes()
    for torn in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:torn])
        slot = SimulatedCoinSlot(path)
        assert (slot.holding("slip-1"), slot.holding("slip-2")) == (600, 0)
        slot.take(300, "slip-2")
        slot.close()
        assert path.read_bytes() == whole
