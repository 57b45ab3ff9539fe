"""A question is recorded, answered and charged once; its answer lives in memory only and for its time."""

import pytest

from gateway.peers.ministry import paper
from gateway.peers.ministry.desk import Caller, Event, Question
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.showing import ANSWERS_HELD_MAX
from protocol.messages import InquiryByCode, InquiryByName
from protocol.outcomes import Outcome
from tests.peers.ministry.kit import (
    BY_CODE,
    BY_NAME,
    HANAKO,
    PERSONAL,
    PIN,
    WINDOW_1,
    WINDOW_2,
    Place,
    found,
    refused,
)

pytestmark = pytest.mark.trio


async def test_the_question_goes_out_under_the_users_staff_number(place: Place) -> None:
    caller = await place.enter()
    await place.desk.search(caller, BY_NAME)
    await place.desk.search(
        caller, Question(affair="vehicle-67", step=2, case=" 2026-0001 ", code="０１２３ー４５６７ 890")
    )
    assert place.line.asked == [
        InquiryByName("vehicle-12-1", 1, "staff-clerk", "2026-0001", "合成花子", "千葉市中央区千葉港1-1-1"),
        InquiryByCode("vehicle-67", 2, "staff-clerk", "2026-0001", "01234567890"),
    ]


async def test_a_variant_names_what_differs_and_shows_both_sides(place: Place) -> None:
    place.line.say = lambda _operation, _body: found("name", "former_address")
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_NAME)
    assert (answer.outcome_name, answer.found, answer.synthetic, answer.yen) == ("VARIANT", True, True, 0)
    shown = {field.name: field for field in answer.fields}
    assert (shown["name"].value, shown["name"].asked, shown["name"].differs) == ("合成 花子", "合成花子", True)
    assert (shown["sex"].value, shown["changed_reason"].value) == ("女", "国内転入")
    assert not shown["address"].differs
    assert "my_number" not in shown
    assert answer.differing_words == (("氏名", "Name"), ("従前の住所", "Former address"))
    assert await place.desk.view(caller, answer.request_id) == answer


async def test_whether_the_individual_number_was_shown_is_recorded(place: Place) -> None:
    record = [*HANAKO[:13], "123456789018", True]
    place.line.say = lambda _operation, _body: found(record=record)
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_CODE)
    await place.desk.view(caller, answer.request_id)
    lines = place.store.rows("SELECT event, my_number FROM history WHERE my_number = 1 ORDER BY number")
    assert lines == [(Event.ANSWER, 1), (Event.VIEW, 1)]


async def test_a_refusal_keeps_its_words_field_and_remedy(place: Place) -> None:
    place.line.say = lambda *_: refused(Outcome.FIELD_INVALID, field="address", remedy="write the whole address")
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_NAME)
    assert (answer.ja, answer.field, answer.remedy) == (
        "入力項目に誤りがあります",
        "address",
        "write the whole address",
    )
    assert not answer.found
    assert not answer.approval_offered


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (Question(affair="voucher", step=1, case="2026-0001", code="1"), "affair"),
        (Question(affair="vehicle-97-3-1", step=3, case="2026-0001", code="1"), "step"),
        (Question(affair="vehicle-67", step=1, case="  ", code="1"), "case"),
        (Question(affair="vehicle-67", step=1, case="2026-0001"), "name"),
        (Question(affair="vehicle-67", step=1, case="2026-0001", name="合成"), "address"),
        (Question(affair="vehicle-67", step=1, case="2026-0001", name="合" * 101, address="千葉"), "name"),
        (Question(affair="vehicle-67", step=1, case="2026-0001", name="合成", address="千葉", sex=3), "sex"),
    ],
)
async def test_what_is_no_question_is_refused_here_by_field(place: Place, question: Question, field: str) -> None:
    caller = await place.enter()
    with pytest.raises(DeskRefused) as caught:
        await place.desk.search(caller, question)
    assert (caught.value.why, caught.value.field) == (Why.FIELD_INVALID, field)
    assert place.line.asked == []


async def test_only_those_with_the_right_ask(place: Place) -> None:
    boss = await place.enter("boss")
    with pytest.raises(DeskRefused, match="right-missing"):
        await place.desk.search(boss, BY_CODE)


async def test_asking_again_after_a_lost_line_uses_the_same_id(place: Place) -> None:
    caller = await place.enter()
    place.line.down = True
    with pytest.raises(DeskRefused, match="line-down"):
        await place.desk.search(caller, BY_CODE)
    place.line.down = False
    await place.desk.search(caller, BY_CODE)
    assert place.line.ids[0] == place.line.ids[1]
    await place.desk.search(caller, BY_CODE)
    assert place.line.ids[2] != place.line.ids[1]
    assert [detail for event, detail in place.events() if event == Event.ANSWER] == ["line-down", "EXACT", "EXACT"]


async def test_an_id_that_grew_too_old_is_replaced(place: Place) -> None:
    caller = await place.enter()
    place.line.down = True
    with pytest.raises(DeskRefused, match="line-down"):
        await place.desk.search(caller, BY_CODE)
    place.line.down = False
    first = place.line.ids[0]
    place.line.say = lambda *_: refused(Outcome.STALE_REQUEST_ID) if place.line.ids[-1] == first else found()
    answer = await place.desk.search(caller, BY_CODE)
    assert answer.outcome == Outcome.EXACT
    assert place.line.ids == [first, first, bytes.fromhex(answer.request_id)]


