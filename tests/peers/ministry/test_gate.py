"""Signing in takes both factors, counts failures, and binds a session to its terminal."""

import pytest
import trio

from gateway.peers.ministry import people
from gateway.peers.ministry.desk import Caller, Event
from gateway.peers.ministry.errors import DeskRefused, Why
from tests.peers.ministry.kit import BY_CODE, PIN, WINDOW_1, WINDOW_2, Place

pytestmark = pytest.mark.trio


async def refusal(call: object) -> DeskRefused:
    with pytest.raises(DeskRefused) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def test_both_factors_begin_a_session(place: Place) -> None:
    caller = await place.enter()
    session = await place.desk.session(caller)
    assert (session.user, session.staff, session.terminal_label) == ("clerk", "staff-clerk", "window-1")
    assert [event for event, _ in place.events()] == [Event.SIGN_IN, Event.SECOND_FACTOR]


async def test_five_wrong_pins_lock_until_a_time_and_the_right_one_is_refused_meanwhile(place: Place) -> None:
    for _ in range(4):
        assert (await refusal(place.desk.sign_in(WINDOW_1, "clerk", "wrong!"))).why is Why.SIGN_IN_FAILED
    locked = await refusal(place.desk.sign_in(WINDOW_1, "clerk", "wrong!"))
    assert locked.why is Why.USER_LOCKED
    assert locked.until_us == place.clock.us + 30 * 60_000_000
    assert (await refusal(place.desk.sign_in(WINDOW_2, "clerk", PIN))).why is Why.USER_LOCKED
    place.clock.go(minutes=30)
    await place.enter()


async def test_wrong_pins_at_the_same_moment_are_all_counted(place: Place) -> None:
    async def guess() -> None:
        assert (await refusal(place.desk.sign_in(WINDOW_1, "clerk", "wrong!"))).why in (
            Why.SIGN_IN_FAILED,
            Why.USER_LOCKED,
        )

    async with trio.open_nursery() as nursery:
        for _ in range(12):
            nursery.start_soon(guess)
    user = people.find_user(place.store, "clerk")
    assert user is not None
    assert user.locked_until_us is not None
    assert [detail for _, detail in place.events()].count("pin-wrong") == 5


async def test_the_right_pin_alone_does_not_reset_the_count_of_wrong_codes(place: Place) -> None:
    whys = []
    for _ in range(5):
        challenge = await place.desk.sign_in(WINDOW_1, "clerk", PIN)
        whys.append((await refusal(place.desk.second_factor(WINDOW_1, challenge.id, "000000x"))).why)
    assert whys == [Why.CODE_WRONG] * 4 + [Why.USER_LOCKED]


async def test_lowering_the_limit_locks_those_beyond_it_for_a_time_only(place: Place) -> None:
    for _ in range(4):
        await refusal(place.desk.sign_in(WINDOW_1, "clerk", "wrong!"))
    place.store.keep_settings(type(place.store.settings)(failures_max=3))
    locked = await refusal(place.desk.sign_in(WINDOW_1, "clerk", PIN))
    assert (locked.why, locked.until_us) == (Why.USER_LOCKED, place.clock.us + 30 * 60_000_000)
    place.clock.go(minutes=30)
    await place.enter()


async def test_a_manager_unlocks_but_not_oneself(place: Place) -> None:
    boss = await place.enter("boss", WINDOW_2)
    await place.desk.lock_user(boss, "clerk")
    locked = await refusal(place.desk.sign_in(WINDOW_1, "clerk", PIN))
    assert (locked.why, locked.until_us) == (Why.USER_LOCKED, None)
    await place.desk.unlock_user(boss, "clerk")
    await place.enter()
    assert (await refusal(place.desk.unlock_user(boss, "boss"))).why is Why.OWN_REQUEST


async def test_what_was_typed_as_an_unknown_user_is_not_written_down(place: Place) -> None:
    assert (await refusal(place.desk.sign_in(WINDOW_1, PIN, ""))).why is Why.SIGN_IN_FAILED
    assert place.events() == [(Event.SIGN_IN_FAILED, "unknown-user")]
    assert PIN.encode() not in place.at_rest()


async def test_a_code_is_taken_once(place: Place) -> None:
    await place.enter()
    challenge = await place.desk.sign_in(WINDOW_2, "clerk", PIN)
    assert (await refusal(place.desk.second_factor(WINDOW_2, challenge.id, place.code("clerk")))).why is Why.CODE_USED
    earlier = place.code("clerk", off_s=-30)
    assert (await refusal(place.desk.second_factor(WINDOW_2, challenge.id, earlier))).why is Why.CODE_USED
    await place.desk.second_factor(WINDOW_2, challenge.id, place.code("clerk", off_s=30))


@pytest.mark.parametrize(("off_s", "drift_s"), [(120, 120), (-300, -300)])
async def test_an_authenticator_minutes_off_is_told_by_how_much(place: Place, off_s: int, drift_s: int) -> None:
    challenge = await place.desk.sign_in(WINDOW_1, "clerk", PIN)
    refused = await refusal(place.desk.second_factor(WINDOW_1, challenge.id, place.code("clerk", off_s=off_s)))
    assert (refused.why, refused.drift_s) == (Why.CLOCK_OFF, drift_s)


