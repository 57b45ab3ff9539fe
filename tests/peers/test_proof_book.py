"""A payer's book of proofs: what is added is there after a crash, in little room, once."""

import os
import sqlite3
from datetime import UTC, datetime

import msgspec
import pytest

from gateway.peers import proof_book
from gateway.peers.proof_book import ProofBookError, open_proof_book
from protocol.proofs import read_segments, verify_block
from tests.ledger.building import Centre, entry
from tests.protocol.test_proofs import proofs_of

CENTRE = Centre()


def us(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


AUGUST, SEPTEMBER = us("2026-08-31T14:59:59"), us("2026-08-31T15:00:00")


def proofs(numbers, *, at_us=AUGUST, height=0, wanted=None):
    entries = [msgspec.structs.replace(entry(n), at_us=at_us) for n in numbers]
    return proofs_of(entries, wanted, centre=CENTRE, height=height)


def held(book, month):
    """The entries of a month, each verified; by height and place."""
    return {
        (header.height, place): found.request_id
        for segment in book.segments(month)
        for block in segment
        for header, entries in [verify_block(block, CENTRE.trust)]
        for place, found in zip(block.indices, entries, strict=True)
    }


def added(numbers, height=0):
    return {(height, place): entry(n).request_id for place, n in enumerate(numbers)}


def test_a_proof_stands_in_the_month_in_japan_in_which_it_was_answered(tmp_path):
    with open_proof_book(tmp_path) as book:
        book.add([*proofs(range(3)), *proofs(range(3, 5), at_us=SEPTEMBER, height=1)])
        assert held(book, "2026-08") == added(range(3))
        assert held(book, "2026-09") == added(range(3, 5), height=1)
        assert held(book, "2026-10") == {}
        assert not list(tmp_path.glob("*.proofs"))
        book.seal()
        assert sorted(path.name for path in tmp_path.glob("*.proofs")) == ["2026-08.proofs", "2026-09.proofs"]
        assert held(book, "2026-08") == added(range(3))
        assert [(each.month, each.proofs) for each in book.months()] == [("2026-08", 3), ("2026-09", 2)]


def test_enough_of_them_are_sealed_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(proof_book, "SEAL_AT", 4)
    with open_proof_book(tmp_path) as book:
        for height in range(3):
            book.add(proofs(range(height * 2, height * 2 + 2), height=height))
        (month,) = book.months()
        assert (month.proofs, month.bytes) == (4, (tmp_path / "2026-08.proofs").stat().st_size)
        assert len(held(book, "2026-08")) == 6


def test_what_was_added_is_there_for_another_who_opens_it(tmp_path):
    with open_proof_book(tmp_path) as one, open_proof_book(tmp_path) as other:
        one.add(proofs(range(2)))
        other.add(proofs(range(2, 4), height=1))
        other.seal()
        one.add(proofs(range(4, 6), height=2))
        assert len(held(other, "2026-08")) == 6
    with open_proof_book(tmp_path) as again:
        assert len(held(again, "2026-08")) == 6


def test_what_a_crash_left_behind_the_noted_end_is_cut_off(tmp_path):
    with open_proof_book(tmp_path) as book:
        book.add(proofs(range(3)))
        book.seal()
        with (tmp_path / "2026-08.proofs").open("ab") as file:
            file.write(b"SKPF of a segment that was never noted")
        book.add(proofs(range(3, 5), height=1))
        assert held(book, "2026-08") == added(range(3)) | added(range(3, 5), height=1)
        book.seal()
        assert held(book, "2026-08") == added(range(3)) | added(range(3, 5), height=1)
    with (tmp_path / "2026-08.proofs").open("rb") as file:
        assert len(list(read_segments(file))) == 2


def test_a_file_that_lost_its_end_is_named_and_not_written_over(tmp_path):
    with open_proof_book(tmp_path) as book:
        book.add(proofs(range(3)))
        book.seal()
        os.truncate(tmp_path / "2026-08.proofs", 10)
        book.add(proofs(range(3, 5), height=1))
        with pytest.raises(ProofBookError, match=r"2026-08\.proofs is shorter"):
            book.seal()
        assert (tmp_path / "2026-08.proofs").stat().st_size == 10


def test_nothing_is_sealed_by_halves_when_a_month_cannot_be_written(tmp_path):
    with open_proof_book(tmp_path) as book:
        book.add([*proofs(range(3)), *proofs(range(3, 5), at_us=SEPTEMBER, height=1)])
        (tmp_path / "2026-09.proofs").mkdir()
        with pytest.raises(ProofBookError, match="see its disk"):
            book.seal()
        assert book.months() == []
        (tmp_path / "2026-09.proofs").rmdir()
        book.seal()
        assert held(book, "2026-08") == added(range(3))
        assert held(book, "2026-09") == added(range(3, 5), height=1)


def test_more_than_a_segment_holds_is_written_as_several(tmp_path, monkeypatch):
    monkeypatch.setattr("protocol.proofs.SEGMENT_BYTES_MAX", 1_500)
    with open_proof_book(tmp_path) as book:
        book.add(each for height in range(6) for each in proofs([height], height=height))
        book.seal()
        assert len(list(book.segments("2026-08"))) > 1
        assert len(held(book, "2026-08")) == 6


def test_months_before_one_are_dropped_with_their_files(tmp_path):
    with open_proof_book(tmp_path) as book:
        book.add([*proofs(range(3)), *proofs(range(3, 5), at_us=SEPTEMBER, height=1)])
        book.seal()
        (tmp_path / "2026-07.proofs").write_bytes(b"of a crash before its row was written")
        assert book.drop("2026-08") == 0
        assert not (tmp_path / "2026-07.proofs").exists()
        assert book.drop("2026-09") == 1
        assert [each.month for each in book.months()] == ["2026-09"]
        assert held(book, "2026-08") == {}
        assert held(book, "2026-09") == added(range(3, 5), height=1)


def test_a_month_is_asked_for_by_its_name(tmp_path):
    with open_proof_book(tmp_path) as book, pytest.raises(ValueError, match="is no month"):
        list(book.segments("../2026-08"))


def test_a_directory_that_holds_something_else_is_no_book(tmp_path):
    (tmp_path / "book.sqlite3").write_bytes(b"not a database, and long enough to be taken for one" * 20)
    with pytest.raises(ProofBookError, match="is no book of proofs"), open_proof_book(tmp_path):
        pass


def test_one_who_holds_the_book_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(proof_book, "BUSY_S", 0.01)
    with open_proof_book(tmp_path) as book:
        other = sqlite3.connect(tmp_path / "book.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ProofBookError, match="locked"):
            book.add(proofs(range(2)))
        other.close()
        assert held(book, "2026-08") == {}
