"""Notices to store and maintenance (K6(7)): kept until sent, and shown until somebody has acknowledged them.

A notice says what happened, at which kiosk and store, and a code; never whose certificate it was about. It is sent by
whatever Notifier the relay was given; the default writes it to the log, and the page shows it in any case.

Source: 000別1-3(7), 3(8); 000契15.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import msgspec
import structlog

from gateway.peers.relay.store import Store
from protocol.certificates import Named

log = structlog.get_logger()


class NoticeKind(StrEnum):
    """What a notice is about; stable."""

    KIOSK_FAULT = "kiosk-fault"
    KIOSK_FAULT_CLEARED = "kiosk-fault-cleared"
    KIOSK_LOST = "kiosk-lost"
    IN_DOUBT = "in-doubt"
    NOTICE_REFUSED = "notice-refused"
    AMOUNT_DIFFERS = "amount-differs"
    COMPLETION_DIFFERS = "completion-differs"
    DEPOSIT_UNKNOWN = "deposit-unknown"
    LINE_DOWN = "line-down"


WORDS: Final[dict[NoticeKind, Named]] = {
    NoticeKind.KIOSK_FAULT: Named("端末の障害", "Fault of a kiosk"),
    NoticeKind.KIOSK_FAULT_CLEARED: Named("端末の復旧", "A kiosk works again"),
    NoticeKind.KIOSK_LOST: Named("利用中の端末との接続断", "Lost a kiosk that was in use"),
    NoticeKind.IN_DOUBT: Named("入金済・結果不明の取引", "Paid, outcome unknown"),
    NoticeKind.NOTICE_REFUSED: Named("通知がセンターで受け付けられない", "The centre refused a notice"),
    NoticeKind.AMOUNT_DIFFERS: Named("センターと金額が一致しない", "The centre recorded another amount"),
    NoticeKind.COMPLETION_DIFFERS: Named(
        "端末の完了通知が処理済みの内容と一致しない", "A kiosk's completion differs from the one made for it"
    ),
    NoticeKind.DEPOSIT_UNKNOWN: Named(
        "申請の不明な入金の報告", "A deposit was reported for an application the relay does not know"
    ),
    NoticeKind.LINE_DOWN: Named("専用通信回線の断", "The dedicated line is down"),
}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice. Times in microseconds, None while it did not happen."""

    number: int
    at_us: int
    kind: NoticeKind
    kiosk: str
    store: str
    code: str
    sent_us: int | None
    acknowledged_us: int | None
    acknowledged_by: str


Notifier = Callable[[Notice], Awaitable[None]]
"""Sends a notice to the store's register and to the maintenance centre; raises to be asked again later."""


async def to_the_log(notice: Notice) -> None:
    """The default Notifier."""
    log.warning("relay_notice", code=notice.kind.value, reason=notice.code, line=notice.kiosk, record=notice.number)


def add(store: Store, kind: NoticeKind, *, kiosk: str, store_id: str, now_us: int, code: str = "") -> None:
    """Keep a notice."""
    store.run(
        "INSERT INTO notices (at_us, kind, kiosk, store, code) VALUES (?, ?, ?, ?, ?)",
        *(now_us, kind.value, kiosk, store_id, code),
    )


_COLUMNS: Final = "number, at_us, kind, kiosk, store, code, sent_us, acknowledged_us, acknowledged_by"


def _notice(row: tuple[object, ...]) -> Notice:
    return msgspec.convert(dict(zip(_COLUMNS.split(", "), row, strict=True)), Notice)


def unsent(store: Store, *, limit: int) -> list[Notice]:
    """Notices to be sent, oldest first."""
    return [
        _notice(row)
        for row in store.rows(
            f"SELECT {_COLUMNS} FROM notices WHERE sent_us IS NULL ORDER BY number LIMIT ?",  # noqa: S608 - constant
            limit,
        )
    ]


def sent(store: Store, number: int, *, now_us: int) -> None:
    """A notice was sent."""
    store.run("UPDATE notices SET sent_us = ? WHERE number = ? AND sent_us IS NULL", now_us, number)


def unacknowledged(store: Store, *, limit: int) -> list[Notice]:
    """Notices that nobody has acknowledged, newest first."""
    return [
        _notice(row)
        for row in store.rows(
            f"SELECT {_COLUMNS} FROM notices WHERE acknowledged_us IS NULL"  # noqa: S608 - constant
            " ORDER BY number DESC LIMIT ?",
            limit,
        )
    ]


def acknowledge(store: Store, number: int, *, by: str, now_us: int) -> bool:
    """Somebody has seen it; whether there was such a notice to acknowledge."""
    return bool(
        store.run(
            "UPDATE notices SET acknowledged_us = ?, acknowledged_by = ? WHERE number = ? AND acknowledged_us IS NULL",
            *(now_us, by, number),
        )
    )
