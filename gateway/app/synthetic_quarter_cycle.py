"""A past quarter of inquiries settled: the ministry's questions, the invoice after the quarter, and its payment.

Source: 002本2-3, 2-4; DESIGN section 11.
"""

from pathlib import Path
from typing import Final

from gateway.app.synthetic_centre import PastCentre
from gateway.app.synthetic_cycle import CLERK, SEED, Happened, Tell
from gateway.app.synthetic_ledger import PastLedger, Told
from gateway.app.synthetic_parties import tell_ministry
from gateway.app.synthetic_quarter import InquiryQuarter, questions
from gateway.app.synthetic_times import QuarterTimes
from gateway.settlement import conduct
from gateway.settlement.windows import in_japan, midnight_us
from protocol.act import Act
from protocol.ledger import EntryKind

QUESTIONS: Final = 1_500
DAY_US: Final = 86_400_000_000


async def settle_quarter(
    centre: PastCentre,
    ledger: PastLedger,
    times: QuarterTimes,
    *,
    party: str,
    line: str,
    staff: str,
    ministry: Path,
    count: int = QUESTIONS,
    tell: Tell,
) -> list[Act]:
    """Record a quarter, invoice and pay it. Returns: the invoices. Raises: errors of the parts."""
    period = times.period
    asked = questions(
        centre.directory,
        party=party,
        staff=staff,
        start_us=midnight_us(period.first),
        end_us=midnight_us(period.last) + DAY_US,
        count=count,
        seed=SEED,
    )
    told: list[Told] = []
    async for batch in InquiryQuarter(ledger, centre.directory, party=party, line=line).play(asked):
        told += batch
    tell_ministry(ministry, told)
    entries = [each.answered.entry for each in told]
    records = sum(entry.kind == EntryKind.FIRST and entry.yen > 0 for entry in entries)
    taken_back = sum(entry.kind == EntryKind.DISCLAIM for entry in entries)
    ja = f"照会 {len(told)}件、提供 {records}件、取消 {taken_back}件を記録"
    en = f"{len(told)} inquiries, {records} records provided, {taken_back} disclaimed"
    tell(Happened(midnight_us(period.last) + DAY_US, ja, en, party, sum(entry.yen for entry in entries)))
    invoices = await conduct.invoice(await centre.desk(ledger, at_us=times.invoice_us), period.text, CLERK)
    for act in invoices:
        tell(Happened(act.at_us, "四半期の請求書の送付", "quarter invoiced", act.party, act.yen))
    desk = await centre.desk(ledger, at_us=times.pay_us)
    for act in invoices:
        paid = await conduct.pay(desk, act.period, act.party, CLERK, day=in_japan(times.pay_us).date(), claim=act.claim)
        tell(Happened(times.pay_us, "入金", "payment received", paid.party, paid.yen))
    return invoices
