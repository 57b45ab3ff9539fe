"""Retiring a year of the provision history: when it is due, what is destroyed, and the signed statement that remains.

A record is kept for the years of the rule in force, counted from the end of the year in Japan it was made in; then the
year's secret, its batches and its rows go in one transaction, and a statement says what went: the period, the counts,
a digest over every batch as it was stored and one of the wrapped secret. It is signed with the centre's checkpoint key:
whoever holds the trust bundle can tell that the centre said so, and whoever kept a copy of the rows that they are what
it was said of. Nobody can tell from the statement who was asked for.

    digest of the batches   SHA-256 over each in order of (stream, height): stream (16 bytes), height u64, then
                            u32 length and bytes of the tokens, u32 length and bytes of what was sealed

What this cannot do: reach copies. A backup that holds the wrapped secret opens again while the keystore keeps the key
that wrapped it (docs/OPERATIONS.md says how backups are kept). Source: DESIGN 3, invariant 5; DOMAIN 2.4.
"""

import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Final, Protocol

import msgspec

from gateway.inquiry.errors import InquiryError
from gateway.inquiry.provision import TOKEN_BYTES
from gateway.store.ledger_entries import Connection
from gateway.store.provision_retirement import Remains, RetirementStore
from protocol.keys import KeysError, Purpose, context
from protocol.trust import Trust, TrustError

LABEL: Final = "history-retirement"
STATEMENT_BYTES_MAX: Final = 1 << 16


class RetentionRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many whole years after its own a year is kept, by the day in Japan on which it would be retired."""

    valid_from: dt.date
    years: Annotated[int, msgspec.Meta(ge=1, le=1000)]


# DOMAIN 2.4: discarded after 5 years. In force since the network of registers began (2002-08-05).
RETENTION_DEFAULT: Final = (RetentionRule(valid_from=dt.date(2002, 8, 5), years=5),)


class RetirementRefused(InquiryError):  # noqa: N818  the field speaks of the act, not of an error
    """A year that may not be retired, or not like this. Fields: ground."""

    code = "retirement-refused"

    def __init__(self, ground: str) -> None:
        super().__init__(f"nothing was retired: {ground}")
        self.ground = ground


class RetirementInvalid(InquiryError):  # noqa: N818  same reading as above
    """A statement that is malformed, or that the centre did not sign. Fields: ground."""

    code = "retirement-invalid"

    def __init__(self, ground: str) -> None:
        super().__init__(f"not a retirement statement of this centre: {ground}")
        self.ground = ground


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was destroyed. Dates are days in Japan, both included; digests are hex; at_us is when."""

    format: str
    origin: str
    year: int
    first: dt.date
    last: dt.date
    kept_years: int
    batches: int
    records: int
    batches_sha256: str
    secret_sha256: str
    secret_wrapped_by: str
    asked_by: str
    approved_by: str
    at_us: int


class SignedStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement, the checkpoint key that signed it, and its ES256 signature in hex."""

    statement: Statement
    key_id: str
    signature: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a retirement, who approves it (another person), and when."""

    asked_by: str
    approved_by: str
    at_us: int


class Transactional(Protocol):
    """A database that lends a connection with a transaction around it."""

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """BEGIN and COMMIT around a block."""


FORMAT: Final = "sekisho-history-retirement/1"
_canonical = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(SignedStatement).decode


def due(years: Sequence[int], rules: Sequence[RetentionRule], today: dt.date) -> list[int]:
    """Of these years, those whose period has ended today by the rule in force today; none without a rule."""
    kept = kept_years(rules, today)
    return [] if kept is None else sorted(year for year in years if year + kept < today.year)


def kept_years(rules: Sequence[RetentionRule], today: dt.date) -> int | None:
    """The years of the rule in force, the last that has begun."""
    begun = [rule for rule in rules if rule.valid_from <= today]
    return max(begun, key=lambda rule: rule.valid_from).years if begun else None


def to_sign(statement: Statement) -> bytes:
    """What the checkpoint key signs: context and the statement as canonical JSON."""
    return context(LABEL) + _canonical(statement)


def encode_statement(signed: SignedStatement) -> bytes:
    """A file that people and programs read."""
    return msgspec.json.format(_canonical(signed), indent=2) + b"\n"


