"""The proof over the whole service sees each kind of harm."""

from collections import Counter
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.peers.kiosk.journal import Trail
from gateway.peers.kiosk.tray import GOOD, PARTIAL, VOID
from protocol.application import Transition
from protocol.document import Field, PageStatement
from protocol.issuance import Report
from protocol.ledger import CertificateEntry, Delivery, EntryKind
from tests.service.evidence import COMMISSION, FEE, Dealing, Evidence, Paper, Person
from tests.service.proof import printed, wrongs

TOWN = "121002"
DELIVERED, VOIDED, OTHER = b"d" * 16, b"v" * 16, b"o" * 16
COPIES = 2


def page(application: bytes, *, name: str = "合成 太郎", serial: str = "1") -> PageStatement:
    return PageStatement(
        1, TOWN, "juminhyo", application, b"p" * 16, serial, 1, 1, 1, "key-1",
        [Field("住所", "千葉市見本町1番"), Field("氏名", name)],
    )  # fmt: skip


def paper(copy: int, **changes: object) -> Paper:
    return replace(
        Paper(kiosk="kiosk-1", word=GOOD, stem=f"{TOWN}-1", copy=copy, pages=(page(DELIVERED),)),
        **changes,
    )


def entry(application: bytes, transition: int, copies: int, kind: int = EntryKind.FIRST) -> CertificateEntry:
    return CertificateEntry(
        2, "cvs-dev", "relay-1", bytes(16), bytes(32), 1, "juminhyo", 0, "chiba", 1, kind,
        copies * FEE, copies * COMMISSION, 1, bytes(32), 1, None,
        Delivery(application, transition, copies),
    )  # fmt: skip


def report(number: int, application: bytes, transition: int, copies: int) -> Report:
    return Report(
        number, transition, application, "juminhyo", "cvs-dev", "store-1", copies, copies * FEE, 1, "2026-11-21", 1, 0
    )


def dealing(application: bytes, serial: int, held_yen: int, kiosk: str = "kiosk-1") -> Dealing:
    trail = Trail(
        application=application, opened_at_us=1, stem=f"{TOWN}-{serial}", copies=COPIES, pages=1,
        yen=COPIES * FEE, slip="s", money_at_us=1, paid_at_us=1,
    )  # fmt: skip
    return Dealing(kiosk=kiosk, trail=trail, held_yen=held_yen)


COMPLETED = entry(DELIVERED, Transition.COMPLETED, COPIES)
PERSON = Person(card="chiba-0", name="合成 太郎", household=frozenset({"合成 太郎"}), address="千葉市見本町1番")
SOUND = Evidence(
    persons={(TOWN, "a"): PERSON, (TOWN, "b"): replace(PERSON, card="chiba-1", name="見本 花子")},
    begun={DELIVERED: (TOWN, "a"), VOIDED: (TOWN, "a")},
    papers=(paper(1), paper(2), paper(1, word=VOID, stem=f"{TOWN}-2", pages=())),
    dealings={DELIVERED: dealing(DELIVERED, 1, COPIES * FEE), VOIDED: dealing(VOIDED, 2, 0)},
    entries=(
        COMPLETED,
        entry(VOIDED, Transition.VOIDED, 0),
        entry(DELIVERED, Transition.ERASED, 0),
        entry(VOIDED, Transition.ERASED, 0),
    ),
    worklist=frozenset(),
    booked={DELIVERED: (COPIES, COPIES * FEE)},
    refused=(),
    noted={TOWN: (report(1, DELIVERED, Transition.COMPLETED, COPIES), report(2, VOIDED, Transition.VOIDED, 0))},
    incidents=Counter(late=1),
    town_incidents=(),
    notices=Counter({"kiosk-fault paper-jam": 1}),
    waiting=(),
    ends=Counter(),
)


def with_entries(*added: CertificateEntry, without: CertificateEntry | None = None) -> Evidence:
    return replace(SOUND, entries=(*(each for each in SOUND.entries if each is not without), *added))


def test_what_is_as_it_should_be_passes() -> None:
    assert wrongs(SOUND) == []
    assert printed(SOUND) == {DELIVERED}


