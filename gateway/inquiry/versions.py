"""What a notification does to a person's versions. Pure decisions and sealing; tables and files are elsewhere.

An entry of somebody unknown makes version 1. Any other notification makes the version after the newest, which takes
the standing from the one before; that one keeps its period, counted from this notification. The version a removal
makes stands, for the person may still be asked for, and its own period counts from the removal. A 国内転出 that comes
after the new municipality's entry takes no standing: it is filed behind it. What a name or an address has been goes on
being searched: it moves to the history of the new version.
"""

import datetime as dt
from typing import Final

import msgspec

from gateway.inquiry.changes import ChangeReason, Group
from gateway.inquiry.errors import FieldInvalid
from gateway.inquiry.notification import Notification
from gateway.inquiry.record import ResidentRecord
from gateway.inquiry.retention import Retention

HISTORY_MAX: Final = 32
"""Former names, and addresses, kept to be searched by; the oldest go first."""


class Version(msgspec.Struct, frozen=True):
    """A version as it is to be written. `superseded_on` is set only on one that never stands."""

    version: int
    record: ResidentRecord
    expires_on: dt.date | None = None
    superseded_on: dt.date | None = None


class Now(msgspec.Struct, frozen=True):
    """A person in the register: the standing record, when it ends if it was removed, and the highest version."""

    record: ResidentRecord
    newest: int
    expires_on: dt.date | None = None


class Change(msgspec.Struct, frozen=True):
    """What to write: the new version, and when the standing one ends if it is superseded."""

    version: Version
    standing_expires_on: dt.date | None = None


def change(now: Now | None, notification: Notification, retention: Retention) -> Change:
    """Decide what a notification writes over what stands (None: nobody with that code).

    Raises: FieldInvalid when it does not fit what stands; RetentionMissing.
    """
    reason, record, on = notification.reason, notification.record, notification.notified_on
    group = reason.group
    removed_until = retention.expiry("removed", on) if group == Group.REMOVAL else None
    if now is None:
        if group != Group.ENTRY:
            raise FieldInvalid(
                "code",
                "not-registered",
                ja="この住民票コードの登録がありません。先に記載の通知が必要です",
                en="nobody stands under this code; notify the entry first",
            )
        return Change(Version(1, record))
    if reason == ChangeReason.BORN:
        raise FieldInvalid(
            "code",
            "registered-already",
            ja="この住民票コードは登録済みです。出生では記載できません",
            en="this code stands in the register already, so it cannot be a birth",
        )
    kept_until = retention.expiry("superseded", on)
    if record.municipality != now.record.municipality and group != Group.ENTRY:
        if reason != ChangeReason.MOVED_OUT:
            raise FieldInvalid(
                "municipality",
                "not-the-residence",
                ja="現在の住所地の市区町村ではありません",
                en="the person stands in another municipality",
            )
        return Change(Version(now.newest + 1, record, kept_until, superseded_on=on))
    if group == Group.AMENDMENT:  # what is amended on a removed person stays removed, for as long as it was to be kept
        removed_until = now.expires_on
    return Change(Version(now.newest + 1, with_history(record, now.record), removed_until), kept_until)


def with_history(record: ResidentRecord, before: ResidentRecord) -> ResidentRecord:
    """The record with the names and addresses the person had before, newest first."""
    names = [before.name] if before.name != record.name else []
    if before.former_surname and before.former_surname != record.former_surname:
        _, _, given = before.name.replace("\u3000", " ").partition(" ")
        names.append(f"{before.former_surname} {given}" if given else before.former_surname)
    if before.alias and before.alias != record.alias:
        names.append(before.alias)
    addresses = [before.address] if before.address != record.address else []
    return msgspec.structs.replace(
        record,
        former_names=_history((*names, *before.former_names), record.name),
        former_addresses=_history((*addresses, *before.former_addresses), record.address),
    )


def _history(texts: tuple[str, ...], current: str) -> tuple[str, ...]:
    return tuple(text for text in dict.fromkeys(texts) if text != current)[:HISTORY_MAX]
