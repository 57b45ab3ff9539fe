"""Disclosures and reconciliations: one form each, signed, sums that are right, rows that come to the cells."""

import hashlib
import io
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import disclosure as d
from protocol.disclosure import Difference, Disclosure, DisclosureError, Fault, Proposal, Reconciliation, Row, Standing
from protocol.keys import Purpose
from protocol.settlement import NOTHING, Amount, Cell, Column, Key
from tests.kit import lines

INVOICE = lines.Signer("centre-invoice-1")
TRUST = lines.make_trust([lines.record(INVOICE, Purpose.INVOICE)])
ROWS = [
    Row(b"r" * 16, b"a" * 16, 4, 0, Column.SOLD, False, 2, 600, 230, lines.NOW_US, "2026-09-21", "kiosk-1"),
    Row(b"s" * 16, b"b" * 16, 5, 0, Column.VOIDED, True, -1, -300, -115, lines.NOW_US, "2026-08-31", ""),
    Row(b"t" * 16, b"c" * 16, 4, 1, Column.SOLD, False, 1, 450, 115, lines.NOW_US, "", "端末-3"),
]


def made(rows=tuple(ROWS)):
    """A disclosure over rows of two cells, and its file."""
    cells = []
    for number, matter in enumerate(("inkan", "juminhyo")):
        sums = dict.fromkeys(Column, NOTHING)
        carried = NOTHING
        for row in rows:
            if row.cell == number:
                amount = Amount(1, row.copies, row.yen, row.commission)
                sums[row.column] += amount
                carried += amount if row.carried else NOTHING
        cells.append(Cell(Key("operator-1", "chiba", matter, "s-1"), *sums.values(), carried, (1,)))
    data = b"".join(map(d.pack_row, rows))
    return Disclosure(
        issuer=lines.CENTRE, role=lines.ROLE, environment=lines.ENVIRONMENT, party="operator-1", period="2026-09",
        made_us=lines.NOW_US, cells=tuple(cells), net=cells[0].net + cells[1].net, rows=len(rows),
        rows_digest=hashlib.sha256(data).digest(),
    ), data  # fmt: skip


def signed(disclosure, by=INVOICE):
    data = d.encode_disclosure(disclosure)
    return d.SignedDisclosure(data, by.key_id, by.sign(d.to_sign(data)))


def difference(n=0, fault=Fault.OTHER_AMOUNT, **fields):
    sides = {
        "ours": Standing("121002", "juminhyo", "s-1", 2, 600, "2026-09-21"),
        "theirs": Standing("121002", "juminhyo", "s-1", 1, 300, "2026-09-21"),
    }
    return Difference(
        fault=fault, request_id=n.to_bytes(16, "big"), application=b"a" * 16, proposal=Proposal.CORRECT,
        text="通数が違います / the copies differ", **{**sides, **fields},
    )  # fmt: skip


def reconciliation(*differences, **fields):
    values = {"agreed": not differences, "disclosure_digest": bytes(32), **fields}
    return Reconciliation(
        party="operator-1", period="2026-09", made_us=lines.NOW_US, by="合成 担当", differences=differences,
        ours=Amount(1, 2, 600, 230), **values,
    )  # fmt: skip


def test_a_signed_disclosure_comes_back_from_its_file_with_its_rows():
    disclosure, data = made()
    file = d.encode_signed(signed(disclosure))
    assert d.verify_disclosure(d.decode_signed(file), TRUST) == disclosure
    assert list(d.read_rows(io.BytesIO(data), disclosure)) == ROWS


@pytest.mark.parametrize(
    "change",
    [
        {"net": Amount(3, 2, 750, 231)},
        {"rows": 4},
        {"party": "operator-2"},
        {"version": 2},
        {"cells": tuple(reversed(made()[0].cells))},
    ],
)
def test_a_disclosure_that_contradicts_itself_is_neither_written_nor_read(change):
    wrong = replace(made()[0], **change)
    with pytest.raises(DisclosureError):
        d.encode_disclosure(wrong)
    with pytest.raises(DisclosureError):
        d.decode_disclosure(msgspec.msgpack.encode(wrong))


