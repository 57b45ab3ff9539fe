"""What the desk logs passes the fence that lets nothing personal through."""

import pytest
from structlog.testing import capture_logs

from gateway.ops.logs import KeyFence
from gateway.peers.ministry import paper
from gateway.peers.ministry.desk import Caller
from gateway.peers.ministry.errors import DeskRefused
from protocol.messages import Approve
from protocol.outcomes import Outcome
from tests.peers.ministry.kit import BY_CODE, BY_NAME, PERSONAL, WINDOW_1, WINDOW_2, Place, found, refused

pytestmark = pytest.mark.trio


async def test_every_event_of_a_day_is_fit_to_be_logged(place: Place) -> None:
    place.line.say = lambda _operation, body: refused(Outcome.APPROVED) if isinstance(body, Approve) else found("name")
    with capture_logs() as events:
        clerk, second = await place.enter(), await place.enter("second", WINDOW_2)
        await place.desk.search(clerk, BY_NAME)
        asked = await place.desk.request_approval(clerk, [BY_CODE], reason="合成 花子")
        await place.desk.approve(second, asked.id)
        await place.desk.run_approved(clerk, asked.id)
        with pytest.raises(DeskRefused):
            await place.desk.search(Caller(WINDOW_2, clerk.token), BY_CODE)
        with pytest.raises(DeskRefused):
            await place.desk.terminal(b"\7" * 32)
        for _ in range(5):
            with pytest.raises(DeskRefused):
                await place.desk.sign_in(WINDOW_1, "clerk", "花子花子花子")
        paper.sweep(place.store)
    names = {event["event"] for event in events}
    assert names >= {
        "question_answered",
        "approval_given",
        "session_at_other_terminal",
        "terminal_refused",
        "user_locked",
    }
    fence = KeyFence(strict=True)
    for event in events:
        fence(None, "", {key: value for key, value in event.items() if key != "log_level"})
        assert not any(text in str(event) for text in PERSONAL)
