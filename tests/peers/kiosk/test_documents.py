"""Whatever is wrong with a document, no money is taken, the user is told neutrally, and the fault is told."""

import msgspec
import pytest
import trio

from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import Trouble
from protocol.document import session_digest
from protocol.issuance import Authenticate, Authenticated, Ground
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from tests.peers.kiosk.fakes import OTHER_TOWN, PIN, TOWN, Centre, FakeCard, Place, Town, up_to_pay

pytestmark = pytest.mark.trio
WHO = bytes(16)
DAY_US = 86_400_000_000


async def up_to_menu(kiosk) -> None:
    await kiosk.begin()
    await kiosk.insert_card("card")
    await kiosk.enter_pin(PIN)
    await kiosk.choose_municipality(TOWN)


async def refused(place: Place, reason: str) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.DOCUMENT_REFUSED)
    assert not place.slot.held
    assert not place.stack.papers
    assert kiosk._sitting.keys is None
    assert place.centre.faults == [f"document-{reason}"]
    await kiosk.settling.deliver()
    assert not place.centre.told(Operation.COMPLETE) + place.centre.told(Operation.VOID)
    assert len(place.centre.told(Operation.ERASE)) == 1


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("application", bytes(16)),
        ("session", bytes(32)),
        ("statement", bytes(32)),
        ("municipality", OTHER_TOWN),
        ("kind", "inkan"),
        ("options", 1),
        ("copies", 1),
        ("kit", "kit-retired"),
        ("version", 2),
    ],
)
async def test_a_manifest_of_something_else_is_refused(place, town, fact, value) -> None:
    place.centre.make = lambda *args, **facts: town.make(*args, **facts, **{fact: value})
    await refused(place, "manifest-binding")


async def test_a_manifest_signed_by_another_municipality_is_refused(place, tmp_path, town) -> None:
    other = Town(tmp_path, OTHER_TOWN)
    place.centre.make = other.make
    await refused(place, "manifest-signature")


@pytest.mark.parametrize("at_us", [-DAY_US, DAY_US])
async def test_an_old_or_future_manifest_is_refused(place, town, at_us) -> None:
    def make(*args, **facts):
        facts["at_us"] += at_us
        return town.make(*args, **facts)

    place.centre.make = make
    await refused(place, "manifest-time")


async def test_an_old_document_of_the_same_person_played_again_is_refused(place, town) -> None:
    first = place.kiosk()
    await up_to_pay(first)
    [old] = place.centre.documents.values()
    await first.leave()
    place.centre.make = lambda *_, **__: old
    place.centre.events.clear()
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    assert (kiosk.state, place.centre.faults) == (State.REFUSED, ["document-manifest-binding"])


async def test_the_documents_of_two_kiosks_swapped_are_both_refused(tmp_path, centre) -> None:
    places = [Place(tmp_path, centre, name=name, cards={"card": FakeCard(name)}) for name in ("kiosk-1", "kiosk-2")]
    kiosks = [place.kiosk() for place in places]
    for kiosk in kiosks:
        await kiosk.begin()
        await kiosk.insert_card("card")
        await kiosk.enter_pin(PIN)
        await kiosk.choose_municipality(TOWN)
        await kiosk.choose_kind("juminhyo")
        await kiosk.choose_options(options=0, copies=1)
    document = centre.document
    made = []

    def swap(asked):
        answer = document(asked)
        made.append(asked.application)
        if len(made) == 2:
            a, b = made
            centre.documents[a], centre.documents[b] = centre.documents[b], centre.documents[a]
        return answer

    centre.document = swap
    asked = trio.Event()
    part = centre.call

    async def call(operation, body, *, request_id=None):
        answer = await part(operation, body, request_id=request_id)
        if operation == Operation.DOCUMENT:  # both are made before either fetches
            if len(made) == 2:
                asked.set()
            await asked.wait()
        return answer

    centre.call = call
    async with trio.open_nursery() as nursery:
        for kiosk in kiosks:
            nursery.start_soon(kiosk.agree)
    assert [kiosk.view.trouble for kiosk in kiosks] == [Trouble.DOCUMENT_REFUSED] * 2
    assert centre.faults == ["document-seal"] * 2
    assert not places[0].slot.held
    assert not places[1].slot.held


