"""The values of the directory: who takes part, by which lines and keys, under which agreement, with which staff.

A Document is one whole revision, in a canonical order with one canonical encoding, so that two documents say the same
exactly when their bytes are the same. It knows nothing of the database, of files, or of what a decision is; that its
parts fit together is checked by gateway.directory.check.

Dates are Japanese civil dates (UTC+9), `valid_until` and the like inclusive. `_us` is microseconds since 1970 UTC,
`until_us` exclusive. Money is whole yen.
"""

from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from gateway.directory.openings import DAY_MINUTES as DAY_MINUTES
from gateway.directory.openings import Hours as Hours
from gateway.directory.openings import Stop as Stop
from gateway.directory.openings import Window as Window
from gateway.directory.participants import CardTerm, Kit, Municipality, Operator
from protocol import limits

IDENT_PATTERN: Final = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
"""Ids of parties and lines, as they stand in line://<party>/<line>."""
STAFF_PATTERN: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,38}[A-Za-z0-9])?"


class Role(StrEnum):
    """Which of the two centres a contract is with."""

    INQUIRY = "inquiry"
    CERTIFICATE = "certificate"


class PartyKind(StrEnum):
    """What a party is."""

    CENTRE = "centre"
    MINISTRY = "ministry"
    OPERATOR = "operator"
    MUNICIPALITY = "municipality"


class Method(StrEnum):
    """How information is provided (002 別2-1(2): 即時, 回線接続, 媒体交換)."""

    IMMEDIATE = "immediate"
    LINE_TRANSFER = "line-transfer"
    MEDIA = "media"


class Right(StrEnum):
    """What a member of staff may do: ask, or approve what another asks in volume (牽制体制)."""

    INQUIRE = "inquire"
    APPROVE = "approve"


class Scope(StrEnum):
    """What a suspension stops (002 本6-1: all or part of the provision).

    A municipality is stopped as a party. A kind of certificate is stopped everywhere by its name.
    """

    ALL = "all"
    PARTY = "party"
    AFFAIR = "affair"
    LINE = "line"
    KIND = "kind"


