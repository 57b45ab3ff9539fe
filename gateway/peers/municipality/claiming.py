"""The municipality's claim (請求書) for a period, from the confirmed statement, held against its own reports (001-4-5).

The statement says what all operators received for the municipality, less the commission. The reports, which came one by
one as certificates were handed over, say the fees and copies again. Let S(m, t) be what the reports up to time t say of
deposits up to the end of month m: a statement has S of its month when that was frozen, less S of the month before when
that was (what came for it in between is this statement's adjustment), or, if it never was, at the same time. Both times
stand in the statement. Where both agree, the claim is made on
asking; where not, an incident waits for a person, who claims what is confirmed or has it corrected.

Source: 001-4-4, 4-5; DOMAIN I2, I9.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.peers.municipality import confirmed, reports
from gateway.peers.municipality.errors import ClaimImpossible, Incident
from gateway.peers.municipality.journal import raise_incident
from gateway.peers.municipality.setup import Municipality
from gateway.peers.municipality.store import Store
from protocol.invoice import DocumentKind, Invoice, InvoiceError, decode_signed, verify_invoice
from protocol.issuance import Report
from protocol.keys import Purpose
from protocol.papers import Claimed, MunicipalClaim, PaperLine, SignedClaim, claim_to_sign
from protocol.trust import Trust

SUFFIX: Final = ".invoice"
"""A signed document of settlement is a file of this name's end (protocol.invoice)."""
SERVER: Final = "server"
"""Who made a claim that no person did."""
_JST: Final = dt.timezone(dt.timedelta(hours=9))
_encode: Final = msgspec.msgpack.Encoder().encode


class Sums(msgspec.Struct, frozen=True):
    """Copies and fees in yen."""

    copies: int
    fees: int

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(self.copies - other.copies, self.fees - other.fees)


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How a period stands. statement, digest: as confirmed, None and b"" without one; own: by the reports."""

    period: str
    statement: Invoice | None
    digest: bytes
    own: Sums | None
    claimed: Claimed | None

    @property
    def said(self) -> Sums | None:
        """What the statement says."""
        return None if self.statement is None else Sums(self.statement.net.copies, self.statement.net.yen)

    @property
    def agrees(self) -> bool:
        """Whether statement and reports say the same."""
        return self.said is not None and self.said == self.own


def position(store: Store, period: str, *, trust: Trust, party: str) -> Position:
    """How a period stands; a statement that does not verify counts as none."""
    statement, digest = _statement(store, period, trust=trust, party=party)
    own = None
    if statement is not None:
        rests = statement.rests
        at_us = rests.frozen_us or rests.checkpoint_us
        own = own_sums(reports.reports(store), period=period, at_us=at_us, before_us=rests.previous_us or at_us)
    return Position(period=period, statement=statement, digest=digest, own=own, claimed=claimed(store, period))


def own_sums(listed: Iterable[Report], *, period: str, at_us: int, before_us: int) -> Sums:
    """What the reports say that a month's statement should: see above. Pure."""
    known = list(listed)
    return _standing(known, upto=period, at_us=at_us) - _standing(known, upto=_month_before(period), at_us=before_us)


def check(store: Store, paper: PaperLine, *, trust: Trust, party: str) -> None:
    """Hold a document that has just become whole against signature and reports; what does not fit is an incident."""
    if not paper.name.endswith(SUFFIX):
        return
    try:
        invoice = _verified(store, paper, trust=trust, party=party)
    except InvoiceError as error:
        raise_incident(store, Incident.PAPER_SPOILT, paper.id, f"{paper.period}: {error.what}")
        return
    if invoice.kind != DocumentKind.STATEMENT:
        return
    found = position(store, paper.period, trust=trust, party=party)
    if not found.agrees and found.said is not None and found.own is not None:
        detail = f"{paper.period}: copies {found.said.copies}, own {found.own.copies};"
        detail += f" yen {found.said.fees}, own {found.own.fees}"
        raise_incident(store, Incident.STATEMENT_DIFFERS, paper.id, detail)


