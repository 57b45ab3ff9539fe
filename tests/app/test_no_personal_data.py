"""After a run with marked residents, their texts are nowhere but in the register's ciphertext.

What is searched: everything the children said, /metrics, every column of every table but the register's, and every
file of the centre (PostgreSQL's data files, WAL and log among them) and of the temporary directory they used.
"""

import os
import signal
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
import trio

from gateway.app.setup import SEED
from gateway.inquiry.cases import known_cases, known_residents
from gateway.line.dial import LineClient
from protocol.approval import approval_digest
from protocol.messages import Approve, InquiryByCode, InquiryByName, Operation, encode
from tests.kit.centre import Made

CHUNK = 8 << 20


def _marks() -> list[bytes]:
    """Texts that only these residents have, as they would stand in a log, a table or a file."""
    texts: set[str] = set()
    for resident in known_residents(SEED):
        record = resident.record
        texts |= {record.code, record.name, record.kana, record.address, *record.former_names, *record.former_addresses}
    for case in known_cases(SEED):
        texts |= {text for text in (case.code, case.name, case.address) if text}
    forms: set[bytes] = set()
    for text in texts:
        plain = text.encode()
        forms |= {plain, plain.hex().encode(), plain.hex().upper().encode(), text.encode("unicode_escape")}
        forms |= {text.encode("utf-16-le"), text.encode("utf-16-be")}
    return sorted(forms)


def _births() -> list[bytes]:
    return sorted({resident.record.birth.encode() for resident in known_residents(SEED)})


def _found(data: bytes, marks: Iterable[bytes]) -> list[bytes]:
    return [mark for mark in marks if mark in data]


def _found_in_files(root: Path, marks: list[bytes]) -> list[tuple[Path, bytes]]:
    """Reads in pieces that overlap, so that no mark falls between two."""
    overlap = max(map(len, marks))
    hits = []
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        tail = b""
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                hits += [(path, mark) for mark in _found(tail + piece, marks)]
                tail = piece[-overlap:]
    return hits


async def _ask_everything(line: LineClient) -> None:
    """Every known case, each twice, and questions that go wrong with the same texts in the wrong places."""
    for case in known_cases(SEED):
        body = case.question(affair="vehicle-12-1", step=1, staff="staff-001", case="2026-0001")
        operation = Operation.INQUIRE_BY_CODE if isinstance(body, InquiryByCode) else Operation.INQUIRE_BY_NAME
        request_id = line.new_id()
        for _ in range(2):
            await line.ask(operation, encode(body), request_id=request_id)
        await _ask_with_approval(line, operation, body)
    person = known_residents(SEED)[0].record
    for affair, staff, case_reference in (
        (person.name, "staff-001", "2026-0001"),
        ("vehicle-12-1", person.name, "2026-0001"),
        ("vehicle-12-1", "staff-001", person.address),
        (person.code, person.code, person.code),
    ):
        await line.ask(1, encode(InquiryByCode(affair, 1, staff, case_reference, person.code)))
        await line.ask(
            2, encode(InquiryByName(affair, 1, staff, case_reference, person.name, person.address, None, None))
        )
    await line.ask(1, person.name.encode())
    await line.ask(99, person.name.encode())
    await line.ask(
        2,
        encode(
            InquiryByName("vehicle-12-1", 1, "staff-001", "2026-0001", "\x00" + person.name, person.address, None, None)
        ),
    )


async def _ask_with_approval(line: LineClient, operation: Operation, body: InquiryByCode | InquiryByName) -> None:
    """The same under a second person's approval, which is kept."""
    expires_us = time.time_ns() // 1_000 + 60_000_000
    digest = approval_digest(operation, body)
    approve = Approve(body.affair, body.step, "staff-900", body.case, [digest], expires_us)
    approval = line.new_id()
    await line.ask(Operation.APPROVE, encode(approve), request_id=approval)
    await line.ask(operation, encode(msgspec.structs.replace(body, approval=approval)))


async def _ask_while_it_breaks(made: Made, line: LineClient) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(_ask_everything, line)
        await trio.sleep(0.1)
        await trio.to_thread.run_sync(made.server.kill)
        await trio.sleep(0.3)
        made.server.restart()


def _metrics(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return bytes(response.read())


async def _tables(made: Made) -> list[tuple[str, bytes]]:
    tables = await made.owner(
        "select schemaname || '.' || tablename from pg_tables"
        " where schemaname in ('ledger', 'provision', 'directory', 'inquiry', 'public')"
    )
    dumps = []
    for (table,) in tables:
        rows = await made.owner(f"select t::text from {table} t")
        dumps.append((table, "\n".join(row[0] for row in rows).encode()))
    return dumps


@pytest.mark.trio
async def test_residents_texts_are_nowhere(
    made: Made, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    async with made.gateway() as gateway:
        async with made.line(gateway) as line:
            await _ask_everything(line)
            await _ask_while_it_breaks(made, line)
            os.kill(gateway.pids["worker-0"], signal.SIGKILL)
            await _ask_everything(line)
        metrics = await trio.to_thread.run_sync(_metrics, gateway.ops_port)
    said = capfd.readouterr()
    marks = _marks()
    assert b"sekisho" in metrics
    assert '"line_opened"' in said.err
    logs = (said.err + said.out).encode()
    assert not _found(logs, [*marks, *_births()])
    assert not _found(metrics, [*marks, *_births()])
    tables = await _tables(made)
    assert {"ledger.block", "provision.batch", "provision.record", "inquiry.approval_item", "inquiry.volume"} <= {
        table for table, dump in tables if dump
    }
    for table, dump in tables:
        assert not _found(dump, [*marks, *_births()]), table
    await made.owner("checkpoint")
    assert not _found_in_files(made.data, marks)
    assert not _found_in_files(temporary, marks)


def test_the_search_finds_a_text_between_two_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "CHUNK", 64)
    name = known_residents(SEED)[0].record.name
    for form in (name.encode(), name.encode().hex().encode(), name.encode("utf-16-le")):
        (tmp_path / "file").write_bytes(bytes(60) + form + bytes(60))
        assert _found_in_files(tmp_path, _marks())
