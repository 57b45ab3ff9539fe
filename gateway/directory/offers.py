"""What a municipality offers at a moment, to whom and at what fee. Pure: a directory and plain facts in; a value out.

Order, first refusal wins: the operator's contract, suspension of everything or of the operator, participation of the
municipality, its suspension, the card's type, the kind, the kind's suspension, the centre's hours, the municipality's
hours, then the fields of the application. The two calendars are independent (000仕8-2(3)) and each has an outcome of
its own. Nothing here has seen a resident; who may obtain what is the municipality's to find.

Source: DESIGN 10; 000仕8-2, 000契22, 001-7, 001-8; DOMAIN 2.7.
"""

from datetime import date

import msgspec

from gateway.directory import hours, words
from gateway.directory.directory import Directory
from gateway.directory.model import Contract, Role, Scope
from gateway.directory.openings import Hours, Window
from gateway.directory.participants import Municipality, Offer, Participation
from gateway.directory.policy import Refused, centre_opening, outside_hours
from protocol import issuance
from protocol.certificates import CardType
from protocol.issuance import Statement
from protocol.outcomes import Outcome


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy costs and earns: fee to the municipality, commission to the operator, the contract's terms version.

    counterparty is the municipality's party id.
    """

    fee_yen: int
    commission_yen: int
    terms_version: int
    counterparty: str


def menu(
    directory: Directory, *, operator: str, municipality: str, card_type: int, at_us: int
) -> issuance.Menu | Refused:
    """What can be applied for with a type of card. Outside hours it still says what there is, and when."""
    day = hours.jst_date(at_us)
    found = _taking_part(directory, operator, municipality, card_type, at_us)
    if isinstance(found, Refused):
        return found
    contract, place = found
    centre = outside_hours(directory, contract, at_us)
    offers = []
    for offer in place.offers:
        fee = fee_of(offer, day)
        if fee is None or not is_offered(offer, day):
            continue
        closed = (
            _suspended(directory, Scope.KIND, offer.kind, at_us) or centre or _closed(directory, place, offer, at_us)
        )
        ja, en = _hours_words(directory, contract, place, offer, day)
        offers.append(
            issuance.Offer(
                kind=offer.kind,
                fee_yen=fee,
                copies_max=offer.copies_max,
                options=offer.options,
                closed=int(closed.outcome) if closed else 0,
                hours_ja=ja,
                hours_en=en,
            )
        )
    notice_ja, notice_en = words.stops_ahead(directory.document, place, at_us)
    return issuance.Menu(
        municipality=place.code,
        name_ja=place.name_ja,
        name_en=place.name_en,
        offers=offers,
        notice_ja=notice_ja,
        notice_en=notice_en,
    )


def may_authenticate(
    directory: Directory, *, operator: str, municipality: str, card_type: int, at_us: int
) -> Refused | None:
    """Whether a card may be authenticated for a municipality now: some kind of it must be open."""
    found = _taking_part(directory, operator, municipality, card_type, at_us)
    if isinstance(found, Refused):
        return found
    contract, place = found
    refused = outside_hours(directory, contract, at_us)
    if refused is not None:
        return refused
    day = hours.jst_date(at_us)
    offered = [offer for offer in place.offers if is_offered(offer, day)]
    if not offered:
        return _refused(Outcome.KIND_NOT_OFFERED, "municipality", "this municipality offers nothing today")
    closed: Refused | None = None
    for offer in offered:
        closed = _suspended(directory, Scope.KIND, offer.kind, at_us) or _closed(directory, place, offer, at_us)
        if closed is None:
            return None
    return closed


def price(directory: Directory, *, operator: str, statement: Statement, card_type: int, at_us: int) -> Priced | Refused:
    """Decide an application by what the directory says, and price a copy of it."""
    found = _taking_part(directory, operator, statement.municipality, card_type, at_us)
    if isinstance(found, Refused):
        return found
    contract, place = found
    day = hours.jst_date(at_us)
    offer = directory.offer(place.code, statement.kind)
    fee = fee_of(offer, day) if offer is not None and is_offered(offer, day) else None
    if offer is None or fee is None:
        return _refused(Outcome.KIND_NOT_OFFERED, "kind", "choose a kind from the menu")
    refused = (
        _suspended(directory, Scope.KIND, offer.kind, at_us)
        or outside_hours(directory, contract, at_us)
        or _closed(directory, place, offer, at_us)
        or _fields_refused(offer, statement)
    )
    if refused is not None:
        return refused
    terms = hours.in_force(contract.terms, day)
    if terms is None:
        return _refused(Outcome.CONTRACT_NOT_IN_FORCE, "party", f"the agreement has no terms for {day}")
    return Priced(fee_yen=fee, commission_yen=terms.commission, terms_version=terms.version, counterparty=place.party)


def kits_in_force(directory: Directory, at_us: int) -> frozenset[str]:
    """The versions of the rendering kit whose documents are accepted at a time."""
    day = hours.jst_date(at_us)
    return frozenset(
        kit.id
        for kit in directory.document.kits
        if kit.valid_from <= day and (kit.retired_on is None or day < kit.retired_on)
    )


def municipality_of(directory: Directory, code: str) -> Municipality | None:
    """A municipality by its code, also while it runs off or after: reports of what was issued still reach it."""
    return directory.municipality(code)


def kiosk_anchors(directory: Directory, operator: str) -> tuple[bytes, ...]:
    """Certificates (DER) that may have issued the operator's kiosks' certificates; none for a stranger."""
    found = directory.operator(operator)
    return found.kiosk_anchors if found else ()


def kiosk_refused(directory: Directory, *, operator: str, kiosk: str) -> Refused | None:
    """The refusal of a kiosk that the operator has blocked, or whose operator has no kiosks here."""
    found = directory.operator(operator)
    if found is None or not found.kiosk_anchors:
        return _refused(Outcome.KIOSK_NOT_REGISTERED, "operator", "have the operator's kiosk CA registered")
    if kiosk in found.blocked_kiosks:
        return _refused(Outcome.KIOSK_NOT_REGISTERED, "kiosk", "this kiosk is blocked; ask the operator")
    return None


def fee_of(offer: Offer, day: date) -> int | None:
    """What a copy costs on a day: a campaign's fee while one runs, else the ordinary one; None before any."""
    for campaign in offer.campaigns:
        if campaign.valid_from <= day <= campaign.valid_until:
            return campaign.yen
    fee = hours.in_force(offer.fees, day)
    return fee.yen if fee else None