def claim(municipality: Municipality, period: str, *, trust: Trust, by: str) -> Claimed:
    """Make the claim for a period, once. Raises: ClaimImpossible, HsmError."""
    store, settings = municipality.store, municipality.settings
    with store.transaction():
        found = position(store, period, trust=trust, party=settings.party)
        if found.claimed is not None:
            return found.claimed
        if found.statement is None:
            raise ClaimImpossible(f"no confirmed statement of {period} is here; the centre brings it from the 10th")
        now_us, net = store.now_us(), found.statement.net
        said = MunicipalClaim(
            party=settings.party,
            code=settings.code,
            environment=settings.environment,
            period=period,
            number=f"{settings.code}-{period}",
            day=f"{dt.datetime.fromtimestamp(now_us // 1_000_000, _JST):%Y-%m-%d}",
            copies=net.copies,
            fees=net.yen,
            commission=net.commission,
            yen=net.due_yen,
            statement=found.digest,
            made_us=now_us,
        )
        data = _encode(said)
        key_id = municipality.keystore.current(Purpose.MANIFEST, now_us).key_id
        signed = SignedClaim(data, key_id, municipality.keystore.sign(key_id, claim_to_sign(data)))
        made = Claimed(said.number, said.yen, said.day, _encode(signed))
        store.run("INSERT INTO claims VALUES (?, ?, ?)", period, _encode(made), by)
        return made


def claimed(store: Store, period: str) -> Claimed | None:
    """The claim that was made for a period."""
    row = store.row("SELECT content FROM claims WHERE period = ?", period)
    return None if row is None else msgspec.msgpack.decode(row[0], type=Claimed)


def asked(municipality: Municipality, period: str, *, trust: Trust) -> Claimed | None:
    """What CLAIM is answered: the claim; made now if statement and reports agree, else once a person made it."""
    made = claimed(municipality.store, period)
    if made is not None:
        return made
    if not position(municipality.store, period, trust=trust, party=municipality.settings.party).agrees:
        return None
    return claim(municipality, period, trust=trust, by=SERVER)


def _statement(store: Store, period: str, *, trust: Trust, party: str) -> tuple[Invoice | None, bytes]:
    """The statement of a period and its file's digest; the last one made, if it was made again."""
    found: Invoice | None = None
    digest = b""
    for paper in confirmed.papers(store, period=period):
        if paper.whole_us is None or not paper.line.name.endswith(SUFFIX):
            continue
        try:
            invoice = _verified(store, paper.line, trust=trust, party=party)
        except InvoiceError:
            continue
        if invoice.kind == DocumentKind.STATEMENT and (found is None or invoice.issued_us > found.issued_us):
            found, digest = invoice, paper.line.digest
    return found, digest


def _verified(store: Store, paper: PaperLine, *, trust: Trust, party: str) -> Invoice:
    data = confirmed.content(store, paper)
    if hashlib.sha256(data).digest() != paper.digest:
        raise InvoiceError("file", "it was altered here")
    invoice = verify_invoice(decode_signed(data), trust)
    if (invoice.party, invoice.period) != (party, paper.period):
        raise InvoiceError("party", f"it is about {invoice.party}, {invoice.period}")
    return invoice


def _standing(known: Iterable[Report], *, upto: str, at_us: int) -> Sums:
    """What stands by a time, of deposits up to the end of a month: an application's money is of its last deposit."""
    months: dict[bytes, str] = {}
    sums: dict[bytes, Sums] = {}
    for report in known:
        if report.at_us > at_us:
            continue
        before = sums.get(report.application, Sums(0, 0))
        sums[report.application] = Sums(before.copies + report.copies, before.fees + report.yen)
        months[report.application] = month_of(report.deposited_at_us)
    of_it = [each for application, each in sums.items() if months[application] <= upto]
    return Sums(sum(each.copies for each in of_it), sum(each.fees for each in of_it))


def month_of(at_us: int) -> str:
    """The month in Japan, as YYYY-MM."""
    return f"{dt.datetime.fromtimestamp(at_us // 1_000_000, _JST):%Y-%m}"


def _month_before(period: str) -> str:
    """The month before a month; of what is no month, "" ."""
    year, _, month = period.partition("-")
    if not (year.isdecimal() and month.isdecimal()):
        return ""
    number = int(year) * 12 + int(month) - 2
    return f"{number // 12:04}-{number % 12 + 1:02}"
