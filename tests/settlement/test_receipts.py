"""A payer's receipts: what holds is given, what does not is named, and what cannot matter is left alone."""

import datetime as dt

import msgspec
import pytest

from gateway.settlement import receipts
from gateway.settlement.receipts import Kept
from gateway.settlement.windows import midnight_us
from protocol.proofs import encode_segment, gather
from protocol.receipt import Opening, Receipt, encode_receipt
from tests.settlement.billing_kit import CENTRE, proofs_of
from tests.settlement.building import entry

WHEN = {"since_us": midnight_us(dt.date(2026, 11, 1)), "until_us": midnight_us(dt.date(2026, 12, 11))}
ROWS = [entry(n, height=n // 2) for n in range(8)]


def write(directory, name, proofs, *, segments=1):
    """A file of proofs."""
    blocks = gather(proofs)
    step = -(-len(blocks) // segments)
    with (directory / name).open("wb") as file:
        for n in range(0, len(blocks), step):
            file.write(encode_segment(blocks[n : n + step]))


def numbers(kept, **when):
    return sorted(int.from_bytes(each.entry.request_id, "big") for each in kept(**{**WHEN, **when}))


def test_single_receipts_and_files_of_many_are_read_together(tmp_path):
    proofs = proofs_of(ROWS)
    for n in (0, 1):
        (tmp_path / f"{n}.receipt").write_bytes(encode_receipt(Receipt(proofs[n])))
    write(tmp_path, "2026-11.proofs", proofs[2:6], segments=2)
    write(tmp_path, "of the auditor.proofs", proofs[6:])
    (tmp_path / "note.txt").write_text("not a receipt")
    kept = Kept(tmp_path, CENTRE.trust)
    assert numbers(kept) == numbers(kept) == list(range(8))
    assert kept.faults == []


def test_only_the_months_in_question_are_read(tmp_path):
    proofs = proofs_of(ROWS)
    for n, month in enumerate(["2026-09", "2026-10", "2026-11", "2026-12", "2027-01"]):
        write(tmp_path, f"{month}.proofs", [proofs[n]])
    kept = Kept(tmp_path, CENTRE.trust)
    assert numbers(kept) == [2, 3]
    assert numbers(kept, since_us=midnight_us(dt.date(2026, 10, 31))) == [1, 2, 3]
    assert numbers(kept, since_us=0, until_us=midnight_us(dt.date(2027, 1, 1))) == [0, 1, 2, 3, 4]


def test_what_does_not_hold_is_named_once_and_left_out_of_every_reading(tmp_path):
    proofs = proofs_of(ROWS)
    blocks = gather(proofs)
    blocks[1] = msgspec.structs.replace(blocks[1], signature=bytes(64))
    blocks[2] = msgspec.structs.replace(blocks[2], entries=blocks[3].entries)
    (tmp_path / "2026-11.proofs").write_bytes(encode_segment(blocks[:1]) + encode_segment(blocks[1:]))
    forged = Receipt(msgspec.structs.replace(proofs[0], index=1))
    (tmp_path / "0.receipt").write_bytes(encode_receipt(forged))
    opened = Receipt(proofs[1], Opening(1, b"", 100, b"", bytes(32)))
    (tmp_path / "1.receipt").write_bytes(encode_receipt(opened))
    (tmp_path / "2.receipt").write_bytes(b"")
    kept = Kept(tmp_path, CENTRE.trust)
    assert numbers(kept) == numbers(kept) == [0, 1, 6, 7]
    assert [(name, why.split(":")[0]) for name, why in kept.faults] == [
        ("0.receipt", "path"),
        ("1.receipt", "commitment"),
        ("2.receipt", "malformed"),
        ("2026-11.proofs", "segment 2, block 1"),
        ("2026-11.proofs", "segment 2, block 2"),
    ]


def test_a_segment_that_was_altered_hides_no_other_and_a_cut_end_nothing_before_it(tmp_path):
    segments = [encode_segment([block]) for block in gather(proofs_of(ROWS))]
    spoilt = segments[1][:30] + bytes((segments[1][30] ^ 1,)) + segments[1][31:]
    (tmp_path / "2026-11.proofs").write_bytes(segments[0] + spoilt + segments[2] + segments[3][:-5])
    kept = Kept(tmp_path, CENTRE.trust)
    assert numbers(kept) == numbers(kept) == [0, 1, 4, 5]
    assert [why.split(":")[0] for _, why in kept.faults] == ["segment 2", "segment 4"]
    assert "ends inside a segment" in kept.faults[1][1]


def test_faults_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(receipts, "FAULTS_MAX", 2)
    for n in range(4):
        (tmp_path / f"{n}.receipt").write_bytes(b"")
    kept = Kept(tmp_path, CENTRE.trust)
    assert numbers(kept) == []
    assert len(kept.faults) == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_large_files_are_verified_by_several_processes_with_the_same_result(tmp_path, monkeypatch, processes):
    monkeypatch.setattr(receipts, "SHARED_FROM_BYTES", 0)
    blocks = gather(proofs_of([entry(n, height=n) for n in range(60)]))
    blocks[33] = msgspec.structs.replace(blocks[33], signature=bytes(64))
    (tmp_path / "2026-11.proofs").write_bytes(b"".join(encode_segment(blocks[n : n + 4]) for n in range(0, 60, 4)))
    kept = Kept(tmp_path, CENTRE.trust, processes=processes)
    assert numbers(kept) == [n for n in range(60) if n != 33]
    assert [why.split(":")[0] for _, why in kept.faults] == ["segment 9, block 2"]
