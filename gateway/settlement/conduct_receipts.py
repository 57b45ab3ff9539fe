"""Papers of a payment: a receipt for what came in, a notice of what went out.

They go to whom the centre's own document of the claim went. A claim on the centre alone, as an operator's for its line,
has none: who gets that money writes the receipt. Source: 000仕4-5, 000契17; 001-4-6; 002本2-4.
"""

from collections.abc import Iterable

from gateway.settlement import facts, states
from gateway.settlement.conduct_issuing import SUFFIX
from gateway.settlement.desk import Desk
from gateway.settlement.overdue import Delay
from gateway.settlement.papers import interest_payment_papers, payment_papers
from gateway.settlement.periods import Period
from gateway.settlement.shelving import open_shelf
from gateway.settlement.states import Acts
from protocol.act import Act, ActKind
from protocol.invoice import decode_invoice, decode_signed


async def put_receipt(desk: Desk, of: Period, acts: Acts, paid: Act) -> None:
    """Put the papers of a payment that stands, unless they do. Raises: StoreError, OSError, SettlementError."""
    side = (paid.contract, paid.claim, paid.party)
    issued = (states.latest(acts, kind, of.text, side=side) for kind in (ActKind.INVOICED, ActKind.RELEASED))
    act = next((each for each in issued if each is not None), None)
    if act is None:
        return
    shelf = await open_shelf(desk, of.text, paid.party)
    file = await shelf.read(facts.issued(act).number + SUFFIX)
    if file is None:  # its step was cut off, and is to be done again
        return
    for paper in payment_papers(paid, invoice=decode_invoice(decode_signed(file).invoice), names=desk.names):
        await shelf.put(paper, made_us=paid.at_us)
    await shelf.write_files()


async def put_interest_receipt(desk: Desk, paid: Act, delays: Iterable[Delay]) -> None:
    """The same of a payment of interest: for what had been asked for by then, and not let go.

    Raises: StoreError, OSError, SettlementError.
    """
    asked = [
        each.asked
        for each in delays
        if each.asked is not None
        and each.asked.at_us <= paid.at_us
        and (each.waived is None or each.waived.at_us > paid.at_us)
    ]
    shelf = await open_shelf(desk, paid.period, paid.party)
    for paper in interest_payment_papers(paid, asked=asked, names=desk.names):
        await shelf.put(paper, made_us=paid.at_us)
    await shelf.write_files()
