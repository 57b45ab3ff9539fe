"""Synthetic ledgers for settlement: histories of applications as rows, and a database that holds them."""

import datetime as dt
import uuid

from hypothesis import strategies as st

from gateway.settlement.periods import month
from gateway.settlement.windows import Cut, Window, midnight_us
from gateway.store.ledger_entries import COLUMNS
from gateway.store.pool import open_database
from gateway.store.settlement import EntryRow, Prior
from protocol.application import Transition
from protocol.ledger import EntryKind

STREAMS = (b"a" * 16, b"b" * 16)
NOVEMBER = month(2026, 11)
DAY_US = 86_400_000_000
START_US = midnight_us(dt.date(2026, 10, 1))
"""Histories play in October, November and December of 2026."""
COMMISSION = 115


def entry(n, *, stream=STREAMS[0], height=0, index=0, **fields):
    """One completion of one copy at 300 yen on 2 November, unless told otherwise."""
    values = {
        "at_us": midnight_us(dt.date(2026, 11, 2)) + n,
        "party": "operator-1",
        "counterparty": "chiba",
        "matter": "juminhyo",
        "kind": int(EntryKind.FIRST),
        "request_id": n.to_bytes(16, "big"),
        "application": (n + 500_000).to_bytes(16, "big"),
        "transition": int(Transition.COMPLETED),
        "copies": 1,
        "yen": 300,
        "commission": COMMISSION,
        "terms": 1,
        "deposited_at_us": midnight_us(dt.date(2026, 11, 2)) + n,
        "store_day": "2026-11-02",
        "store": "0042",
        "kiosk": "kiosk-1",
    }
    return EntryRow(stream, height, index, **{**values, **fields})


@st.composite
def histories(draw):
    """Applications with completions, corrections of copies and days, and voids: rows in the order of recording."""
    rows, number = [], 0
    heights = dict.fromkeys(STREAMS, 0)
    for n in range(draw(st.integers(1, 6))):
        fee = draw(st.sampled_from([0, 10, 150, 300]))
        who = {
            "party": draw(st.sampled_from(["operator-1", "operator-2"])),
            "counterparty": draw(st.sampled_from(["chiba", "takaoka"])),
            "matter": draw(st.sampled_from(["juminhyo", "inkan"])),
            "store": draw(st.sampled_from(["1", "2"])),
            "terms": draw(st.integers(1, 2)),
            "application": (n + 1).to_bytes(16, "big"),
        }
        steps = [Transition.COMPLETED]
        steps += [Transition.CORRECTED_1][: draw(st.integers(0, 1))]
        if len(steps) == 2:
            steps += [Transition.CORRECTED_1 + 1][: draw(st.integers(0, 1))]
        steps += [Transition.VOIDED][: draw(st.integers(0, 1))]
        stood, at_us = Prior(0, 0, 0, 0), 0
        for step in steps:
            if step == Transition.VOIDED:
                copies, day_us = -stood.copies, stood.deposited_at_us
            else:
                copies = draw(st.integers(1, 5)) - stood.copies
                day_us = START_US + draw(st.integers(0, 91)) * DAY_US + draw(st.integers(0, DAY_US - 1))
            at_us = max(at_us + 1, day_us)
            stream = draw(st.sampled_from(STREAMS))
            heights[stream] += draw(st.integers(0, 1))
            number += 1
            row = entry(
                number, stream=stream, height=heights[stream], index=number, at_us=at_us, transition=int(step),
                copies=copies, yen=fee * copies, commission=COMMISSION * copies, deposited_at_us=day_us,
                prior=stood if step >= Transition.CORRECTED_1 else None, **who,
            )  # fmt: skip
            rows.append(row)
            stood = Prior(day_us, stood.copies + copies, stood.yen + row.yen, stood.commission + row.commission)
    return rows


@st.composite
def cuts(draw, rows):
    """Cuts of October and November, November's never lower."""
    top = {stream: max((r.height + 1 for r in rows if r.stream == stream), default=0) for stream in STREAMS}
    october = {stream: draw(st.integers(0, top[stream])) for stream in STREAMS}
    november = {stream: draw(st.integers(october[stream], top[stream])) for stream in STREAMS}
    return Cut(october), Cut(november)


def windows(october, november):
    """Three months: two frozen at these cuts, the last open."""
    return (
        Window(month(2026, 10), october),
        Window(month(2026, 11), november, october),
        Window(month(2026, 12), None, november),
    )


async def insert(dsn, rows):
    """Put rows into a database's table of entries, as if projected; the prior of a correction is not stored."""
    async with open_database(dsn.owner, size=1, role="test") as owner:
        for n, stream in enumerate(sorted({row.stream for row in rows})):
            await owner.execute(
                "insert into ledger.stream (id, role, node, slot, opened_us) values ($1, 'certificate', 'n', $2, 0)"
                " on conflict do nothing", stream, n,
            )  # fmt: skip
        await owner.copy_records("entry", schema="ledger", columns=COLUMNS, records=[_record(row) for row in rows])


async def empty(dsn):
    """Take all rows away again."""
    async with open_database(dsn.owner, size=1, role="test") as owner:
        await owner.execute("truncate ledger.entry")


def _record(row):
    delivery = (None,) * 7
    if row.application:
        delivery = (
            uuid.UUID(bytes=row.application), row.transition, row.copies, row.deposited_at_us, row.store_day,
            row.store, row.kiosk,
        )  # fmt: skip
    at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=row.at_us)
    return (
        row.stream, row.height, row.idx, at, row.party, "line", uuid.UUID(bytes=row.request_id), 1, row.matter, 0,
        row.counterparty, 100, row.kind, row.yen, row.commission, row.terms, *delivery,
    )  # fmt: skip