def is_offered(offer: Offer, day: date) -> bool:
    """Whether a kind is offered on a day at all, at whatever hour."""
    return offer.valid_from <= day and (offer.valid_until is None or day <= offer.valid_until)


def opening_of(directory: Directory, place: Municipality, offer: Offer, day: date) -> Window | None:
    """The window of a kind on a day by the municipality's own calendar; None when it is closed."""
    exception = directory.exception(place.code, offer.kind, day)
    if exception is not None:
        return exception[0]
    dated = hours.in_force(offer.hours, day)
    return hours.window(dated, day, place.holidays) if dated else None


def _hours_words(
    directory: Directory, contract: Contract, place: Municipality, offer: Offer, day: date
) -> tuple[str, str]:
    """When both calendars are open: on a day of each class, and today where today differs."""
    own, centre = hours.in_force(offer.hours, day), hours.in_force(contract.hours, day)
    if own is None or centre is None:
        return words.offer_hours(None, None)
    usual = Hours(
        valid_from=own.valid_from,
        weekday=hours.both(own.weekday, centre.weekday),
        saturday=hours.both(own.saturday, centre.saturday),
        holiday=hours.both(own.holiday, centre.holiday),
    )
    today = hours.both(opening_of(directory, place, offer, day), centre_opening(directory, contract, day))
    return words.offer_hours(usual, None if today == hours.window(usual, day, place.holidays) else (today,))


def _taking_part(
    directory: Directory, operator: str, municipality: str, card_type: int, at_us: int
) -> tuple[Contract, Municipality] | Refused:
    day = hours.jst_date(at_us)
    contract = directory.contract(Role.CERTIFICATE, operator, day)
    if contract is None:
        return _refused(Outcome.CONTRACT_NOT_IN_FORCE, "party", f"no agreement is in force on {day}")
    refused = _suspended(directory, Scope.ALL, "", at_us) or _suspended(directory, Scope.PARTY, operator, at_us)
    if refused is not None:
        return refused
    place = directory.municipality(municipality)
    if place is None or place.participation(day) is not Participation.IN_FORCE:
        return _refused(Outcome.NOT_PARTICIPATING, "municipality", "ask at the municipality's office")
    if not place.trust:
        return _refused(Outcome.NOT_PARTICIPATING, "municipality", "its trust bundle is not in the directory yet")
    refused = _suspended(directory, Scope.PARTY, place.party, at_us) or _card_refused(directory, place, card_type, day)
    return refused or (contract, place)


def _card_refused(directory: Directory, place: Municipality, card_type: int, day: date) -> Refused | None:
    terms = [term for term in directory.document.card_types if term.type == card_type]
    if card_type not in CardType.__members__.values():
        return _refused(Outcome.FIELD_INVALID, "card_type", "use a number of the catalogue of card types")
    if any(term.valid_from <= day and (term.valid_until is None or day <= term.valid_until) for term in terms):
        if card_type in place.card_types:
            return None
        return _refused(Outcome.CARD_NOT_USABLE, "card_type", "this municipality does not accept this type of card")
    if any(term.valid_until is not None and term.valid_until < day for term in terms):
        return _refused(Outcome.CARD_TYPE_ENDED, "card_type", "use a My Number Card")
    return _refused(Outcome.CARD_NOT_USABLE, "card_type", "this type of card is not accepted yet")


def _suspended(directory: Directory, scope: Scope, target: str, at_us: int) -> Refused | None:
    for suspension in directory.document.suspensions:
        if suspension.scope is scope and suspension.target == target and suspension.holds_at(at_us):
            field = {Scope.PARTY: "party", Scope.KIND: "kind"}.get(scope, "")
            return _refused(Outcome.SUSPENDED, field, f"wait for the notice of resumption ({suspension.ground})")
    return None


def _closed(directory: Directory, place: Municipality, offer: Offer, at_us: int) -> Refused | None:
    for stop in place.stops:
        if stop.from_us <= at_us < stop.until_us:
            return _refused(Outcome.MUNICIPALITY_CLOSED, "municipality", f"planned stop: {stop.ground}")
    opening = opening_of(directory, place, offer, hours.jst_date(at_us))
    if hours.is_open(opening, at_us):
        return None
    said = f"today's hours are {opening} JST" if opening else "closed today; ask another day"
    return _refused(Outcome.MUNICIPALITY_CLOSED, "municipality", said)


def _fields_refused(offer: Offer, statement: Statement) -> Refused | None:
    if statement.options & ~offer.options:
        return _refused(Outcome.FIELD_INVALID, "options", "choose among the options of the menu")
    if not 1 <= statement.copies <= offer.copies_max:
        return _refused(Outcome.FIELD_INVALID, "copies", f"ask for 1 to {offer.copies_max} copies")
    return None


def _refused(outcome: Outcome, field: str, remedy: str) -> Refused:
    return Refused(outcome=outcome, field=field, remedy=remedy)
