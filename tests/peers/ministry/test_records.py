"""The history cannot be altered unseen, printed forms are numbered and disposed of, receipts prove offline."""

import sqlite3

import pytest
import trio
import trio.testing

from gateway.peers.ministry import history, paper
from gateway.peers.ministry.desk import Disposal, Event, HistoryFilter
from gateway.peers.ministry.errors import DeskRefused, SetupIncomplete
from gateway.peers.ministry.history import HistoryBroken
from gateway.peers.ministry.office import running_desk
from gateway.peers.ministry.settings import SettingRefused, Settings, changed
from gateway.peers.ministry.setup import opened_ministry
from gateway.peers.ministry.store import open_store
from hsm.errors import UnwrapRefused
from hsm.software import SoftwareKeystore
from protocol.keys import Algorithm, Purpose
from protocol.receipt import decode_receipt
from tests.kit import lines
from tests.peers.ministry.kit import BY_CODE, BY_NAME, WINDOW_2, Place

pytestmark = pytest.mark.trio


def tamper(place: Place, sql: str) -> None:
    """What someone with the file but without the keystore can do."""
    with sqlite3.connect(place.directory / "desk.sqlite3") as connection:
        connection.executescript(f"DROP TRIGGER history_not_changed; DROP TRIGGER history_not_deleted; {sql};")


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("UPDATE history SET user = 'second' WHERE number = 2", 2),
        ("UPDATE history SET at_us = at_us + 1 WHERE number = 1", 1),
        ("UPDATE history SET case_ref = '' WHERE event = 'search'", 3),
        ("UPDATE history SET event = 'nothing' WHERE number = 2", 2),
        ("DELETE FROM history WHERE number = 3", 3),
        ("DELETE FROM history WHERE number <= 2; UPDATE history_base SET number = 2, mac = x'00'", 3),
        ("UPDATE history SET mac = zeroblob(32) WHERE number = 4", 4),
    ],
)
async def test_the_first_altered_line_is_named(place: Place, sql: str, number: int) -> None:
    await place.desk.search(await place.enter(), BY_CODE)
    assert history.verify(place.store).number == 4
    tamper(place, sql)
    with pytest.raises(HistoryBroken) as caught:
        history.verify(place.store)
    assert caught.value.number == number


async def test_lines_removed_from_the_front_without_a_record_are_found(place: Place) -> None:
    await place.desk.search(await place.enter(), BY_CODE)
    tamper(
        place,
        "UPDATE history_base SET number = 2, mac = (SELECT mac FROM history WHERE number = 2); "
        "DELETE FROM history WHERE number <= 2",
    )
    with pytest.raises(HistoryBroken, match="without a record"):
        history.verify(place.store)


async def test_a_cut_at_the_end_is_found_by_the_head_that_was_written_down(place: Place) -> None:
    await place.desk.search(await place.enter(), BY_CODE)
    kept = history.head(place.store)
    history.verify(place.store, kept=kept)
    tamper(place, "DELETE FROM history WHERE number = 4")
    assert history.verify(place.store).number == 3
    with pytest.raises(HistoryBroken, match="cut before line 4"):
        history.verify(place.store, kept=kept)


async def test_the_file_itself_refuses_changes(place: Place) -> None:
    await place.enter()
    for sql in ("UPDATE history SET user = ''", "DELETE FROM history"):
        with pytest.raises(sqlite3.IntegrityError):
            place.store.run(sql)


async def test_lines_past_their_retention_leave_and_the_rest_still_verifies(place: Place) -> None:
    await place.desk.search(await place.enter(), BY_CODE)
    old = history.head(place.store)
    for _ in range(2):
        place.clock.go(days=366 * 7 + 1)
        await place.enter()
        assert paper.sweep(place.store)["history"] > 0
        history.verify(place.store, kept=old)
    assert paper.sweep(place.store)["history"] == 0
    assert place.events()[-1][0] == Event.RETENTION


async def test_each_sees_their_own_history_and_a_manager_all_of_it(place: Place) -> None:
    clerk, boss = await place.enter(), await place.enter("boss", WINDOW_2)
    await place.desk.search(clerk, BY_CODE)
    own = await place.desk.own_history(clerk, HistoryFilter(user="boss"))
    assert {entry.user for entry in own.entries} == {"clerk"}
    with pytest.raises(DeskRefused, match="right-missing"):
        await place.desk.all_history(clerk, HistoryFilter())
    everything = await place.desk.all_history(boss, HistoryFilter())
    assert everything.entries[0].event is Event.HISTORY
    assert {entry.user for entry in everything.entries} == {"clerk", "boss"}
    of_case = await place.desk.all_history(boss, HistoryFilter(case="2026-0001", event=Event.SEARCH))
    assert [(entry.user, entry.terminal, entry.detail) for entry in of_case.entries] == [
        ("clerk", "window-1", "inquire_by_code")
    ]