class Party(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A party. `weight` is its share of a worker's attention (deficit round-robin), 1 to 100."""

    id: str
    kind: PartyKind
    name_ja: str
    name_en: str
    weight: int = 1


class LineKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that signs on a line: pinned to one algorithm, SPKI DER, valid not_before_us <= t < not_after_us."""

    key_id: str
    algorithm: int
    public_key: bytes
    not_before_us: int
    not_after_us: int | None = None

    def valid_at(self, at_us: int) -> bool:
        """Whether a signature of this time may be by this key."""
        return self.not_before_us <= at_us and (self.not_after_us is None or at_us < self.not_after_us)


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dedicated line of a party.

    `certificates` pins the line to certificates by SHA-256 (32 bytes each); empty leaves it to the chain.
    `requests_in_flight_max` is the credit of one connection.
    """

    party: str
    name: str
    keys: tuple[LineKey, ...]
    certificates: tuple[bytes, ...] = ()
    requests_in_flight_max: int = limits.CREDIT_REQUESTS_DEFAULT


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The money of a contract from a date on; `version` goes into every entry it prices.

    At an inquiry centre yen_per_record is what a record costs (002 本2-1, 2-2). At a certificate centre the fee is the
    municipality's and `commission` what the operator is paid for each copy (000契13-1).
    """

    valid_from: date
    version: int
    yen_per_record: int
    commission: int = 0


class Volume(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts above which a second person's approval is needed (002 別2-2(9)イ gives none; they are configuration).

    A day is a day in Japan. See gateway.inquiry.volume for what is counted.
    """

    records_per_request_max: int
    records_per_staff_day_max: int
    records_per_line_day_max: int
    records_per_party_day_max: int


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one party may do at one centre, by one written agreement.

    After `valid_until` nothing is provided any more, but until `run_off_until` receipts and disclaimers still pass, so
    that what was provided can be settled; at a certificate centre completions, voids, corrections and erasures
    (000契27). Methods, affairs and volume are of an inquiry centre.
    """

    reference: str
    party: str
    role: Role
    valid_from: date
    valid_until: date | None
    run_off_until: date | None
    methods: frozenset[Method] = frozenset()
    affairs: dict[str, frozenset[int]] = {}
    hours: tuple[Hours, ...]
    terms: tuple[Terms, ...]
    volume: Volume | None = None


class Staff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member of a party's staff by number; names stay with the party.

    Without a date of training, or before it, there is no right to use (002 本5: handlers attend the training).
    """

    party: str
    id: str
    rights: frozenset[Right]
    valid_from: date
    valid_until: date | None
    trained_on: date | None


class Suspension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stop of provision (002 本6-1). `target` is "" for all, a party, an affair, "<party>/<line>", or a kind."""

    scope: Scope
    target: str
    from_us: int
    until_us: int | None
    ground: str

    def holds_at(self, at_us: int) -> bool:
        """Whether it is in force at a time."""
        return self.from_us <= at_us and (self.until_us is None or at_us < self.until_us)


class NoticeDeadlines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Within how many minutes of a decision the lines concerned are told of it.

    The agreement says "promptly" (002 本6-2, 本2-2); how long that is, is the centre's to set. suspension_minutes is
    also for resumptions and planned stops; terms_minutes for fees and hours.
    """

    suspension_minutes: int = 60
    terms_minutes: int = 24 * 60


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One whole revision of the directory, its tuples in canonical order (use `canonical`).

    closed: days on which the centre provides nothing, whatever the hours of their class (年末年始). The last four
    tables are a certificate centre's.
    """

    parties: tuple[Party, ...]
    lines: tuple[Line, ...] = ()
    contracts: tuple[Contract, ...] = ()
    staff: tuple[Staff, ...] = ()
    suspensions: tuple[Suspension, ...] = ()
    holidays: frozenset[date] = frozenset()
    closed: frozenset[date] = frozenset()
    stops: tuple[Stop, ...] = ()
    notices: NoticeDeadlines = NoticeDeadlines()
    municipalities: tuple[Municipality, ...] = ()
    operators: tuple[Operator, ...] = ()
    kits: tuple[Kit, ...] = ()
    card_types: tuple[CardTerm, ...] = ()

    def canonical(self) -> "Document":
        """The same facts in the one order."""
        return Document(
            parties=tuple(sorted(self.parties, key=lambda party: party.id)),
            lines=tuple(sorted(self.lines, key=lambda line: (line.party, line.name))),
            contracts=tuple(sorted(self.contracts, key=lambda c: (c.party, c.role, c.valid_from))),
            staff=tuple(sorted(self.staff, key=lambda staff: (staff.party, staff.id))),
            suspensions=tuple(sorted(self.suspensions, key=lambda s: (s.scope, s.target, s.from_us))),
            holidays=self.holidays,
            closed=self.closed,
            stops=tuple(sorted(self.stops, key=lambda stop: (stop.from_us, stop.until_us))),
            notices=self.notices,
            municipalities=tuple(sorted((m.canonical() for m in self.municipalities), key=lambda m: m.code)),
            operators=tuple(sorted(self.operators, key=lambda operator: operator.party)),
            kits=tuple(sorted(self.kits, key=lambda kit: kit.id)),
            card_types=tuple(sorted(self.card_types, key=lambda term: (term.type, term.valid_from))),
        )

    def encode(self) -> bytes:
        """Canonical JSON: keys and sets sorted, keys and fingerprints as base64. Equal facts give equal bytes."""
        return _ENCODER.encode(self.canonical())

    @staticmethod
    def decode(data: bytes) -> "Document":
        """Read what `encode` wrote. Raises: msgspec.DecodeError (ValidationError among them)."""
        return _DECODER.decode(data)


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(Document)
