"""The directory held whole at one version: a checked document with its indexes, built once.

Everything a decision needs is a dictionary look-up here. Nothing is altered after it is built, except that standings
once worked out are kept until their span ends; a new version is a new Directory.
"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date

from gateway.directory import hours
from gateway.directory.check import check
from gateway.directory.model import Contract, Document, Line, Party, PartyKind, Role, Staff, Stop, Suspension
from gateway.directory.openings import Window
from gateway.directory.participants import Municipality, Offer, Operator
from gateway.directory.policy import Standing
from protocol.keys import PublicKey


class Directory:
    """One version of the directory.

    Raises: DirectoryInvalid when the document's parts do not fit together. Belongs to one thread.
    """

    def __init__(self, version: int, document: Document) -> None:
        check(document)
        self.version = version
        self.document = document
        self.holidays = document.holidays
        self.centre = next(party.id for party in document.parties if party.kind is PartyKind.CENTRE)
        self._parties = {party.id: party for party in document.parties}
        self._lines = {(line.party, line.name): line for line in document.lines}
        self._staff = {(staff.party, staff.id): staff for staff in document.staff}
        self._contracts: dict[tuple[Role, str], list[Contract]] = {}
        for contract in document.canonical().contracts:
            self._contracts.setdefault((contract.role, contract.party), []).append(contract)
        self._keys = {
            (line.party, line.name, key.key_id): (key, PublicKey(key.algorithm, key.public_key))
            for line in document.lines
            for key in line.keys
        }
        self._municipalities = {each.code: each for each in document.municipalities}
        self._offers = {(each.code, offer.kind): offer for each in document.municipalities for offer in each.offers}
        self._exceptions = _by_day(document.municipalities)
        self._operators = {operator.party: operator for operator in document.operators}
        edges = {edge for s in document.suspensions for edge in (s.from_us, s.until_us) if edge is not None}
        edges |= {edge for stop in document.stops for edge in (stop.from_us, stop.until_us)}
        self._edges = sorted(edges)
        self._standings: dict[tuple[Role, str, str], Standing] = {}

    def party(self, party: str) -> Party | None:
        """A party by its id."""
        return self._parties.get(party)

    def line(self, party: str, name: str) -> Line | None:
        """A line of a party by its name."""
        return self._lines.get((party, name))

    def staff(self, party: str, staff: str) -> Staff | None:
        """A member of a party's staff by number, whether or not the right is in force."""
        return self._staff.get((party, staff))

    def verifying_key(self, party: str, line: str, key_id: str, at_us: int) -> PublicKey | None:
        """The parsed key of a line, pinned to its algorithm; None when unknown or outside its validity."""
        found = self._keys.get((party, line, key_id))
        return found[1] if found is not None and found[0].valid_at(at_us) else None

    def contract(self, role: Role, party: str, day: date) -> Contract | None:
        """The contract in force on a day; run-off is not in force."""
        for contract in self._contracts.get((role, party), ()):
            if contract.valid_from <= day and (contract.valid_until is None or day <= contract.valid_until):
                return contract
        return None

    def running_off(self, role: Role, party: str, day: date) -> Contract | None:
        """The last contract that has ended and is still being settled on a day."""
        found = None
        for contract in self._contracts.get((role, party), ()):
            ended, settled = contract.valid_until, contract.run_off_until
            if ended is not None and settled is not None and ended < day <= settled:
                found = contract
        return found

    def municipality(self, code: str) -> Municipality | None:
        """A municipality by its six-digit code, whether or not its taking part is in force."""
        return self._municipalities.get(code)

    def offer(self, code: str, kind: str) -> Offer | None:
        """What a municipality says of a kind, whether or not it is offered on a day."""
        return self._offers.get((code, kind))

    def exception(self, code: str, kind: str, day: date) -> tuple[Window | None] | None:
        """The window of a day that differs from its class, in a tuple of one; a kind's own goes first. None: none."""
        return self._exceptions.get((code, kind, day)) or self._exceptions.get((code, "", day))

    def operator(self, party: str) -> Operator | None:
        """An operator by its party's id."""
        return self._operators.get(party)

    def suspensions_at(self, at_us: int) -> tuple[Suspension, ...]:
        """The suspensions in force at a time."""
        return tuple(s for s in self.document.suspensions if s.holds_at(at_us))

    def stop_at(self, at_us: int) -> Stop | None:
        """The planned stop of the centre that holds at a time."""
        return next((stop for stop in self.document.stops if stop.from_us <= at_us < stop.until_us), None)

    def span(self, at_us: int) -> tuple[int, int]:
        """From when until when, around a time, no date, hour, suspension or stop changes: a minute at most."""
        start = at_us - at_us % hours.MINUTE_US
        end = start + hours.MINUTE_US
        index = bisect_right(self._edges, at_us)
        if index > 0:
            start = max(start, self._edges[index - 1])
        if index < len(self._edges):
            end = min(end, self._edges[index])
        return start, end

    def standing(self, role: Role, party: str, line: str, at_us: int) -> Standing:
        """What holds for a line now; ask once a frame and decide each request by it. Never raises for strangers."""
        key = (role, party, line)
        standing = self._standings.get(key)
        if standing is None or not standing.covers(at_us):
            standing = Standing(self, role=role, party=party, line=line, at_us=at_us)
            if standing.line is not None:  # strangers are not kept: they could be any number
                self._standings[key] = standing
        return standing


def _by_day(municipalities: Iterable[Municipality]) -> dict[tuple[str, str, date], tuple[Window | None]]:
    return {
        (each.code, exception.kind, date.fromordinal(ordinal)): (exception.opening,)
        for each in municipalities
        for exception in each.exceptions
        for ordinal in range(exception.valid_from.toordinal(), exception.valid_until.toordinal() + 1)
    }
