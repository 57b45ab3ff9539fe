"""本人認証 at the centre: whose nonce, whose kiosk, whose card; and what becomes of it."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from certs.errors import CardRevoked, CardUnverifiable
from gateway.directory.participants import CardTerm
from gateway.issuance.nonce import FRESH_US, application_id, make_nonce, nonce_holds
from gateway.issuance.pseudonym import pseudonym
from protocol.certificates import CardType
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.request_id import is_request_id
from tests.issuance.kit import NOW, NOW_US, OTHER, Kiosk, centre_of, directory_of
from tests.kit.sitting import OPERATOR, make_kiosk

KEY = b"k" * 32


class Status:
    """A revocation service that says one thing."""

    def __init__(self, error=None):
        self.error = error
        self.asked = 0

    async def check(self, card):
        """As certs.ocsp.CardStatus."""
        del card
        self.asked += 1
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error


@pytest.mark.guest
async def test_a_nonce_opens_one_application_however_often_and_wherever_it_is_used(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk, answers = Kiosk(centre), []
        body = await kiosk.body()

        async def ask(worker):
            answers.append(await worker.ask(Operation.AUTHENTICATE, body))

        async with trio.open_nursery() as nursery:
            for n in range(6):
                nursery.start_soon(ask, centre.workers[n % 2])
        outcomes = sorted(each.outcome for each in answers)
        assert outcomes == [Outcome.AUTHENTICATED] + [Outcome.NONCE_INVALID] * 5
        assert (await centre.workers[1].ask(Operation.AUTHENTICATE, body)).outcome is Outcome.NONCE_INVALID


@pytest.mark.guest
async def test_a_nonce_is_this_kiosks_and_fresh(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = Kiosk(centre)
        body = await kiosk.body()
        made_up = replace(body, nonce=bytes(40))
        assert (await kiosk.ask(Operation.AUTHENTICATE, made_up)).outcome is Outcome.NONCE_INVALID
        centre.shift_us = FRESH_US
        assert (await kiosk.ask(Operation.AUTHENTICATE, body)).outcome is Outcome.NONCE_INVALID


@pytest.mark.guest
async def test_a_relay_cannot_put_its_own_session_in_the_kiosks_place(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk, relay = Kiosk(centre), Kiosk(centre)
        body = await kiosk.body()
        theirs = replace(body.session, sign_key=relay.sitting.session.sign_key)
        refused = await kiosk.ask(Operation.AUTHENTICATE, replace(body, session=theirs))
        assert refused.outcome is Outcome.SIGNATURE_REFUSED
        assert (await kiosk.ask(Operation.AUTHENTICATE, body)).outcome is Outcome.AUTHENTICATED


@pytest.mark.guest
async def test_another_operators_session_and_kiosk_are_refused(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = Kiosk(centre)
        body = await kiosk.body()
        other = await centre.workers[0].ask(Operation.AUTHENTICATE, body, party=OTHER)
        assert other.outcome is Outcome.FIELD_INVALID
        stranger = make_kiosk(cards.operator, NOW, kiosk="kiosk-2")
        strange = await kiosk.ask(Operation.AUTHENTICATE, await kiosk.body(kiosk=stranger))
        assert strange.outcome is Outcome.KIOSK_NOT_REGISTERED


@pytest.mark.guest
async def test_a_revoked_card_is_refused_for_cause_and_one_in_doubt_for_now(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        status = Status(CardRevoked())
        centre.workers[0].service._authenticator._status = status
        kiosk = Kiosk(centre)
        revoked = await kiosk.authenticate()
        assert (revoked.outcome, revoked.entry.yen) == (Outcome.CARD_REVOKED, 0)
        status.error = CardUnverifiable("away")
        request_id, body = centre.new_id(), await kiosk.body()
        doubtful = await kiosk.ask(Operation.AUTHENTICATE, body, request_id=request_id)
        assert (doubtful.outcome, doubtful.entry) == (Outcome.CARD_UNVERIFIABLE, None)
        status.error = None
        again = await kiosk.ask(Operation.AUTHENTICATE, body, request_id=request_id)
        assert again.outcome is Outcome.AUTHENTICATED


@pytest.mark.guest
async def test_policy_comes_before_the_revocation_service_is_asked(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        status = centre.workers[0].service._authenticator._status = Status()
        kiosk = Kiosk(centre, municipality="131016")
        assert (await kiosk.authenticate()).outcome is Outcome.NOT_PARTICIPATING
        ended = CardTerm(type=CardType.MY_NUMBER_CARD, valid_from=NOW.date().replace(year=2020))
        ended = replace(ended, valid_until=NOW.date().replace(year=2025))
        centre.directory = directory_of(cards, centre.town, card_types=(ended,))
        assert (await Kiosk(centre).authenticate()).outcome is Outcome.CARD_TYPE_ENDED
        assert status.asked == 0


@pytest.mark.guest
async def test_a_session_speaks_for_its_own_application_alone(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        one, two = Kiosk(centre), Kiosk(centre)
        await one.authenticate()
        await two.authenticate()
        two.application, own = one.application, two.application
        assert (await two.apply()).outcome is Outcome.SIGNATURE_REFUSED
        two.application = own
        assert (await two.apply(municipality="131016")).outcome is Outcome.FIELD_INVALID
        assert (await two.apply(asked_at_us=NOW_US - 120_000_000)).outcome is Outcome.FIELD_INVALID
        assert (await two.apply(kind="inkan")).outcome is Outcome.KIND_NOT_OFFERED
        assert (await two.apply()).outcome is Outcome.APPLIED


@pytest.mark.guest
async def test_what_is_kept_of_a_card_is_a_pseudonym_that_differs_by_municipality(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        for _ in range(2):
            await Kiosk(centre).authenticate()
        rows = await centre.workers[0].database.fetch("select distinct pseudonym from issuance.application")
        assert len(rows) == 1
        card = b"card"
        assert pseudonym(KEY, municipality="121002", card=card) != pseudonym(KEY, municipality="131016", card=card)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 39), st.integers(1, 255))
def test_no_bit_of_a_nonce_can_be_changed(random, at, flip):
    nonce = make_nonce(KEY, operator=OPERATOR, kiosk="kiosk-1", now_us=NOW_US, random=random)
    assert nonce_holds(KEY, nonce, operator=OPERATOR, kiosk="kiosk-1", now_us=NOW_US)
    assert is_request_id(application_id(nonce))
    changed = bytearray(nonce)
    changed[at] ^= flip
    assert not nonce_holds(KEY, bytes(changed), operator=OPERATOR, kiosk="kiosk-1", now_us=NOW_US)


def test_a_nonce_belongs_to_one_kiosk_of_one_operator_for_five_minutes():
    nonce = make_nonce(KEY, operator="op", kiosk="a-kiosk", now_us=NOW_US, random=bytes(16))
    assert not nonce_holds(KEY, nonce, operator="op", kiosk="b-kiosk", now_us=NOW_US)
    assert not nonce_holds(KEY, nonce, operator="opa", kiosk="-kiosk", now_us=NOW_US)
    assert not nonce_holds(KEY, nonce, operator="op", kiosk="a-kiosk", now_us=NOW_US + FRESH_US)
    assert not nonce_holds(KEY, nonce, operator="op", kiosk="a-kiosk", now_us=NOW_US - 2_000_000)
    assert not nonce_holds(KEY, nonce[:-1], operator="op", kiosk="a-kiosk", now_us=NOW_US)


@given(st.binary(min_size=40, max_size=40))
def test_any_forty_bytes_give_some_id(nonce):
    assert is_request_id(application_id(nonce))
