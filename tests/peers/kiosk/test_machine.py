"""A sitting from the card to the paper, and every way it can end before the money."""

import pytest
import trio

from gateway.peers.kiosk import asking
from gateway.peers.kiosk.errors import ChoiceInvalid, OutOfOrder
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import Trouble, trouble_words
from protocol.certificates import Kind, Option
from protocol.issuance import Applied, Complete, Erase, Ground, KioskFact
from protocol.messages import Operation, encode
from protocol.outcomes import CATALOGUE, Outcome
from tests.peers.kiosk import fakes
from tests.peers.kiosk.fakes import PIN, TOWN, up_to_pay

pytestmark = pytest.mark.trio


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


async def test_a_document_of_several_parts_is_put_together_in_their_order(place, centre, monkeypatch) -> None:
    monkeypatch.setattr(asking, "PART_BYTES", 64)
    monkeypatch.setattr(fakes, "PART_BYTES", 64)
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    assert kiosk.state is State.PAY, "the digest of the whole is the manifest's"
    assert kiosk.view.total > 3


async def test_the_table_is_the_order_and_what_it_does_not_know_changes_nothing(place) -> None:
    kiosk = place.kiosk()
    for early in (kiosk.pay, kiosk.agree, kiosk.take_all, kiosk.leave, kiosk.back, kiosk.acknowledge):
        with pytest.raises(OutOfOrder):
            await early()
    with pytest.raises(OutOfOrder):
        await kiosk.enter_pin(PIN)
    assert kiosk.state is State.START


async def test_a_wrong_pin_is_asked_again_and_the_third_locks(place, centre) -> None:
    kiosk = place.kiosk()
    await kiosk.begin()
    await kiosk.insert_card("card")
    for left in (2, 1):
        await kiosk.enter_pin("0000")
        assert (kiosk.state, kiosk.view.trouble, kiosk.view.tries_left) == (State.PIN, Trouble.PIN_WRONG, left)
    await kiosk.enter_pin("0000")
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.PIN_LOCKED)
    await kiosk.acknowledge()
    assert kiosk.state is State.START
    assert not centre.sessions


async def test_a_card_that_cannot_be_read_is_refused(place) -> None:
    kiosk = place.kiosk()
    await kiosk.begin()
    await kiosk.insert_card("bent")
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.CARD_UNREADABLE)


@pytest.mark.parametrize(
    ("operation", "outcome"),
    [
        (Operation.CHALLENGE, Outcome.KIOSK_NOT_REGISTERED),
        (Operation.AUTHENTICATE, Outcome.CARD_TYPE_ENDED),
        (Operation.AUTHENTICATE, Outcome.CARD_EXPIRED),
        (Operation.AUTHENTICATE, Outcome.CARD_UNVERIFIABLE),
        (Operation.MENU, Outcome.NOT_PARTICIPATING),
        (Operation.APPLY, Outcome.OUTSIDE_HOURS),
        (Operation.DOCUMENT, Outcome.NOT_ENTITLED),
        (Operation.DOCUMENT, Outcome.DOCUMENT_WITHHELD),
        (Operation.PART, Outcome.APPLICATION_EXPIRED),
    ],
)
async def test_what_the_centre_refuses_is_shown_in_its_words_and_costs_nothing(
    place, centre, operation, outcome
) -> None:
    kiosk = place.kiosk()
    centre.answers[operation] = outcome
    with_documents = operation in (Operation.APPLY, Operation.DOCUMENT, Operation.PART)
    await kiosk.begin()
    await kiosk.insert_card("card")
    await kiosk.enter_pin(PIN)
    if kiosk.state is State.MUNICIPALITY:
        await kiosk.choose_municipality(TOWN)
    if with_documents:
        await kiosk.choose_kind(Kind.RESIDENT)
        await kiosk.choose_options(options=0, copies=1)
        await kiosk.agree()
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, str(int(outcome)))
    assert CATALOGUE[outcome].ja == trouble_words(kiosk.view.trouble).ja
    assert not place.slot.held
    assert not place.stack.papers
    await kiosk.settling.deliver()
    assert len(centre.told(Operation.ERASE)) == len(centre.sessions)
    assert not centre.told(Operation.COMPLETE) + centre.told(Operation.VOID)


