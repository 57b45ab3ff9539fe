"""The payer's check: a true invoice is sound, and whatever is changed in one is named with its request."""

import datetime as dt

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.settlement import proving
from gateway.settlement.entries import EntryContradicted
from gateway.settlement.periods import month, quarter
from gateway.settlement.proving import CLOCKS_US, Fault, prove_invoice
from gateway.settlement.tariff import TariffInvalid, read_tariff
from gateway.settlement.windows import Cut, Window, midnight_us
from gateway.store.settlement import Prior
from protocol.application import Transition
from protocol.invoice import BlockRange
from protocol.ledger import EntryKind
from protocol.request_id import make_request_id
from protocol.settlement import Amount, Column
from tests.settlement.billing_kit import INQUIRY, ISSUED_US, altered, bill, receipts_of
from tests.settlement.building import COMMISSION, NOVEMBER, STREAMS, cuts, entry, histories, windows

OPEN = Window(NOVEMBER)
SOLD, VOID = int(Transition.COMPLETED), int(Transition.VOIDED)
TARIFF = """
[[price]]
from = 2026-04-01
fee = 300
commission = 115

[[price]]
counterparty = "takaoka"
from = 2026-11-15
fee = 10
commission = 115
"""


def _us(*day):
    return midnight_us(dt.date(*day))


def sale(n, **fields):
    return entry(n, height=n, **fields)


THREE = [sale(1), sale(2, copies=2, yen=600, commission=230), sale(3, matter="inkan")]


def prove(billed, rows, *, items=None, tariff=None):
    return prove_invoice(billed.invoice, billed.read() if items is None else items, receipts_of(rows), tariff=tariff)


def faults(verdict):
    """What was found, by fault and request."""
    assert verdict.counts == {fault: sum(each.fault == fault for each in verdict.findings) for fault in verdict.counts}
    return {(each.fault, int(each.request_id or "0", 16)) for each in verdict.findings}


# --- what is true


def test_every_line_of_a_true_invoice_is_proven_once():
    billed = bill(THREE, OPEN)
    verdict = prove(billed, THREE)
    assert verdict.sound
    assert (verdict.items, verdict.proven, verdict.receipts, verdict.later, verdict.foreign) == (3, 3, 3, 0, 0)


@given(st.data())
def test_every_true_invoice_is_sound_whatever_was_voided_and_corrected_and_wherever_it_was_cut(data):
    rows = data.draw(histories())
    for window in windows(*data.draw(cuts(rows))):
        for whose in ({"party": "operator-1"}, {"party": "operator-2"}, {"counterparty": "chiba"}):
            billed = bill(rows, window, **whose)
            verdict = prove(billed, rows)
            assert faults(verdict) == set()
            assert verdict.proven == verdict.items == billed.invoice.items


def timed(rows):
    """The same business in the order of its time, every entry in a block of its own."""
    heights = dict.fromkeys(STREAMS, -1)
    for row in sorted(rows, key=lambda row: row.at_us):
        heights[row.stream] += 1
        yield row._replace(height=heights[row.stream])


def cut_at(rows, at_us):
    return Cut({stream: sum(row.stream == stream and row.at_us < at_us for row in rows) for stream in STREAMS})


@given(st.data())
def test_of_frozen_periods_nothing_can_be_left_out_or_billed_in_another(data):
    rows = list(timed(data.draw(histories())))
    october_us = _us(2026, 11, 1) + data.draw(st.integers(0, 9)) * 86_400_000_000
    november_us = _us(2026, 12, 1) + data.draw(st.integers(0, 9)) * 86_400_000_000
    assume(all(abs(row.at_us - cut) > CLOCKS_US for row in rows for cut in (october_us, november_us)))
    window = Window(NOVEMBER, cut_at(rows, november_us), cut_at(rows, october_us))
    times = {"frozen_us": november_us, "previous_us": october_us}
    billed = bill(rows, window, **times)
    assert prove(billed, rows).sound
    mine = [row for row in rows if row.party == "operator-1"]
    assume(billed.invoice.items)
    # Whatever single entry the centre leaves out of the invoice, the payer who holds its receipt names it.
    gone = data.draw(st.sampled_from(mine))
    bare = bill([row for row in rows if row is not gone and row.application != gone.application], window, **times)
    missing = {int.from_bytes(row.request_id, "big") for row in mine if row.application == gone.application}
    named = {number for fault, number in faults(prove(bare, rows)) if fault is Fault.NOT_BILLED}
    was_due = {int.from_bytes(item.request_id, "big") for item in billed.read()}
    assert named == missing & was_due
    # And an entry of another period that is slipped in is named too.
    for other in (Window(month(2026, 10), cut_at(rows, october_us)), Window(month(2026, 12), None, window.cut)):
        strange = [item._replace(cell=0) for item in bill(rows, other).read()]
        verdict = prove(billed, rows, items=[*billed.read(), *strange])
        assert verdict.proven == billed.invoice.items
        assert sum(count for fault, count in verdict.counts.items() if fault != Fault.SUM) == len(strange)


