"""What must hold of a certificate service whatever was killed: `wrongs` names, a sentence each, what does not. Pure.

Never another person's document; no completion lost, none told twice; nobody charged but for paper they hold; nothing
paid without an outcome or somebody's worklist; every party's account the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from gateway.peers.kiosk.tray import GOOD, PARTIAL
from protocol.application import Transition
from protocol.ledger import CertificateEntry, EntryKind
from tests.service.evidence import COMMISSION, FEE, Evidence, Paper, Person

NAME = "氏名"
ADDRESS = "住所"
ALLOWED_INCIDENTS = frozenset({"late", "duplicate"})
"""A reply that came late or twice was dropped, and a person is told; every other kind would be a wrong document."""
MONEY = frozenset({Transition.COMPLETED, Transition.VOIDED})


def wrongs(evidence: Evidence) -> list[str]:
    """Everything that does not hold; [] when all does."""
    return [
        *_papers(evidence),
        *_one_document_each(evidence),
        *_completions(evidence),
        *_charges(evidence),
        *_day_lines(evidence),
        *_nothing_forgotten(evidence),
        *_municipalities(evidence),
        *_rest(evidence),
    ]


def _papers(evidence: Evidence) -> Iterator[str]:
    """Every good paper is accepted, and of the person of the very card."""
    for paper in evidence.papers:
        if paper.word == PARTIAL:
            yield f"{paper.kiosk} {paper.stem}: an unfinished paper lies in the tray"
        if paper.word != GOOD:
            continue
        where = f"{paper.kiosk} {paper.stem}-{paper.copy}"
        for finding in paper.findings:
            yield f"{where}: {finding}"
        if not paper.pages:
            yield f"{where}: no page is proven"
            continue
        municipality, serial = evidence.begun.get(paper.pages[0].application, ("", ""))
        person = evidence.persons.get((municipality, serial))
        if person is None:
            yield f"{where}: of an application that nobody saw begin"
        elif not _shows(paper, municipality, person):
            yield f"{where}: another person's document"


def _shows(paper: Paper, municipality: str, person: Person) -> bool:
    fields = [field for page in paper.pages for field in page.fields]
    names = {field.text for field in fields if field.label == NAME}
    addresses = {field.text for field in fields if field.label == ADDRESS}
    return (
        all(page.municipality == municipality for page in paper.pages)
        and paper.stem == f"{municipality}-{paper.pages[0].serial}"
        and person.name in names
        and names <= person.household
        and addresses == {person.address}
    )


def _one_document_each(evidence: Evidence) -> Iterator[str]:
    """A pseudonym is one card's and a card's one pseudonym; an application's paper lies in one tray under one stem."""
    cards: dict[tuple[str, bytes], set[str]] = defaultdict(set)
    pseudonyms: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    places: dict[bytes, set[tuple[str, str]]] = defaultdict(set)
    for paper in evidence.papers:
        for page in paper.pages:
            serial = evidence.begun.get(page.application, ("", ""))[1]
            cards[page.municipality, page.pseudonym].add(serial)
            pseudonyms[page.municipality, serial].add(page.pseudonym)
            places[page.application].add((paper.kiosk, paper.stem))
    if any(len(found) > 1 for found in cards.values()):
        yield "a pseudonym stands for two cards"
    if any(len(found) > 1 for found in pseudonyms.values()):
        yield "a card has two pseudonyms at one municipality"
    for application, found in places.items():
        if len(found) > 1:
            yield f"{application.hex()}: paper in {len(found)} places"


def printed(evidence: Evidence) -> set[bytes]:
    """Applications of which every copy lies good in the tray of the kiosk that took the money, and is paid."""
    copies = Counter((paper.kiosk, paper.stem) for paper in evidence.papers if paper.word == GOOD)
    return {
        application
        for application, dealing in evidence.dealings.items()
        if dealing.held_yen and copies[dealing.kiosk, dealing.trail.stem] == dealing.trail.copies
    }


def _money(evidence: Evidence) -> dict[bytes, list[CertificateEntry]]:
    found: dict[bytes, list[CertificateEntry]] = defaultdict(list)
    for entry in evidence.entries:
        if entry.delivery is not None and entry.delivery.transition in MONEY and entry.kind == EntryKind.FIRST:
            found[entry.delivery.application].append(entry)
    return found


