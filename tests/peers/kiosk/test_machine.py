"""A sitting from the card to the paper, and every way it can end before the money."""

import pytest

from gateway.peers.kiosk.errors import ChoiceInvalid, OutOfOrder
from gateway.peers.kiosk.journal import Act
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import Trouble
from protocol.certificates import Kind
from protocol.issuance import Complete, Erase, KioskFact
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.peers.kiosk.fakes import PIN, TOWN, Centre, Place, Town, up_to_pay


pytestmark = pytest.mark.trio


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def centre(town) -> Centre:
    return Centre(town)


@pytest.fixture
def place(tmp_path, centre) -> Place:
    return Place(tmp_path, centre)


async def test_a_sitting_ends_with_paper_money_receipt_and_notices(place, centre) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk, copies=2)
    assert kiosk.view.state == State.PAY
    assert kiosk.view.yen == 600
    assert not place.stack.papers
    await kiosk.pay()
    assert kiosk.state is State.RECEIPT
    assert sum(place.slot.held.values()) == 600
    assert [(paper.out, paper.pages, paper.void) for paper in place.stack.papers.values()] == [(2, 2, False)] * 2
    [receipt] = place.stack.receipts.values()
    assert "領収書" in receipt
    assert "600 円" in receipt
    await kiosk.take_receipt()
    await kiosk.take_all()
    assert kiosk.state is State.START
    assert await kiosk.settling.deliver() == 0
    [complete] = centre.told(Operation.COMPLETE)
    assert isinstance(complete, Complete)
    assert (complete.copies, complete.store) == (2, "store-1")
    [erase] = centre.told(Operation.ERASE)
    assert isinstance(erase, Erase)
    assert centre.facts == [
        KioskFact.IN_USE,
        KioskFact.DEPOSITED,
        KioskFact.PRINTING,
        KioskFact.PRINTED,
        KioskFact.IDLE,
    ]
