"""Many kiosks in one process, driven at a rate: for load and for chaos.

Each has its own certificate, line, journal, coin slot and card; its paper is kept in memory, so every sheet that comes
out is held against the card that was put in. What is counted is what the users of real kiosks would see.

The right person, as far as a kiosk's paper shows: the codes on the printed page name one pseudonym, a card has one
pseudonym at a municipality, two cards never share one, and the name on the page is the one expected of the card, where
the caller says which (`names`). Source: DOMAIN 2.12; DESIGN 14.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import trio
from msgspec.structs import replace

from certs.material import TlsMaterial
from gateway.line.dial import open_line
from gateway.peers.kiosk.cards import HeldReader
from gateway.peers.kiosk.coins import SimulatedCoinSlot
from gateway.peers.kiosk.errors import DocumentRefused
from gateway.peers.kiosk.journal import Journal
from gateway.peers.kiosk.link import RelayLink
from gateway.peers.kiosk.machine import Devices, Kiosk
from gateway.peers.kiosk.reading import read_codes
from gateway.peers.kiosk.running import now_us
from gateway.peers.kiosk.setup import COINS, JOURNAL, open_kiosk
from gateway.peers.kiosk.stack import Stack
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.visit import Seen, Wish, visit
from protocol.document import PageStatement, read_page_code

NAME_LABEL: Final = "氏名"
OPEN_S: Final = 20.0


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One kiosk of a fleet with its paper."""

    kiosk: Kiosk
    stack: Stack
    slot: SimulatedCoinSlot
    link: RelayLink
    reader: HeldReader


class Driven(msgspec.Struct, kw_only=True):
    """What came of it.

    ends: sittings by their state and trouble ("receipt", "refused/401" ...). applied_us: each sitting's time from
    applying until the sealed document was there. papers: sheets of which the codes were read again after printing.
    wrong: what must stay empty, a sentence each, without personal data. late: sittings that no kiosk was free for.
    """

    ends: Counter[str] = msgspec.field(default_factory=Counter)
    applied_us: list[int] = msgspec.field(default_factory=list)
    copies: int = 0
    yen: int = 0
    papers: int = 0
    late: int = 0
    wrong: list[str] = msgspec.field(default_factory=list)

    @property
    def delivered(self) -> int:
        """Sittings that ended with paper."""
        return self.ends[str(State.RECEIPT)]

    def percentile_us(self, percent: float) -> int:
        """Of applied_us; 0 when there is none."""
        ordered = sorted(self.applied_us)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0


class Witness:
    """Holds printed paper against the cards it was printed for."""

    def __init__(self, names: Mapping[tuple[str, str], str] | None = None) -> None:
        """names: what 氏名 must read, by municipality and card."""
        self._names = names or {}
        self._pseudonyms: dict[tuple[str, str], bytes] = {}
        self._owners: dict[tuple[str, bytes], str] = {}
        self._applications: set[bytes] = set()

    def judge(self, seen: Seen, pages: Sequence[PageStatement]) -> list[str]:
        """What is wrong with paper that says these pages; [] when nothing is."""
        code, card = seen.wish.municipality, seen.wish.card
        wrong = []
        if not pages or [page.page for page in pages] != list(range(1, pages[0].pages + 1)):
            return [f"{card}: pages are missing or out of order"]
        first = pages[0]
        if len({(page.application, page.pseudonym, page.serial) for page in pages}) != 1:
            wrong.append(f"{card}: pages of more than one document")
        if (first.municipality, first.kind) != (code, seen.wish.kind):
            wrong.append(f"{card}: another municipality's or another kind")
        if first.application in self._applications:
            wrong.append(f"{card}: a document that was printed before")
        self._applications.add(first.application)
        if self._pseudonyms.setdefault((code, card), first.pseudonym) != first.pseudonym:
            wrong.append(f"{card}: another person's pseudonym")
        if self._owners.setdefault((code, first.pseudonym), card) != card:
            wrong.append(f"{card}: the pseudonym of another card")
        expected = self._names.get((code, card))
        printed = {field.text for field in first.fields if field.label == NAME_LABEL}
        if expected is not None and expected not in printed:
            wrong.append(f"{card}: another person's name")
        return wrong