async def test_a_document_sealed_to_another_session_is_refused(place, town) -> None:
    """A relay that put its own key in place of the kiosk's could open it; the kiosk cannot."""
    other = place.kiosk()
    await other.begin()
    session = other._sitting.session
    await other.leave()

    def make(statement, mine, **facts):
        return town.make(statement, session, **facts, session=session_digest(mine))

    place.centre.make = make
    await refused(place, "seal")


async def test_a_foreign_page_in_the_middle_is_refused(place, town) -> None:
    def make(statement, session, *, pseudonym, **facts):
        foreign = town.codes(statement, pseudonym=WHO, serial="00009999", pages=3, at_us=facts["at_us"])
        facts["pages"] = 3
        return town.make(
            statement, session, pseudonym=pseudonym, **facts, change=lambda codes: [codes[0], foreign[1], codes[2]]
        )

    place.centre.make = make
    await refused(place, "pages")


@pytest.mark.parametrize(
    "change", [lambda codes: codes[:-1], lambda codes: codes[::-1], lambda codes: [*codes, codes[0]]]
)
async def test_pages_that_are_missing_turned_round_or_too_many_are_refused(place, town, change) -> None:
    place.centre.make = lambda *args, **facts: town.make(*args, **facts, change=change)
    await refused(place, "pages")


async def test_a_page_signed_by_somebody_else_is_refused(place, tmp_path, town) -> None:
    other = Town(tmp_path, OTHER_TOWN)
    own = town.codes
    town.codes = lambda *args, **facts: [
        code[:3] + theirs[3:67] + code[67:]
        for code, theirs in zip(own(*args, **facts), other.codes(*args, **facts), strict=True)
    ]
    try:
        await refused(place, "page-signature")
    finally:
        town.codes = own


async def test_a_ciphertext_that_was_changed_on_the_way_is_refused(place, centre) -> None:
    part = centre.part

    def changed(asked):
        outcome, data = part(asked)
        return outcome, data[:-1] + bytes([data[-1] ^ 1])

    centre.part = changed
    await refused(place, "seal")


async def test_what_is_no_longer_right_before_printing_gives_the_money_back(place, centre) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)

    sitting = kiosk._sitting
    sitting.document = msgspec.structs.replace(sitting.document, pdf=sitting.document.pdf + b" ")
    await kiosk.pay()
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUNDED, Trouble.DOCUMENT_REFUSED_PAID)
    assert sum(place.slot.held.values()) == 0
    assert not place.stack.papers
    await kiosk.settling.deliver()
    [void] = centre.told(Operation.VOID)
    assert void.ground == Ground.DOCUMENT_REFUSED


async def test_a_person_of_another_municipality_is_not_served_by_this_ones_key(tmp_path, town) -> None:
    other = Town(tmp_path, OTHER_TOWN)
    centre = Centre(town, other)
    place = Place(tmp_path, centre)
    centre.make = lambda statement, session, **facts: town.make(statement, session, **facts)
    kiosk = place.kiosk()
    await up_to_pay(kiosk, town=OTHER_TOWN)
    assert centre.faults == ["document-manifest-signature"]


@pytest.mark.parametrize("serial", ["../../etc/passwd", "a*", "", "x" * 41])
async def test_an_issue_number_that_cannot_name_paper_is_refused(place, town, serial) -> None:
    place.centre.make = lambda *args, **facts: town.make(*args, **facts, serial=serial)
    await refused(place, "manifest-serial")


@pytest.mark.parametrize("size", [0, -1, 1 << 40])
async def test_a_size_that_no_document_has_is_refused(place, town, size) -> None:
    def make(*args, **facts):
        issued, sealed = town.make(*args, **facts)
        return msgspec.structs.replace(issued, size=size), sealed

    place.centre.make = make
    await refused(place, "seal")


async def test_a_menu_of_another_municipality_and_an_id_used_before_are_no_answers(place, centre) -> None:
    kiosk = place.kiosk()
    menu = centre.menu
    centre.menu = lambda asked: msgspec.structs.replace(menu(asked), municipality=OTHER_TOWN)
    await up_to_menu(kiosk)
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.RELAY_AWAY)
    centre.menu = menu
    await kiosk.acknowledge()
    [used] = centre.sessions
    answer = centre.answer
    centre.answer = lambda asked: (
        (Outcome.AUTHENTICATED, encode(Authenticated(used, place.now_us + 10**8)))
        if isinstance(asked, Authenticate)
        else answer(asked)
    )
    await up_to_menu(kiosk)
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.RELAY_AWAY)
    assert centre.faults == ["answer-unreadable"] * 2
