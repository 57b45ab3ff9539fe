"""The kiosks: which there are, at which store, with which key, and how each is just now (K6(7), K6(8)).

What is known of a kiosk's connection and last fact is the relay's own observation; it begins anew with the relay.
Source: 000別1-3(4), (7), (8); DOMAIN A2.
"""

import msgspec

from gateway.peers.relay.policy import Kiosk, Owned
from gateway.peers.relay.store import Store


class KioskState(msgspec.Struct, frozen=True, kw_only=True):
    """How a kiosk is: connected since, last heard of, in use, and the code of its fault or "". Times in us, or None."""

    kiosk: str
    store: str
    store_name: str
    connected_us: int | None
    last_us: int | None
    in_use: bool
    fault: str
    fault_us: int | None


def add(store: Store, kiosk: Kiosk, *, certificate: bytes, now_us: int) -> None:
    """Register a kiosk, or renew its store and certificate (DER)."""
    store.run(
        "INSERT INTO kiosks (kiosk, store, store_name, certificate, spki, added_us) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (kiosk) DO UPDATE SET store = excluded.store, store_name = excluded.store_name,"
        " certificate = excluded.certificate, spki = excluded.spki",
        *(kiosk.kiosk, kiosk.store, kiosk.store_name, certificate, kiosk.spki, now_us),
    )


def find(store: Store, kiosk: str) -> Kiosk | None:
    """A registered kiosk."""
    row = store.row("SELECT kiosk, store, store_name, spki FROM kiosks WHERE kiosk = ?", kiosk)
    return None if row is None else Kiosk(kiosk=row[0], store=row[1], store_name=row[2], spki=row[3])


def states(store: Store) -> list[KioskState]:
    """All kiosks, by store."""
    rows = store.rows(
        "SELECT kiosk, store, store_name, connected_us, last_us, in_use, fault, fault_us FROM kiosks"
        " ORDER BY store, kiosk"
    )
    return [
        KioskState(
            kiosk=row[0],
            store=row[1],
            store_name=row[2],
            connected_us=row[3],
            last_us=row[4],
            in_use=bool(row[5]),
            fault=row[6],
            fault_us=row[7],
        )
        for row in rows
    ]


def begin(store: Store) -> None:
    """When the relay starts, nobody is connected."""
    store.run("UPDATE kiosks SET connected_us = NULL, in_use = 0 WHERE connected_us IS NOT NULL OR in_use <> 0")


def connected(store: Store, kiosk: str, now_us: int) -> None:
    """A kiosk's line stands."""
    store.run("UPDATE kiosks SET connected_us = ?, last_us = ? WHERE kiosk = ?", now_us, now_us, kiosk)


def disconnected(store: Store, kiosk: str, now_us: int) -> None:
    """The last of a kiosk's connections is gone."""
    store.run("UPDATE kiosks SET connected_us = NULL, in_use = 0, last_us = ? WHERE kiosk = ?", now_us, kiosk)


def heard(store: Store, kiosk: str, now_us: int, *, in_use: bool) -> None:
    """A kiosk said what it is doing."""
    store.run("UPDATE kiosks SET last_us = ?, in_use = ? WHERE kiosk = ?", now_us, int(in_use), kiosk)


def fault(store: Store, kiosk: str, now_us: int, *, code: str) -> bool:
    """A kiosk's fault, or with an empty code its end; whether that is new."""
    return bool(
        store.run(
            "UPDATE kiosks SET last_us = ?, fault = ?, fault_us = ? WHERE kiosk = ? AND fault <> ?",
            *(now_us, code, now_us if code else None, kiosk, code),
        )
    )


def own(store: Store, application: bytes, *, kiosk: str, now_us: int) -> None:
    """An application belongs to the kiosk whose AUTHENTICATE began it."""
    store.run(
        "INSERT INTO applications (application, kiosk, at_us) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        *(application, kiosk, now_us),
    )


def owner(store: Store, application: bytes) -> Owned | None:
    """Whose an application is."""
    row = store.row("SELECT kiosk, erasing_us FROM applications WHERE application = ?", application)
    return None if row is None else Owned(kiosk=row[0], erasing=row[1] is not None)


def applied(store: Store, application: bytes, *, municipality: str, kind: str, copies: int, fee_yen: int) -> None:
    """What was applied for and at what fee a copy, as store totals need it."""
    store.run(
        "UPDATE applications SET municipality = ?, kind = ?, copies = ?, fee_yen = ?"
        " WHERE application = ? AND erasing_us IS NULL",
        *(municipality, kind, copies, fee_yen, application),
    )


def drop_old(store: Store, *, before_us: int) -> int:
    """Forget applications that came to nothing: no money and no notice."""
    return store.run(
        "DELETE FROM applications WHERE at_us < ?"
        " AND NOT EXISTS (SELECT 1 FROM dealings d WHERE d.application = applications.application)"
        " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.application = applications.application)",
        before_us,
    )
