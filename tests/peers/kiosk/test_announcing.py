"""What stops is on the first screen from the centre's menus, and nobody is invited to a service that is stopped."""

import msgspec
import pytest

from gateway.peers.kiosk.announcing import PER_LOOK, SHOWN_MAX, Announcements, Standing, heard
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import Trouble
from protocol.certificates import Kind
from protocol.issuance import KioskFact, Menu, Offer
from protocol.messages import Operation, Refusal, encode
from protocol.outcomes import Outcome
from tests.peers.kiosk.fakes import OTHER_TOWN, TOWN, Centre, Place, Town, up_to_pay

CENTRE_STOP = (
    "証明書交付センター: 2026-12-01 01:00から05:00まで休止(保守)",
    "The certificate centre stops (maintenance)",
)
TOWN_STOP = ("見本市: 2026-12-02 休止", "Sample City 2026-12-02: closed")


def offer(closed: int = 0) -> Offer:
    return Offer(Kind.RESIDENT, 300, 5, 7, closed, "6:30から23:00", "6:30 to 23:00")


def menu(*offers: Offer, lines: tuple[tuple[str, str], ...] = (), code: str = TOWN) -> Menu:
    ja, en = ("\n".join(line[n] for line in lines) for n in (0, 1))
    return Menu(code, "見本市", "Sample City", list(offers), ja, en)


class Says(Centre):
    """A centre whose menus are given, by municipality: a menu, or an outcome with a refusal."""

    def __init__(self, *towns: Town) -> None:
        super().__init__(*towns)
        self.menus: dict[str, Menu | tuple[int, Refusal]] = {}

    async def call(self, operation: int, body: bytes, *, request_id: bytes | None = None) -> tuple[int, bytes]:
        if operation == Operation.MENU and self.connected:
            said = self.menus.get(msgspec.msgpack.decode(body)[0], menu(offer()))
            return (Outcome.MENU, encode(said)) if isinstance(said, Menu) else (said[0], encode(said[1]))
        return await super().call(operation, body, request_id=request_id)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Town:
    return Town(tmp_path_factory.mktemp("other"), OTHER_TOWN)


@pytest.fixture
def says(town, other) -> Says:
    return Says(town, other)


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        (menu(offer(), offer(Outcome.SUSPENDED)), Standing.OPEN),
        (menu(offer(Outcome.MUNICIPALITY_CLOSED)), Standing.CLOSED),
        (menu(), Standing.CLOSED),
        (menu(offer(Outcome.SUSPENDED), offer(Outcome.OUTSIDE_HOURS)), Standing.CENTRE_CLOSED),
        ((Outcome.SUSPENDED, Refusal()), Standing.CENTRE_CLOSED),
        ((Outcome.SUSPENDED, Refusal("party")), Standing.CLOSED),
        ((Outcome.NOT_PARTICIPATING, Refusal("municipality")), Standing.CLOSED),
        ((Outcome.CARD_NOT_USABLE, Refusal("card_type")), None),
        ((Outcome.BUSY, Refusal()), None),
    ],
)
def test_an_answer_says_how_far_the_service_is_open_or_nothing(said, standing) -> None:
    found = heard(Outcome.MENU, encode(said)) if isinstance(said, Menu) else heard(said[0], encode(said[1]))
    assert (found and found.standing) == standing


def test_an_answer_that_cannot_be_read_says_nothing() -> None:
    assert heard(Outcome.MENU, b"\xc1") is None
    assert heard(Outcome.SUSPENDED, b"\x93\x01") is None


@pytest.mark.trio
async def test_stops_of_the_centre_and_of_a_municipality_are_shown_once_in_both_languages(says) -> None:
    says.menus = {
        TOWN: menu(offer(), lines=(CENTRE_STOP, TOWN_STOP)),
        OTHER_TOWN: menu(offer(), lines=(CENTRE_STOP,), code=OTHER_TOWN),
    }
    told = Announcements(says, [TOWN, OTHER_TOWN])
    assert (told.lines, told.stopped, told.revision) == ([], False, 0)
    await told.look()
    assert (told.lines, told.stopped, told.revision) == ([CENTRE_STOP, TOWN_STOP], False, 1)
    await told.look()
    assert told.revision == 1
    says.menus = {}
    await told.look()
    assert (told.lines, told.revision) == ([], 2)


@pytest.mark.trio
async def test_while_everything_is_stopped_the_kiosk_begins_with_nobody_and_says_nothing_of_why(tmp_path, says) -> None:
    place = Place(tmp_path, says)
    kiosk = place.kiosk()
    for menus in (
        {TOWN: menu(offer(Outcome.OUTSIDE_HOURS)), OTHER_TOWN: menu(offer(Outcome.OUTSIDE_HOURS))},
        {TOWN: (Outcome.SUSPENDED, Refusal()), OTHER_TOWN: (Outcome.SUSPENDED, Refusal())},
        {TOWN: menu(offer(Outcome.MUNICIPALITY_CLOSED)), OTHER_TOWN: (Outcome.NOT_PARTICIPATING, Refusal())},
    ):
        says.menus = menus
        await kiosk.announcements.look()
        assert kiosk.announcements.stopped
        await kiosk.begin()
        assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.STOPPED)
        await kiosk.acknowledge()
    assert not says.sessions
    assert says.facts[-1] == KioskFact.IDLE
    says.menus = {}
    await kiosk.announcements.look()
    assert not kiosk.announcements.stopped
    await up_to_pay(kiosk)
    assert kiosk.state is State.PAY


@pytest.mark.trio
async def test_one_municipality_that_stops_stops_no_other(tmp_path, says) -> None:
    kiosk = Place(tmp_path, says).kiosk()
    says.menus = {TOWN: menu(offer(Outcome.MUNICIPALITY_CLOSED), lines=(TOWN_STOP,))}
    await kiosk.announcements.look()
    assert kiosk.announcements.lines == [TOWN_STOP]
    await kiosk.begin()
    assert kiosk.state is State.CARD


@pytest.mark.trio
async def test_what_was_heard_stays_while_the_relay_is_away_and_one_look_asks_for_a_few(says) -> None:
    codes = [f"{n:06d}" for n in range(PER_LOOK + 2)]
    says.menus = {code: menu(offer(), lines=((f"{code} 休止", f"{code} closed"),), code=code) for code in codes}
    told = Announcements(says, codes)
    await told.look()
    assert len(told.lines) == SHOWN_MAX
    assert len(told._heard) == PER_LOOK
    before = told.lines
    says.connected = False
    await told.look()
    assert (told.lines, told.revision) == (before, 1)
    says.connected = True
    await told.look()
    assert len(told._heard) == len(codes)