@asynccontextmanager
async def fleet_of(
    directories: Sequence[Path], *, relay_port: int | None = None, durable: bool = False
) -> AsyncIterator[list[Member]]:
    """The kiosks of these directories, each with a line that stands, while the block runs.

    durable: fsync their journals; without it a load test measures the centre and not this machine's disk.
    Raises: SetupIncomplete, CertsError.
    """
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        members = []
        readers: dict[Path, HeldReader] = {}
        for directory in directories:
            opened = open_kiosk(directory)
            target = opened.target if relay_port is None else replace(opened.target, port=relay_port)
            material = TlsMaterial(opened.files, now=datetime.now(UTC))
            line = await stack.enter_async_context(
                open_line(target, material=material, trust=opened.relay_trust, sign=opened.sign_line)
            )
            link, paper = RelayLink(line), Stack()
            reader = readers.setdefault(opened.cards.resolve(), HeldReader(opened.cards))
            slot = SimulatedCoinSlot(directory / COINS, durable=durable)
            stack.callback(slot.close)
            kiosk = Kiosk(
                opened.stand,
                relay=link,
                devices=Devices(reader, slot, paper),
                journal=stack.enter_context(Journal(directory / JOURNAL, durable=durable)),
                trusts=opened.trusts,
                kits=frozenset(opened.settings.kits),
                read_pages=read_codes,
                now_us=now_us,
            )
            nursery.start_soon(link.run)
            await kiosk.recover()
            members.append(Member(kiosk=kiosk, stack=paper, slot=slot, link=link, reader=reader))
        for member in members:
            await member.link.wait_open(OPEN_S)
        yield members
        nursery.cancel_scope.cancel()


async def drive(
    kiosks: Sequence[Member],
    wishes: Iterable[Wish],
    *,
    per_s: float | None = None,
    witness: Witness | None = None,
    recheck: bool = True,
    seen: Callable[[Seen], object] = lambda _: None,
) -> Driven:
    """Let users come, `per_s` a second or as soon as a kiosk is free (None), until there are no more wishes.

    A user finds a free kiosk or waits for one; who came later than the rate because of that counts as `late`. recheck:
    read the codes of printed paper again; without it the paper is judged by what the kiosk read when it verified.
    Returns once every sitting has ended and every notice is taken over.
    """
    driven = Driven()
    judge = witness or Witness()
    free, freed = trio.open_memory_channel[Member](len(kiosks))
    for member in kiosks:
        free.send_nowait(member)

    async def sit(member: Member, wish: Wish) -> None:
        one = await visit(member.kiosk, wish)
        seen(one)
        driven.ends["/".join(filter(None, (one.state, one.trouble)))] += 1
        if one.applied_us is not None:
            driven.applied_us.append(one.applied_us)
        if one.state is State.RECEIPT:
            driven.copies += wish.copies
            driven.wrong += judge.judge(one, await printed(member, one) if recheck else one.pages)
            driven.papers += recheck
        member.stack.papers.clear()
        member.stack.receipts.clear()
        nursery.start_soon(member.kiosk.settling.delivered)
        if member.kiosk.state is State.OUT_OF_ORDER:
            await member.kiosk.clear_fault()  # staff are quick here
        await free.send(member)

    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        for number, wish in enumerate(wishes):
            due = began + number / per_s if per_s else began
            await trio.sleep_until(due)
            try:
                member = freed.receive_nowait()
            except trio.WouldBlock:
                driven.late += per_s is not None
                member = await freed.receive()
            nursery.start_soon(sit, member, wish)
    for member in kiosks:
        await member.kiosk.settling.delivered()
    driven.yen = sum(member.slot.total_yen for member in kiosks)
    return driven


async def printed(member: Member, one: Seen) -> list[PageStatement]:
    """What the paper says of itself, read from the paper; [] when it cannot be read or copies are missing."""
    papers = [paper for (stem, _), paper in member.stack.papers.items() if stem == one.stem]
    if len(papers) != one.wish.copies or any(paper.out != paper.pages or paper.void for paper in papers):
        return []
    try:
        codes = [await read_codes(pdf) for pdf in {paper.pdf for paper in papers}]
    except DocumentRefused:
        return []
    return [read_page_code(code)[0] for each in codes for code in each]
