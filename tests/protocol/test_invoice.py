"""Invoices as values: one form, sums that are right, a signature of the key that may sign them, items by their hash."""

import hashlib
import io
from fractions import Fraction

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settlement.windows import Window
from protocol import invoice as module
from protocol.invoice import (
    ITEM_BYTES,
    STANDARD_TAX,
    DocumentKind,
    InvoiceError,
    Item,
    SignedInvoice,
    TaxRounding,
    TaxRule,
    decode_invoice,
    decode_signed,
    encode_invoice,
    encode_signed,
    pack_item,
    read_items,
    sums_of,
    to_sign,
    verify_invoice,
)
from protocol.settlement import Amount, Column
from tests.ledger.building import Centre
from tests.settlement.billing_kit import CENTRE, bill, signed
from tests.settlement.building import NOVEMBER, entry

replace = msgspec.structs.replace
BILLED = bill(
    [entry(1, height=1), entry(2, height=2, copies=2, yen=600, commission=230, matter="inkan")], Window(NOVEMBER)
)
INVOICE = BILLED.invoice
encode = msgspec.msgpack.encode


def test_an_invoice_is_read_back_as_it_was_signed():
    again = decode_signed(encode_signed(BILLED.signed))
    assert again == BILLED.signed
    assert verify_invoice(again, CENTRE.trust) == INVOICE
    assert INVOICE.terms == (1,)
    assert (INVOICE.due_yen, INVOICE.tax_yen) == (900 - 345, 31)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"net": INVOICE.net + Amount(0, 0, 1, 0)}, "net"),
        ({"due_yen": INVOICE.due_yen + 1}, "due_yen"),
        ({"tax_yen": 30}, "tax_yen"),
        ({"tax": TaxRule(8, 108)}, "tax_yen"),
        ({"tax_supplier": ""}, "tax_yen"),
        ({"cells": INVOICE.cells[::-1]}, "cells"),
        ({"cells": (INVOICE.cells[0], INVOICE.cells[0])}, "net"),
        ({"kind": int(DocumentKind.CREDIT_NOTE)}, "kind"),
        ({"kind": 9}, "kind"),
        ({"version": 2}, "kind"),
        ({"items": 3}, "items"),
    ],
)
def test_an_invoice_that_contradicts_itself_is_neither_made_nor_read(changed, what):
    wrong = replace(INVOICE, **changed)
    with pytest.raises(InvoiceError) as made:
        encode_invoice(wrong)
    with pytest.raises(InvoiceError) as read:
        decode_invoice(encode(wrong))
    assert made.value.what == read.value.what == what


def test_one_key_stands_once():
    cell = INVOICE.cells[0]
    net = cell.net + cell.net
    twice = replace(INVOICE, cells=(cell, cell), net=net, due_yen=net.due_yen, items=net.entries)
    with pytest.raises(InvoiceError, match="one key stands twice"):
        encode_invoice(replace(twice, tax_yen=twice.tax.within(net.commission)))


def test_a_negative_sum_is_a_credit_note_and_a_statement_either():
    free = bill([entry(1, height=1, yen=0)], Window(NOVEMBER)).invoice
    assert (free.kind, free.due_yen) == (DocumentKind.CREDIT_NOTE, -115)
    with pytest.raises(InvoiceError, match="credit note"):
        encode_invoice(replace(free, kind=int(DocumentKind.INVOICE)))
    assert encode_invoice(replace(free, kind=int(DocumentKind.STATEMENT)))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not MessagePack"),
        (b"\xc1", "not MessagePack"),
        (msgpack.packb([1]), "format"),
        (msgpack.packb({"format": "sekisho-receipt/1"}), "format"),
        (msgpack.packb({"format": module.FORMAT, "invoice": b""}), "missing"),
        (msgpack.packb({"format": module.FORMAT, "invoice": "x", "key_id": "k", "signature": b""}), "missing"),
    ],
)
def test_what_is_no_invoices_file_is_refused(data, why):
    with pytest.raises(InvoiceError, match=why) as refused:
        decode_signed(data)
    assert refused.value.what == "file"


def test_a_file_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(module, "INVOICE_BYTES_MAX", 10)
    with pytest.raises(InvoiceError, match="at most 10 bytes"):
        decode_signed(encode_signed(BILLED.signed))


def test_other_bytes_of_the_same_invoice_are_refused():
    data = encode_invoice(INVOICE)
    assert data[:3] == b"\xdc\x00\x15"
    for other, why in (
        (b"\xdd\x00\x00\x00\x15" + data[3:], "not in the one form"),  # a longer form of the same length
        (data + b"\x00", "cannot be read"),
        (data[:-1], "cannot be read"),
        (encode(["x"]), "cannot be read"),
    ):
        with pytest.raises(InvoiceError, match=why):
            decode_invoice(other)


