"""入金済・結果不明: what was paid and has no outcome, and what the centre refused. Nothing paid is ever forgotten.

Items are found, not filed: a dealing without a completion or void is in doubt as soon as it is old enough, and stays so
until one is taken over, whatever else was lost meanwhile. The kiosk's print journal decides where it speaks: PRINTED,
and no completion following, makes the completion here. A kiosk that comes back and says IDLE with the application's id
found no printing in its journal. That, or silence, leaves it to the store: its staff refunds, confirms with ground and
slip number, and the relay makes the void.

Source: DESIGN 10 and 13; 000契9-1; DOMAIN H1, H2.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

import msgspec

from gateway.peers.relay import notices, outbox, registry
from gateway.peers.relay.errors import NotResolvable
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.policy import Kiosk
from gateway.peers.relay.store import Store
from protocol import issuance
from protocol.issuance import Ground
from protocol.messages import Operation, encode

JAPAN: Final = timezone(timedelta(hours=9), "JST")
_SLIP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Journal(StrEnum):
    """What the kiosk's print journal says of an application."""

    PRINTED = "printed"
    NOT_PRINTED = "not-printed"
    SILENT = "silent"


class InDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """A paid application without an outcome. application: hexadecimal; yen: as deposited; told: a notice was made.

    refused: the centre did not take its completion, so none is made here again.
    """

    application: str
    kiosk: str
    store: str
    store_name: str
    municipality: str
    kind: str
    copies: int
    yen: int
    deposited_us: int
    journal: Journal
    told: bool
    refused: bool


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that the centre refused, to be closed by a person."""

    number: int
    application: str
    operation: int
    kiosk: str
    outcome: int
    done_us: int


def deposited(store: Store, event: issuance.KioskEvent, *, caller: Kiosk, now_us: int) -> None:
    """Money is in: from now on this application is owed an outcome."""
    known = outbox.facts(store, event.application)
    settled = store.row(
        "SELECT min(taken_us) FROM outbox WHERE application = ? AND operation IN (?, ?)",
        *(event.application, Operation.COMPLETE, Operation.VOID),
    )
    store.run(
        "INSERT INTO dealings (application, kiosk, store, municipality, kind, copies, fee_yen, yen, deposited_us,"
        " noted_us, settled_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        *(event.application, caller.kiosk, caller.store, known.municipality, known.kind, known.copies, known.fee_yen),
        *(event.yen, event.at_us, now_us, None if settled is None else settled[0]),
    )


def journal(store: Store, application: bytes, *, printed: bool, at_us: int) -> None:
    """What the print journal says; that something was printed is never taken back."""
    column = "printed_us" if printed else "unprinted_us"
    store.run(
        f"UPDATE dealings SET {column} = ? WHERE application = ? AND {column} IS NULL",  # noqa: S608 - of two
        *(at_us, application),
    )


def in_doubt(store: Store, *, before_us: int) -> list[InDoubt]:
    """Everything noted as paid before a time and not settled, oldest first."""
    rows = store.rows(
        "SELECT hex(d.application), d.kiosk, d.store, coalesce(k.store_name, ''), d.municipality, d.kind, d.copies,"
        " d.yen, d.deposited_us, d.printed_us, d.unprinted_us, d.told_us,"
        " EXISTS (SELECT 1 FROM outbox o WHERE o.application = d.application AND o.operation = ?) FROM dealings d"
        " LEFT JOIN kiosks k ON k.kiosk = d.kiosk"
        " WHERE d.settled_us IS NULL AND d.noted_us < ? ORDER BY d.noted_us",
        *(Operation.COMPLETE, before_us),
    )
    return [
        InDoubt(
            application=row[0].lower(),
            kiosk=row[1],
            store=row[2],
            store_name=row[3],
            municipality=row[4],
            kind=row[5],
            copies=row[6],
            yen=row[7],
            deposited_us=row[8],
            journal=Journal.PRINTED if row[9] else Journal.NOT_PRINTED if row[10] else Journal.SILENT,
            told=row[11] is not None,
            refused=bool(row[12]),
        )
        for row in rows
    ]


def tell(store: Store, item: InDoubt, *, now_us: int) -> None:
    """Make the one notice that says that somebody has to look at this."""
    if store.run(
        "UPDATE dealings SET told_us = ? WHERE application = ? AND told_us IS NULL",
        now_us,
        bytes.fromhex(item.application),
    ):
        notices.add(store, NoticeKind.IN_DOUBT, kiosk=item.kiosk, store_id=item.store, now_us=now_us)


def refused(store: Store) -> list[Refused]:
    """Every notice that was refused and not closed, oldest first."""
    rows = store.rows(
        "SELECT number, hex(application), operation, kiosk, outcome, done_us FROM outbox"
        " WHERE state = 'refused' AND closed_us IS NULL ORDER BY number"
    )
    return [
        Refused(
            number=row[0], application=row[1].lower(), operation=row[2], kiosk=row[3], outcome=row[4], done_us=row[5]
        )
        for row in rows
    ]


def business_day(at_us: int) -> str:
    """The store business day of a moment, where nobody said otherwise: the day in Japan."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(JAPAN).date().isoformat()


