"""Above the volume a second person approves the very questions; nobody approves for themselves."""

import pytest
from msgspec.structs import replace

from gateway.peers.ministry.desk import ApprovalState, Caller, Event, Question
from gateway.peers.ministry.errors import DeskRefused, Why
from protocol.approval import approval_digest
from protocol.messages import Approve, InquiryByCode, InquiryByName, Operation
from protocol.outcomes import Outcome
from tests.peers.ministry.kit import BY_CODE, BY_NAME, WINDOW_1, WINDOW_2, Place, found, refused

pytestmark = pytest.mark.trio


class Centre:
    """Says what the centre says: over the volume unless approved."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.approvals: dict[bytes, Approve] = {}
        place.line.say = self

    def __call__(self, operation: int, body: object) -> tuple[Outcome, bytes]:
        if isinstance(body, Approve):
            self.approvals[self.place.line.ids[-1]] = body
            return refused(Outcome.APPROVED)
        assert isinstance(body, InquiryByCode | InquiryByName)
        given = self.approvals.get(body.approval or b"")
        if given is None:
            return refused(Outcome.VOLUME_EXCEEDED)
        if approval_digest(Operation(operation), body) not in given.digests or given.staff == body.staff:
            return refused(Outcome.APPROVAL_INVALID, field="approval")
        return found()


async def why(call: object) -> Why:
    with pytest.raises(DeskRefused) as caught:
        await call  # type: ignore[misc]
    return caught.value.why


async def both(place: Place) -> tuple[Caller, Caller]:
    return await place.enter("clerk", WINDOW_1), await place.enter("second", WINDOW_2)


async def test_the_whole_way(place: Place) -> None:
    centre = Centre(place)
    clerk, second = await both(place)
    answer = await place.desk.search(clerk, BY_NAME)
    assert answer.approval_offered
    asked = await place.desk.request_approval(clerk, [answer.question, BY_CODE], reason="一斉確認のため")
    assert (asked.state, asked.mine, asked.count) == (ApprovalState.WAITING, True, 2)

    (waiting,) = (await place.desk.inbox(second)).to_decide
    assert waiting.questions == ()
    seen = await place.desk.approval(second, waiting.id)
    assert (seen.questions, seen.reason, seen.mine) == ((BY_NAME, BY_CODE), "一斉確認のため", False)
    approved = await place.desk.approve(second, waiting.id)
    assert (approved.state, approved.decided_by) == (ApprovalState.APPROVED, "second")
    (given,) = centre.approvals.values()
    assert (given.staff, given.affair, given.step, given.case) == ("staff-second", "vehicle-12-1", 1, "2026-0001")
    assert place.clock.us < given.expires_at_us <= place.clock.us + 1_800_000_000

    answers = await place.desk.run_approved(clerk, asked.id)
    assert [each.outcome_name for each in answers] == ["EXACT", "EXACT"]
    (own,) = (await place.desk.inbox(clerk)).own
    assert own.state is ApprovalState.USED
    assert await why(place.desk.run_approved(clerk, asked.id)) is Why.ALREADY_DECIDED
    assert place.store.rows("SELECT questions_sealed FROM approvals") == [(None,)]
    told = [event for event, _ in place.events() if event in (Event.APPROVAL_REQUEST, Event.APPROVE)]
    assert told == [Event.APPROVAL_REQUEST, Event.APPROVE]


async def test_nobody_approves_for_themselves_under_whatever_user(place: Place) -> None:
    Centre(place)
    second = await place.enter("second")
    own = await place.desk.request_approval(second, [BY_CODE], reason="x")
    assert (await place.desk.inbox(second)).to_decide == ()
    assert await why(place.desk.approve(second, own.id)) is Why.OWN_REQUEST
    assert await why(place.desk.reject(second, own.id)) is Why.OWN_REQUEST
    place.store.run("UPDATE users SET staff = 'staff-second' WHERE id = 'boss'")
    boss = await place.enter("boss", WINDOW_2)
    assert await why(place.desk.approve(boss, own.id)) is Why.OWN_REQUEST
    assert place.line.asked == []


async def test_the_right_to_approve_is_needed_to_see_and_to_decide(place: Place) -> None:
    second, clerk = await place.enter("second", WINDOW_2), await place.enter("clerk")
    asked = await place.desk.request_approval(second, [BY_CODE], reason="x")
    assert await why(place.desk.approve(clerk, asked.id)) is Why.RIGHT_MISSING
    assert await why(place.desk.approval(clerk, asked.id)) is Why.NOT_FOUND
    assert (await place.desk.inbox(clerk)).to_decide == ()


async def test_only_the_requester_runs_it(place: Place) -> None:
    Centre(place)
    clerk, second = await both(place)
    asked = await place.desk.request_approval(clerk, [BY_CODE], reason="x")
    assert await why(place.desk.run_approved(clerk, asked.id)) is Why.APPROVAL_WAITING
    await place.desk.approve(second, asked.id)
    assert await why(place.desk.run_approved(second, asked.id)) is Why.NOT_FOUND


async def test_a_rejected_request_cannot_be_approved_and_its_questions_are_gone(place: Place) -> None:
    clerk, second = await both(place)
    asked = await place.desk.request_approval(clerk, [BY_CODE], reason="x")
    rejected = await place.desk.reject(second, asked.id, note="件数を確認してください")
    assert (rejected.state, rejected.decision_note) == (ApprovalState.REJECTED, "件数を確認してください")
    assert await why(place.desk.approve(second, asked.id)) is Why.ALREADY_DECIDED
    assert (await place.desk.approval(clerk, asked.id)).questions == ()


async def test_requests_and_approvals_expire(place: Place) -> None:
    Centre(place)
    clerk, second = await both(place)
    left = await place.desk.request_approval(clerk, [BY_CODE], reason="x")
    taken = await place.desk.request_approval(clerk, [BY_NAME], reason="x")
    await place.desk.approve(second, taken.id)
    place.clock.go(minutes=30)
    clerk = await place.enter("clerk")
    assert await why(place.desk.run_approved(clerk, taken.id)) is Why.APPROVAL_OVER
    place.clock.go(hours=8)
    second = await place.enter("second", WINDOW_2)
    assert await why(place.desk.approve(second, left.id)) is Why.APPROVAL_OVER
    assert place.store.rows("SELECT DISTINCT state, questions_sealed FROM approvals") == [("expired", None)]


async def test_what_the_centre_does_not_take_stays_waiting(place: Place) -> None:
    place.line.say = lambda *_: refused(Outcome.STAFF_NOT_AUTHORISED)
    clerk, second = await both(place)
    asked = await place.desk.request_approval(clerk, [BY_CODE], reason="x")
    with pytest.raises(DeskRefused) as caught:
        await place.desk.approve(second, asked.id)
    assert (caught.value.why, caught.value.outcome) == (Why.APPROVAL_NOT_TAKEN, Outcome.STAFF_NOT_AUTHORISED)
    place.line.down = True
    assert await why(place.desk.approve(second, asked.id)) is Why.LINE_DOWN
    assert (await place.desk.approval(clerk, asked.id)).state is ApprovalState.WAITING


async def test_an_interrupted_run_goes_on_under_the_same_ids(place: Place) -> None:
    Centre(place)
    clerk, second = await both(place)
    asked = await place.desk.request_approval(clerk, [BY_CODE, BY_NAME], reason="x")
    await place.desk.approve(second, asked.id)
    place.line.down = True
    assert await why(place.desk.run_approved(clerk, asked.id)) is Why.LINE_DOWN
    place.line.down = False
    answers = await place.desk.run_approved(clerk, asked.id)
    assert answers[0].request_id == place.line.ids[1].hex() == place.line.ids[2].hex()


@pytest.mark.parametrize(
    ("questions", "reason", "expected"),
    [
        ([], "x", (Why.TOO_MANY, "")),
        ([BY_CODE] * 65, "x", (Why.TOO_MANY, "")),
        ([BY_CODE], "  ", (Why.FIELD_INVALID, "reason")),
        ([BY_CODE, replace(BY_CODE, affair="vehicle-67")], "x", (Why.FIELD_INVALID, "affair")),
        ([BY_CODE, replace(BY_CODE, case="2026-0002")], "x", (Why.FIELD_INVALID, "case")),
    ],
)
async def test_one_request_is_of_one_case(
    place: Place, questions: list[Question], reason: str, expected: tuple[Why, str]
) -> None:
    clerk = await place.enter()
    with pytest.raises(DeskRefused) as caught:
        await place.desk.request_approval(clerk, questions, reason=reason)
    assert (caught.value.why, caught.value.field) == expected