async def test_pages_of_the_history_join_without_gap(place: Place) -> None:
    caller = await place.enter()
    for _ in range(5):
        await place.desk.search(caller, BY_CODE)
    numbers: list[int] = []
    before, more = None, True
    while more:
        page = await place.desk.own_history(caller, HistoryFilter(before=before, limit=5))
        numbers += [entry.number for entry in page.entries]
        before, more = numbers[-1], page.more
    assert numbers == list(range(12, 0, -1))


async def test_printed_forms_are_numbered_recorded_and_disposed_of_once(place: Place) -> None:
    caller, boss = await place.enter(), await place.enter("boss", WINDOW_2)
    answer = await place.desk.search(caller, BY_NAME)
    first = await place.desk.print_form(caller, answer.request_id)
    second = await place.desk.print_form(caller, answer.request_id, copies=2)
    assert (first.form.number, second.form.number) == ("2026-000001", "2026-000002")
    assert (second.answer, second.form.copies) == (answer, 2)
    done = await place.desk.dispose_form(caller, "2026-000001", Disposal.SHREDDED)
    assert (done.disposed_by, done.disposal) == ("clerk", "shredded")
    with pytest.raises(DeskRefused, match="already-decided"):
        await place.desk.dispose_form(boss, "2026-000001", Disposal.SHREDDED)
    await place.desk.dispose_form(boss, "2026-000002", Disposal.FILED)
    assert [form.number for form in await place.desk.forms(boss)] == ["2026-000002", "2026-000001"]
    assert [detail for event, detail in place.events() if event in (Event.PRINT, Event.DISPOSE)] == [
        "2026-000001 1",
        "2026-000002 2",
        "2026-000001 shredded",
        "2026-000002 filed",
    ]
    with pytest.raises(DeskRefused, match="field-invalid"):
        await place.desk.print_form(caller, answer.request_id, copies=11)


async def test_another_users_forms_and_receipts_are_not_there(place: Place) -> None:
    caller, second = await place.enter(), await place.enter("second", WINDOW_2)
    answer = await place.desk.search(caller, BY_NAME)
    form = await place.desk.print_form(caller, answer.request_id)
    assert await place.desk.forms(second) == ()
    assert await place.desk.receipts(second) == ()
    with pytest.raises(DeskRefused, match="not-found"):
        await place.desk.dispose_form(second, form.form.number, Disposal.SHREDDED)
    with pytest.raises(DeskRefused, match="not-found"):
        await place.desk.receipt_file(second, answer.request_id)


async def test_a_receipt_is_saved_and_proves_offline(place: Place) -> None:
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_NAME)
    (kept,) = await place.desk.receipts(caller)
    assert (kept.request_id, kept.case, kept.final) == (answer.request_id, "2026-0001", False)
    assert kept.opening_until_us == place.clock.us + 30 * lines.DAY_US
    proof = await place.desk.receipt_file(caller, answer.request_id)
    whole = await place.desk.receipt_file(caller, answer.request_id, opening=True)
    assert decode_receipt(proof.data).opening is None
    facts = await place.desk.verify_receipt(caller, whole.data)
    assert (facts.opened, facts.request_id, facts.party) == (True, answer.request_id, lines.PARTY)
    assert not (await place.desk.verify_receipt(caller, proof.data)).opened


@pytest.mark.parametrize("place_of_flip", [20, 300, -40])
async def test_a_receipt_with_one_flipped_bit_is_refused(place: Place, place_of_flip: int) -> None:
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_NAME)
    data = bytearray((await place.desk.receipt_file(caller, answer.request_id, opening=True)).data)
    data[place_of_flip] ^= 1
    with pytest.raises(DeskRefused, match="receipt-invalid"):
        await place.desk.verify_receipt(caller, bytes(data))


async def test_without_the_keystore_the_file_stays_shut(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = SoftwareKeystore.create(tmp_path_factory.mktemp("other") / "keystore", "another", owner="other")
    other.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=0)
    with pytest.raises(UnwrapRefused), open_store(place.directory, other, now_us=place.clock):
        pass


async def test_settings_stay_within_their_bounds() -> None:
    assert changed(Settings(), "idle_lock_minutes", 3).idle_lock_minutes == 3
    for name, value in (("idle_lock_minutes", 0), ("failures_max", 99), ("colour", 1)):
        with pytest.raises(SettingRefused):
            changed(Settings(), name, value)


async def test_when_the_server_ends_every_session_ends_with_what_it_showed(place: Place) -> None:
    async with running_desk(place.store, place.line, lines.TRUST, party=lines.PARTY, book=place.book) as desk:  # type: ignore[arg-type]
        place.desk = desk  # type: ignore[assignment]
        caller = await place.enter()
        await desk.search(caller, BY_CODE)
        await trio.testing.wait_all_tasks_blocked()
    assert place.events()[0] == (Event.SERVER, "start")
    assert place.events()[-3:] == [
        (Event.ERASE, "session-end"),
        (Event.SESSION_END, "server-stop"),
        (Event.SERVER, "stop"),
    ]


async def test_a_directory_that_is_none_names_the_remedy(tmp_path: object) -> None:
    with pytest.raises(SetupIncomplete, match="sekisho ministry init"), opened_ministry(tmp_path):  # type: ignore[arg-type]
        pass
