"""From ISSUE to a sealed document, over the line."""

import pytest

from tests.peers.municipality.kit import Sitting, Town, World, fetched, made, opened_by_kiosk


@pytest.mark.trio
async def test_a_document_is_made_for_the_session_that_asked_and_every_page_says_so(town: Town, world: World) -> None:
    sitting = Sitting(world)
    body = sitting.issue(options=7)
    async with town.answering() as client:
        issued = await made(client, body)
        sealed = await fetched(client, body.application.statement.application, issued.size)
    document = opened_by_kiosk(sitting, body, issued, sealed)
    assert document.pdf.startswith(b"%PDF")