# --- what is not


def test_a_changed_fee_is_named():
    billed = bill(THREE, OPEN)
    items = [item._replace(yen=item.yen + 10) if n == 1 else item for n, item in enumerate(billed.read())]
    cell = items[1].cell
    sold = billed.invoice.cells[cell].sold
    lying = altered(billed.invoice, cell, sold=sold + Amount(0, 0, 10, 0))
    verdict = prove_invoice(lying, items, receipts_of(THREE))
    assert faults(verdict) == {(Fault.OTHER_AMOUNT, 2)}
    assert "610 yen" in verdict.findings[0].detail


@pytest.mark.parametrize("changed", [{"copies": 2}, {"commission": 114}, {"yen": 0}])
def test_other_copies_or_another_commission_is_named(changed):
    billed = bill(THREE, OPEN)
    items = [item._replace(**changed) if n == 0 else item for n, item in enumerate(billed.read())]
    assert (Fault.OTHER_AMOUNT, 1) in faults(prove(billed, THREE, items=items))


def test_a_line_without_a_receipt_is_named():
    assert faults(prove(bill(THREE, OPEN), THREE[1:])) == {(Fault.NO_PROOF, 1)}


def test_a_receipt_that_is_left_out_is_named_where_its_block_stood_below_a_billed_one():
    verdict = prove(bill(THREE[1:], OPEN), THREE)
    assert faults(verdict) == {(Fault.NOT_BILLED, 1)}


def test_a_receipt_above_all_billed_blocks_is_a_later_invoices_unless_it_was_there_at_the_freeze():
    late = prove(bill(THREE[:2], OPEN), THREE)
    assert late.sound
    assert late.later == 1
    frozen_us = THREE[2].at_us + CLOCKS_US
    assert prove(bill(THREE[:2], OPEN, frozen_us=frozen_us), THREE).sound  # the clocks may be that far apart
    verdict = prove(bill(THREE[:2], OPEN, frozen_us=frozen_us + 1), THREE)
    assert faults(verdict) == {(Fault.NOT_BILLED, 3)}


def test_a_line_billed_twice_is_named():
    billed = bill(THREE, OPEN)
    once = list(billed.read())
    verdict = prove(billed, THREE, items=[*once, once[2]])
    assert (Fault.DOUBLE, 3) in faults(verdict)
    assert verdict.counts[Fault.SUM] == 1
    assert verdict.proven == 3


def test_a_line_in_another_cell_is_named():
    billed = bill(THREE, OPEN)
    items = [item._replace(cell=1 - item.cell) if n == 0 else item for n, item in enumerate(billed.read())]
    assert (Fault.OTHER_CELL, 1) in faults(prove(billed, THREE, items=items))


def test_a_cell_that_is_not_the_sum_of_its_lines_is_named():
    billed = bill(THREE, OPEN)
    lying = altered(billed.invoice, 0, voided=Amount(0, 0, 50, 0))
    verdict = prove_invoice(lying, billed.read(), receipts_of(THREE))
    assert faults(verdict) == {(Fault.SUM, 0)}
    assert "VOIDED" in verdict.findings[0].detail


def test_a_sale_billed_as_something_else_is_named_from_both_sides():
    billed = bill(THREE, OPEN)
    items = [item._replace(column=Column.CORRECTED) if n == 0 else item for n, item in enumerate(billed.read())]
    found = faults(prove(billed, THREE, items=items))
    assert {(Fault.NO_PROOF, 1), (Fault.NOT_BILLED, 1)} <= found


def test_a_line_outside_the_blocks_that_the_invoice_rests_on_is_named():
    billed = bill(THREE, OPEN)
    narrow = msgspec.structs.replace(
        billed.invoice.rests, ranges=tuple(BlockRange(STREAMS[0], 2, 3, 2) for _ in range(1))
    )
    lying = msgspec.structs.replace(billed.invoice, rests=narrow)
    assert faults(prove_invoice(lying, billed.read(), receipts_of(THREE))) == {(Fault.OUTSIDE, 1)}


def test_a_void_that_is_kept_from_the_payer_is_named():
    rows = [
        *THREE,
        sale(4, transition=VOID, copies=-1, yen=-300, commission=-COMMISSION, application=THREE[0].application),
    ]
    assert prove(bill(rows, OPEN), rows).sound
    without = bill(THREE, OPEN, frozen_us=_us(2026, 12, 9))
    assert faults(prove(without, rows)) == {(Fault.NOT_BILLED, 4)}


