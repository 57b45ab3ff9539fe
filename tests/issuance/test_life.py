"""The life of an application, in its order and out of it, under two workers that share a database."""

import pytest

from protocol.application import Transition as T
from protocol.issuance import Applied, Issued
from protocol.outcomes import Outcome
from tests.issuance.kit import COMMISSION, FEE, Kiosk, centre_of, read


@pytest.mark.guest
async def test_a_certificate_from_the_card_to_the_erasure(dsn, cards):
    async with centre_of(dsn, cards) as centre:
        kiosk = Kiosk(centre)
        assert (await kiosk.authenticate()).outcome is Outcome.AUTHENTICATED
        assert read(await kiosk.apply(2), Applied) == Applied(FEE, 2)
        kiosk.worker = centre.workers[1]
        issued = read(await kiosk.document(), Issued)
        sealed = b"".join([(await kiosk.part(n)).body for n in range(2)])
        assert sealed == centre.town.documents[kiosk.application][1]
        assert len(sealed) == issued.size
        completed = await kiosk.complete(2)
        assert (completed.outcome, completed.entry.yen, completed.entry.commission) == (
            Outcome.COMPLETED,
            2 * FEE,
            2 * COMMISSION,
        )
        assert completed.entry.delivery.copies == 2
        assert (await kiosk.erase()).outcome is Outcome.ERASED
        assert (await kiosk.part(0)).outcome is Outcome.APPLICATION_STATE
        assert await kiosk.status() == [T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.COMPLETED, T.ERASED]
