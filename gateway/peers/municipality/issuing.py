"""Whether a certificate may be issued at a kiosk, as a pure decision.

The cause is the municipality's own knowledge and stays with it; the operator is told an outcome that is neutral where
the cause is sensitive (DESIGN 10, DOMAIN 2.6): whoever stands at a kiosk with another's card must not learn that a
record is under protection.

Who may obtain (DOMAIN 2.7): 住民票 for oneself or all of the household, 印鑑 and tax for oneself, 戸籍 whoever stands
in the same register. A bar on anybody whom a certificate would show bars the certificate.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from gateway.peers.municipality.errors import Incident
from gateway.peers.municipality.records import Records, Resident, Tax
from protocol.certificates import Kind, Option
from protocol.issuance import Statement
from protocol.outcomes import Outcome

AGE_MIN: Final = 15
RESIDENT_KINDS: Final = frozenset({Kind.RESIDENT, Kind.RESIDENT_ITEMS})
TAX_KINDS: Final = frozenset({Kind.INCOME, Kind.TAXATION, Kind.TAX_PAID})
FAMILY_KINDS: Final = frozenset({Kind.FAMILY_ALL, Kind.FAMILY_ONE, Kind.FAMILY_ADDRESS})
OPTIONS_OF: Final[dict[Kind, Option]] = {
    Kind.RESIDENT: Option.HOUSEHOLD | Option.DOMICILE | Option.RELATION | Option.MY_NUMBER,
    Kind.RESIDENT_ITEMS: Option.HOUSEHOLD | Option.DOMICILE | Option.RELATION | Option.MY_NUMBER,
    Kind.FAMILY_ADDRESS: Option.DOMICILE,
}
"""What a kind can show at all; other kinds take no option."""


class Cause(StrEnum):
    """Why not, for the municipality's own eyes."""

    MISROUTED = "misrouted"
    KIND_NOT_OFFERED = "kind-not-offered"
    OPTIONS_NOT_OFFERED = "options-not-offered"
    COPIES_OVER = "copies-over"
    SIGNATURE_REFUSED = "signature-refused"
    STATEMENT_STALE = "statement-stale"
    APPLICATION_REUSED = "application-reused"
    NONCE_REUSED = "nonce-reused"
    NO_LONGER_HELD = "no-longer-held"
    CARD_EXPIRED = "card-expired"
    CARD_NOT_ACCEPTED = "card-not-accepted"
    CARD_REVOKED = "card-revoked"
    CARD_UNKNOWN = "card-unknown"
    DECEASED = "deceased"
    UNDER_AGE = "under-age"
    SUPPRESSED = "suppressed"
    MOVE_PENDING = "move-pending"
    SEAL_ABSENT = "seal-absent"
    SEAL_CANCELLED = "seal-cancelled"
    NOT_TAXED_HERE = "not-taxed-here"
    TAX_UNPAID = "tax-unpaid"
    REGISTER_ELSEWHERE = "register-elsewhere"
    TEXT_TOO_LONG = "text-too-long"
    NO_GLYPH = "no-glyph"


OUTCOMES: Final[dict[Cause, Outcome]] = {
    Cause.MISROUTED: Outcome.KIND_NOT_OFFERED,
    Cause.KIND_NOT_OFFERED: Outcome.KIND_NOT_OFFERED,
    Cause.OPTIONS_NOT_OFFERED: Outcome.KIND_NOT_OFFERED,
    Cause.COPIES_OVER: Outcome.KIND_NOT_OFFERED,
    Cause.SIGNATURE_REFUSED: Outcome.SIGNATURE_REFUSED,
    Cause.STATEMENT_STALE: Outcome.SIGNATURE_REFUSED,
    Cause.APPLICATION_REUSED: Outcome.SIGNATURE_REFUSED,
    Cause.NONCE_REUSED: Outcome.SIGNATURE_REFUSED,
    Cause.NO_LONGER_HELD: Outcome.NOT_ENTITLED,
    Cause.CARD_EXPIRED: Outcome.CARD_NOT_USABLE,
    Cause.CARD_NOT_ACCEPTED: Outcome.CARD_NOT_USABLE,
    Cause.CARD_REVOKED: Outcome.CARD_REVOKED,
    Cause.CARD_UNKNOWN: Outcome.NOT_ENTITLED,
    Cause.DECEASED: Outcome.COUNTER_ONLY,
    Cause.UNDER_AGE: Outcome.NOT_ENTITLED,
    Cause.SUPPRESSED: Outcome.COUNTER_ONLY,
    Cause.MOVE_PENDING: Outcome.MOVE_PENDING,
    Cause.SEAL_ABSENT: Outcome.NOT_ENTITLED,
    Cause.SEAL_CANCELLED: Outcome.COUNTER_ONLY,
    Cause.NOT_TAXED_HERE: Outcome.NOT_ENTITLED,
    Cause.TAX_UNPAID: Outcome.COUNTER_ONLY,
    Cause.REGISTER_ELSEWHERE: Outcome.NOT_ENTITLED,
    Cause.TEXT_TOO_LONG: Outcome.TEXT_TOO_LONG,
    Cause.NO_GLYPH: Outcome.COUNTER_ONLY,
}
"""What the operator is told of each cause."""


