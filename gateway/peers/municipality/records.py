"""Residents as the municipality records them (住民記録), and how they are read and changed.

A resident's record is one sealed value: the status that bars an issue (支援措置, 転出予定, 印鑑登録の廃止) stands in
it beside the data, so nothing of it can be told from the file. A change that is entered and not yet committed (仮登録)
waits beside the record and is not seen by any issue (DOMAIN 2.6, standard specification 4.0.8). Every change of a
status is kept in a sealed history.

All data here is synthetic (合成データ).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.peers.municipality.errors import ChangeRefused, ResidentUnknown
from gateway.peers.municipality.store import Store


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Seal(_Record, frozen=True):
    """A seal registration (印鑑登録): its number, day, impression as PNG, and whether it was cancelled (廃止)."""

    number: str
    registered_on: str
    impression: bytes
    cancelled: bool = False


class Tax(_Record, frozen=True):
    """A tax year's figures in yen: income (所得), assessed (課税額) and paid (納付額); year is the western year."""

    year: int
    income: int
    assessed: int
    paid: int


class Resident(_Record, frozen=True, kw_only=True):
    """One resident. Dates are YYYY-MM-DD; register is the number of the family register held here, or None."""

    number: int
    household: int
    name: str
    kana: str
    birth: str
    sex: str
    address: str
    address_since: str
    resident_since: str
    previous_address: str
    relation: str
    domicile: str
    register_head: str
    register: int | None
    my_number: str
    former_names: tuple[str, ...] = ()
    seal: Seal | None = None
    taxes: tuple[Tax, ...] = ()
    note: str = ""
    suppressed: bool = False
    moving_on: str = ""
    died_on: str = ""


class Entry(_Record, frozen=True, kw_only=True):
    """One person in a family register (戸籍): events and addresses are (label, text) in their order."""

    resident: int | None
    name: str
    birth: str
    father: str
    mother: str
    relation: str
    events: tuple[tuple[str, str], ...]
    addresses: tuple[tuple[str, str], ...]


class Register(_Record, frozen=True, kw_only=True):
    """A family register: domicile (本籍), head (筆頭者), the day it was made, and its persons."""

    number: int
    domicile: str
    head: str
    made_on: str
    entries: tuple[Entry, ...]


class Records(_Record, frozen=True):
    """What an issue reads of one applicant: the household by number, the family register, and who of it lives here."""

    applicant: Resident
    household: tuple[Resident, ...]
    register: Register | None
    family: tuple[Resident, ...]


class StatusChange(_Record, frozen=True):
    """One line of the status history: whose status, what, its new value, and by whom."""

    resident: int
    what: str
    value: str
    by: str


_encode: Final = msgspec.msgpack.Encoder().encode
_read_resident: Final = msgspec.msgpack.Decoder(Resident).decode
_read_register: Final = msgspec.msgpack.Decoder(Register).decode
_read_change: Final = msgspec.msgpack.Decoder(StatusChange).decode


def add_resident(store: Store, resident: Resident) -> None:
    """A new record."""
    store.run(
        "INSERT INTO residents (number, household, register, sealed) VALUES (?, ?, ?, ?)",
        resident.number,
        resident.household,
        resident.register,
        _seal(store, resident),
    )


def add_register(store: Store, register: Register) -> None:
    """A new family register."""
    sealed = store.sealer.seal("register", str(register.number), _encode(register))
    store.run("INSERT INTO registers VALUES (?, ?)", register.number, sealed)


def residents(store: Store) -> Iterator[Resident]:
    """All records in force, by number."""
    for number, sealed in store.rows("SELECT number, sealed FROM residents ORDER BY number"):
        yield _open(store, number, sealed)


def resident(store: Store, number: int) -> Resident:
    """The record in force. Raises: ResidentUnknown."""
    found = store.row("SELECT sealed FROM residents WHERE number = ?", number)
    if found is None:
        raise ResidentUnknown(number)
    return _open(store, number, found[0])


def read_records(store: Store, number: int) -> Records:
    """What an issue for this resident reads. Raises: ResidentUnknown."""
    applicant = resident(store, number)
    household = _where(store, "household", applicant.household)
    if applicant.register is None:
        return Records(applicant, household, None, ())
    found = store.row("SELECT sealed FROM registers WHERE number = ?", applicant.register)
    sealed = None if found is None else found[0]
    register = sealed and _read_register(store.sealer.open("register", str(applicant.register), sealed))
    return Records(applicant, household, register, _where(store, "register", applicant.register))


