"""A past month of certificates settled from the first disclosure to the last payment, each step on its day.

The steps are those of gateway.settlement.conduct, the relay's reconciliation its own; the operator's result comes into
the ledger as a worker records it (gateway.issuance.reconciling). The month has what such a month has: completions that
the relay still held and a copy too many are found by reconciling, agreed, and put right by entries before the freeze;
what is found after the freeze stays for the next month.

Source: 000仕4, 001-4; DESIGN section 11.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from gateway.app.synthetic_business import Shares, Shop, Step, Story, plan
from gateway.app.synthetic_centre import PastCentre
from gateway.app.synthetic_ledger import DEADLINE_MS, PastLedger, PastNotRecorded, Told
from gateway.app.synthetic_month import CertificateMonth
from gateway.app.synthetic_parties import tell_relay
from gateway.app.synthetic_times import MonthTimes
from gateway.directory.model import Role
from gateway.directory.policy import Granted
from gateway.issuance.reconciling import decide
from gateway.peers.relay.histories import month_bounds, of_month
from gateway.peers.relay.reconciling import Reconciled, reconcile
from gateway.peers.relay.store import open_store
from gateway.peers.relay.store_reports import lines_of, write_reports
from gateway.service.finals import make_final
from gateway.service.ground import EMPTY
from gateway.settlement import conduct
from gateway.settlement.claims_received import receive
from gateway.settlement.conduct import Desk, Person
from gateway.settlement.desk import of_period
from gateway.settlement.sides import Side
from gateway.settlement.windows import in_japan
from gateway.store.settlement_acts import ActStore
from protocol.act import Act, ActKind
from protocol.disclosure import decode_signed, encode_reconciliation, verify_disclosure
from protocol.messages import Operation, Request, encode
from protocol.outcomes import Outcome
from protocol.papers import Reconcile
from protocol.request_id import make_request_id

VISITS: Final = 400
NEXT_VISITS: Final = 40
"""Of the first days of the next month: they are none of the month's, whenever they are recorded."""
NEXT_DAYS: Final = 9
SEED: Final = 20260901
NOTHING_FOUND: Final = Shares(late=0, found=0, afterwards=0, other_month=0)
CLERK: Final = Person(by="clerk-1")
OPERATOR_CLERK: Final = "ec-centre-1"


class Happened(NamedTuple):
    """A step that was done: when, what in Japanese and English, with whom, and the yen it is about or None."""

    at_us: int
    ja: str
    en: str
    party: str
    yen: int | None

    @property
    def day(self) -> date:
        """In Japan."""
        return in_japan(self.at_us).date()


Tell = Callable[[Happened], None]


class Settled(NamedTuple):
    """What came of the month: the acts of the invoices and payment statements, and where the documents are."""

    invoices: list[Act]
    released: list[Act]
    directory: Path
    reports: Path