class Refused(Exception):  # noqa: N818 - named after the fact
    """A certificate is not made; outcome is what leaves the municipality.

    Fields: cause; incident, when it is to be looked into, with its detail; withdrawn: drop what is held of it.
    """

    def __init__(
        self, cause: Cause, *, incident: Incident | None = None, detail: str = "", withdrawn: bool = False
    ) -> None:
        super().__init__(f"not made: {cause.value}")
        self.cause = cause
        self.incident = incident
        self.detail = detail
        self.withdrawn = withdrawn

    @property
    def outcome(self) -> Outcome:
        """What the operator is told."""
        return OUTCOMES[self.cause]


class OfferedKind(msgspec.Struct, frozen=True):
    """What this municipality issues of a kind: options (bits of protocol.certificates.Option) and copies at most."""

    options: int
    copies_max: int


def check_offer(statement: Statement, *, code: str, offered: Mapping[str, OfferedKind]) -> Kind:
    """The kind, when this municipality offers what is stated. Raises: Refused."""
    if statement.municipality != code:
        raise Refused(Cause.MISROUTED, incident=Incident.MISROUTED)
    kind = next((kind for kind in Kind if kind.value == statement.kind), None)
    offer = None if kind is None else offered.get(kind.value)
    if kind is None or offer is None:
        raise Refused(Cause.KIND_NOT_OFFERED)
    if statement.options & ~(offer.options & OPTIONS_OF.get(kind, Option(0))):
        raise Refused(Cause.OPTIONS_NOT_OFFERED)
    if statement.copies > offer.copies_max:
        raise Refused(Cause.COPIES_OVER)
    return kind


def shown(records: Records, *, kind: Kind, options: int) -> tuple[Resident, ...]:
    """The residents whom a certificate shows, the deceased left out of a household."""
    if kind in RESIDENT_KINDS and options & Option.HOUSEHOLD:
        return tuple(each for each in records.household if not each.died_on)
    if kind in (Kind.FAMILY_ALL, Kind.FAMILY_ADDRESS):
        return records.family or (records.applicant,)
    return (records.applicant,)


def check_records(records: Records, *, kind: Kind, options: int, today: date) -> None:
    """May this applicant have this certificate as the records stand? Raises: Refused.

    Asked before a document is made, and again in the transaction that releases it.
    """
    applicant = records.applicant
    if applicant.died_on:
        raise Refused(Cause.DECEASED)
    if age(applicant.birth, today) < AGE_MIN:
        raise Refused(Cause.UNDER_AGE)
    concerned = shown(records, kind=kind, options=options)
    if any(each.suppressed for each in concerned):
        raise Refused(Cause.SUPPRESSED)
    if any(each.moving_on and not each.died_on for each in concerned):
        raise Refused(Cause.MOVE_PENDING)
    if kind is Kind.SEAL:
        if applicant.seal is None:
            raise Refused(Cause.SEAL_ABSENT)
        if applicant.seal.cancelled:
            raise Refused(Cause.SEAL_CANCELLED)
    if kind in TAX_KINDS:
        year = tax_year(applicant)
        if kind is Kind.TAX_PAID and year.paid < year.assessed:
            raise Refused(Cause.TAX_UNPAID)
    if kind in FAMILY_KINDS:
        _check_register(records)


def tax_year(applicant: Resident) -> Tax:
    """The newest year assessed here. Raises: Refused."""
    if not applicant.taxes:
        raise Refused(Cause.NOT_TAXED_HERE)
    return max(applicant.taxes, key=lambda each: each.year)


def age(birth: str, today: date) -> int:
    """Full years; a birth date that no calendar has (29 February of a common year) counts by its figures."""
    year, month, day = (int(part) for part in birth.split("-"))
    return today.year - year - ((today.month, today.day) < (month, day))


def _check_register(records: Records) -> None:
    register = records.register
    if register is None or all(each.resident != records.applicant.number for each in register.entries):
        raise Refused(Cause.REGISTER_ELSEWHERE)