# --- cards


def bind_card(store: Store, card_key: bytes, number: int, *, by: str) -> None:
    """Map a card (certs.authentication.Card.key) to a resident, in place of an earlier one. Raises: ResidentUnknown."""
    with store.transaction():
        resident(store, number)
        blind = store.sealer.blind("card", card_key)
        store.run(
            "INSERT OR REPLACE INTO cards VALUES (?, ?)",
            blind,
            store.sealer.seal("card", blind.hex(), str(number).encode()),
        )
        _keep_change(store, StatusChange(number, "card", "added", by))


def resident_of_card(store: Store, card_key: bytes) -> int | None:
    """The resident's number, or None for a card that is not known here."""
    blind = store.sealer.blind("card", card_key)
    found = store.row("SELECT sealed FROM cards WHERE card = ?", blind)
    return None if found is None else int(store.sealer.open("card", blind.hex(), found[0]))


# --- changes


def enter_change(store: Store, changed: Resident) -> None:
    """Enter a change without committing it (仮登録): no issue sees it. Raises: ResidentUnknown."""
    sealed = store.sealer.seal("waiting", str(changed.number), _encode(changed))
    if not store.run("UPDATE residents SET waiting = ? WHERE number = ?", sealed, changed.number):
        raise ResidentUnknown(changed.number)


def commit_change(store: Store, number: int) -> None:
    """Put an entered change in force (本登録). Raises: ResidentUnknown, ChangeRefused when none waits."""
    with store.transaction():
        found = store.row("SELECT waiting FROM residents WHERE number = ?", number)
        if found is None:
            raise ResidentUnknown(number)
        if found[0] is None:
            raise ChangeRefused(f"no entered change of resident {number} waits to be committed")
        _put(store, _read_resident(store.sealer.open("waiting", str(number), found[0])))
        store.run("UPDATE residents SET waiting = NULL WHERE number = ?", number)


def set_suppressed(store: Store, number: int, suppressed: bool, *, by: str) -> None:
    """Set or lift the suppression (支援措置); it never ends by itself (DOMAIN 2.6). Raises: ResidentUnknown."""
    with store.transaction():
        _put(store, msgspec.structs.replace(resident(store, number), suppressed=suppressed))
        _keep_change(store, StatusChange(number, "suppressed", "set" if suppressed else "lifted", by))


def cancel_seal(store: Store, number: int, *, by: str) -> None:
    """Cancel the seal registration (印鑑登録の廃止). Raises: ResidentUnknown, ChangeRefused without one."""
    with store.transaction():
        found = resident(store, number)
        if found.seal is None or found.seal.cancelled:
            raise ChangeRefused(f"resident {number} has no seal registration that stands")
        _put(store, msgspec.structs.replace(found, seal=msgspec.structs.replace(found.seal, cancelled=True)))
        _keep_change(store, StatusChange(number, "seal", "cancelled", by))


def status_history(store: Store, number: int | None = None) -> list[tuple[int, StatusChange]]:
    """(at_us, change), oldest first; of one resident or of all."""
    rows = store.rows("SELECT number, at_us, sealed FROM history ORDER BY number")
    opened = [(at_us, _read_change(store.sealer.open("history", str(each), sealed))) for each, at_us, sealed in rows]
    return [(at_us, change) for at_us, change in opened if number is None or change.resident == number]


def _keep_change(store: Store, change: StatusChange) -> None:
    with store.transaction():
        row = store.row("SELECT coalesce(max(number), 0) + 1 FROM history")
        number = int(row[0]) if row else 1
        sealed = store.sealer.seal("history", str(number), _encode(change))
        store.run("INSERT INTO history VALUES (?, ?, ?)", number, store.now_us(), sealed)


def _put(store: Store, changed: Resident) -> None:
    store.run(
        "UPDATE residents SET household = ?, register = ?, sealed = ? WHERE number = ?",
        changed.household,
        changed.register,
        _seal(store, changed),
        changed.number,
    )


def _where(store: Store, column: str, value: int) -> tuple[Resident, ...]:
    rows = store.rows(f"SELECT number, sealed FROM residents WHERE {column} = ? ORDER BY number", value)  # noqa: S608
    return tuple(_open(store, each, sealed) for each, sealed in rows)


def _seal(store: Store, found: Resident) -> bytes:
    return store.sealer.seal("resident", str(found.number), _encode(found))


def _open(store: Store, number: int, sealed: bytes) -> Resident:
    return _read_resident(store.sealer.open("resident", str(number), sealed))
