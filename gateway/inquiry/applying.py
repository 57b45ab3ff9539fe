"""A run of notifications against what stands: what is written, what is superseded, what is refused. No I/O.

Reading (in any process) makes of each line either a Refused or a Read; an entry is sealed there already, for nearly
always nobody stands under its code. Applying takes them in the file's order: numbers must rise within a municipality,
and every notification sees what the ones before it did, in the register or in this very run.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from gateway.inquiry.changes import Group
from gateway.inquiry.errors import FieldInvalid, RegisterCorrupt
from gateway.inquiry.index import code_token, name_tokens
from gateway.inquiry.loading import new_record_id, sealed_row
from gateway.inquiry.notification import Notification, read_notification, read_order
from gateway.inquiry.notified_file import Format, Lines, read_rows
from gateway.inquiry.record import ResidentRecord, decode_record
from gateway.inquiry.retention import Retention
from gateway.inquiry.sealing import RegisterKeys
from gateway.inquiry.versions import Now, change
from gateway.store.register import RecordRow, SealedRow
from gateway.store.register_history import Notified, Standing, Superseded

_FIRST: Final = 1

Reread = Callable[[int], Notification]
"""The notification of a line that was read; only for those that change what stands."""


class Fault(NamedTuple):
    """What is wrong with a line: FieldInvalid's facts."""

    field: str
    ground: str
    ja: str
    en: str


