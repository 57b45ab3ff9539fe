"""The operation history (操作履歴): who did what at which terminal, appended and never changed.

Each line carries a MAC over itself and its predecessor's MAC, under a key that only the keystore opens: a changed,
missing or inserted line is found by `verify`, and so is a cut at the end when the head that was written down earlier
is given. SQLite triggers refuse changes besides. Lines past their retention leave from the front; the base then holds
the last one's MAC, and a RETENTION line in the chain says up to which number.

A line is about staff and cases, never about residents. Source: 002 別2-2(4); DOMAIN 2.5.
"""

import hmac
from datetime import timedelta
from typing import Any, Final

import msgspec

from gateway.peers.ministry.desk import Event, HistoryEntry, HistoryFilter, HistoryPage
from gateway.peers.ministry.errors import MinistryError
from gateway.peers.ministry.store import Store

PAGE_MAX: Final = 200
_COLUMNS: Final = "number, at_us, event, user, terminal, affair, step, case_ref, request_id, detail, my_number"
_YEAR_US: Final = timedelta(days=366) // timedelta(microseconds=1)


class HistoryBroken(MinistryError):  # noqa: N818 - named after the fact
    """The history is not as it was written; `number` is the first line that does not fit."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"history line {number}: {why}; keep the file as evidence and restore a back-up")
        self.number = number


class Head(msgspec.Struct, frozen=True):
    """The last line: its number and MAC. Written down elsewhere, it makes a cut at the end visible."""

    number: int
    mac: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.mac.hex()}"


def append(
    store: Store,
    event: Event,
    *,
    user: str = "",
    terminal: str = "",
    affair: str = "",
    step: int = 0,
    case: str = "",
    request_id: str = "",
    detail: str = "",
    my_number: bool = False,
) -> None:
    """Write one line; durable when it returns (with its transaction, inside one)."""
    with store.transaction():
        last = head(store)
        entry = HistoryEntry(
            number=last.number + 1,
            at_us=store.now_us(),
            event=event,
            user=user,
            terminal=terminal,
            affair=affair,
            step=step,
            case=case,
            request_id=request_id,
            detail=detail,
            my_number=my_number,
        )
        values = (*msgspec.structs.astuple(entry)[:-1], int(my_number))
        store.run(
            f"INSERT INTO history ({_COLUMNS}, mac) VALUES ({', '.join('?' * 12)})",  # noqa: S608 - fixed text
            *values,
            _mac(store, last.mac, entry),
        )


def head(store: Store) -> Head:
    """The last line's number and MAC; (0, b"") before the first."""
    row = store.row("SELECT number, mac FROM history ORDER BY number DESC LIMIT 1")
    return Head(*(row or store.row("SELECT number, mac FROM history_base") or (0, b"")))


def read(store: Store, query: HistoryFilter) -> HistoryPage:
    """A page of lines, newest first."""
    wanted: list[tuple[str, object]] = []
    for condition, value in (
        ("user = ?", query.user),
        ("event = ?", query.event or ""),
        ("case_ref = ?", query.case),
    ):
        if value:
            wanted.append((condition, str(value)))
    for condition, number in (
        ("at_us >= ?", query.from_us),
        ("at_us < ?", query.until_us),
        ("number < ?", query.before),
    ):
        if number is not None:
            wanted.append((condition, number))
    limit = max(1, min(query.limit, PAGE_MAX))
    where = " AND ".join(["1", *(condition for condition, _ in wanted)])
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM history WHERE {where} ORDER BY number DESC LIMIT ?",  # noqa: S608 - fixed conditions
        *(value for _, value in wanted),
        limit + 1,
    )
    return HistoryPage(entries=tuple(_entry(row) for row in rows[:limit]), more=len(rows) > limit)


def verify(store: Store, *, kept: Head | None = None) -> Head:
    """Recompute the whole chain; the head if it holds. Raises: HistoryBroken.

    kept: a head written down earlier; it must still stand in the chain (or be retired with its predecessors).
    """
    base_number, mac = store.row("SELECT number, mac FROM history_base") or (0, b"")
    number, retired, met = base_number, base_number == 0, kept is None
    for *columns, stored in store.rows(f"SELECT {_COLUMNS}, mac FROM history ORDER BY number"):  # noqa: S608 - fixed
        if columns[0] != number + 1:
            raise HistoryBroken(number + 1, "it is missing")
        try:
            entry = _entry(tuple(columns))
        except ValueError as error:
            raise HistoryBroken(number + 1, "it cannot be read") from error
        number, mac = entry.number, _mac(store, mac, entry)
        if not hmac.compare_digest(mac, stored):
            raise HistoryBroken(number, "it was changed, or the one before it was")
        retired = retired or (entry.event is Event.RETENTION and entry.detail == _retired(base_number))
        if kept is not None and kept.number == number:
            if not hmac.compare_digest(kept.mac, mac):
                raise HistoryBroken(number, "it is not the one whose head was written down")
            met = True
    if not retired:
        raise HistoryBroken(base_number, "lines before it were removed without a record of it")
    if not met and kept is not None and kept.number > base_number:
        raise HistoryBroken(number + 1, f"the history was cut before line {kept.number}")
    return Head(number, mac)


def retire(store: Store) -> int:
    """Remove lines past the retention the settings name; how many. Without a younger one all stay."""
    before_us = store.now_us() - store.settings.history_years * _YEAR_US
    with store.transaction():
        row = store.row(
            "SELECT number, mac FROM history WHERE number < "
            "(SELECT min(number) FROM history WHERE at_us >= ?) ORDER BY number DESC LIMIT 1",
            before_us,
        )
        if row is None:
            return 0
        store.run("UPDATE history_base SET number = ?, mac = ?", *row)
        gone = store.run("DELETE FROM history WHERE number <= ?", row[0])
        append(store, Event.RETENTION, detail=_retired(row[0]))
    return gone


def _retired(number: int) -> str:
    return f"history:{number}"


def _entry(row: tuple[Any, ...]) -> HistoryEntry:
    number, at_us, event, user, terminal, affair, step, case, request_id, detail, my_number = row
    return HistoryEntry(
        number=number,
        at_us=at_us,
        event=Event(event),
        user=user,
        terminal=terminal,
        affair=affair,
        step=step,
        case=case,
        request_id=request_id,
        detail=detail,
        my_number=bool(my_number),
    )


def _mac(store: Store, before: bytes, entry: HistoryEntry) -> bytes:
    return hmac.digest(store.chain_key, before + msgspec.json.encode(msgspec.structs.astuple(entry)), "sha256")
