"""Do the parts of a document fit together? Pure; the first fact that does not hold is raised with its place.

What is checked here holds for a document from a file and for one from the database alike, so that a Directory is
never half right: every reference leads somewhere, every id is unique, no two contracts claim the same day, a grant
stays inside the affairs of 002 別記1, and every key is a key.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from certs.names import CENTRE_PARTY
from gateway.directory.affairs import AFFAIRS
from gateway.directory.check_participants import check_participants
from gateway.directory.errors import DirectoryInvalid
from gateway.directory.model import (
    DAY_MINUTES,
    STAFF_PATTERN,
    Contract,
    Document,
    Line,
    Party,
    PartyKind,
    Role,
    Scope,
    Staff,
    Suspension,
    Terms,
    Volume,
)
from gateway.directory.place import GROUND_CHARS_MAX, At, check_stop
from protocol import limits
from protocol.certificates import KINDS
from protocol.keys import KeysError, PublicKey

WEIGHT_MAX: Final = 100
NOTICE_MINUTES_MAX: Final = 30 * DAY_MINUTES
FINGERPRINT_BYTES: Final = 32
YEN_MAX: Final = 1_000_000
"""A record that costs more is a slip of the keyboard."""
COMMISSION_MAX: Final = 10_000

_staff_id = re.compile(STAFF_PATTERN).fullmatch
_KINDS: Final = {
    Role.INQUIRY: frozenset({PartyKind.MINISTRY}),
    Role.CERTIFICATE: frozenset({PartyKind.OPERATOR}),  # a municipality's agreement stands in its own table
}


def check(document: Document) -> None:
    """Raise DirectoryInvalid unless the whole document can be a directory."""
    parties = {party.id: party for party in document.parties}
    _check_parties(document.parties)
    _check_lines(document.lines, parties)
    for contract in document.contracts:
        _check_contract(contract, parties)
    _check_overlaps(document.contracts)
    _check_staff(document.staff, parties)
    _check_suspensions(document)
    for stop in document.stops:
        check_stop(At(f"stop {stop.from_us}"), stop)
    at = At("notices")
    for field in document.notices.__struct_fields__:
        minutes = getattr(document.notices, field)
        at.need(0 < minutes <= NOTICE_MINUTES_MAX, field, f"{minutes}", f"write 1 to {NOTICE_MINUTES_MAX} minutes")
    check_participants(document, parties)


def _check_parties(parties: Sequence[Party]) -> None:
    at = At("party")
    at.unique((party.id for party in parties), "id")
    centres = [party.id for party in parties if party.kind is PartyKind.CENTRE]
    at.need(len(centres) == 1, "kind", f"{len(centres)} parties are the centre", "let exactly one party be it")
    for party in parties:
        at = At(f"party {party.id}")
        at.ident(party.id, "id")
        named = (party.id == CENTRE_PARTY) == (party.kind is PartyKind.CENTRE)
        at.need(
            named, "id", f"{party.id!r} as a {party.kind.value}", f'name the centre, and it alone, "{CENTRE_PARTY}"'
        )
        at.text(party.name_ja, "name_ja", limits.NAME_CHARS_MAX)
        at.text(party.name_en, "name_en", limits.NAME_CHARS_MAX)
        at.need(1 <= party.weight <= WEIGHT_MAX, "weight", f"{party.weight}", f"write 1 to {WEIGHT_MAX}")


def _check_lines(lines: Sequence[Line], parties: dict[str, Party]) -> None:
    At("line").unique((f"{line.party}/{line.name}" for line in lines), "name")
    At("line").unique((c.hex() for line in lines for c in line.certificates), "certificates")
    owners: dict[bytes, str] = {}
    for line in lines:
        at = At(f"line {line.party}/{line.name}")
        _known_party(at, line.party, parties)
        at.ident(line.name, "name")
        credit, most = line.requests_in_flight_max, limits.CREDIT_REQUESTS_MAX
        at.need(1 <= credit <= most, "requests_in_flight_max", f"{credit}", f"write 1 to {most}")
        for fingerprint in line.certificates:
            fits = len(fingerprint) == FINGERPRINT_BYTES
            at.need(fits, "certificates", "not a SHA-256", "write 64 hexadecimal digits")
        at.unique((key.key_id for key in line.keys), "key.id")
        for key in line.keys:
            at = At(f"line {line.party}/{line.name} key {key.key_id}")
            fits = key.key_id.isascii() and key.key_id.isprintable() and 0 < len(key.key_id) <= limits.KEY_ID_BYTES_MAX
            at.need(fits, "id", "not a key id", f"write 1 to {limits.KEY_ID_BYTES_MAX} printable ASCII characters")
            ends = key.not_after_us is None or key.not_before_us < key.not_after_us
            at.need(ends, "not_after", "ends before it begins", "let it end after it begins")
            _check_key(at, key.algorithm, key.public_key)
            owner = owners.setdefault(key.public_key, f"{line.party}/{line.name}")
            mine = owner == f"{line.party}/{line.name}"
            at.need(mine, "public_key", f"the key of line {owner}", "give every line a key of its own")


def _check_key(at: At, algorithm: int, public_key: bytes) -> None:
    try:
        PublicKey(algorithm, public_key)
    except KeysError as error:
        raise DirectoryInvalid(
            table=at.table, field="public_key", why=str(error), remedy="give the SubjectPublicKeyInfo of the line's key"
        ) from error


def _known_party(at: At, party: str, parties: dict[str, Party]) -> None:
    at.need(party in parties, "party", f"{party!r} is no party", "add a [[party]] with this id, or correct it")


def _check_contract(contract: Contract, parties: dict[str, Party]) -> None:
    at = At(f"contract {contract.party} {contract.role.value} {contract.valid_from}")
    _known_party(at, contract.party, parties)
    kind = parties[contract.party].kind
    kinds = " or ".join(sorted(k.value for k in _KINDS[contract.role]))
    at.need(kind in _KINDS[contract.role], "role", f"the party is a {kind.value}", f"this role is for a {kinds}")
    at.text(contract.reference, "reference", limits.NAME_CHARS_MAX)
    at.days(contract.valid_from, contract.valid_until, "valid_until")
    if contract.run_off_until is not None:
        at.need(contract.valid_until is not None, "run_off_until", "the contract has no end", "set valid_until")
        at.days(contract.valid_until or contract.valid_from, contract.run_off_until, "run_off_until")
    for field, given in (("methods", contract.methods), ("affairs", contract.affairs)):
        apart = contract.role is Role.INQUIRY or not given
        at.need(apart, field, "of an inquiry centre", "remove it from a contract of role certificate")
    for affair, steps in contract.affairs.items():
        listed = AFFAIRS.get(affair)
        known = ", ".join(AFFAIRS)
        at.need(listed is not None, "affairs", f"{affair!r} is not listed in 002 別記1", f"use one of {known}")
        allowed = listed.steps if listed else frozenset()
        remedy = f"write some of {sorted(allowed)}"
        at.need(bool(steps) and steps <= allowed, "affairs", f"steps {sorted(steps)} of {affair}", remedy)
    at.hours(contract.hours)
    at.need(bool(contract.terms), "terms", "none are given", "add a [[contract.terms]]")
    at.ascending([terms.valid_from for terms in contract.terms], "terms.valid_from")
    at.ascending([terms.version for terms in contract.terms], "terms.version")
    for terms in contract.terms:
        at.need(terms.version >= 1, "terms.version", f"{terms.version}", "count versions from 1")
        _check_money(at, contract.role, terms)
    _check_volume(at, contract.role, contract.volume)


def _check_money(at: At, role: Role, terms: Terms) -> None:
    yen, commission = terms.yen_per_record, terms.commission
    if role is Role.INQUIRY:
        at.need(0 <= yen <= YEN_MAX, "terms.yen_per_record", f"{yen}", f"write whole yen, 0 to {YEN_MAX}")
        at.need(0 <= commission <= yen, "terms.commission", f"{commission}", f"write 0 to {yen}")
        return
    remedy = "leave it out; the fee of a copy is the municipality's (see [[municipality.offer.fee]])"
    at.need(yen == 0, "terms.yen_per_record", f"{yen} in a contract of role certificate", remedy)
    # a commission above a municipality's fee is possible: some charge 10 yen a copy
    fits = 0 <= commission <= COMMISSION_MAX
    at.need(fits, "terms.commission", f"{commission}", f"write whole yen a copy, 0 to {COMMISSION_MAX}")


def _check_volume(at: At, role: Role, volume: Volume | None) -> None:
    if role is Role.CERTIFICATE:
        at.need(volume is None, "volume", "it is of an inquiry centre", "remove it")
    if volume is None:
        at.need(role is Role.CERTIFICATE, "volume", "missing", "add a [contract.volume]")
        return
    for field in volume.__struct_fields__:
        at.need(getattr(volume, field) >= 1, f"volume.{field}", f"{getattr(volume, field)}", "write 1 or more")


def _check_overlaps(contracts: Sequence[Contract]) -> None:
    ordered = sorted(contracts, key=lambda c: (c.role, c.party, c.valid_from))
    for earlier, later in pairwise(ordered):
        if (earlier.role, earlier.party) != (later.role, later.party):
            continue
        at = At(f"contract {later.party} {later.role.value} {later.valid_from}")
        apart = earlier.valid_until is not None and earlier.valid_until < later.valid_from
        at.need(apart, "valid_from", f"contract {earlier.reference} covers this day", "end the earlier one before")


def _check_staff(staff: Sequence[Staff], parties: dict[str, Party]) -> None:
    At("staff").unique((f"{person.party}/{person.id}" for person in staff), "id")
    for person in staff:
        at = At(f"staff {person.party}/{person.id}")
        _known_party(at, person.party, parties)
        remedy = f"write 1 to {limits.IDENT_CHARS_MAX} of A-Z, a-z, 0-9 and inner . _ -"
        at.need(_staff_id(person.id) is not None, "id", f"{person.id!r} is not a staff number", remedy)
        at.need(bool(person.rights), "rights", "none are given", 'write "inquire", "approve" or both')
        at.days(person.valid_from, person.valid_until, "valid_until")


def _check_suspensions(document: Document) -> None:
    targets: dict[Scope, frozenset[str]] = {
        Scope.ALL: frozenset({""}),
        Scope.PARTY: frozenset(party.id for party in document.parties),
        Scope.AFFAIR: frozenset(AFFAIRS),
        Scope.KIND: frozenset(KINDS),
        Scope.LINE: frozenset(f"{line.party}/{line.name}" for line in document.lines),
    }
    At("suspension").unique((f"{s.scope.value} {s.target} {s.from_us}" for s in document.suspensions), "from")
    for suspension in document.suspensions:
        _check_suspension(suspension, targets[suspension.scope])


def _check_suspension(suspension: Suspension, targets: frozenset[str]) -> None:
    at = At(f"suspension {suspension.scope.value} {suspension.target}".rstrip())
    found = suspension.target in targets
    remedy = "leave it out" if suspension.scope is Scope.ALL else "name one that the directory has"
    at.need(found, "target", f"{suspension.target!r} is no {suspension.scope.value}", remedy)
    at.text(suspension.ground, "ground", GROUND_CHARS_MAX)
    ends = suspension.until_us is None or suspension.from_us < suspension.until_us
    at.need(ends, "until", "ends before it begins", "let it end after it begins")
