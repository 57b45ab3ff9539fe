"""What must hang on a block is the same whether an entry was read in full or taken as one like it: byte for byte."""

import struct

import msgspec
import pytest

from gateway.ledger.due import DueMaker, EntryUnreadable, digest_of, expected_of
from gateway.store.ledger_audit import POSTGRES_EPOCH_US, pack_claim, text_bytes
from protocol.application import Transition
from protocol.ledger import Entry, EntryKind, EntryRef, encode_entry
from tests.ledger.building import certificate_entry, entry, request_id

STREAM = bytes(range(16))
REF = EntryRef(STREAM, 0, 2, True)
TIME_AT = -9
"""Where an entry without reference has its time, eight bytes long."""
LAST_US = 2**63 - 1 + POSTGRES_EPOCH_US


def made(maker, *entries):
    """What a maker says of a block, or of which entry it says that it cannot be read."""
    try:
        return maker.make(STREAM, 7, entries, projected=True)
    except EntryUnreadable as error:
        return str(error), error.index


def at(us):
    return encode_entry(msgspec.structs.replace(entry(1), at_us=us))


ENTRIES = [
    entry(1),
    entry(2, party="ministry-2"),
    msgspec.structs.replace(entry(3), matter="", counterparty="千葉市", yen=-(2**40), commission=2**40, terms=70_000),
    msgspec.structs.replace(entry(4), line="l" * 200, step=300, outcome=65),
    entry(5, ref=REF),
    entry(6, kind=EntryKind.REPEAT, ref=REF, yen=0),
    entry(7, kind=EntryKind.REPEAT, yen=0),
    entry(8, kind=EntryKind.DISCLAIM, ref=REF, yen=-10),
    msgspec.structs.replace(entry(9), version=3),
    certificate_entry(10),
    certificate_entry(11, Transition.COMPLETED, copies=2, store_day="2026-09-21", store="0042", kiosk="k-1"),
    certificate_entry(12, 0),
    certificate_entry(13, Transition.COMPLETED, kind=EntryKind.REPEAT, ref=REF),
]


@pytest.mark.parametrize("one", ENTRIES, ids=lambda one: str(one.request_commitment[-1]))
def test_an_entry_comes_to_the_same_whether_or_not_one_like_it_was_read(one):
    like = msgspec.structs.replace(
        one, request_id=request_id(99), request_commitment=b"c" * 32, response_commitment=b"r" * 32, at_us=one.at_us + 1
    )
    block = [encode_entry(like), encode_entry(one), encode_entry(like)]
    maker = DueMaker()
    made(maker, *map(encode_entry, ENTRIES))
    due = made(maker, *block)
    assert due == made(DueMaker(), *block)
    expected = expected_of(block)
    assert due.rows == digest_of(expected.projected)
    claims = [
        pack_claim(index, turn, 16, rid, 32, commitment) + text_bytes(party)
        for index, claims in enumerate(expected.claims)
        for turn, rid, commitment, party in claims
    ]
    assert due.claims == digest_of(claims)
    assert [each.index for each in due.special] == ([] if one.kind == EntryKind.FIRST else [0, 1, 2])


@pytest.mark.parametrize("one", [entry(1), entry(3, yen=2**40), certificate_entry(10), entry(6, ref=REF)])
def test_no_changed_byte_is_taken_for_what_was_read_before(one):
    data = encode_entry(one)
    plain = encode_entry(entry(20))
    for place in range(len(data)):
        for value in {data[place] ^ 1, data[place] ^ 0x80, 0x00, 0x10, 0x20, 0xC0, 0xC4, 0xCF, 0xFF} - {data[place]}:
            changed = data[:place] + bytes([value]) + data[place + 1 :]
            warm = DueMaker()
            made(warm, data, plain)
            assert made(warm, changed) == made(DueMaker(), changed), (place, value)


def test_no_cut_or_longer_entry_is_taken_for_what_was_read_before():
    data = encode_entry(entry(1))
    for place in range(len(data)):
        for changed in (
            data[:place] + data[place + 1 :],
            data[:place] + data[place : place + 1] * 2 + data[place + 1 :],
        ):
            warm = DueMaker()
            made(warm, data)
            assert made(warm, changed) == made(DueMaker(), changed), place


@pytest.mark.parametrize(
    ("us", "readable"),
    [(0, False), (2**32 - 1, False), (2**32, True), (2**63 - 1, True), (LAST_US, True), (LAST_US + 1, False)],
)
def test_a_time_is_taken_only_in_its_canonical_form_and_if_a_row_can_hold_it(us, readable):
    data = at(2**40)
    assert struct.unpack(">q", data[TIME_AT:-1]) == (2**40,)
    changed = data[:TIME_AT] + struct.pack(">Q", us) + data[-1:]
    maker = DueMaker()
    made(maker, data)
    due = made(maker, data, changed)
    assert due == made(DueMaker(), data, changed)
    if readable:
        assert due.readable
    else:
        assert due[1] == 1


def test_where_the_projection_does_not_stand_yet_no_row_is_due():
    due = DueMaker().make(STREAM, 0, [encode_entry(entry(1))], projected=False)
    assert due.rows is None
    assert due.claims is not None


def test_an_entry_without_its_delivery_is_not_taken_for_one_with_it():
    whole = certificate_entry(1, Transition.COMPLETED, copies=2)
    without = encode_entry(Entry(*(getattr(whole, name) for name in Entry.__struct_fields__)))
    maker = DueMaker()
    made(maker, encode_entry(whole))
    assert made(maker, without) == made(DueMaker(), without)