def test_an_adjustment_that_an_earlier_invoice_had_is_not_billed_again():
    early, late = sale(1, deposited_at_us=_us(2026, 10, 31)), sale(2, deposited_at_us=_us(2026, 10, 30))
    early, late = early._replace(at_us=_us(2026, 11, 1)), late._replace(at_us=_us(2026, 11, 20))
    frozen = {"previous_us": _us(2026, 11, 9), "frozen_us": _us(2026, 12, 9)}
    window = Window(NOVEMBER, previous=Cut({STREAMS[0]: 2}))
    assert prove(bill([late, early], window, **frozen), [early, late]).sound
    again = Window(NOVEMBER, previous=Cut({}))
    assert faults(prove(bill([early, late], again, **frozen), [early, late])) == {(Fault.OTHER_PERIOD, 1)}
    first = {"frozen_us": frozen["frozen_us"]}  # with no period before it, nothing is carried into it
    assert faults(prove(bill([early, late], again, **first), [early, late])) == {
        (Fault.OTHER_PERIOD, 1), (Fault.OTHER_PERIOD, 2),
    }  # fmt: skip
    assert faults(prove(bill([], window, **frozen), [early, late])) == {(Fault.NOT_BILLED, 2)}


def test_two_receipts_of_one_request_that_differ_are_named_and_the_same_twice_is_one():
    other = THREE[0]._replace(yen=310, height=9)
    found = faults(prove(bill(THREE, OPEN), [*THREE, other]))
    assert (Fault.CONTRADICTION, 1) in found
    assert prove(bill(THREE, OPEN), [*THREE, *THREE]).sound


def test_receipts_of_others_are_counted_and_left_alone():
    verdict = prove(bill(THREE, OPEN), [*THREE, sale(4, party="operator-2")])
    assert verdict.sound
    assert (verdict.receipts, verdict.foreign) == (3, 1)


def test_a_receipt_that_is_no_business_is_not_expected_on_the_invoice():
    nothing = {"application": b"", "transition": 0, "copies": 0, "yen": 0, "commission": 0, "deposited_at_us": 0,
               "store_day": "", "store": "", "kiosk": ""}  # fmt: skip
    refused = sale(2, **nothing)  # an authentication that was not let in has no application
    again = sale(4, **nothing, kind=int(EntryKind.REPEAT))._replace(request_id=THREE[0].request_id)
    rows = [THREE[0], refused, THREE[2], again]
    billed = bill([THREE[0], THREE[2]], OPEN, frozen_us=_us(2026, 12, 9))
    verdict = prove(billed, rows)
    assert verdict.sound
    assert (verdict.receipts, verdict.proven) == (4, 2)


def test_more_findings_than_are_named_are_counted(monkeypatch):
    monkeypatch.setattr(proving, "FINDINGS_MAX", 2)
    verdict = prove(bill(THREE, OPEN), [])
    assert verdict.counts == {Fault.NO_PROOF: 3}
    assert len(verdict.findings) == 2


# --- corrections, whose receipts need one another


def _moved(**fields):
    values = {"transition": 11, "copies": 0, "yen": 0, "commission": 0, "deposited_at_us": _us(2026, 11, 1),
              "application": THREE[0].application, "prior": Prior(_us(2026, 10, 31), 1, 300, COMMISSION)}  # fmt: skip
    return sale(7, **{**values, **fields})


def test_a_day_corrected_into_the_month_is_proven_by_the_receipts_of_its_application():
    first = sale(1, deposited_at_us=_us(2026, 10, 31))
    rows = [first, _moved()]
    billed = bill(rows, OPEN)
    assert {item.column for item in billed.read()} == {Column.CORRECTED, Column.MOVED}
    assert prove(billed, rows).sound
    alone = prove(billed, rows[1:])
    assert faults(alone) == {(Fault.NO_PROOF, 7)}  # what moved cannot be told without what stood before


