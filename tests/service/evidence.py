"""What a certificate service left behind, collected once everything has stopped: each party's own account.

Residents, trays, coin slots, print journals, what the kiosks' witness noted, the relay's store, the centre's ledger as
bytes, its incidents, the municipalities' lists. tests.service.proof holds them against one another.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from gateway.app.development import TOWNS
from gateway.peers.jpki.cards import SUFFIX, SimulatedCard
from gateway.peers.kiosk.coins import SimulatedCoinSlot
from gateway.peers.kiosk.journal import Journal, Trail
from gateway.peers.kiosk.setup import COINS, JOURNAL, TRAY
from gateway.peers.kiosk.tray import GOOD, PARTIAL, VOID
from gateway.peers.kit.verdict import Standing, verify_file
from gateway.peers.municipality import journal as town_journal
from gateway.peers.municipality import records, reports
from gateway.peers.municipality.setup import opened_municipality
from gateway.peers.relay import outbox, worklist
from gateway.peers.relay.store import open_store
from protocol.document import PageStatement
from protocol.issuance import Report
from protocol.ledger import CertificateEntry
from protocol.trust import Trust, decode_trust
from tests.kit.centre import Made
from tests.kit.ledger_proof import entries_of
from tests.service.kiosks import Told, read_seen

FEE: Final = 300
"""Of a copy, of every kind that tests.service.kiosks asks for, in both towns (deploy/directory.certificate...)."""
COMMISSION: Final = 115
_PAPER: Final = re.compile(rf"({GOOD}|{PARTIAL}|{VOID})-(.+)-(\d+)\.pdf")
_FAR_US: Final = 1 << 60
OWED: Final = (
    "select count(*), municipality from (select municipality from issuance.due union all"
    " select municipality from issuance.report where noted_us is null) owed group by municipality"
)
"""Reports that the centre owes municipalities."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who a card stands for: the name, those who may be printed beside it, the address."""

    card: str
    name: str
    household: frozenset[str]
    address: str


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """One copy in a tray. word: certificate, printing, void. pages: what the codes of a certificate's pages prove."""

    kiosk: str
    word: str
    stem: str
    copy: int
    findings: tuple[str, ...] = ()
    pages: tuple[PageStatement, ...] = ()