def _completions(evidence: Evidence) -> Iterator[str]:
    """Paid and printed whole: completed, once. Otherwise: not, or void; and nobody keeps a void certificate."""
    whole = printed(evidence)
    good = {(paper.kiosk, paper.stem) for paper in evidence.papers if paper.word == GOOD}
    money = _money(evidence)
    for application in evidence.dealings.keys() | money.keys():
        transitions = sorted(entry.delivery.transition for entry in money[application] if entry.delivery)
        name = application.hex()
        if application in whole:
            if transitions != [Transition.COMPLETED]:
                yield f"{name}: printed and paid, but the ledger has {transitions}"
            continue
        if Transition.COMPLETED in transitions and Transition.VOIDED not in transitions:
            yield f"{name}: completed, but not printed and paid"
        if len(transitions) != len(set(transitions)):
            yield f"{name}: {transitions} in the ledger"
        dealing = evidence.dealings.get(application)
        if dealing is None:
            yield f"{name}: no kiosk knows of {transitions}"
        elif (dealing.kiosk, dealing.trail.stem) in good and dealing.trail.stem:
            yield f"{name}: good paper that is not paid, or not of every copy"


def _charges(evidence: Evidence) -> Iterator[str]:
    """An application's entries of every kind together: fee and commission of each copy, or nothing."""
    whole = printed(evidence)
    yen: Counter[bytes] = Counter()
    commission: Counter[bytes] = Counter()
    for entry in evidence.entries:
        if entry.delivery is None:
            if entry.yen or entry.commission:
                yield "a charge without an application"
            continue
        yen[entry.delivery.application] += entry.yen
        commission[entry.delivery.application] += entry.commission
    for application in yen.keys() | evidence.dealings.keys():
        dealing = evidence.dealings.get(application)
        copies = dealing.trail.copies if dealing is not None and application in whole else 0
        if (yen[application], commission[application]) != (copies * FEE, copies * COMMISSION):
            yield f"{application.hex()}: {copies} copies, charged {yen[application]} and {commission[application]}"
        if dealing is not None and dealing.held_yen != copies * FEE:
            yield f"{application.hex()}: {copies} copies, and the coin slot keeps {dealing.held_yen}"


def _day_lines(evidence: Evidence) -> Iterator[str]:
    """What the relay books for its stores (取扱い実績) is what the ledger has of each application."""
    copies: Counter[bytes] = Counter()
    yen: Counter[bytes] = Counter()
    for application, entries in _money(evidence).items():
        copies[application] += sum(entry.delivery.copies for entry in entries if entry.delivery)
        yen[application] += sum(entry.yen for entry in entries)
    for application in copies.keys() | evidence.booked.keys():
        booked = evidence.booked.get(application, (0, 0))
        if booked != (copies[application], yen[application]):
            yield f"{application.hex()}: the relay booked {booked}, the ledger {copies[application], yen[application]}"


def _nothing_forgotten(evidence: Evidence) -> Iterator[str]:
    """Whatever was paid has an outcome or is on the worklist; whatever was opened was erased, attested, once."""
    money = _money(evidence)
    erased = Counter(
        entry.delivery.application
        for entry in evidence.entries
        if entry.delivery and entry.delivery.transition == Transition.ERASED and entry.kind == EntryKind.FIRST
    )
    for application, dealing in evidence.dealings.items():
        paid = dealing.trail.paid_at_us is not None or dealing.held_yen
        if paid and not money[application] and application not in evidence.worklist:
            yield f"{application.hex()}: paid and forgotten"
        if application and erased[application] != 1:
            yield f"{application.hex()}: erased {erased[application]} times"


def _municipalities(evidence: Evidence) -> Iterator[str]:
    """A municipality's list is the ledger's, entry by entry."""
    ledger: dict[str, Counter[tuple[bytes, int, int, int, str]]] = defaultdict(Counter)
    for application, entries in _money(evidence).items():
        municipality = evidence.begun.get(application, ("nobody", ""))[0]
        for entry in entries:
            if entry.delivery is not None:
                said = entry.delivery
                ledger[municipality][application, said.transition, said.copies, entry.yen, entry.matter] += 1
    for municipality, reports in evidence.noted.items():
        numbers = [report.number for report in reports]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{municipality}: numbers of reports have a gap"
        listed = Counter((each.application, each.transition, each.copies, each.yen, each.kind) for each in reports)
        if listed != ledger[municipality]:
            yield f"{municipality}: its list is not the ledger's"
    if ledger.keys() - evidence.noted.keys():
        yield "an entry of an application that nobody saw begin"


def _rest(evidence: Evidence) -> Iterator[str]:
    for kind, count in evidence.incidents.items():
        if kind not in ALLOWED_INCIDENTS:
            yield f"{count} incidents: {kind}"
    yield from (f"an incident at municipality {each}" for each in evidence.town_incidents)
    yield from (f"not delivered: {each}" for each in evidence.waiting)
    yield from (f"refused by the centre: {each}" for each in evidence.refused)
    for notice, count in evidence.notices.items():
        if "document-" in notice or "notice-" in notice or "differs" in notice or "unknown" in notice:
            yield f"{count} notices: {notice}"