class MonthCycle:
    """One month of one operator's centre. `run` plays it once; `steps` are all requests of its visits."""

    def __init__(
        self,
        centre: PastCentre,
        ledger: PastLedger,
        times: MonthTimes,
        *,
        relay: Path,
        shops: Sequence[Shop],
        visits: int = VISITS,
        tell: Tell,
    ) -> None:
        self._centre = centre
        self._ledger = ledger
        self._times = times
        self._relay = relay
        self._operator = shops[0].operator
        self._line = shops[0].line
        self._tell = tell
        self.steps = _both_months(centre, times, shops, visits)
        self._month = CertificateMonth(ledger, centre.directory, self.steps)
        self._reports = relay / "reports" / times.period.text

    async def run(self) -> Settled:
        """All of it. Raises: errors of the parts."""
        times, period = self._times, self._times.period.text
        copies = await self._record(times.disclose_us)
        self._tell(
            _happened(times.disclose_us, f"取扱い {copies}通を記録", f"{copies} copies recorded", self._operator)
        )
        for act in await conduct.disclose(await self._desk(times.disclose_us), period, CLERK):
            self._tell(_happened(act.at_us, "取扱い実績データの開示", "data disclosed", act.party, act.yen))
        self._write_reports()
        await self._reconcile(times.reconcile_us)
        await conduct.accept(await self._desk(times.accept_us), period, self._operator, CLERK)
        self._tell(_happened(times.accept_us, "差異を承認", "differences accepted", self._operator))
        await self._record(times.again_us)
        for act in await conduct.disclose(await self._desk(times.again_us), period, CLERK, again=True):
            self._tell(_happened(act.at_us, "是正後の再開示", "disclosed again, put right", act.party, act.yen))
        await self._reconcile(times.agree_us)
        frozen = await conduct.confirm(await self._desk(times.confirm_us), period, CLERK)
        self._tell(_happened(times.confirm_us, "確定(データ凍結)", "confirmed and frozen", "", frozen.yen))
        await self._record(2**62)
        invoices = await conduct.invoice(await self._desk(times.invoice_us), period, CLERK)
        for act in invoices:
            self._tell(_happened(act.at_us, "請求書の送付", "invoice sent", act.party, act.yen))
        released = await self._claimed()
        await self._paid(invoices, times.pay_us, "入金", "payment received")
        await self._paid(released, times.pass_on_us, "市区町村へ支払", "passed on to the municipality")
        directory = self._centre.settlement / period
        return Settled(invoices=invoices, released=released, directory=directory, reports=self._reports)

    async def _desk(self, at_us: int) -> Desk:
        return await self._centre.desk(self._ledger, at_us=at_us)

    async def _record(self, until_us: int) -> int:
        """The business up to a time, at the centre and at the relay. Returns: the copies that the centre recorded."""
        told: list[Told] = []
        async for batch in self._month.play(until_us):
            told += batch
        taken = sorted(self.steps, key=lambda step: (step.taken_us, step.number))
        tell_relay(self._relay, taken=[step for step in taken if step.taken_us < until_us], told=told)
        deliveries = (getattr(each.answered.entry, "delivery", None) for each in told)
        return sum(delivery.copies for delivery in deliveries if delivery is not None)

    def _write_reports(self) -> None:
        """The stores' reports as the relay has them, but for the copy that only a store knows was not printed."""
        found = {step.visit.application for step in self.steps if step.visit.story is Story.FOUND}
        fees = {step.visit.application: step.visit.fee_yen for step in self.steps}
        bounds = month_bounds(self._times.period.text)
        with open_store(self._relay) as store:
            lines = [
                line._replace(copies=line.copies - 1, yen=line.yen - fees[line.application])
                if line.application in found
                else line
                for line in lines_of(of_month(store, *bounds), *bounds)
            ]
        lines.sort(key=lambda line: line.store)
        write_reports(lines, self._reports, period=self._times.period.text)

    async def _reconcile(self, at_us: int) -> None:
        """The operator holds what was disclosed last against its reports, and sends its result over its line."""
        self._ledger.clock.set(at_us)
        made = self._compared(at_us)
        content = encode_reconciliation(made.reconciliation)
        await self._send(content, at_us)
        differences = made.reconciliation.differences
        if not differences:
            self._tell(_happened(at_us, "照合結果: 一致", "reconciled: all agrees", self._operator))
        for each in differences:
            ja, en = [*each.text.split(" / "), each.text][:2]
            yen = (each.theirs.yen if each.theirs else 0) - (each.ours.yen if each.ours else 0)
            said = f"difference: {each.fault}, proposed: {each.proposal}"
            self._tell(_happened(at_us, f"差異: {ja}", said if ja == en else f"{en} ({said})", self._operator, yen))

    def _compared(self, at_us: int) -> Reconciled:
        place = self._centre.settlement / self._times.period.text / self._operator
        newest = max(place.glob("*.disclosure"), key=lambda path: (len(path.stem), path.stem))
        disclosure = verify_disclosure(decode_signed(newest.read_bytes()), self._centre.trust)
        with open_store(self._relay) as store, newest.with_suffix(".rows").open("rb") as rows:
            return reconcile(
                store,
                disclosure,
                rows,
                reports=self._reports,
                operator=self._operator,
                by=OPERATOR_CLERK,
                now_us=at_us,
            )

    async def _send(self, content: bytes, at_us: int) -> None:
        """RECONCILE, recorded as the worker that took it would."""
        ledger, digest = self._ledger, hashlib.sha256(content).digest()
        body = Reconcile(digest, content)
        request_id = make_request_id(at_us // 1000, hashlib.sha256(content).digest()[:10])
        request = Request(request_id, int(Operation.RECONCILE), DEADLINE_MS, encode(body))
        acts = await ActStore(self._centre.owner).acts(period=self._times.period.text)
        act = decide(digest, content, acts, party=self._operator, now_us=at_us)
        if not isinstance(act, Act):
            raise PastNotRecorded(f"the centre does not take the operator's result: {act}")
        decision = self._centre.directory.standing(
            Role.CERTIFICATE, self._operator, self._line, at_us
        ).for_certificates(request.operation)
        asked = ledger.asked(self._operator, self._line, request, body, decision)
        granted = decision if isinstance(decision, Granted) else None
        final = make_final(
            asked,
            month_key=await ledger.months.load(request_id),
            outcome=int(Outcome.RECONCILED),
            body=EMPTY,
            at_us=at_us,
            matter=act.period,
            step=int(ActKind.RECONCILED),
            counterparty="" if granted is None else granted.counterparty,
            terms=0 if granted is None else granted.terms_version,
            provided=act,
            certificate=True,
        )
        await ledger.record([final])

    async def _claimed(self) -> list[Act]:
        """Each municipality claims what its payment statement says (001-4-5)."""
        desk, at_us = await self._desk(self._times.claim_us), self._times.claim_us
        acts = await desk.acts()
        released = [act for act in of_period(acts, self._times.period.text) if act.kind == ActKind.RELEASED]
        sides = {side.key: side for side in desk.sides(self._times.period, incoming=False)}
        claims = [_claim(desk, sides[act.contract, act.claim, act.party], act, acts) for act in released]
        await desk.write(claims, seen=of_period(acts, self._times.period.text), of=self._times.period.text)
        for act in claims:
            self._tell(_happened(at_us, "市区町村の請求書を受領", "the municipality's claim came", act.party, act.yen))
        return released

    async def _paid(self, acts: Sequence[Act], at_us: int, ja: str, en: str) -> None:
        desk = await self._desk(at_us)
        for act in acts:
            paid = await conduct.pay(desk, act.period, act.party, CLERK, day=in_japan(at_us).date(), claim=act.claim)
            self._tell(_happened(at_us, ja, en, paid.party, paid.yen))


def _both_months(centre: PastCentre, times: MonthTimes, shops: Sequence[Shop], visits: int) -> list[Step]:
    """The month's business and that of the first days after it, in the order of the ledger."""
    period = times.period
    first = date.fromordinal(period.last.toordinal() + 1)
    steps = plan(
        centre.directory, shops, first=period.first, last=period.last, visits=visits, seed=SEED, times=times.late
    )
    steps += plan(
        centre.directory,
        shops,
        first=first,
        last=date.fromordinal(period.last.toordinal() + NEXT_DAYS),
        visits=NEXT_VISITS,
        seed=SEED + 1,
        times=times.late,
        shares=NOTHING_FOUND,
    )
    return sorted(steps, key=lambda step: (step.at_us, step.visit.application, step.number))


def _claim(desk: Desk, side: Side, released: Act, acts: Sequence[Act]) -> Act:
    return receive(
        side.contract,
        side.claim,
        desk.period(released.period),
        party=side.party,
        number=f"{side.party}-{released.period}",
        yen=released.yen,
        ours_yen=released.yen,
        dated=desk.today,
        received=desk.today,
        acts=acts,
        calendars=desk.calendars,
        by=CLERK.by,
        at_us=desk.now_us,
    )


def _happened(at_us: int, ja: str, en: str, party: str, yen: int | None = None) -> Happened:
    return Happened(at_us, ja, en, party, yen)
