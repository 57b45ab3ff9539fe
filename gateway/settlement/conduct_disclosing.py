"""Disclosing a month to its operators, and answering what they found: the steps of 000仕4-2."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from gateway.settlement import facts, states
from gateway.settlement.admission import Person, admit, check_person, days_of, not_over, outside
from gateway.settlement.cycle import Step
from gateway.settlement.desk import Desk, of_period
from gateway.settlement.disclosing import make_disclosure
from gateway.settlement.errors import SettlementError
from gateway.settlement.facts import Disclosed, Signature
from gateway.settlement.obstacles import frozen_already, without_contract, without_disclosure
from gateway.settlement.paper import Paper
from gateway.settlement.papers import disclosure_papers
from gateway.settlement.periods import Period
from gateway.settlement.reading import read_cut, read_statement
from gateway.settlement.shelving import MEDIA, open_shelf
from gateway.settlement.sides import Side
from gateway.settlement.states import Acts
from gateway.settlement.windows import Cut, Window
from gateway.settlement.words import STEPS
from gateway.store.settlement import SettlementReader
from protocol.act import Act, ActKind
from protocol.disclosure import (
    SignedDisclosure,
    decode_disclosure,
    digest,
    encode_disclosure,
    encode_signed,
    read_rows,
    to_sign,
)

ANSWER: Final = ("照合結果への回答", "Answer to the reconciliation")


class AnswerInvalid(SettlementError):  # noqa: N818  named after the fact
    """An answer that does not fit the reconciliation: nothing of it was taken. Fields: party, differences."""

    code: ClassVar[str] = "answer-invalid"

    def __init__(self, party: str, differences: Sequence[bytes], why: str) -> None:
        which = ", ".join(each.hex() for each in differences)
        super().__init__(f"{party}: {why}{': ' if which else ''}{which}; see sekisho settle status")
        self.party = party
        self.differences = tuple(differences)


class DisclosureContradicted(SettlementError):  # noqa: N818  named after the fact
    """The ledger no longer gives what was disclosed. Fields: party, period."""

    code: ClassVar[str] = "disclosure-contradicted"

    def __init__(self, party: str, period: str) -> None:
        super().__init__(
            f"{party}, {period}: the ledger no longer gives what was disclosed / 台帳が開示済みのデータと一致しません;"
            " run sekisho ledger verify and sekisho settle verify"
        )
        self.party = party
        self.period = period


async def disclose(desk: Desk, period: str, person: Person, *, again: bool = False) -> list[Act]:
    """Lay a month's data open to every operator of the centre (取扱い実績データの開示).

    Done again it makes the same documents again. again: an operator whose data changed since gets a new disclosure, as
    after corrections by agreement. Returns: the acts that stand, one for each operator.
    Raises: SettlementError, StoreError, HsmError.
    """
    check_person(person)
    of, acts = desk.period(period), await desk.acts()
    sides = desk.claiming(of)
    wanted = [side for side in sides if again or states.exchange(acts, of.text, side.party).disclosed is None]
    with desk.scratch() as directory:
        made: dict[str, _Made] = {}
        if wanted:
            until = Step.CONFIRM if again else Step.RECONCILE
            made = await _disclose(desk, of, acts, wanted, person, until, directory)
        acts = await desk.acts()
        standing = []
        for side in sides:
            act = states.exchange(acts, of.text, side.party).disclosed
            if act is not None:
                await _documents(desk, of, acts, act, made.get(side.party), directory)
                standing.append(act)
    return standing


async def accept(
    desk: Desk,
    period: str,
    party: str,
    person: Person,
    *,
    lines: Sequence[bytes] | None = None,
    dispute: Mapping[bytes, str] | None = None,
) -> Act | None:
    """Accept or dispute the differences of an operator's reconciliation, each by its key, all in one answer.

    lines: those that are accepted; None: all that are not disputed. dispute: with the reason of each. Returns: the act
    that stands, None where the operator agreed and there is nothing to answer.
    Raises: AnswerInvalid, StepRefused; StoreError.
    """
    check_person(person)
    of, acts = desk.period(period), await desk.acts()
    exchange = states.exchange(acts, of.text, party)
    reconciliation = exchange.reconciliation
    if exchange.reconciled is None or reconciliation is None:
        raise AnswerInvalid(party, (), "no reconciliation came / 照合結果が届いていません")
    if reconciliation.agreed:
        return None
    keys = [each.key for each in reconciliation.differences]
    said = _answer(party, exchange.reconciled.turn, keys, lines, dispute or {})
    if exchange.answered is not None and facts.answered(exchange.answered) == said:
        return exchange.answered
    obstacles = frozen_already(acts, of)
    cycles = [side.dates(of, desk.calendars) for side in desk.sides(of, incoming=True) if side.party == party]
    obstacles += outside(ANSWER, days_of(Step.CONFIRM, cycles, of), desk.today)
    who = admit("accept", obstacles, person)
    before = states.select(acts, ActKind.ANSWERED, of.text, party=party)
    act = _act(desk, of, party, ActKind.ANSWERED, who, turn=len(before), content=facts.encode_facts(said))
    await desk.write([act], seen=of_period(acts, of.text), of=of.text)
    return act


def _answer(
    party: str, turn: int, named: Sequence[bytes], lines: Sequence[bytes] | None, dispute: Mapping[bytes, str]
) -> facts.Answered:
    accepted = [key for key in named if key not in dispute] if lines is None else list(lines)
    unknown = [key for key in (*accepted, *dispute) if key not in named]
    if unknown:
        raise AnswerInvalid(party, unknown, "not differences of the reconciliation / 照合結果にない明細です")
    both = [key for key in accepted if key in dispute]
    if both:
        raise AnswerInvalid(party, both, "accepted and disputed at once / 承認と異議が重複しています")
    left = [key for key in named if key not in dispute and key not in accepted]
    if left:
        raise AnswerInvalid(party, left, "neither accepted nor disputed / 回答のない明細があります")
    unsaid = [key for key, why in dispute.items() if not why.strip()]
    if unsaid:
        raise AnswerInvalid(party, unsaid, "disputed without a reason / 異議の理由がありません")
    return facts.Answered(
        reconciliation=turn,
        accepted=tuple(key for key in named if key not in dispute),
        disputed=tuple((key, dispute[key]) for key in named if key in dispute),
    )


class _Made(NamedTuple):
    """A disclosure that was made from the ledger: its bytes, what it comes to, and its rows in a file."""

    content: bytes
    net_yen: int
    rows: int
    rows_digest: bytes
    file: Path


async def _disclose(
    desk: Desk, of: Period, acts: Acts, sides: Sequence[Side], person: Person, until: Step, directory: Path
) -> dict[str, _Made]:
    """Disclose to these operators, unless what stands says the same. Returns: what was disclosed now, by party."""
    obstacles = without_disclosure(of, desk.role) or frozen_already(acts, of) or list(not_over(of, desk.today))
    if not obstacles:
        cycles = [side.dates(of, desk.calendars) for side in sides]
        obstacles = list(outside(STEPS[Step.DISCLOSE], days_of(until, cycles, of), desk.today))
    before = states.last_before(acts, of)
    previous = "" if before is None else before.text
    made, written = {}, []
    async with desk.reading() as reader:
        cut = await read_cut(reader)
        window = desk.window(of, cut=cut, previous=states.previous_cut(acts, of))
        obstacles += without_contract(await read_statement(reader, window), sides, incoming=True)
        who = admit("disclose", obstacles, person)
        for side in sides:
            found = await _read(desk, reader, window, side.party, desk.now_us, directory)
            stands = states.exchange(acts, of.text, side.party).disclosed
            if stands is None or facts.disclosed(stands).rows_digest != found.rows_digest:
                key_id, signature = await desk.sign_invoice(to_sign(found.content))
                told = Disclosed(
                    cut=facts.sorted_cut(cut.heights),
                    previous=previous,
                    signature=Signature(digest(found.content), key_id, signature),
                    rows=found.rows,
                    rows_digest=found.rows_digest,
                )
                turn = 0 if stands is None else stands.turn + 1
                content = facts.encode_facts(told)
                written.append(
                    _act(desk, of, side.party, ActKind.DISCLOSED, who, turn=turn, content=content, yen=found.net_yen)
                )
                made[side.party] = found
    if written:
        await desk.write(written, seen=of_period(acts, of.text), of=of.text)
    return made


async def _read(
    desk: Desk, reader: SettlementReader, window: Window, party: str, made_us: int, directory: Path
) -> _Made:
    """A disclosure as the ledger gives it."""
    file = directory.joinpath(f"{party}.rows")
    with file.open("wb") as spool:
        made = await make_disclosure(
            reader,
            window,
            party=party,
            issuer=desk.centre,
            role=desk.role,
            environment=desk.environment,
            made_us=made_us,
            spool=spool,
        )
    return _Made(encode_disclosure(made), made.net.due_yen, made.rows, made.rows_digest, file)


async def made_again(
    desk: Desk, reader: SettlementReader, of: Period, acts: Acts, act: Act, directory: Path
) -> tuple[bytes, Path]:
    """The bytes of a disclosure and the file of its rows, made again from the ledger at its cut.

    Raises: DisclosureContradicted; StoreError, SettlementError.
    """
    said = facts.disclosed(act)
    previous = states.cut(acts, said.previous) if said.previous else None
    window = desk.window(of, cut=Cut(said.cut), previous=previous)
    found = await _read(desk, reader, window, act.party, act.at_us, directory)
    if digest(found.content) != said.signature.digest:
        raise DisclosureContradicted(act.party, of.text)
    return found.content, found.file


def name_of(act: Act) -> str:
    """What the files of a disclosure are called, without their ends."""
    return f"disclosure-{act.period}-{act.party}" + (f"-{act.turn + 1}" if act.turn else "")


async def _documents(desk: Desk, of: Period, acts: Acts, act: Act, made: _Made | None, directory: Path) -> None:
    """The documents of a disclosure that stands, put where they are missing; made again where it was not made now."""
    name = name_of(act)
    shelf = await open_shelf(desk, of.text, act.party)
    if not shelf.has(f"{name}.disclosure"):
        if made is None:
            async with desk.reading() as reader:
                content, file = await made_again(desk, reader, of, acts, act, directory)
        else:
            content, file = made.content, made.file
        await shelf.put_file(f"{name}.rows", MEDIA, file, made_us=act.at_us)
        disclosure = decode_disclosure(content)
        with file.open("rb") as rows:
            for paper in disclosure_papers(disclosure, read_rows(rows, disclosure), names=desk.names, number=name):
                await shelf.put(paper, made_us=act.at_us)
        signature = facts.disclosed(act).signature
        signed = encode_signed(SignedDisclosure(content, signature.key_id, signature.signature))
        await shelf.put(Paper(name=f"{name}.disclosure", media=MEDIA, data=signed), made_us=act.at_us)
    await shelf.write_files()


def _act(
    desk: Desk, of: Period, party: str, kind: ActKind, who: Person, *, turn: int, content: bytes, yen: int = 0
) -> Act:
    return Act(
        kind=int(kind),
        contract="",
        claim="",
        period=of.text,
        party=party,
        turn=turn,
        day=str(desk.today),
        by=who.by,
        second=who.second,
        ground=who.ground,
        yen=yen,
        at_us=desk.now_us,
        facts=content,
    )
