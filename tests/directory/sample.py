"""A small directory for the tests, and the times they look at it."""

from datetime import date, datetime, timedelta, timezone
from functools import cache

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.directory.affairs import AFFAIRS
from gateway.directory.model import (
    Contract,
    Document,
    Hours,
    Line,
    LineKey,
    Method,
    Party,
    PartyKind,
    Right,
    Role,
    Staff,
    Terms,
    Volume,
    Window,
)
from protocol.keys import Algorithm

JST = timezone(timedelta(hours=9))
ALL_DAY = Window(open_minute=0, close_minute=1440)
OFFICE = Window(open_minute=8 * 60 + 30, close_minute=18 * 60)
CASE = "2026-CASE-1"


def us(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """Microseconds of a Japanese wall clock."""
    return int(datetime(year, month, day, hour, minute, second, tzinfo=JST).timestamp()) * 1_000_000


NOON = us(2026, 11, 25, 12)  # a Wednesday


@cache
def spki(_name: str) -> bytes:
    """A P-256 public key for a name; the same name, the same key."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def key(name: str, *, not_before_us: int = 0, not_after_us: int | None = None) -> LineKey:
    return LineKey(
        key_id=name,
        algorithm=int(Algorithm.ES256),
        public_key=spki(name),
        not_before_us=not_before_us,
        not_after_us=not_after_us,
    )


CONTRACT = Contract(
    reference="agreement-1",
    party="mlit",
    role=Role.INQUIRY,
    valid_from=date(2026, 4, 1),
    valid_until=date(2027, 3, 31),
    run_off_until=date(2027, 6, 30),
    methods=frozenset({Method.IMMEDIATE}),
    affairs={affair.id: affair.steps for affair in AFFAIRS.values()},
    hours=(Hours(valid_from=date(2026, 4, 1), weekday=OFFICE, saturday=ALL_DAY, holiday=None),),
    terms=(
        Terms(valid_from=date(2026, 4, 1), version=1, yen_per_record=10),
        Terms(valid_from=date(2027, 1, 1), version=2, yen_per_record=12, commission=1),
    ),
    volume=Volume(
        records_per_request_max=3,
        records_per_staff_day_max=100,
        records_per_line_day_max=500,
        records_per_party_day_max=1000,
    ),
)


def staff(name: str, **changes: object) -> Staff:
    person = Staff(
        party="mlit",
        id=name,
        rights=frozenset({Right.INQUIRE}),
        valid_from=date(2026, 4, 1),
        valid_until=date(2026, 12, 31),
        trained_on=date(2026, 4, 10),
    )
    return msgspec.structs.replace(person, **changes)


DOCUMENT = Document(
    parties=(
        Party(id="centre", kind=PartyKind.CENTRE, name_ja="照会センター", name_en="Centre"),
        Party(id="mlit", kind=PartyKind.MINISTRY, name_ja="試験省", name_en="Test ministry", weight=2),
        Party(id="other", kind=PartyKind.MINISTRY, name_ja="別の省", name_en="Another ministry"),
        Party(id="store", kind=PartyKind.OPERATOR, name_ja="店舗", name_en="Stores"),
    ),
    lines=(
        Line(party="mlit", name="line-1", keys=(key("k1"), key("k2", not_before_us=NOON))),
        Line(party="mlit", name="line-2", keys=(key("k3"),)),
        Line(party="other", name="line-1", keys=()),
    ),
    contracts=(CONTRACT,),
    staff=(
        staff("s-1"),
        staff("chief", rights=frozenset({Right.APPROVE})),
        staff("untrained", trained_on=None),
        staff("trained-later", trained_on=date(2026, 11, 26)),
        staff("left", valid_until=date(2026, 11, 24)),
        staff("coming", valid_from=date(2026, 11, 26)),
        staff("elsewhere", party="other"),
    ),
    holidays=frozenset({date(2026, 11, 23)}),
)


def changed(**changes: object) -> Document:
    """The sample with some tables replaced."""
    return msgspec.structs.replace(DOCUMENT, **changes)


def with_contract(**changes: object) -> Document:
    """The sample with its contract changed."""
    return changed(contracts=(msgspec.structs.replace(CONTRACT, **changes),))
