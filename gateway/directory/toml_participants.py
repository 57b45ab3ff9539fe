"""The tables of a certificate centre in a directory file: municipality, operator, card_type, as a person writes them.

Options, card types and the rest are written by name. A trust bundle and kiosk anchors are files beside the directory
file, so that keys can be exchanged without touching it.

Source: deploy/directory.certificate.example.toml shows every table.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.directory.participants import (
    Campaign,
    CardTerm,
    DayException,
    Entitled,
    Fee,
    Municipality,
    Offer,
    Operator,
)
from gateway.directory.toml_parts import HoursTable, StopTable, beside, dated_hours, invalid, stop, window
from protocol.certificates import CardType, Option

OPTION_NAMES: Final[Mapping[str, int]] = {str(option.name).lower().replace("_", "-"): int(option) for option in Option}
CARD_TYPE_NAMES: Final[Mapping[str, int]] = {card.name.lower().replace("_", "-"): int(card) for card in CardType}
_N = TypeVar("_N")


class _Exception(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    valid_from: date
    valid_until: date | None = None
    opening: str
    kind: str = ""


class _Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    valid_from: date
    valid_until: date | None = None
    options: list[str] = []
    entitled: Entitled
    copies_max: int
    fee: list[Fee]
    campaign: list[Campaign] = []
    hours: list[HoursTable]


class MunicipalityTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A [[municipality]] as written; trust_file left out: its trust bundle is not exchanged yet."""

    party: str
    code: str
    name_ja: str
    name_en: str
    reference: str
    valid_from: date
    valid_until: date | None = None
    run_off_until: date | None = None
    host: str
    port: int
    server_name: str = ""
    trust_file: str = ""
    requests_at_once: int = 8
    deadline_ms: int = 10_000
    card_types: list[str]
    holidays: list[date] = []
    exception: list[_Exception] = []
    stop: list[StopTable] = []
    offer: list[_Offer] = []


class OperatorTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An [[operator]] as written; kiosk_anchors: base64 DER, kiosk_anchor_files: PEM (one or more) or DER."""

    party: str
    kiosk_anchors: list[str] = []
    kiosk_anchor_files: list[str] = []
    blocked_kiosks: list[str] = []


class CardTypeTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A [[card_type]] as written."""

    type: str
    valid_from: date
    valid_until: date | None = None


def municipality_from(base: Path) -> Callable[[MunicipalityTable, str], Municipality]:
    """What makes a municipality of its table; trust bundles are looked up from `base`. Raises: DirectoryInvalid."""

    def build(table: MunicipalityTable, at: str) -> Municipality:
        return Municipality(
            party=table.party,
            code=table.code,
            name_ja=table.name_ja,
            name_en=table.name_en,
            reference=table.reference,
            valid_from=table.valid_from,
            valid_until=table.valid_until,
            run_off_until=table.run_off_until,
            host=table.host,
            port=table.port,
            server_name=table.server_name,
            trust=beside(base, table.trust_file, at, "trust_file") if table.trust_file else b"",
            requests_at_once=table.requests_at_once,
            deadline_ms=table.deadline_ms,
            card_types=frozenset(_named(table.card_types, CARD_TYPE_NAMES, at, "card_types")),
            holidays=frozenset(table.holidays),
            exceptions=tuple(_exception(each, f"{at} exception {each.valid_from}") for each in table.exception),
            stops=tuple(stop(each, f"{at} [[municipality.stop]]") for each in table.stop),
            offers=tuple(_offer(each, f"{at} offer {each.kind}") for each in table.offer),
        )

    return build


def operator_from(base: Path) -> Callable[[OperatorTable, str], Operator]:
    """What makes an operator of its table; anchors are looked up from `base`. Raises: DirectoryInvalid."""

    def build(table: OperatorTable, at: str) -> Operator:
        anchors = [_base64(text, at) for text in table.kiosk_anchors]
        for name in table.kiosk_anchor_files:
            anchors += _certificates(beside(base, name, at, "kiosk_anchor_files"), at)
        return Operator(party=table.party, kiosk_anchors=tuple(anchors), blocked_kiosks=frozenset(table.blocked_kiosks))

    return build


def card_term(table: CardTypeTable, at: str) -> CardTerm:
    """A card type's term of its table. Raises: DirectoryInvalid."""
    (number,) = _named([table.type], CARD_TYPE_NAMES, at, "type")
    return CardTerm(type=number, valid_from=table.valid_from, valid_until=table.valid_until)


def _exception(table: _Exception, at: str) -> DayException:
    return DayException(
        valid_from=table.valid_from,
        valid_until=table.valid_until or table.valid_from,
        opening=window(table.opening, at, "opening"),
        kind=table.kind,
    )


def _offer(table: _Offer, at: str) -> Offer:
    return Offer(
        kind=table.kind,
        valid_from=table.valid_from,
        valid_until=table.valid_until,
        options=sum(set(_named(table.options, OPTION_NAMES, at, "options"))),
        entitled=table.entitled,
        copies_max=table.copies_max,
        fees=tuple(table.fee),
        campaigns=tuple(table.campaign),
        hours=dated_hours(table.hours, at),
    )


def _named(names: Iterable[str], known: Mapping[str, _N], at: str, field: str) -> list[_N]:
    found = []
    for name in names:
        if name not in known:
            raise invalid(at, field, f"{name!r} is unknown", f"write some of {', '.join(known)}")
        found.append(known[name])
    return found


def _base64(text: str, at: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        remedy = "write the certificate's DER in base64 on one line"
        raise invalid(at, "kiosk_anchors", "not base64", remedy) from error


def _certificates(data: bytes, at: str) -> list[bytes]:
    if not data.startswith(b"-----BEGIN"):
        return [data]
    try:
        return [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(data)]
    except ValueError as error:
        remedy = "give a file with one or more CERTIFICATE blocks"
        raise invalid(at, "kiosk_anchor_files", "not PEM certificates", remedy) from error
