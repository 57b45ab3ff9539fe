"""Users and terminals: who may sign in, and where (002 別2-2(4): only persons the responsible manager approved).

A user without a date of training has no right to use (002 本5). Staff numbers are the centre's; names stay outside.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from gateway.peers.ministry.desk import Right, Terminal, UserView
from gateway.peers.ministry.errors import MinistryError, Why
from gateway.peers.ministry.store import Store

JST: Final = timezone(timedelta(hours=9), "JST")
FOR_EVER_US: Final = 1 << 62
"""Locked until a manager unlocks."""
_USER_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")
_STAFF: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,38}[A-Za-z0-9])?")
_USER_COLUMNS: Final = (
    "id, staff, rights, pin_hash, totp_sealed, totp_step, failures, locked_until_us, "
    "valid_from, valid_until, trained_on"
)
_TERMINAL_COLUMNS: Final = "fingerprint, label, not_before_us, not_after_us, lost_us"


class PeopleError(MinistryError):
    """A user or terminal that cannot be kept as asked; the sentence says why."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One user as kept. Dates are YYYY-MM-DD (JST); "" where there is none."""

    id: str
    staff: str
    rights: frozenset[Right]
    pin_hash: str
    totp_sealed: bytes
    totp_step: int
    failures: int
    locked_until_us: int | None
    valid_from: str
    valid_until: str
    trained_on: str

    def objection(self, now_us: int) -> Why | None:
        """Why this user may not sign in now, leaving aside the factors; None if they may."""
        today = datetime.fromtimestamp(now_us / 1e6, UTC).astimezone(JST).date().isoformat()
        if self.locked_until_us is not None and now_us < self.locked_until_us:
            return Why.USER_LOCKED
        if today < self.valid_from or (self.valid_until and today > self.valid_until):
            return Why.USER_NOT_VALID
        if not self.trained_on or today < self.trained_on:  # 002 本5
            return Why.USER_NOT_TRAINED
        return None

    def view(self) -> UserView:
        """The user without secrets."""
        return UserView(
            id=self.id,
            staff=self.staff,
            rights=self.rights,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            trained_on=self.trained_on,
            locked_until_us=self.locked_until_us,
            failures=self.failures,
        )


def add_user(
    store: Store,
    *,
    user: str,
    staff: str,
    rights: frozenset[Right],
    pin_hash: str,
    totp_secret: str,
    valid_from: date,
    valid_until: date | None,
    trained_on: date | None,
) -> None:
    """Keep a new user. Raises: PeopleError for a malformed or taken id, a malformed staff number, no right."""
    if _USER_ID.fullmatch(user) is None:
        raise PeopleError("a user id has 1 to 40 of a-z, 0-9, dot, hyphen and underscore")
    if _STAFF.fullmatch(staff) is None:
        raise PeopleError("a staff number has 1 to 40 letters, digits, dots, hyphens and underscores")
    if not rights:
        raise PeopleError("name at least one right")
    with store.transaction():
        if find_user(store, user) is not None:
            raise PeopleError(f"there is a user {user} already")
        store.run(
            f"INSERT INTO users ({_USER_COLUMNS}) VALUES (?, ?, ?, ?, ?, 0, 0, NULL, ?, ?, ?)",  # noqa: S608 - fixed
            user,
            staff,
            " ".join(sorted(rights)),
            pin_hash,
            store.sealer.seal("totp", user, totp_secret.encode()),
            valid_from.isoformat(),
            valid_until.isoformat() if valid_until is not None else "",
            trained_on.isoformat() if trained_on is not None else "",
        )


def change_user(
    store: Store,
    user: str,
    *,
    rights: frozenset[Right] | None = None,
    pin_hash: str | None = None,
    totp_secret: str | None = None,
    valid_until: date | None = None,
    trained_on: date | None = None,
) -> None:
    """Change what is given. Raises: PeopleError for an unknown user."""
    given: list[tuple[str, object]] = []
    if rights is not None:
        given.append(("rights = ?", " ".join(sorted(rights))))
    if pin_hash is not None:
        given.append(("pin_hash = ?", pin_hash))
    if totp_secret is not None:
        given.append(("totp_step = 0, totp_sealed = ?", store.sealer.seal("totp", user, totp_secret.encode())))
    given += [
        (f"{column} = ?", day.isoformat())
        for column, day in (("valid_until", valid_until), ("trained_on", trained_on))
        if day is not None
    ]
    if not given:
        raise PeopleError("name what to change")
    changes = ", ".join(change for change, _ in given)
    if not store.run(f"UPDATE users SET {changes} WHERE id = ?", *(value for _, value in given), user):  # noqa: S608 - fixed text
        raise PeopleError(f"there is no user {user}; see `sekisho ministry user list`")