def test_only_an_invoice_key_of_that_very_centre_signs():
    data = BILLED.signed.invoice
    for wrong, what in (
        (replace(BILLED.signed, signature=CENTRE.block.sign(to_sign(data))), "signature"),
        (SignedInvoice(data, "block-1", CENTRE.block.sign(to_sign(data))), "signature"),
        (SignedInvoice(data, "invoice-9", BILLED.signed.signature), "signature"),
        (replace(BILLED.signed, signature=CENTRE.invoice.sign(data)), "signature"),  # without its context
        (signed(replace(INVOICE, role="inquiry"), b"").signed, "issuer"),
        (signed(replace(INVOICE, environment="production"), b"").signed, "issuer"),
        (signed(replace(INVOICE, issuer="other"), b"").signed, "issuer"),
        (signed(INVOICE, b"", centre=Centre("certificate")).signed, "signature"),
    ):
        with pytest.raises(InvoiceError) as refused:
            verify_invoice(wrong, CENTRE.trust)
        assert refused.value.what == what


# --- items

ITEMS = st.builds(
    Item,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.sampled_from(Column),
    st.booleans(),
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
)


def named(data, *, count, cells=2):
    """An invoice that names these items, whatever they come to."""
    cell = INVOICE.cells[0]
    return replace(INVOICE, cells=(cell,) * cells, items=count, items_digest=hashlib.sha256(data).digest())


@given(st.lists(ITEMS, max_size=20))
def test_items_are_read_back_as_they_were_written(items):
    items = [item._replace(cell=item.cell % 2) for item in items]
    data = b"".join(map(pack_item, items))
    assert len(data) == ITEM_BYTES * len(items)
    assert list(read_items(io.BytesIO(data), named(data, count=len(items)))) == items
    sums = sums_of(items)
    assert sum(each.entries for each in sums.values()) == len(items)
    assert sum(each.yen for each in sums.values()) == sum(item.yen for item in items)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (BILLED.items[:-1], "ends inside an item"),
        (BILLED.items[:-ITEM_BYTES], "not the file"),
        (BILLED.items + BILLED.items[:ITEM_BYTES], "not the file"),
        (BILLED.items[ITEM_BYTES:] + BILLED.items[:ITEM_BYTES], "not the file"),
        (BILLED.items[:19] + b"\x07" + BILLED.items[20:], "item 0 is of no cell"),
        (BILLED.items[:20] + b"\x09" + BILLED.items[21:], "item 0 is of no cell or column"),
        (BILLED.items[:21] + b"\x02" + BILLED.items[22:], "item 0 is of no cell or column"),
    ],
)
def test_items_that_the_invoice_does_not_name_are_refused(data, why):
    with pytest.raises(InvoiceError, match=why):
        list(read_items(io.BytesIO(data), INVOICE))


def test_the_items_of_an_invoice_come_to_its_cells():
    sums = sums_of(BILLED.read())
    assert sums == {(number, Column.SOLD): cell.sold for number, cell in enumerate(INVOICE.cells)}


# --- tax


@given(st.integers(-(10**12), 10**12), st.integers(0, 99), st.integers(1, 300), st.sampled_from(TaxRounding))
def test_the_tax_within_an_amount_is_off_by_less_than_a_yen_and_a_credit_takes_it_back(yen, rate, of, rounding):
    rule = TaxRule(rate, rate + of, rounding)
    exact = Fraction(yen * rate, rate + of)
    assert abs(exact - rule.within(yen)) < 1
    assert rule.within(-yen) == -rule.within(yen)


@pytest.mark.parametrize(
    ("yen", "rule", "tax"),
    [
        (110, STANDARD_TAX, 10),
        (115, STANDARD_TAX, 10),
        (-115, STANDARD_TAX, -10),
        (120, STANDARD_TAX, 10),
        (121, STANDARD_TAX, 11),
        (1_080, TaxRule(8, 108), 80),
        (115, TaxRule(10, 110, TaxRounding.UP), 11),
        (115, TaxRule(10, 110, TaxRounding.HALF_UP), 10),
        (116, TaxRule(10, 110, TaxRounding.HALF_UP), 11),
        (99, TaxRule(0, 1), 0),
    ],
)
def test_the_tax_portion(yen, rule, tax):
    assert rule.within(yen) == tax


@pytest.mark.parametrize("parts", [(110, 10), (1, 1), (-1, 110), (10, 0), (10, 1_001)])
def test_what_is_no_part_of_an_amount_is_no_tax_rule(parts):
    with pytest.raises(ValueError, match="no part of an amount"):
        TaxRule(*parts)
    data = encode_invoice(INVOICE)
    spoilt = data.replace(encode(list(msgspec.structs.astuple(STANDARD_TAX))), encode([*parts, 0]))
    assert spoilt != data
    with pytest.raises(InvoiceError, match="cannot be read"):
        decode_invoice(spoilt)