class Read(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A line right in itself. `row` and `tokens` are an entry's, sealed as version 1; None and () for any other."""

    line: int
    municipality: str
    sequence: int
    notified_on: dt.date
    code_token: bytes
    previous_token: bytes
    row: RecordRow | None
    tokens: tuple[bytes, ...]


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A line that is not taken; its municipality and number if they could be read, else "" and 0."""

    line: int
    municipality: str
    sequence: int
    fault: Fault


class _Heard:
    """How far a municipality's notifications have come, counted on; as of Notified."""

    __slots__ = ("accepted", "missing", "notified_on", "refused", "sequence")

    def __init__(
        self, sequence: int, notified_on: dt.date, accepted: int = 0, refused: int = 0, missing: int = 0
    ) -> None:
        self.sequence = sequence
        self.notified_on = notified_on
        self.accepted = accepted
        self.refused = refused
        self.missing = missing


class Applied(msgspec.Struct):
    """What one run comes to: rows to write, and how many notifications entered, changed or removed somebody."""

    rows: list[RecordRow] = []
    tokens: list[tuple[bytes, bytes]] = []
    superseded: list[Superseded] = []
    gone: list[bytes] = []
    notified: list[Notified] = []
    """The states of the municipalities that this run heard of."""
    refused: list[Refused] = []
    accepted: int = 0


def read_lines(
    keys: RegisterKeys, lines: Lines, form: Format, header: Sequence[str], today: dt.date
) -> list[Read | Refused]:
    """Read a run of lines; an empty line leaves nothing."""
    out: list[Read | Refused] = []
    for number, row in enumerate(read_rows(lines.lines, form, header), lines.first):
        if row is None:
            continue
        municipality, sequence = "", 0
        try:
            if isinstance(row, FieldInvalid):
                raise row
            municipality, sequence = order = read_order(row)
            out.append(_read(keys, number, read_notification(row, order, today=today)))
        except FieldInvalid as error:
            out.append(Refused(number, municipality, sequence, _fault(error)))
    return out


def _read(keys: RegisterKeys, line: int, notification: Notification) -> Read:
    record = notification.record
    row: RecordRow | None = None
    tokens: tuple[bytes, ...] = ()
    if notification.reason.group == Group.ENTRY:
        row = sealed_row(keys, record, record_id=new_record_id(), version=_FIRST)
        tokens = tuple(name_tokens(keys.index_key, record))
    previous = notification.previous_code
    return Read(
        line,
        record.municipality,
        notification.sequence,
        notification.notified_on,
        row.code_token if row is not None else code_token(keys.index_key, record.code),
        code_token(keys.index_key, previous) if previous else b"",
        row,
        tokens,
    )


def _fault(error: FieldInvalid) -> Fault:
    return Fault(error.field, error.ground, error.ja, error.en)


class _Held:
    """A person's standing version during a run; `row` is None once it is in the register, else still to be written."""

    __slots__ = ("_stored", "expires_on", "newest", "row", "tokens")

    def __init__(
        self,
        stored: SealedRow | None,
        expires_on: dt.date | None,
        newest: int,
        *,
        row: RecordRow | None,
        tokens: Iterable[bytes] = (),
    ) -> None:
        self._stored = stored
        self.expires_on = expires_on
        self.newest = newest
        self.row = row
        self.tokens = tokens

    @property
    def stored(self) -> SealedRow:
        """The version as it is, or will be, in the register."""
        row = self.row
        if self._stored is None and row is not None:
            self._stored = SealedRow(row.record_id, row.version, row.key_id, row.schema, row.sealed)
        if self._stored is None:
            raise RegisterCorrupt(b"", "is held without a version")
        return self._stored


class Applying:
    """One run being applied. `take` each item in order, then `applied` has what it comes to."""

    def __init__(
        self,
        keys: RegisterKeys,
        standing: Iterable[Standing],
        notified: Mapping[str, Notified],
        retention: Retention,
        today: dt.date,
    ) -> None:
        self._keys = keys
        self._retention = retention
        self.applied = Applied()
        self._notified = {
            code: _Heard(state.sequence, state.notified_on, state.accepted, state.refused, state.missing)
            for code, state in notified.items()
        }
        self._touched: set[str] = set()
        self._standing: dict[bytes, _Held] = {}
        for token, row, expires_on, newest in standing:
            if expires_on is not None and expires_on <= today:
                self.applied.gone.append(row.record_id)  # past its period it does not exist, and must not be built on
            else:
                self._standing[token] = _Held(row, expires_on, newest, row=None)

    def take(self, item: Read | Refused, reread: Reread) -> None:
        """Apply one line's notification, or refuse it. Raises: RegisterCorrupt, RetentionMissing."""
        try:
            self._in_order(item)
            if isinstance(item, Refused):
                self._refuse(item)
                return
            self._apply(item, reread)
            self._notified[item.municipality].accepted += 1
            self.applied.accepted += 1
        except FieldInvalid as error:
            self._refuse(Refused(item.line, item.municipality, item.sequence, _fault(error)))

    def finish(self) -> Applied:
        """Put what still stands of this run to the rows to write."""
        for held in self._standing.values():
            if held.row is not None:
                self.applied.rows.append(held.row)
                self.applied.tokens += [(token, held.row.record_id) for token in held.tokens]
        self.applied.notified = [
            Notified(code, state.sequence, state.notified_on, state.accepted, state.refused, state.missing)
            for code, state in sorted(self._notified.items())
            if code in self._touched
        ]
        return self.applied

    def _in_order(self, item: Read | Refused) -> None:
        """Numbers rise; one that was refused is spent all the same, for it was received in its place."""
        if not item.municipality:
            return
        self._touched.add(item.municipality)
        state = self._notified.get(item.municipality)
        on = item.notified_on if isinstance(item, Read) else None
        if state is None:
            if on is not None:
                self._notified[item.municipality] = _Heard(item.sequence, on)
            return
        if item.sequence <= state.sequence:
            ground = "duplicate" if item.sequence == state.sequence else "out-of-order"
            raise FieldInvalid(
                "sequence",
                ground,
                ja="通知番号は、その市区町村の前の通知より大きい番号です",
                en="the number must be greater than that of the municipality's notification before it",
            )
        state.missing += item.sequence - state.sequence - 1
        state.sequence = item.sequence
        if on is None:
            return
        if on < state.notified_on:
            raise FieldInvalid(
                "notified_on",
                "out-of-order",
                ja="通知年月日が、その市区町村の前の通知より前です",
                en="the date lies before that of the municipality's notification before it",
            )
        state.notified_on = on

    def _refuse(self, refused: Refused) -> None:
        self.applied.refused.append(refused)
        state = self._notified.get(refused.municipality)
        if state is not None:
            state.refused += 1

    def _apply(self, item: Read, reread: Reread) -> None:
        held = self._standing.get(item.previous_token or item.code_token)
        if item.previous_token and item.code_token in self._standing:
            raise FieldInvalid(
                "code",
                "taken",
                ja="変更後の住民票コードは別の人に登録されています",
                en="another person stands under the new code",
            )
        if held is None and item.row is not None:
            self._stand(item.code_token, item.row, item.tokens, None, _FIRST)
            return
        notification = reread(item.line)
        now = None if held is None else Now(self._open(held), held.newest, held.expires_on)
        decided = change(now, notification, self._retention)
        if held is None:  # change() lets only an entry pass here, and every entry came sealed
            raise RegisterCorrupt(b"", "has nobody to change")
        version = decided.version
        row = sealed_row(self._keys, version.record, record_id=held.stored.record_id, version=version.version)._replace(
            expires_on=version.expires_on, superseded_on=version.superseded_on
        )
        if version.superseded_on is not None or decided.standing_expires_on is None:
            held.newest = version.version
            self.applied.rows.append(row)
            return
        self._supersede(held, notification.notified_on, decided.standing_expires_on)
        del self._standing[item.previous_token or item.code_token]
        tokens = name_tokens(self._keys.index_key, version.record)
        self._stand(item.code_token, row, tokens, version.expires_on, version.version)

    def _open(self, held: _Held) -> ResidentRecord:
        try:
            return decode_record(self._keys.open_record(held.stored))
        except (msgspec.DecodeError, ValueError):
            raise RegisterCorrupt(held.stored.record_id, "is not a record") from None

    def _supersede(self, held: _Held, on: dt.date, expires_on: dt.date) -> None:
        if held.row is not None:
            self.applied.rows.append(held.row._replace(superseded_on=on, expires_on=expires_on))
        else:
            self.applied.superseded.append(Superseded(held.stored.record_id, held.stored.version, on, expires_on))

    def _stand(
        self, token: bytes, row: RecordRow, tokens: Iterable[bytes], expires_on: dt.date | None, newest: int
    ) -> None:
        self._standing[token] = _Held(None, expires_on, newest, row=row, tokens=tokens)
