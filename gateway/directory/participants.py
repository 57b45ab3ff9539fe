"""The tables of a certificate centre: municipalities with what they offer, operators, rendering kits, card types.

What is offered, at what fee and when is each municipality's to say (000契22-1, 001-7-1, 001-8-1); the centre's own
hours are in the operator's contract. A municipality's calendar is its own: which days it keeps as holidays and which
days differ is in its table, apart from the centre's (000仕8-2(3)).

Dates are Japanese civil dates, `valid_until` and `run_off_until` inclusive. Money is whole yen, 0 to 1,000.
"""

from datetime import date
from enum import StrEnum

import msgspec

from gateway.directory.openings import Hours, Stop, Window


class Entitled(StrEnum):
    """For whom a kind may be obtained (DOMAIN 2.7). Whose record that is, the municipality decides."""

    SELF = "self"
    HOUSEHOLD = "household"
    SAME_REGISTER = "same-register"


class Participation(StrEnum):
    """Where a municipality's taking part stands on a day (000契23, 27)."""

    COMING = "coming"
    IN_FORCE = "in-force"
    RUN_OFF = "run-off"
    ENDED = "ended"


class Fee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """交付手数料 of a copy from a date on, by the municipality's ordinance."""

    valid_from: date
    yen: int


class Campaign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fee for a time, in place of the ordinary one: from 00:00 of one date to 24:00 of another, in Japan."""

    valid_from: date
    valid_until: date
    yen: int


class DayException(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days that differ from their class: open in this window, or closed. `kind` "" is all of the municipality's."""

    valid_from: date
    valid_until: date
    opening: Window | None
    kind: str = ""


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind that a municipality offers. options: the bits of protocol.certificates.Option that may be asked for."""

    kind: str
    valid_from: date
    valid_until: date | None = None
    options: int = 0
    entitled: Entitled
    copies_max: int
    fees: tuple[Fee, ...]
    campaigns: tuple[Campaign, ...] = ()
    hours: tuple[Hours, ...]


class Municipality(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A municipality that takes part (契約市区町村), with the address of its issuing server and what it offers.

    code: 全国地方公共団体コード, six digits. host, port: where the centre dials; server_name: the name its TLS
    certificate bears, "" when it is the host. trust: its trust bundle (protocol.trust), b"" until it is exchanged, and
    until then nothing is asked of it. requests_at_once, deadline_ms: what it is asked at most. card_types: the numbers
    of protocol.certificates.CardType that it accepts. holidays: days it keeps like Sundays.
    """

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
    trust: bytes = b""
    requests_at_once: int = 8
    deadline_ms: int = 10_000
    card_types: frozenset[int]
    holidays: frozenset[date] = frozenset()
    exceptions: tuple[DayException, ...] = ()
    stops: tuple[Stop, ...] = ()
    offers: tuple[Offer, ...] = ()

    def participation(self, day: date) -> Participation:
        """Where its taking part stands on a day. In run-off nothing new is issued, but reports still reach it."""
        if day < self.valid_from:
            return Participation.COMING
        if self.valid_until is None or day <= self.valid_until:
            return Participation.IN_FORCE
        if self.run_off_until is not None and day <= self.run_off_until:
            return Participation.RUN_OFF
        return Participation.ENDED

    def canonical(self) -> "Municipality":
        """The same facts in the one order."""
        return msgspec.structs.replace(
            self,
            exceptions=tuple(sorted(self.exceptions, key=lambda e: (e.valid_from, e.valid_until, e.kind))),
            stops=tuple(sorted(self.stops, key=lambda s: (s.from_us, s.until_us))),
            offers=tuple(sorted(self.offers, key=lambda offer: offer.kind)),
        )


class Operator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A convenience-store operator (コンビニ事業者等): who issues its kiosks' certificates, which are blocked.

    kiosk_anchors: certificates in DER. Commission and hours are in its contract; areas and stores are its relay's.
    """

    party: str
    kiosk_anchors: tuple[bytes, ...] = ()
    blocked_kiosks: frozenset[str] = frozenset()


class Kit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of the rendering and anti-forgery kit (001-12-3); from retired_on on, nothing of it is accepted."""

    id: str
    valid_from: date
    retired_on: date | None = None


class CardTerm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """While a type of card (protocol.certificates.CardType) is accepted at all (000仕3-1)."""

    type: int
    valid_from: date
    valid_until: date | None = None