def test_what_stood_before_a_correction_is_looked_for_since_its_application_began():
    application = make_request_id(_us(2026, 8, 5) // 1000, bytes(10))
    first = sale(1, deposited_at_us=_us(2026, 10, 31), application=application)
    rows = [first, _moved(application=application)]
    asked = []
    give = receipts_of(rows)

    def receipts(*, since_us, until_us):
        asked.append((since_us, until_us))
        return give(since_us=since_us, until_us=until_us)

    billed = bill(rows, OPEN)
    assert prove_invoice(billed.invoice, billed.read(), receipts).sound
    assert asked == [
        (_us(2026, 11, 1) - CLOCKS_US, ISSUED_US),
        (_us(2026, 8, 5) - CLOCKS_US, ISSUED_US),
    ]


def test_an_application_whose_id_lies_about_its_time_proves_nothing_and_breaks_nothing():
    late = make_request_id(_us(2030, 1, 1) // 1000, bytes(10))
    first = sale(1, deposited_at_us=_us(2026, 10, 31), application=late)
    rows = [first, _moved(application=late)]
    billed = bill(rows, OPEN)

    def receipts(*, since_us, until_us):
        return (each for each in receipts_of(rows)(since_us=0, until_us=0) if each.entry.at_us >= since_us)

    assert faults(prove_invoice(billed.invoice, billed.read(), receipts)) == {(Fault.NO_PROOF, 7)}


@pytest.mark.parametrize("fields", [{"deposited_at_us": 2**62}, {"yen": 2**40}, {"copies": 2**20}])
def test_an_entry_that_no_invoice_can_bear_is_named_with_its_place(fields):
    rows = [*THREE, sale(4, **fields)]
    with pytest.raises(EntryContradicted, match="height 4, index 0 has a time or an amount"):
        prove(bill(THREE, OPEN), rows, tariff=read_tariff(TARIFF))


# --- prices


def test_a_price_that_was_not_agreed_is_named_by_the_day_of_its_deposit():
    rows = [
        sale(1),
        sale(2, counterparty="takaoka"),
        sale(3, counterparty="takaoka", deposited_at_us=_us(2026, 11, 15)),
        sale(4, counterparty="takaoka", deposited_at_us=_us(2026, 11, 15), yen=10),
        sale(5, commission=116),
    ]
    verdict = prove(bill(rows, OPEN), rows, tariff=read_tariff(TARIFF))
    assert faults(verdict) == {(Fault.OTHER_TARIFF, 3), (Fault.OTHER_TARIFF, 5)}
    assert verdict.proven == 5  # the invoice says what the receipts say; the price itself is contested
    before = read_tariff(TARIFF.replace("2026-04-01", "2026-11-10"))
    assert (Fault.OTHER_TARIFF, 1) in faults(prove(bill(rows, OPEN), rows, tariff=before))


def test_a_day_that_a_correction_moved_is_not_priced_again():
    first = sale(1, deposited_at_us=_us(2026, 10, 31))
    rows = [first, _moved()]
    changed = read_tariff("[[price]]\nfrom = 2026-04-01\nfee = 300\ncommission = 115\n"
                          "[[price]]\nfrom = 2026-11-01\nfee = 400\ncommission = 115\n")  # fmt: skip
    assert prove(bill(rows, OPEN), rows, tariff=changed).sound


@pytest.mark.parametrize(
    ("text", "where"),
    [("", "price"), ("[[price", "file"), ("[[price]]\nfee = 1", "from"),
     ("[[price]]\nfrom = 2026-04-01\nfee = 1.5", "fee"),
     ("[[price]]\nfrom = 2026-04-01\nfee = 1\ntax = 1", "tax")],
)  # fmt: skip
def test_a_tariff_that_cannot_be_read_names_its_field(text, where):
    with pytest.raises(TariffInvalid) as refused:
        read_tariff(text)
    assert where in str(refused.value)


# --- the inquiry centre


def _asked(n, **fields):
    values = {"application": b"", "transition": 0, "copies": 0, "yen": 10, "commission": 0, "deposited_at_us": 0,
              "store_day": "", "store": "", "kiosk": "", "party": "ministry-1", "counterparty": "",
              "matter": "pension"}  # fmt: skip
    return sale(n, **{**values, **fields})


def test_an_inquiry_centres_quarter_is_proven_by_answers_disclaimers_and_free_repeats():
    window = Window(quarter(2026, 3), by_deposit=False)
    rows = [
        _asked(1),
        _asked(2, yen=30),
        _asked(3, yen=-10, kind=int(EntryKind.DISCLAIM)),
        _asked(4, yen=0, kind=int(EntryKind.REPEAT)),
        _asked(5, at_us=window.end_us),
    ]
    billed = bill(rows, window, centre=INQUIRY, party="ministry-1", tax_supplier="")
    assert billed.invoice.net == Amount(3, 0, 30, 0)
    agreed = read_tariff("[[price]]\nfrom = 2026-04-01\nfee = 10\n")
    verdict = prove(billed, rows, tariff=agreed)
    assert verdict.sound
    assert verdict.proven == 3
    dear = read_tariff("[[price]]\nfrom = 2026-04-01\nfee = 20\n")
    assert faults(prove(billed, rows, tariff=dear)) >= {(Fault.OTHER_TARIFF, 1), (Fault.OTHER_TARIFF, 2)}