def verify_statement(data: bytes, trust: Trust) -> Statement:
    """Read and check a file. Raises: RetirementInvalid."""
    if len(data) > STATEMENT_BYTES_MAX:
        raise RetirementInvalid(f"it is longer than {STATEMENT_BYTES_MAX} bytes")
    try:
        signed = _decode(data)
        signature = bytes.fromhex(signed.signature)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RetirementInvalid("it is malformed") from error
    statement = signed.statement
    if statement.format != FORMAT or statement.origin != trust.origin:
        raise RetirementInvalid(f"its format or origin is not {FORMAT}, {trust.origin}")
    try:
        key = trust.key(signed.key_id, purpose=Purpose.CHECKPOINT, at_us=statement.at_us)
        key.verify(signature, to_sign(statement))
    except (KeysError, TrustError) as error:
        raise RetirementInvalid(str(error)) from error
    return statement


async def years_due(database: Transactional, rules: Sequence[RetentionRule], today: dt.date) -> list[int]:
    """The years the database still has anything of and should not. Raises: StoreError."""
    async with database.transaction() as connection:
        return due(await RetirementStore(connection).years(), rules, today)


async def retire(
    database: Transactional,
    year: int,
    *,
    order: Order,
    rules: Sequence[RetentionRule],
    today: dt.date,
    origin: str,
    sign: Callable[[bytes], Awaitable[tuple[str, bytes]]],
) -> SignedStatement:
    """Destroy a year and keep the statement, in one transaction. `sign` is the checkpoint key's.

    Raises: RetirementRefused before its time, or for one person alone; StoreError and HsmError, and nothing was done
    (CommitUnknown: look with `remains`).
    """
    if not order.asked_by or not order.approved_by or order.asked_by == order.approved_by:
        raise RetirementRefused("it takes two people, one who asks and one who approves")
    kept = kept_years(rules, today)
    if kept is None or year not in due([year], rules, today):
        raise RetirementRefused(f"the history of {year} is kept until the end of {year + (kept or 0)}")
    async with database.transaction() as connection:
        store = RetirementStore(connection)
        await store.hold()
        key = await store.key(year)
        if key is None and (await store.remains(year)).batches == 0:
            raise RetirementRefused(f"there is no history of {year}")
        statement = await _statement(store, year, key, kept=kept, order=order, origin=origin)
        key_id, signature = await sign(to_sign(statement))
        await store.destroy(year)
        await store.keep(year, _canonical(statement), key_id, signature, order.at_us)
    return SignedStatement(statement=statement, key_id=key_id, signature=signature.hex())


async def _statement(
    store: RetirementStore, year: int, key: tuple[bytes, str] | None, *, kept: int, order: Order, origin: str
) -> Statement:
    digest = hashlib.sha256()
    batches = records = 0
    async for batch in store.batches(year):
        batches += 1
        records += len(batch.subjects) // TOKEN_BYTES
        digest.update(batch.stream + batch.height.to_bytes(8, "big"))
        for part in (batch.subjects, batch.sealed):
            digest.update(len(part).to_bytes(4, "big") + part)
    sealed, wrapped_by = key or (b"", "")
    return Statement(
        format=FORMAT,
        origin=origin,
        year=year,
        first=dt.date(year, 1, 1),
        last=dt.date(year, 12, 31),
        kept_years=kept,
        batches=batches,
        records=records,
        batches_sha256=digest.hexdigest(),
        secret_sha256=hashlib.sha256(sealed).hexdigest() if sealed else "",
        secret_wrapped_by=wrapped_by,
        asked_by=order.asked_by,
        approved_by=order.approved_by,
        at_us=order.at_us,
    )


def contradiction(statement: Statement, remains: Remains) -> str:
    """What in the database contradicts a statement; "" when nothing does."""
    if remains.statement is None:
        return f"the database has no statement for {statement.year}"
    if remains.statement != _canonical(statement):
        return f"the database has another statement for {statement.year}"
    left = {"keys": remains.keys, "batches": remains.batches, "rows": remains.records}
    return ", ".join(f"{count} {what} are left of {statement.year}" for what, count in left.items() if count)