def find_user(store: Store, user: str) -> User | None:
    """One user by id."""
    row = store.row(f"SELECT {_USER_COLUMNS} FROM users WHERE id = ?", user)  # noqa: S608 - fixed columns
    return None if row is None else _user(row)


def all_users(store: Store) -> tuple[User, ...]:
    """Every user by id."""
    return tuple(_user(row) for row in store.rows(f"SELECT {_USER_COLUMNS} FROM users ORDER BY id"))  # noqa: S608


def totp_secret(store: Store, user: User) -> str:
    """The secret of a user's authenticator."""
    return store.sealer.open("totp", user.id, user.totp_sealed).decode()


def begin_attempt(store: Store, user: str) -> None:
    """Count an attempt as failed before it is judged, so that attempts made at once are all counted."""
    store.run("UPDATE users SET failures = failures + 1 WHERE id = ?", user)


def attempt_failed(store: Store, user: str) -> int | None:
    """Lock the user if that was one failure too many; until when, if so."""
    settings, until_us = store.settings, store.now_us()
    until_us += settings.lock_minutes * 60_000_000
    with store.transaction():
        locked = store.run(
            "UPDATE users SET locked_until_us = ?, failures = 0 WHERE id = ? AND failures >= ?",
            until_us,
            user,
            settings.failures_max,
        )
    return until_us if locked else None


def take_back_attempt(store: Store, user: str) -> None:
    """The first factor was right: that attempt does not count."""
    store.run("UPDATE users SET failures = max(failures - 1, 0) WHERE id = ?", user)


def all_right(store: Store, user: str) -> None:
    """Both factors were right: earlier failures are forgotten."""
    store.run("UPDATE users SET failures = 0, locked_until_us = NULL WHERE id = ?", user)


def use_step(store: Store, user: str, step: int) -> bool:
    """Use up a code's step; False if it, or a later one, was used meanwhile."""
    return store.run("UPDATE users SET totp_step = ? WHERE id = ? AND totp_step < ?", step, user, step) == 1


def set_lock(store: Store, user: str, until_us: int | None) -> None:
    """Lock until a time, or unlock. Raises: PeopleError."""
    if not store.run("UPDATE users SET locked_until_us = ?, failures = 0 WHERE id = ?", until_us, user):
        raise PeopleError(f"there is no user {user}; see `sekisho ministry user list`")


def add_terminal(store: Store, terminal: Terminal) -> None:
    """Register a terminal. Raises: PeopleError when the label is taken or unfit."""
    if not 1 <= len(terminal.label) <= 40 or not terminal.label.isprintable():
        raise PeopleError("a terminal's label has 1 to 40 printable characters")
    with store.transaction():
        if store.row("SELECT 1 FROM terminals WHERE label = ?", terminal.label) is not None:
            raise PeopleError(f"there is a terminal {terminal.label} already; labels are not used again")
        store.run("INSERT INTO terminals VALUES (?, ?, ?, ?, ?)", *msgspec.structs.astuple(terminal))


def find_terminal(store: Store, fingerprint: bytes) -> Terminal | None:
    """One terminal by its certificate."""
    row = store.row(f"SELECT {_TERMINAL_COLUMNS} FROM terminals WHERE fingerprint = ?", fingerprint)  # noqa: S608
    return None if row is None else _terminal(row)


def all_terminals(store: Store) -> tuple[Terminal, ...]:
    """Every terminal by label."""
    rows = store.rows(f"SELECT {_TERMINAL_COLUMNS} FROM terminals ORDER BY label")  # noqa: S608 - fixed columns
    return tuple(_terminal(row) for row in rows)


def lose_terminal(store: Store, label: str) -> None:
    """Mark a terminal as lost: from now on it is refused. Raises: PeopleError."""
    if not store.run("UPDATE terminals SET lost_us = ? WHERE label = ? AND lost_us IS NULL", store.now_us(), label):
        raise PeopleError(f"there is no terminal {label} in use; see `sekisho ministry terminal list`")


def terminal_objection(terminal: Terminal | None, now_us: int) -> Why | None:
    """Why a terminal may not come in; None if it may."""
    if terminal is None:
        return Why.TERMINAL_UNKNOWN
    if terminal.lost_us is not None:
        return Why.TERMINAL_LOST
    if not terminal.not_before_us <= now_us < terminal.not_after_us:
        return Why.TERMINAL_EXPIRED
    return None


def _user(row: tuple[Any, ...]) -> User:
    user, staff, rights, *rest = row
    values = dict(zip(User.__struct_fields__[3:], rest, strict=True))
    return User(id=user, staff=staff, rights=frozenset(Right(right) for right in rights.split()), **values)


def _terminal(row: tuple[Any, ...]) -> Terminal:
    return Terminal(**dict(zip(Terminal.__struct_fields__, row, strict=True)))