async def test_a_challenge_belongs_to_its_terminal_and_its_three_minutes(place: Place) -> None:
    challenge = await place.desk.sign_in(WINDOW_1, "clerk", PIN)
    code = place.code("clerk")
    assert (await refusal(place.desk.second_factor(WINDOW_2, challenge.id, code))).why is Why.CHALLENGE_OVER
    place.clock.go(minutes=3)
    assert (await refusal(place.desk.second_factor(WINDOW_1, challenge.id, code))).why is Why.CHALLENGE_OVER


async def test_a_token_at_another_terminal_is_refused_and_ends_the_session(place: Place) -> None:
    caller = await place.enter()
    await place.desk.search(caller, BY_CODE)
    stolen = Caller(WINDOW_2, caller.token)
    assert (await refusal(place.desk.search(stolen, BY_CODE))).why is Why.SIGN_IN_NEEDED
    assert (await refusal(place.desk.session(caller))).why is Why.SIGN_IN_NEEDED
    assert (Event.SESSION_END, "token-at-other-terminal") in place.events()


async def test_idle_time_locks_and_wipes_what_was_shown(place: Place) -> None:
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_CODE)
    place.clock.go(minutes=4)
    await place.desk.session(caller, touch=True)
    place.clock.go(minutes=4, s=59)
    place.desk.tick()
    assert not (await place.desk.session(caller)).locked
    place.clock.go(s=1)
    place.desk.tick()
    assert (await refusal(place.desk.held(caller))).why is Why.SESSION_LOCKED
    await place.desk.unlock(caller, PIN)
    assert await place.desk.held(caller) == ()
    assert (await refusal(place.desk.view(caller, answer.request_id))).why is Why.NOT_HELD
    assert (Event.ERASE, "lock") in place.events()


async def test_a_locked_session_is_locked_even_if_no_timer_ran(place: Place) -> None:
    caller = await place.enter()
    place.clock.go(minutes=5)
    assert (await refusal(place.desk.search(caller, BY_CODE))).why is Why.SESSION_LOCKED
    assert place.line.asked == []


async def test_wrong_pins_at_the_lock_end_the_session(place: Place) -> None:
    caller = await place.enter()
    await place.desk.lock(caller)
    whys = [(await refusal(place.desk.unlock(caller, "wrong!"))).why for _ in range(5)]
    assert whys == [Why.PIN_WRONG] * 4 + [Why.USER_LOCKED]
    assert (await refusal(place.desk.session(caller))).why is Why.SIGN_IN_NEEDED


async def test_a_session_ends_after_its_hours_whatever_is_done(place: Place) -> None:
    caller = await place.enter()
    for _ in range(9 * 60 // 4 - 1):
        place.clock.go(minutes=4)
        await place.desk.session(caller, touch=True)
    place.clock.go(minutes=4)
    assert (await refusal(place.desk.session(caller, touch=True))).why is Why.SIGN_IN_NEEDED


async def test_a_user_has_one_session(place: Place) -> None:
    first = await place.enter()
    place.clock.go(s=60)
    await place.enter("clerk", WINDOW_2)
    assert (await refusal(place.desk.session(first))).why is Why.SIGN_IN_NEEDED


async def test_a_user_locked_from_outside_is_out_at_once(place: Place) -> None:
    caller = await place.enter()
    people.set_lock(place.store, "clerk", people.FOR_EVER_US)
    assert (await refusal(place.desk.search(caller, BY_CODE))).why is Why.SIGN_IN_NEEDED


async def test_a_lost_terminal_is_out_at_once_and_its_session_with_it(place: Place) -> None:
    caller = await place.enter()
    people.lose_terminal(place.store, "window-1")
    assert (await refusal(place.desk.session(caller))).why is Why.TERMINAL_LOST
    assert (Event.SESSION_END, "terminal-lost") in place.events()
    assert (await refusal(place.desk.sign_in(WINDOW_1, "clerk", PIN))).why is Why.TERMINAL_LOST
    assert (await refusal(place.desk.sign_in(b"\3" * 32, "clerk", PIN))).why is Why.TERMINAL_UNKNOWN
    place.clock.go(days=36500)
    assert (await refusal(place.desk.terminal(WINDOW_2))).why is Why.TERMINAL_EXPIRED


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("valid_until", "2026-09-20", Why.USER_NOT_VALID),
        ("valid_from", "2026-09-23", Why.USER_NOT_VALID),
        ("trained_on", "", Why.USER_NOT_TRAINED),
        ("trained_on", "2026-09-23", Why.USER_NOT_TRAINED),
    ],
)
async def test_without_period_or_training_there_is_no_use(place: Place, column: str, value: str, why: Why) -> None:
    caller = await place.enter("second", WINDOW_2)
    place.store.run(f"UPDATE users SET {column} = ?", value)
    assert (await refusal(place.desk.sign_in(WINDOW_1, "clerk", PIN))).why is why
    assert (await refusal(place.desk.session(caller))).why is Why.SIGN_IN_NEEDED


async def test_sign_out_erases_and_forgets_the_token(place: Place) -> None:
    caller = await place.enter()
    await place.desk.search(caller, BY_CODE)
    await place.desk.sign_out(caller)
    await place.desk.sign_out(caller)
    assert (await refusal(place.desk.session(caller))).why is Why.SIGN_IN_NEEDED
    assert place.events()[-2:] == [(Event.ERASE, "sign-out"), (Event.SIGN_OUT, "")]
