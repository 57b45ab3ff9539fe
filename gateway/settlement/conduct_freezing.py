"""Freezing a period for the whole centre, and laying the confirmed data ready for the municipalities.

The freeze is one act with a cut of the ledger (gateway.settlement.windows). It needs that every operator agreed, and
that the ledger still says what each agreed to. An inquiry centre has nobody to agree with: its quarter is frozen when
it is invoiced. Source: 000仕4-3, 001-4-3, 4-4; DOMAIN I9; DESIGN section 11.
"""

from datetime import date, timedelta
from typing import Final

from gateway.settlement import facts, states
from gateway.settlement.admission import Obstacle, Person, admit, check_person, days_of, not_over, outside
from gateway.settlement.conduct_issuing import issue
from gateway.settlement.cycle import Step
from gateway.settlement.desk import Desk
from gateway.settlement.issuing import held_against
from gateway.settlement.obstacles import (
    changed,
    earlier_open,
    frozen_already,
    later_frozen,
    not_agreed,
    without_contract,
)
from gateway.settlement.papers import statement_papers
from gateway.settlement.papers.statement import number_of
from gateway.settlement.periods import Period, term
from gateway.settlement.reading import read_cut, read_statement
from gateway.settlement.shelving import open_shelf
from gateway.settlement.sides import shares
from gateway.settlement.statements import Statement
from gateway.settlement.states import Acts
from gateway.settlement.windows import Cut
from gateway.settlement.words import STEPS
from gateway.store.settlement import SettlementReader
from protocol.act import Act, ActKind

BEGINNING: Final = date(2000, 1, 1)
"""No business is older."""


async def confirm(desk: Desk, period: str, person: Person) -> Act:
    """Freeze a period once for the whole centre, and lay its data ready for the municipalities.

    Done again it finishes what is missing: where no checkpoint covers the period's blocks yet, NotCovered is raised
    after the freeze stands. Returns: the act of the freeze.
    Raises: StepRefused, SettlementError, StoreError, HsmError.
    """
    check_person(person)
    of, acts = desk.period(period), await desk.acts()
    act = states.frozen(acts, of.text) or await freeze(desk, of, acts, person)
    await put_statement(desk, of, acts, act)
    await release(desk, of, act)
    return act


async def freeze(desk: Desk, of: Period, acts: Acts, person: Person) -> Act:
    """Write the cut. Raises: as confirm."""
    sides = desk.claiming(of)
    obstacles = frozen_already(acts, of) + later_frozen(acts, of) + list(not_over(of, desk.today))
    if desk.by_deposit and not obstacles:
        cycles = [side.dates(of, desk.calendars) for side in sides]
        obstacles += outside(STEPS[Step.CONFIRM], days_of(Step.CONFIRM, cycles, of), desk.today)
        obstacles += not_agreed(acts, of, sides)
    async with desk.reading() as reader:
        cut = await read_cut(reader)
        window = desk.window(of, cut=cut, previous=states.previous_cut(acts, of))
        statement = await read_statement(reader, window)
        obstacles += await _earlier(desk, reader, of, acts)
        obstacles += without_contract(statement, sides, incoming=True)
        if desk.by_deposit:
            obstacles += without_contract(statement, desk.sides(of, incoming=False), incoming=False)
            obstacles += await _changed(desk, reader, of, acts, statement)
        own = {incoming: shares(statement, incoming=incoming) for incoming in (True, False)}
        for side in (*sides, *desk.sides(of, incoming=False)):
            if side.party in own[side.incoming]:
                obstacles += (await held_against(reader, window, side, own[side.incoming][side.party]))[1]
    who = admit("confirm", obstacles, person)
    act = Act(
        kind=int(ActKind.CONFIRMED),
        contract="",
        claim="",
        period=of.text,
        party="",
        day=str(desk.today),
        by=who.by,
        second=who.second,
        ground=who.ground,
        yen=statement.net.due_yen,
        at_us=desk.now_us,
        facts=facts.encode_cut(cut),
    )
    await desk.write([act], seen=acts, of=None)  # freezes are in order: none may slip in between
    return act


async def put_statement(desk: Desk, of: Period, acts: Acts, frozen: Act) -> None:
    """Put the statement of the whole period for the centre's own books, unless it stands. Raises: as confirm."""
    shelf = await open_shelf(desk, of.text, desk.centre)
    if not shelf.has(f"{number_of(desk.role, of.text)}.pdf"):
        async with desk.reading() as reader:
            window = desk.window(of, cut=facts.cut_of(frozen), previous=states.previous_cut(acts, of))
            statement = await read_statement(reader, window)
        for paper in statement_papers(statement, frozen=frozen, role=desk.role, names=desk.names):
            await shelf.put(paper, made_us=frozen.at_us)
    await shelf.write_files()


async def release(desk: Desk, of: Period, frozen: Act) -> None:
    """Lay the confirmed data ready: a payment statement for every municipality that has business (001-4-4).

    Whoever froze the period did this. Raises: NotCovered; SettlementError, StoreError, HsmError.
    """
    sides = desk.sides(of, incoming=False)
    if sides:
        ground = frozen.ground.partition(": ")[2]
        person = Person(by=frozen.by, second=frozen.second, ground=ground)
        await issue(desk, of, sides, kind=ActKind.RELEASED, person=person)


async def _earlier(desk: Desk, reader: SettlementReader, of: Period, acts: Acts) -> list[Obstacle]:
    """Whether days before the period, after the last frozen one, have business."""
    before = states.last_before(acts, of)
    first = BEGINNING if before is None else before.last + timedelta(days=1)
    last = of.first - timedelta(days=1)
    if first > last:
        return []
    previous = states.previous_cut(acts, of)
    return earlier_open(await read_statement(reader, desk.window(term(first, last), cut=None, previous=previous)))


async def _changed(
    desk: Desk, reader: SettlementReader, of: Period, acts: Acts, statement: Statement
) -> list[Obstacle]:
    """Operators whose data would be frozen otherwise than they were disclosed."""
    found, known = [], dict[tuple[tuple[bytes, int], ...], Statement]()
    previous = states.previous_cut(acts, of)
    for side in desk.sides(of, incoming=True):
        act = states.exchange(acts, of.text, side.party).disclosed
        if act is None:
            continue
        cut = facts.disclosed(act).cut
        at = tuple(cut.items())
        if at not in known:
            known[at] = await read_statement(reader, desk.window(of, cut=Cut(cut), previous=previous))
        then, now = side.of(known[at]), side.of(statement)
        if then.cells != now.cells:
            found.append(changed(side.party, disclosed_yen=then.net.due_yen, now_yen=now.net.due_yen))
    return found