def complete_printed(store: Store, item: InDoubt, *, request_id: bytes, now_us: int) -> None:
    """The journal says printed and the kiosk does not complete: make its completion."""
    caller = _kiosk(store, item)
    application = bytes.fromhex(item.application)
    notice = issuance.Complete(
        application, max(item.copies, 1), item.deposited_us, business_day(item.deposited_us), caller.store,
        f"relay-{item.application[-12:]}",
    )  # fmt: skip
    outbox.take_over(
        store, notice, asked=encode(notice), request_id=request_id, caller=caller, now_us=now_us, by_relay=True
    )


def confirm_refund(store: Store, application: bytes, *, ground: int, slip: str, request_id: bytes, now_us: int) -> None:
    """Store staff has refunded: make the void, of every copy (H2).

    Raises: NotResolvable naming the field, or "" when the application is not in doubt.
    """
    if ground not in (Ground.MISPRINT, Ground.NOT_PRINTED, Ground.DOCUMENT_REFUSED, Ground.STAFF):
        raise NotResolvable("ground", "返金の理由を選んでください", "Choose the ground of the refund")
    if not _SLIP.fullmatch(slip):
        raise NotResolvable(
            "slip",
            "返金伝票の番号を半角英数字と - . _ で、40文字以内で入れてください",
            "Enter the slip number in letters, digits and - . _, at most 40",
        )
    hexadecimal = application.hex()
    item = next((each for each in in_doubt(store, before_us=now_us + 1) if each.application == hexadecimal), None)
    if item is None:
        raise NotResolvable("", "この取引は処理済みです", "This transaction is settled already")
    if item.journal is Journal.PRINTED and ground == Ground.NOT_PRINTED:
        raise NotResolvable(
            "ground",
            "端末の記録では印刷済みです。別の理由を選んでください",
            "The journal says printed; choose another ground",
        )
    caller = _kiosk(store, item)
    notice = issuance.Void(application, ground, now_us, business_day(now_us), caller.store, slip)
    outbox.take_over(
        store, notice, asked=encode(notice), request_id=request_id, caller=caller, now_us=now_us, by_relay=True
    )


def close_refused(store: Store, number: int, *, by: str, now_us: int) -> None:
    """A person has dealt with a refused notice. `by` is who, or the reference of what was done.

    Raises: NotResolvable.
    """
    if not _SLIP.fullmatch(by):
        raise NotResolvable(
            "by",
            "処理の記録番号を半角英数字と - . _ で、40文字以内で入れてください",
            "Enter the reference in letters, digits and - . _, at most 40",
        )
    row = store.row(
        "SELECT application FROM outbox WHERE number = ? AND state = 'refused' AND closed_us IS NULL", number
    )
    if row is None:
        raise NotResolvable("", "この通知は処理済みです", "This notice is closed already, or was not refused")
    store.run("UPDATE outbox SET closed_us = ?, closed_by = ? WHERE number = ?", now_us, by, number)
    outbox.erase(store, row[0])


def _kiosk(store: Store, item: InDoubt) -> Kiosk:
    """Whose item it is; the store where the money was taken counts, also when the kiosk has moved since."""
    found = registry.find(store, item.kiosk)
    spki = b"" if found is None else found.spki
    return Kiosk(kiosk=item.kiosk, store=item.store, store_name=item.store_name, spki=spki)