HARMS: dict[str, tuple[Callable[[], Evidence], str]] = {
    "another card": (
        lambda: replace(SOUND, begun={**SOUND.begun, DELIVERED: (TOWN, "b")}), "another person's document",
    ),
    "another name": (
        lambda: replace(SOUND, papers=(paper(1, pages=(page(DELIVERED, name="見本 花子"),)), *SOUND.papers[1:])),
        "another person's document",
    ),
    "a forged paper": (
        lambda: replace(SOUND, papers=(paper(1, findings=("shows no code",)), *SOUND.papers[1:])), "shows no code",
    ),
    "a paper of nobody": (lambda: replace(SOUND, begun={VOIDED: (TOWN, "a")}), "nobody saw begin"),
    "two cards, one pseudonym": (
        lambda: replace(
            SOUND,
            begun={**SOUND.begun, OTHER: (TOWN, "b")},
            papers=(*SOUND.papers, paper(1, kiosk="kiosk-2", pages=(page(OTHER),))),
        ),
        "a pseudonym stands for two cards",
    ),
    "paper in two trays": (
        lambda: replace(SOUND, papers=(*SOUND.papers, paper(1, kiosk="kiosk-2"))), "paper in 2 places",
    ),
    "a lost completion": (lambda: with_entries(without=COMPLETED), "printed and paid, but the ledger has []"),
    "a second completion": (lambda: with_entries(COMPLETED), "printed and paid, but the ledger has"),
    "a completion without paper": (lambda: replace(SOUND, papers=SOUND.papers[2:]), "not printed and paid"),
    "good paper after a void": (
        lambda: replace(SOUND, papers=(*SOUND.papers, paper(1, stem=f"{TOWN}-2", pages=(page(VOIDED, serial="2"),)))),
        "good paper that is not paid",
    ),
    "a repeat that costs": (
        lambda: with_entries(entry(DELIVERED, Transition.COMPLETED, COPIES, EntryKind.REPEAT)), "charged 1200",
    ),
    "money kept after a void": (
        lambda: replace(SOUND, dealings={**SOUND.dealings, VOIDED: dealing(VOIDED, 2, FEE)}), "the coin slot keeps",
    ),
    "paid and forgotten": (lambda: with_entries(without=SOUND.entries[1]), "paid and forgotten"),
    "a day line too few": (lambda: replace(SOUND, booked={}), "the relay booked (0, 0)"),
    "a day line too many": (
        lambda: replace(SOUND, booked={**SOUND.booked, VOIDED: (1, FEE)}), "the relay booked (1, 300)",
    ),
    "not erased": (lambda: with_entries(without=SOUND.entries[2]), "erased 0 times"),
    "a gap in a list": (lambda: replace(SOUND, noted={TOWN: SOUND.noted[TOWN][1:]}), "have a gap"),
    "a shorter list": (lambda: replace(SOUND, noted={TOWN: SOUND.noted[TOWN][:1]}), "its list is not the ledger's"),
    "an incident": (lambda: replace(SOUND, incidents=Counter(mismatched=1)), "1 incidents: mismatched"),
    "a town's incident": (lambda: replace(SOUND, town_incidents=("report-gap",)), "report-gap"),
    "a notice that waits": (lambda: replace(SOUND, waiting=("1 notice",)), "not delivered"),
    "a notice refused": (lambda: replace(SOUND, refused=("56 300",)), "refused by the centre"),
    "a wrong document at a kiosk": (
        lambda: replace(SOUND, notices=Counter({"kiosk-fault document-codes": 1})), "document-codes",
    ),
    "unfinished paper": (lambda: replace(SOUND, papers=(*SOUND.papers, paper(3, word=PARTIAL))), "unfinished"),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARMS)
def test_a_harm_is_named(harm: str) -> None:
    harmed, said = HARMS[harm]
    assert any(said in each for each in wrongs(harmed())), wrongs(harmed())


def test_what_is_on_the_worklist_is_not_forgotten() -> None:
    evidence = replace(with_entries(without=SOUND.entries[1]), worklist=frozenset({VOIDED}))
    assert not any("forgotten" in each for each in wrongs(evidence))
