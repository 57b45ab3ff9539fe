"""Do the tables of a certificate centre fit together, and with the parties? Pure; the first misfit is raised."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from cryptography import x509

from gateway.directory.model import Document, Party, PartyKind
from gateway.directory.participants import CardTerm, DayException, Kit, Municipality, Offer, Operator
from gateway.directory.place import At, check_stop
from gateway.directory.trusts import trust_of
from protocol import limits, municipality_code
from protocol.certificates import KINDS, CardType, Option
from protocol.trust import TrustError

FEE_MAX: Final = 1_000
"""Fees of 10 to 800 yen have been seen; more is a slip of the keyboard."""
COPIES_MAX: Final = 20
"""What protocol.issuance.Copies can say."""
REQUESTS_AT_ONCE_MAX: Final = 256
EXCEPTION_DAYS_MAX: Final = 366
HOST_CHARS_MAX: Final = 253
ANCHORS_MAX: Final = 8
OPTIONS_ALL: Final = int(Option.HOUSEHOLD | Option.DOMICILE | Option.RELATION | Option.MY_NUMBER)


def check_participants(document: Document, parties: Mapping[str, Party]) -> None:
    """Raise DirectoryInvalid unless municipalities, operators, kits and card types can be."""
    At("municipality").unique((each.code for each in document.municipalities), "code")
    At("municipality").unique((each.party for each in document.municipalities), "party")
    for each in document.municipalities:
        _check_municipality(each, parties)
    At("operator").unique((each.party for each in document.operators), "party")
    for operator in document.operators:
        _check_operator(operator, parties)
    At("kit").unique((kit.id for kit in document.kits), "id")
    for kit in document.kits:
        _check_kit(kit)
    for term in document.card_types:
        _check_card_type(term)
    for earlier, later in pairwise(sorted(document.card_types, key=lambda term: (term.type, term.valid_from))):
        apart = earlier.valid_until is not None and earlier.valid_until < later.valid_from
        at = At(f"card_type {later.type} {later.valid_from}")
        at.need(earlier.type != later.type or apart, "valid_from", "overlaps the term before", "end that one before")


def _check_party(at: At, party: str, kind: PartyKind, parties: Mapping[str, Party]) -> None:
    at.need(party in parties, "party", f"{party!r} is no party", "add a [[party]] with this id, or correct it")
    is_a = parties[party].kind
    at.need(is_a is kind, "party", f"{party} is a {is_a.value}", f"name a party of kind {kind.value}")


def _check_municipality(each: Municipality, parties: Mapping[str, Party]) -> None:
    at = At(f"municipality {each.code}")
    remedy = "write the six digits of the 全国地方公共団体コード, as text"
    at.need(municipality_code.is_valid(each.code), "code", f"{each.code!r} has no fitting check digit", remedy)
    _check_party(at, each.party, PartyKind.MUNICIPALITY, parties)
    at.text(each.name_ja, "name_ja", limits.NAME_CHARS_MAX)
    at.text(each.name_en, "name_en", limits.NAME_CHARS_MAX)
    at.text(each.reference, "reference", limits.NAME_CHARS_MAX)
    at.days(each.valid_from, each.valid_until, "valid_until")
    if each.run_off_until is not None:
        at.need(each.valid_until is not None, "run_off_until", "taking part has no end", "set valid_until")
        at.days(each.valid_until or each.valid_from, each.run_off_until, "run_off_until")
    _check_server(at, each)
    for number in sorted(each.card_types):
        _check_number(at, "card_types", number)
    at.need(bool(each.card_types), "card_types", "none are given", "name the accepted types, such as my-number-card")
    at.unique((offer.kind for offer in each.offers), "offer.kind")
    for offer in each.offers:
        _check_offer(At(f"municipality {each.code} offer {offer.kind}"), offer)
    for exception in each.exceptions:
        _check_exception(At(f"municipality {each.code} exception {exception.valid_from}"), exception)
    at.unique(
        (
            f"{day} {exception.kind}".rstrip()
            for exception in each.exceptions
            for day in range(exception.valid_from.toordinal(), exception.valid_until.toordinal() + 1)
        ),
        "exception.day",
    )
    for stop in each.stops:
        check_stop(At(f"municipality {each.code} stop {stop.from_us}"), stop)


def _check_server(at: At, each: Municipality) -> None:
    for field, name in (("host", each.host), ("server_name", each.server_name or each.host)):
        fits = 0 < len(name) <= HOST_CHARS_MAX and name.isascii() and name.isprintable() and " " not in name
        at.need(fits, field, f"{name!r} is not a host", "write a host name or an IP address")
    at.need(1 <= each.port <= 65_535, "port", f"{each.port}", "write 1 to 65535")
    at_once, most = each.requests_at_once, REQUESTS_AT_ONCE_MAX
    at.need(1 <= at_once <= most, "requests_at_once", f"{at_once}", f"write 1 to {most}")
    within = limits.DEADLINE_MS_MAX
    at.need(1 <= each.deadline_ms <= within, "deadline_ms", f"{each.deadline_ms}", f"write 1 to {within}")
    if not each.trust:
        return  # not exchanged yet: nothing is asked of it (gateway.directory.offers)
    remedy = "give the file that the municipality's set-up wrote"
    try:
        trust = trust_of(each.trust)
    except TrustError as error:
        at.need(False, "trust", str(error), remedy)
    else:
        at.need(trust.centre == each.party, "trust", f"the trust bundle of {trust.centre}", remedy)


def _check_offer(at: At, offer: Offer) -> None:
    at.need(offer.kind in KINDS, "kind", f"{offer.kind!r} is unknown", f"write one of {', '.join(KINDS)}")
    at.days(offer.valid_from, offer.valid_until, "valid_until")
    known = 0 <= offer.options <= OPTIONS_ALL
    at.need(known, "options", f"{offer.options}", "name options of the catalogue")
    at.need(1 <= offer.copies_max <= COPIES_MAX, "copies_max", f"{offer.copies_max}", f"write 1 to {COPIES_MAX}")
    at.need(bool(offer.fees), "fee", "none are given", "add a [[municipality.offer.fee]]")
    at.ascending([fee.valid_from for fee in offer.fees], "fee.valid_from")
    begins = offer.fees[0].valid_from
    at.need(begins <= offer.valid_from, "fee.valid_from", f"{begins} is after {offer.valid_from}", "set a fee before")
    for yen in (*(fee.yen for fee in offer.fees), *(campaign.yen for campaign in offer.campaigns)):
        at.need(0 <= yen <= FEE_MAX, "fee.yen", f"{yen}", f"write whole yen, 0 to {FEE_MAX}")
    for campaign in offer.campaigns:
        at.days(campaign.valid_from, campaign.valid_until, "campaign.valid_until")
    for earlier, later in pairwise(offer.campaigns):
        apart = earlier.valid_until < later.valid_from
        at.need(apart, "campaign.valid_from", f"{later.valid_from} is in the one before", "list them one after another")
    at.hours(offer.hours)
    begins = offer.hours[0].valid_from
    at.need(begins <= offer.valid_from, "hours.valid_from", f"{begins} is after {offer.valid_from}", "set some before")


def _check_exception(at: At, exception: DayException) -> None:
    at.days(exception.valid_from, exception.valid_until, "valid_until")
    days = exception.valid_until.toordinal() - exception.valid_from.toordinal() + 1
    at.need(days <= EXCEPTION_DAYS_MAX, "valid_until", f"{days} days", f"write {EXCEPTION_DAYS_MAX} days at most")
    at.window(exception.opening, "opening")
    known = exception.kind == "" or exception.kind in KINDS
    at.need(known, "kind", f"{exception.kind!r} is unknown", f"leave it out, or write one of {', '.join(KINDS)}")


def _check_operator(operator: Operator, parties: Mapping[str, Party]) -> None:
    at = At(f"operator {operator.party}")
    _check_party(at, operator.party, PartyKind.OPERATOR, parties)
    at.need(len(operator.kiosk_anchors) <= ANCHORS_MAX, "kiosk_anchors", "too many", f"give {ANCHORS_MAX} at most")
    for der in operator.kiosk_anchors:
        try:
            x509.load_der_x509_certificate(der)
        except ValueError:
            at.need(False, "kiosk_anchors", "not a certificate", "give the certificate of the operator's kiosk CA")
    for kiosk in sorted(operator.blocked_kiosks):
        at.ident(kiosk, "blocked_kiosks")


def _check_kit(kit: Kit) -> None:
    at = At(f"kit {kit.id}")
    fits = 0 < len(kit.id) <= limits.IDENT_CHARS_MAX and kit.id.isascii() and kit.id.isprintable()
    at.need(fits, "id", f"{kit.id!r} is not the id of a kit", "write it as the kit's release says, such as kit-2026.1")
    at.days(kit.valid_from, kit.retired_on, "retired_on")


def _check_card_type(term: CardTerm) -> None:
    at = At(f"card_type {term.type} {term.valid_from}")
    _check_number(at, "type", term.type)
    at.days(term.valid_from, term.valid_until, "valid_until")


def _check_number(at: At, field: str, number: int) -> None:
    numbers = ", ".join(str(int(each)) for each in CardType)
    at.need(number in list(CardType), field, f"{number} is no type of card", f"write one of {numbers}")
