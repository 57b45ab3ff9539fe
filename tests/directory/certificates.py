"""A small directory of a certificate centre for the tests: operators, municipalities, everything synthetic."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.directory.directory import Directory
from gateway.directory.model import Contract, Document, Hours, Line, Party, PartyKind, Role, Terms, Window
from gateway.directory.offers import Priced, price
from gateway.directory.participants import (
    CardTerm,
    DayException,
    Entitled,
    Fee,
    Kit,
    Municipality,
    Offer,
    Operator,
)
from gateway.directory.policy import Refused
from protocol.certificates import CardType, Kind, Option
from protocol.issuance import Statement
from protocol.keys import (
    Algorithm,
    KeyHistory,
    KeyRecord,
    Purpose,
    SignedKeyHistory,
    encode_signed_history,
    history_to_sign,
)
from protocol.outcomes import Outcome
from protocol.trust import Trust, encode_trust
from tests.directory.sample import key, us
from tests.kit.lines import Signer, private_key

APRIL = date(2026, 4, 1)
LONG = Window(open_minute=6 * 60 + 30, close_minute=23 * 60)
OFFICE = Window(open_minute=9 * 60, close_minute=17 * 60)
NOON = us(2026, 11, 25, 12)  # a Wednesday
APPLICATION = bytes(16)
EVERY_DAY = Hours(valid_from=APRIL, weekday=LONG, saturday=LONG, holiday=LONG)
WEEKDAYS = Hours(valid_from=APRIL, weekday=OFFICE, saturday=None, holiday=None)


def offer(kind: str, **changes: object) -> Offer:
    made = Offer(
        kind=kind,
        valid_from=APRIL,
        entitled=Entitled.SELF,
        copies_max=5,
        fees=(Fee(valid_from=APRIL, yen=300),),
        hours=(EVERY_DAY,),
    )
    return msgspec.structs.replace(made, **changes)


RESIDENT = offer(Kind.RESIDENT, options=int(Option.HOUSEHOLD | Option.DOMICILE), entitled=Entitled.HOUSEHOLD)
FAMILY = offer(Kind.FAMILY_ALL, fees=(Fee(valid_from=APRIL, yen=450),), hours=(WEEKDAYS,))


def contract(party: str, **changes: object) -> Contract:
    made = Contract(
        reference=f"agreement-{party}",
        party=party,
        role=Role.CERTIFICATE,
        valid_from=APRIL,
        valid_until=date(2027, 3, 31),
        run_off_until=date(2027, 5, 31),
        hours=(EVERY_DAY,),
        terms=(Terms(valid_from=APRIL, version=1, yen_per_record=0, commission=115),),
    )
    return msgspec.structs.replace(made, **changes)


@cache
def bundle(party: str) -> bytes:
    """A trust bundle of a municipality."""
    root = Signer(f"history-{party}")
    history = KeyHistory(party, 1, 0, [KeyRecord(root.key_id, Purpose.HISTORY, Algorithm.ES256, root.der, 0)]).encode()
    signed = SignedKeyHistory(root.key_id, Algorithm.ES256, root.sign(history_to_sign(history)), history)
    return encode_trust(
        Trust(
            centre=party,
            role="municipality",
            environment="test",
            root=root.der,
            signed_history=encode_signed_history(signed),
        )
    )


@cache
def anchor(name: str) -> bytes:
    """A certificate of a kiosk CA, in DER."""
    private = private_key(name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    since = datetime(2026, 4, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key())
    made = made.serial_number(1).not_valid_before(since).not_valid_after(since + timedelta(days=3_650))
    return made.sign(private, hashes.SHA256()).public_bytes(Encoding.DER)


def municipality(code: str, party: str, **changes: object) -> Municipality:
    made = Municipality(
        party=party,
        code=code,
        name_ja=f"{party}市(合成データ)",
        name_en=f"{party.title()} (synthetic)",
        reference=f"participation-{code}",
        valid_from=APRIL,
        host="127.0.0.1",
        port=8631,
        trust=bundle(party),
        card_types=frozenset({int(CardType.MY_NUMBER_CARD), int(CardType.RESIDENT_CARD)}),
        offers=(RESIDENT, FAMILY),
    )
    return msgspec.structs.replace(made, **changes)


CHIBA = municipality("121002", "chiba")
TAKAOKA = municipality(
    "162027",
    "takaoka",
    card_types=frozenset({int(CardType.MY_NUMBER_CARD), int(CardType.SMARTPHONE)}),
    holidays=frozenset({date(2026, 11, 26)}),
    exceptions=(DayException(valid_from=date(2026, 12, 29), valid_until=date(2027, 1, 3), opening=None),),
)
DOCUMENT = Document(
    parties=(
        Party(id="centre", kind=PartyKind.CENTRE, name_ja="証明書交付センター", name_en="Centre"),
        Party(id="cvs-a", kind=PartyKind.OPERATOR, name_ja="事業者A", name_en="Stores A"),
        Party(id="cvs-b", kind=PartyKind.OPERATOR, name_ja="事業者B", name_en="Stores B"),
        Party(id="chiba", kind=PartyKind.MUNICIPALITY, name_ja="千葉市", name_en="Chiba"),
        Party(id="takaoka", kind=PartyKind.MUNICIPALITY, name_ja="高岡市", name_en="Takaoka"),
    ),
    lines=(
        Line(party="cvs-a", name="relay-1", keys=(key("a"),)),
        Line(party="cvs-b", name="relay-1", keys=(key("b"),)),
    ),
    contracts=(contract("cvs-a"), contract("cvs-b", valid_until=None, run_off_until=None)),
    closed=frozenset({date(2026, 12, 30)}),
    municipalities=(CHIBA, TAKAOKA),
    operators=(
        Operator(party="cvs-a", kiosk_anchors=(anchor("a"),), blocked_kiosks=frozenset({"kiosk-9"})),
        Operator(party="cvs-b"),
    ),
    kits=(Kit(id="kit-2026.1", valid_from=APRIL), Kit(id="kit-old", valid_from=APRIL, retired_on=date(2026, 11, 25))),
    card_types=(
        CardTerm(type=CardType.MY_NUMBER_CARD, valid_from=date(2016, 1, 1)),
        CardTerm(type=CardType.RESIDENT_CARD, valid_from=date(2010, 1, 1), valid_until=date(2025, 12, 31)),
        CardTerm(type=CardType.SMARTPHONE, valid_from=date(2026, 11, 1)),
    ),
)


def changed(**changes: object) -> Document:
    """The sample with some tables replaced."""
    return msgspec.structs.replace(DOCUMENT, **changes)


def with_chiba(**changes: object) -> Document:
    """The sample with its first municipality changed."""
    return changed(municipalities=(msgspec.structs.replace(CHIBA, **changes), TAKAOKA))


def statement(kind: str = Kind.RESIDENT, *, code: str = "121002", options: int = 0, copies: int = 1) -> Statement:
    return Statement(
        application=APPLICATION, municipality=code, kind=kind, options=options, copies=copies, asked_at_us=NOON
    )


def outcome(
    document: Document,
    asked: Statement | None = None,
    *,
    at_us: int = NOON,
    operator: str = "cvs-a",
    card_type: int = CardType.MY_NUMBER_CARD,
) -> Outcome | Priced:
    """What pricing an application comes to."""
    found = price(
        Directory(1, document), operator=operator, statement=asked or statement(), card_type=card_type, at_us=at_us
    )
    return found.outcome if isinstance(found, Refused) else found
