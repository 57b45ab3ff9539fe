"""Corrections by agreement: what operator and centre agreed on in a month's reconciliation becomes notices.

A correction says how the completion should read; a void takes all copies back where the store has refunded. Both go
through the outbox, so they are on the disk first, are delivered by the serving relay under one id, and leave their
proofs in its book. Source: 000仕4-2, 13-2; 000契9-1; DOMAIN H2.
"""

import re
from typing import Final

from gateway.peers.relay import histories, outbox, registry
from gateway.peers.relay.errors import NotResolvable
from gateway.peers.relay.histories import History, day_of
from gateway.peers.relay.policy import Kiosk
from gateway.peers.relay.store import Store
from protocol import issuance
from protocol.application import CORRECTIONS_MAX
from protocol.issuance import Ground
from protocol.messages import Operation, encode

COPIES_MAX: Final = 20
_DAY: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_SLIP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def correct(
    store: Store,
    application: bytes,
    *,
    copies: int | None,
    deposited_us: int | None,
    store_day: str | None,
    request_id: bytes,
    now_us: int,
) -> issuance.Correct:
    """Take over a correction of a completed application; None leaves a part as it stands.

    Raises: NotResolvable naming the field, or "" when the application cannot be corrected.
    """
    history = _standing(store, application)
    stands_us, standing = history.deposited_us, sum(each.copies for each in _counted(history))
    if stands_us is None:
        raise NotResolvable("", "交付完了の通知がありません", "There is no completion to correct")
    number = 1 + sum(each.operation == Operation.CORRECT for each in _counted(history))
    if number > CORRECTIONS_MAX:
        raise NotResolvable(
            "", f"訂正は{CORRECTIONS_MAX}回までです", f"There are at most {CORRECTIONS_MAX} corrections"
        )
    at_us = stands_us if deposited_us is None else deposited_us
    day = store_day or (history.store_day if deposited_us is None else day_of(deposited_us))
    said = (standing if copies is None else copies, at_us, day)
    if not 1 <= said[0] <= COPIES_MAX:
        raise NotResolvable("copies", f"通数は1から{COPIES_MAX}です", f"Copies are 1 to {COPIES_MAX}")
    if not _DAY.fullmatch(day):
        raise NotResolvable("day", "営業日は 2026-11-02 の形です", "The business day is written 2026-11-02")
    if at_us > now_us:
        raise NotResolvable("deposited", "入金日時が未来です", "The deposit is in the future")
    if said == (standing, stands_us, history.store_day):
        raise NotResolvable("", "変更がありません", "This is what stands already")
    _make_room(store, application, Operation.CORRECT, number)
    notice = issuance.Correct(application, number, *said, int(Ground.ENTRY_ERROR))
    _take_over(store, notice, history, request_id, now_us)
    return notice


def void(store: Store, application: bytes, *, slip: str, request_id: bytes, now_us: int) -> issuance.Void:
    """Take over the void of a completed application, whose fee the store refunded. Raises: NotResolvable."""
    history = _standing(store, application)
    if not _SLIP.fullmatch(slip):
        raise NotResolvable(
            "slip",
            "返金伝票の番号を半角英数字と - . _ で、40文字以内で入れてください",
            "Enter the slip number in letters, digits and - . _, at most 40",
        )
    _make_room(store, application, Operation.VOID, 0)
    notice = issuance.Void(application, int(Ground.STAFF), now_us, day_of(now_us), history.store, slip)
    _take_over(store, notice, history, request_id, now_us)
    return notice


def _counted(history: History) -> list[histories.Notice]:
    return [each for each in history.notices if each.state != outbox.REFUSED]


def _standing(store: Store, application: bytes) -> History:
    """An application that was completed and not voided. Raises: NotResolvable."""
    history = histories.of_application(store, application)
    if history is None or not any(each.operation == Operation.COMPLETE for each in _counted(history)):
        raise NotResolvable("", "交付完了の通知がありません", "There is no completion to correct")
    if any(each.operation == Operation.VOID for each in _counted(history)):
        raise NotResolvable("", "返金済・無効です", "It is void already")
    return history


def _make_room(store: Store, application: bytes, operation: int, turn: int) -> None:
    """A notice that was refused and closed leaves its place to the next. Raises: NotResolvable while it is open."""
    row = store.row(
        "SELECT number, closed_us FROM outbox WHERE application = ? AND operation = ? AND turn = ?",
        *(application, operation, turn),
    )
    if row is None:
        return
    if row[1] is None:
        raise NotResolvable(
            "",
            f"拒否された通知{row[0]}を先に処理してください",
            f"Close the refused notice {row[0]} first: sekisho relay worklist resolve",
        )
    store.run("UPDATE outbox SET turn = -number WHERE number = ?", row[0])


def _take_over(
    store: Store, notice: issuance.Correct | issuance.Void, history: History, request_id: bytes, now_us: int
) -> None:
    row = store.row("SELECT kiosk FROM dealings WHERE application = ?", history.application)
    found = None if row is None else registry.find(store, row[0])
    caller = Kiosk(
        kiosk="" if row is None else row[0],
        store=history.store,
        store_name="" if found is None else found.store_name,
        spki=b"" if found is None else found.spki,
    )
    outbox.take_over(
        store, notice, asked=encode(notice), request_id=request_id, caller=caller, now_us=now_us, by_relay=True
    )