def test_only_the_centres_invoice_key_makes_a_disclosure_and_no_signature_of_another_kind():
    disclosure, _ = made()
    with pytest.raises(DisclosureError, match="signature"):
        d.verify_disclosure(signed(disclosure, lines.BLOCK), TRUST)
    good = signed(disclosure)
    other = INVOICE.sign(d.context("invoice") + good.disclosure)
    with pytest.raises(DisclosureError, match="signature"):
        d.verify_disclosure(replace(good, signature=other), TRUST)
    with pytest.raises(DisclosureError, match="issuer"):
        d.verify_disclosure(signed(replace(disclosure, environment="production")), TRUST)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    for read in (d.decode_signed, d.decode_disclosure, d.decode_reconciliation):
        with pytest.raises(DisclosureError):
            read(data)


def test_rows_that_were_altered_cut_or_are_of_another_cell_are_refused():
    disclosure, data = made()
    altered = bytearray(data)
    altered[16] ^= 1
    beyond = d.pack_row(ROWS[0]._replace(cell=2)) + data
    column = d.pack_row(ROWS[0]).replace(b"\x00\x00\x00\x00\x01", b"\x00\x00\x00\x00\x07")
    for wrong in (bytes(altered), data[:-1], data[: len(d.pack_row(ROWS[0]))], beyond, column, b""):
        with pytest.raises(DisclosureError, match="rows"):
            list(d.read_rows(io.BytesIO(wrong), disclosure))


def test_rows_whose_file_is_the_named_one_but_that_do_not_come_to_the_cells_are_refused():
    disclosure, _ = made()
    data = b"".join(d.pack_row(row) for row in (ROWS[0]._replace(yen=601), *ROWS[1:]))
    named = replace(disclosure, rows_digest=hashlib.sha256(data).digest())
    with pytest.raises(DisclosureError, match="cell 0"):
        list(d.read_rows(io.BytesIO(data), named))


class _Slowly(io.BytesIO):
    """A file that gives a few bytes a read."""

    def read(self, size=-1):
        return super().read(min(size, 37))


def test_rows_are_read_whatever_pieces_the_file_comes_in():
    disclosure, data = made()
    assert list(d.read_rows(_Slowly(data), disclosure)) == ROWS


def test_a_row_that_does_not_fit_is_not_written():
    with pytest.raises(struct.error):
        d.pack_row(ROWS[0]._replace(yen=1 << 31))


def test_a_reconciliation_comes_back_as_it_was():
    for each in (reconciliation(), reconciliation(difference(), difference(1))):
        assert d.decode_reconciliation(d.encode_reconciliation(each)) == each


@pytest.mark.parametrize(
    "wrong",
    [
        reconciliation(agreed=False),
        reconciliation(difference(), agreed=True),
        reconciliation(difference(), difference()),
        reconciliation(difference(theirs=None)),
        reconciliation(difference(fault=Fault.MISSING)),
        reconciliation(difference(fault=Fault.EXTRA)),
        reconciliation(disclosure_digest=b"short"),
        reconciliation(version=2),
    ],
)
def test_a_reconciliation_that_contradicts_itself_is_neither_written_nor_read(wrong):
    with pytest.raises(DisclosureError):
        d.encode_reconciliation(wrong)
    with pytest.raises(DisclosureError):
        d.decode_reconciliation(msgspec.msgpack.encode(wrong))


def test_more_differences_than_an_act_holds_are_refused():
    with pytest.raises(DisclosureError, match="8000 differences are more"):
        d.encode_reconciliation(reconciliation(*(difference(n) for n in range(8_000))))


def test_the_forms_stay_as_they_are():
    assert d.pack_row(ROWS[1]).hex() == (
        "73737373737373737373737373737373" "62626262626262626262626262626262" "05" "00000000" "02" "01" "ffff"
        "fffffed4" "ffffff8d" "00065bfeda25e000" "013527df" "00"
    )  # fmt: skip
    one = difference()
    assert one.key.hex() == "f4b48805eb77d6f8bd18717f1f6f1003"
    assert hashlib.sha256(d.encode_reconciliation(reconciliation(one))).hexdigest() == (
        "be4c137309f6a927c7141e355c66008ad1cf2084d7a080ebb76e290efe1b5473"
    )
    assert (
        d.digest(d.encode_disclosure(made()[0])).hex()
        == "45ed651f0a2abd5fea53f635274ca7b910fa876f15824d8ea31c1f25dda9101a"
    )