async def test_a_kind_that_is_closed_now_is_refused_as_the_menu_says(place) -> None:
    kiosk = place.kiosk()
    await kiosk.begin()
    await kiosk.insert_card("card")
    await kiosk.enter_pin(PIN)
    await kiosk.choose_municipality(TOWN)
    await kiosk.choose_kind(Kind.INCOME)
    assert kiosk.view.trouble == str(int(Outcome.MUNICIPALITY_CLOSED))


async def test_what_is_not_on_the_screen_cannot_be_chosen(place) -> None:
    kiosk = place.kiosk()
    await kiosk.begin()
    await kiosk.insert_card("card")
    await kiosk.enter_pin(PIN)
    with pytest.raises(ChoiceInvalid):
        await kiosk.choose_municipality("011002")
    await kiosk.choose_municipality(TOWN)
    with pytest.raises(ChoiceInvalid):
        await kiosk.choose_kind(Kind.FAMILY_ALL)
    await kiosk.choose_kind(Kind.SEAL)
    for options, copies in ((1, 1), (-1, 1), (0, 0), (0, 6)):
        with pytest.raises(ChoiceInvalid):
            await kiosk.choose_options(options=options, copies=copies)
    await kiosk.back()
    await kiosk.choose_kind(Kind.RESIDENT)
    await kiosk.choose_options(options=Option.DOMICILE, copies=5)
    await kiosk.back()
    assert kiosk.state is State.OPTIONS


async def test_a_fee_that_changed_since_it_was_agreed_to_ends_the_sitting(place, centre) -> None:
    kiosk = place.kiosk()
    apply = centre.apply
    centre.apply = lambda asked: (apply(asked)[0], encode(Applied(350, asked.statement.copies)))
    await up_to_pay(kiosk)
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.FEE_CHANGED)


async def test_a_relay_that_is_away_is_said_at_once_and_in_between(place, centre) -> None:
    kiosk = place.kiosk()
    centre.connected = False
    await kiosk.begin()
    assert kiosk.view.trouble == Trouble.RELAY_AWAY
    await kiosk.acknowledge()
    centre.connected = True
    centre.away_for = {Operation.PART}
    await up_to_pay(kiosk)
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.RELAY_AWAY)


async def test_a_relay_away_after_the_money_delays_the_notices_alone(place, centre) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    centre.connected = False
    await kiosk.pay()
    assert kiosk.state is State.RECEIPT
    assert await kiosk.settling.deliver() == 2
    centre.connected = True
    assert await kiosk.settling.deliver() == 0
    assert len(centre.told(Operation.COMPLETE)) == len(centre.told(Operation.ERASE)) == 1


async def test_a_payment_that_fails_prints_nothing(place, centre) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    place.slot.fails = True
    await kiosk.pay()
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.PAYMENT_FAILED)
    assert not place.stack.papers
    assert centre.faults == ["payment-failed"]
    await place.kiosk().recover()
    assert not centre.told(Operation.VOID)


@pytest.mark.parametrize("jam", [(1, 1), (1, 2), (2, 1), (2, 2)])
async def test_a_jam_voids_every_copy_and_gives_the_money_back(place, centre, jam) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk, copies=2)
    place.stack.jam = jam
    await kiosk.pay()
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUNDED, Trouble.PAPER_JAM)
    assert sum(place.slot.held.values()) == 0
    assert all(paper.void for paper in place.stack.papers.values())
    await kiosk.settling.deliver()
    [void] = centre.told(Operation.VOID)
    assert void.ground == Ground.MISPRINT
    assert not centre.told(Operation.COMPLETE)
    assert centre.faults == ["paper-jam"]
    await kiosk.acknowledge()
    assert kiosk.state is State.OUT_OF_ORDER
    await kiosk.clear_fault()
    assert kiosk.state is State.START
    assert centre.facts[-2:] == [KioskFact.FAULT_CLEARED, KioskFact.IDLE]
    await kiosk.settling.deliver()
    assert len(centre.told(Operation.VOID)) == 1