async def test_an_answer_that_comes_to_a_locked_screen_is_not_held(place: Place) -> None:
    caller = await place.enter()
    place.line.before_answer = lambda: place.clock.go(minutes=5)
    with pytest.raises(DeskRefused, match="session-locked"):
        await place.desk.search(caller, BY_CODE)
    assert (Event.ERASE, "not-shown") in place.events()
    await place.desk.unlock(caller, PIN)
    assert await place.desk.held(caller) == ()


async def test_what_is_shown_goes_after_its_time_and_each_erasure_is_recorded(place: Place) -> None:
    caller = await place.enter()
    first = await place.desk.search(caller, BY_CODE)
    second = await place.desk.search(caller, BY_NAME)
    await place.desk.erase(caller, second.request_id)
    for _ in range(5):
        place.clock.go(minutes=2)
        await place.desk.session(caller, touch=True)
    assert await place.desk.held(caller) == ()
    erased = place.store.rows("SELECT request_id, detail FROM history WHERE event = 'erase' ORDER BY number")
    assert erased == [(second.request_id, "user"), (first.request_id, "time")]


async def test_a_session_holds_so_many_answers(place: Place) -> None:
    caller = await place.enter()
    first = await place.desk.search(caller, BY_CODE)
    for _ in range(ANSWERS_HELD_MAX):
        await place.desk.search(caller, BY_CODE)
    held = await place.desk.held(caller)
    assert len(held) == ANSWERS_HELD_MAX
    assert first.request_id not in {each.request_id for each in held}


async def test_another_session_does_not_see_it(place: Place) -> None:
    answer = await place.desk.search(await place.enter(), BY_CODE)
    other = await place.enter("second", WINDOW_2)
    for call in (place.desk.view, place.desk.erase, place.desk.print_form):
        with pytest.raises(DeskRefused, match="not-held"):
            await call(other, answer.request_id)  # type: ignore[operator]


async def test_a_record_of_another_schema_is_refused_not_guessed(place: Place) -> None:
    place.line.say = lambda *_: found(record=[3, *HANAKO[1:]])
    caller = await place.enter()
    with pytest.raises(DeskRefused, match="answer-unreadable"):
        await place.desk.search(caller, BY_CODE)
    assert place.events()[-1] == (Event.ANSWER, "answer-unreadable")


async def test_nothing_about_a_resident_is_at_rest_at_any_time(place: Place) -> None:
    caller, other = await place.enter(), await place.enter("second", WINDOW_2)
    place.line.say = lambda *_: found("name")
    answer = await place.desk.search(caller, BY_NAME)
    await place.desk.search(caller, BY_CODE)
    await place.desk.print_form(caller, answer.request_id)
    approval = await place.desk.request_approval(caller, [BY_NAME, BY_CODE], reason="合成 花子の件")
    await place.desk.approval(other, approval.id)
    await place.desk.reject(other, approval.id, note="花子は不要")
    assert (place.directory / "desk.sqlite3-wal").exists()
    for text in PERSONAL:
        assert text.encode() not in place.at_rest()
    place.clock.go(days=31)
    paper.sweep(place.store)
    row = place.store.row(
        "SELECT (SELECT count(*) FROM receipts WHERE opening_sealed IS NOT NULL), "
        "(SELECT count(*) FROM approvals WHERE questions_sealed IS NOT NULL OR reason_sealed IS NOT NULL)"
    )
    assert row == (0, 0)


async def test_erased_openings_leave_not_even_their_sealed_bytes(place: Place) -> None:
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_NAME)
    row = place.store.row("SELECT opening_sealed FROM receipts")
    assert row is not None
    assert row[0] in place.at_rest()
    place.clock.go(days=30)
    assert paper.sweep(place.store)["openings"] == 1
    assert row[0] not in place.at_rest()
    assert row[0][40:80] not in place.at_rest()
    caller = await place.enter()
    with pytest.raises(DeskRefused, match="not-held"):
        await place.desk.receipt_file(caller, answer.request_id, opening=True)
    proof = await place.desk.receipt_file(caller, answer.request_id)
    assert (await place.desk.verify_receipt(caller, proof.data)).request_id == answer.request_id
    assert (Event.RETENTION, "openings:1") in place.events()


async def test_a_shorter_retention_counts_for_what_is_kept_already(place: Place) -> None:
    caller = await place.enter()
    await place.desk.search(caller, BY_NAME)
    settings = place.store.settings
    place.store.keep_settings(type(settings)(opening_days=1))
    place.clock.go(days=1)
    assert paper.sweep(place.store)["openings"] == 1


async def test_no_opening_is_kept_where_none_is_wanted(place: Place) -> None:
    place.store.keep_settings(type(place.store.settings)(opening_days=0))
    caller = Caller(WINDOW_1, (await place.signed_in("clerk", WINDOW_1)).token)
    answer = await place.desk.search(caller, BY_NAME)
    assert answer.receipt_kept
    (kept,) = await place.desk.receipts(caller)
    assert kept.opening_until_us is None