class Dealing(msgspec.Struct, frozen=True, kw_only=True):
    """An application as its kiosk has it: the journal's trail, and yen that the coin slot keeps under its slip."""

    kiosk: str
    trail: Trail
    held_yen: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    persons: by municipality and the serial of the card's certificate. begun: the municipality and card serial of each
    application, as witnessed. entries: the ledger's. booked: copies and yen of each application in the relay's day
    lines. noted: reports by municipality. waiting: what had not been delivered or told when everything stopped.
    """

    persons: dict[tuple[str, str], Person]
    begun: dict[bytes, tuple[str, str]]
    papers: tuple[Paper, ...]
    dealings: dict[bytes, Dealing]
    entries: tuple[CertificateEntry, ...]
    worklist: frozenset[bytes]
    booked: dict[bytes, tuple[int, int]]
    refused: tuple[str, ...]
    noted: dict[str, tuple[Report, ...]]
    incidents: Counter[str]
    town_incidents: tuple[str, ...]
    notices: Counter[str]
    waiting: tuple[str, ...]
    ends: Counter[str]


async def collect(data: Path, made: Made) -> Evidence:
    """Read everything of a service that has stopped; made: its centre, with the database server running."""
    trusts = [decode_trust(path.read_bytes()) for path in sorted((data / "trusts").glob("*.bundle"))]
    kiosks = [path for path in sorted((data / "operator" / "kiosks").iterdir()) if (path / JOURNAL).exists()]
    dealings: dict[bytes, Dealing] = {}
    papers: list[Paper] = []
    begun: dict[bytes, tuple[str, str]] = {}
    ends: Counter[str] = Counter()
    for kiosk in kiosks:
        dealings |= _dealings(kiosk)
        papers += _papers(kiosk, trusts)
        for line in read_seen(kiosk):
            if line.told is Told.BEGUN:
                begun[line.application] = (line.municipality, line.serial)
            else:
                ends["/".join(filter(None, (line.state, line.trouble)))] += 1
    waiting = [f"notice {line.number} of a kiosk" for each in dealings.values() for line in each.trail.untold]
    with open_store(data / "operator" / "relay") as store:
        in_doubt = frozenset(bytes.fromhex(each.application) for each in worklist.in_doubt(store, before_us=_FAR_US))
        booked = {
            application: (copies, yen)
            for application, copies, yen in store.rows(
                "SELECT application, sum(copies), sum(yen) FROM lines GROUP BY application"
            )
        }
        refused = tuple(f"{each.operation} {each.outcome}" for each in worklist.refused(store))
        notices = Counter(" ".join(filter(None, row)) for row in store.rows("SELECT kind, code FROM notices"))
        waiting += [f"{outbox.depth(store).held} notices at the relay"] * bool(outbox.depth(store).held)
    persons: dict[tuple[str, str], Person] = {}
    noted: dict[str, tuple[Report, ...]] = {}
    town_incidents: list[str] = []
    for town in TOWNS:
        with opened_municipality(data / "municipalities" / town.code) as opened:
            people = {each.number: each for each in records.residents(opened.store)}
            noted[town.code] = tuple(reports.reports(opened.store))
            town_incidents += [f"{town.code} {each.code}" for each in town_journal.incidents(opened.store)]
        for card in sorted((data / "centre" / "jpki" / "cards").glob(f"{town.party}-*{SUFFIX}")):
            person = people[int(card.name.removesuffix(SUFFIX).rpartition("-")[2])]
            certificate = x509.load_der_x509_certificate(SimulatedCard.load(card).certificate)
            persons[town.code, f"{certificate.serial_number:x}"] = Person(
                card=card.name.removesuffix(SUFFIX),
                name=person.name,
                household=frozenset(each.name for each in people.values() if each.household == person.household),
                address=person.address,
            )
    trust = decode_trust((data / "centre" / "trust.bundle").read_bytes())
    entries = (await entries_of(made, trust, closed=True)).values()
    waiting += [f"{row[0]} reports of {row[1]}" for row in await made.owner(OWED)]
    return Evidence(
        persons=persons,
        begun=begun,
        papers=tuple(papers),
        dealings=dealings,
        entries=tuple(each for each in entries if isinstance(each, CertificateEntry)),
        worklist=in_doubt,
        booked=booked,
        refused=refused,
        noted=noted,
        incidents=Counter(row[0] for row in await made.owner("select kind from issuance.incident")),
        town_incidents=tuple(town_incidents),
        notices=notices,
        waiting=tuple(waiting),
        ends=ends,
    )


def _dealings(kiosk: Path) -> dict[bytes, Dealing]:
    slot = SimulatedCoinSlot(kiosk / COINS)
    try:
        with Journal(kiosk / JOURNAL) as journal:
            return {
                trail.application: Dealing(kiosk=kiosk.name, trail=trail, held_yen=slot.holding(trail.slip))
                for trail in journal.trails.values()
            }
    finally:
        slot.close()


def _papers(kiosk: Path, trusts: list[Trust]) -> list[Paper]:
    """Copies of one document have the same bytes and are judged once."""
    judged: dict[bytes, tuple[tuple[str, ...], tuple[PageStatement, ...]]] = {}
    owners = {town.code: town.party for town in TOWNS}
    found = []
    for path in sorted((kiosk / TRAY).glob("*.pdf")):
        match = _PAPER.fullmatch(path.name)
        if match is None:
            raise ValueError(f"{path.name} is no paper's name")
        word, stem, copy = match.groups()
        pdf = path.read_bytes() if word == GOOD else b""
        if word == GOOD and pdf not in judged:
            verdict = verify_file(pdf, trusts=trusts, owners=owners)
            findings = tuple(finding.en for finding in verdict.findings)
            if verdict.standing is not Standing.ACCEPTED and not findings:
                findings = (str(verdict.standing),)
            judged[pdf] = findings, tuple(page.statement for page in verdict.pages)
        findings, pages = judged[pdf] if word == GOOD else ((), ())
        found.append(Paper(kiosk=kiosk.name, word=word, stem=stem, copy=int(copy), findings=findings, pages=pages))
    return found