async def test_silence_ends_the_sitting_and_erases(place, centre) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    sitting = kiosk._sitting
    place.now_us += 59_000_000
    await kiosk.tick()
    assert kiosk.state is State.PAY
    place.now_us += 1_000_000
    await kiosk.tick()
    assert kiosk.state is State.START
    assert (sitting.keys, sitting.document, sitting.card, sitting.pin) == (None, None, None, "")
    await kiosk.settling.deliver()
    assert len(centre.told(Operation.ERASE)) == 1


async def test_a_finished_screen_returns_to_the_start_by_itself(place) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    await kiosk.pay()
    place.now_us += 20_000_000
    await kiosk.tick()
    assert kiosk.state is State.START


async def test_no_money_is_taken_once_the_applications_time_is_over(place) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    place.now_us += 10 * 60 * 10**6
    await kiosk.pay()
    assert (kiosk.state, kiosk.view.trouble) == (State.REFUSED, Trouble.TIME_OVER)
    assert not place.slot.held


async def test_a_user_slow_to_choose_has_the_card_sign_a_new_nonce(place, centre) -> None:
    kiosk = place.kiosk()
    await kiosk.begin()
    await kiosk.insert_card("card")
    await kiosk.enter_pin(PIN)
    place.now_us += 58_000_000
    await kiosk.choose_municipality(TOWN)
    assert kiosk.state is State.MENU
    assert [operation for operation, _ in centre.calls].count(Operation.CHALLENGE) == 2


async def test_a_free_certificate_takes_no_money_and_is_reported(place, centre) -> None:
    centre.fee_yen = 0
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    await kiosk.pay()
    assert kiosk.state is State.RECEIPT
    assert not place.slot.held
    await kiosk.settling.deliver()
    assert len(centre.told(Operation.COMPLETE)) == 1


async def test_keys_are_new_at_every_sitting_and_gone_after_it(place, centre) -> None:
    kiosk = place.kiosk()
    for _ in range(2):
        await up_to_pay(kiosk)
        sitting = kiosk._sitting
        await kiosk.pay()
        assert sitting.keys is None
        assert sitting.document is None
        await kiosk.take_receipt()
        await kiosk.take_all()
    first, second = (asked.session for asked in centre.sessions.values())
    assert first.sign_key != second.sign_key
    assert first.seal_key != second.seal_key


async def test_the_journal_holds_no_personal_data(place) -> None:
    kiosk = place.kiosk()
    await up_to_pay(kiosk)
    pseudonym = kiosk._sitting.manifest.pseudonym
    await kiosk.pay()
    written = (place.directory / "kiosk-1.journal").read_bytes()
    for personal in (b"1234567", b"certificate of card", pseudonym, pseudonym.hex().encode(), "合成".encode()):
        assert personal not in written


async def test_a_step_that_is_cancelled_leaves_the_kiosk_to_staff(place, centre) -> None:
    kiosk = place.kiosk()
    with trio.CancelScope() as scope:
        document = centre.document

        def cancelled(asked: object) -> tuple[int, bytes]:
            scope.cancel()
            return document(asked)

        centre.document = cancelled
        await up_to_pay(kiosk)
    assert kiosk.state is State.OUT_OF_ORDER
    assert kiosk._sitting.keys is None
    await kiosk.clear_fault()
    await kiosk.settling.deliver()
    assert len(centre.told(Operation.ERASE)) == 1
