"""Certificates pass through the whole service, and nothing of what they say stays anywhere but in the user's tray.

Searched: every file below the service's directory (PostgreSQL's data files and WAL, SQLite files with their WAL, logs,
journals, keystores) and the temporary directory of all programs. For: names, addresses and birth dates of the people
printed, pieces of the very PDFs, the signed statements in the pages' codes, and the kiosk sessions' private keys. A
canary in each kind of place shows that the search would have found them.
"""

import base64
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import trio

from gateway.app.development import PIN, TOWNS, Town
from gateway.app.development_running import Service, running_service
from gateway.peers.kiosk.faults import EXIT_STATUS
from gateway.peers.kiosk.running import running_kiosk
from gateway.peers.kiosk.setup import TRAY, open_kiosk
from gateway.peers.kiosk.sitting import SessionKeys, fresh_keys
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.visit import Wish, visit
from gateway.peers.kit.reading import read_pages
from gateway.peers.ministry.eras import in_era
from gateway.peers.municipality import records
from gateway.peers.municipality.setup import opened_municipality
from gateway.peers.relay.store import FILE_NAME as RELAY_STORE
from protocol.certificates import Kind, Option
from protocol.document import read_page_code
from tests.kit.centre import fetched
from tests.service import searching
from tests.service.searching import Hit, forms_of_bytes, forms_of_text, search

CANARY = "試験用 見張番"
PDF_PIECE = 32
PDF_PIECES = 6
CHIBA, TAKAOKA = TOWNS


def wish(town: Town, card: int, kind: Kind, options: int = 0) -> Wish:
    """Two copies for the resident of that card."""
    return Wish(card=f"{town.party}-{card}", pin=PIN, municipality=town.code, kind=kind, options=options, copies=2)


WISHES = (
    wish(CHIBA, 0, Kind.RESIDENT, Option.HOUSEHOLD | Option.RELATION),
    wish(CHIBA, 1, Kind.SEAL),
    wish(TAKAOKA, 6, Kind.RESIDENT),
)
CUT = wish(TAKAOKA, 7, Kind.RESIDENT)


async def print_certificates(kiosk: Path, service: Service) -> list[SessionKeys]:
    """Three certificates, and one whose municipality dies while it is made. Returns: the sessions' private keys."""
    kept: list[SessionKeys] = []

    def keys() -> SessionKeys:
        kept.append(fresh_keys())
        return kept[-1]

    async with running_kiosk(open_kiosk(kiosk)) as running:
        running.kiosk._make_keys = keys
        await running.link.wait_open(20)
        for each in WISHES:
            seen = await visit(running.kiosk, each)
            assert seen.state is State.RECEIPT, seen.trouble
        await running.kiosk.settling.delivered()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(visit, running.kiosk, WISHES[0])
            while running.kiosk.state is not State.FETCHING:
                await running.kiosk.front.changed.wait()
            await service.programs[CHIBA.party].kill()
            nursery.cancel_scope.cancel()
    return kept


def cut_while_printing(kiosk: Path, cards: Path, wished: Wish) -> None:
    """A kiosk of its own process whose power fails once the first page is out; it is not started again."""
    ended = subprocess.run(
        [
            sys.executable, "-m", "gateway.cli", "kiosk", "run", "--data", str(kiosk), "--card",
            str(cards / f"{wished.card}.card"), "--pin", PIN, "--municipality", wished.municipality, "--kind",
            wished.kind, "--fault", "power:put-out-1-1-after",
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert ended.returncode == EXIT_STATUS, ended.stderr.decode()


async def crash(service: Service) -> None:
    """End without a farewell whatever keeps a write-ahead log, so that it is there to be searched."""
    for slot, pid in service.centre.pids.items():
        if slot.startswith("worker"):
            os.kill(pid, signal.SIGKILL)
    for name in ("relay", *(town.party for town in TOWNS)):
        await service.programs[name].kill()


def texts(data: Path) -> dict[str, set[bytes]]:
    """What is printed of the people who were printed, by a name for each text."""
    marks: dict[str, set[bytes]] = {}
    for town in TOWNS:
        cards = {int(each.card.rpartition("-")[2]) for each in (*WISHES, CUT) if each.municipality == town.code}
        with opened_municipality(data / "municipalities" / town.code) as opened:
            for person in records.residents(opened.store):
                if person.number in cards:
                    name = f"{town.party}-{person.number}"
                    marks[f"{name} name"] = forms_of_text(person.name)
                    marks[f"{name} kana"] = forms_of_text(person.kana)
                    marks[f"{name} address"] = forms_of_text(person.address)
                    marks[f"{name} birth"] = forms_of_text(person.birth) | forms_of_text(in_era(person.birth))
    return marks


def papers(data: Path) -> dict[str, set[bytes]]:
    """Pieces of every PDF in the trays, and the statement of each page."""
    marks: dict[str, set[bytes]] = {"a PDF": {b"%PDF-"}}
    for path in (data / "operator" / "kiosks").glob(f"*/{TRAY}/*.pdf"):
        pdf = path.read_bytes()
        step = len(pdf) // (PDF_PIECES + 1)
        pieces = {pdf[at : at + PDF_PIECE] for at in range(step, len(pdf) - PDF_PIECE, step)}
        marks[f"{path.name} pieces"] = {form for piece in pieces for form in (piece, piece.hex().encode())}
        for number, code in enumerate(read_pages(pdf), start=1):
            _, statement, signature = read_page_code(code)
            marks[f"{path.name} statement {number}"] = forms_of_bytes(statement[-PDF_PIECE:])
            marks[f"{path.name} signature {number}"] = forms_of_bytes(signature)
    return marks


def keys_of(kept: list[SessionKeys]) -> dict[str, set[bytes]]:
    """The private halves of sessions."""
    return {
        f"session key {number}": forms_of_bytes(each.seal.private_bytes_raw())
        | forms_of_bytes(each.sign.private_numbers().private_value.to_bytes(32, "big"))
        for number, each in enumerate(kept)
    }


async def plant(service: Service, data: Path, temporary: Path) -> None:
    """The canary: in a table, in a SQLite store's write-ahead log, in a log, in a temporary file."""
    owner = service.centre.database.owner
    await fetched(owner, "create table canary (text text)")
    await fetched(owner, "insert into canary values ($1)", CANARY)
    relay = sqlite3.connect(data / "operator" / "relay" / RELAY_STORE)
    relay.execute("create table canary (text text)")
    relay.execute("insert into canary values (?)", (CANARY,))
    relay.commit()
    (data / "canary.log").write_bytes(b'{"event": "' + CANARY.encode("unicode_escape") + b'"}')
    (temporary / "canary").write_text(CANARY.encode().hex())


def in_tray(path: Path) -> bool:
    """What the user takes away."""
    return path.parent.name == TRAY


@pytest.mark.trio
async def test_what_certificates_say_is_nowhere_but_in_the_trays(
    service_copy: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # the kiosk of this process too
    data = service_copy
    kiosks = data / "operator" / "kiosks"
    async with running_service(data) as service:
        kept = await print_certificates(kiosks / "kiosk-1", service)
        await trio.to_thread.run_sync(cut_while_printing, kiosks / "kiosk-2", data / "centre" / "jpki" / "cards", CUT)
        await plant(service, data, temporary)
        await crash(service)
        marks = {"canary": forms_of_text(CANARY), **texts(data), **papers(data), **keys_of(kept)}
    assert len(kept) == len(WISHES) + 1
    found, read = search(data, marks, skip=in_tray)
    in_temporary, _ = search(temporary, marks, skip=in_tray)
    canaries = {hit.path for hit in found | in_temporary if hit.name == "canary"}
    assert {hit for hit in found | in_temporary if hit.name != "canary"} == set()
    assert read > 30 << 20
    assert {data / "canary.log", temporary / "canary"} < canaries
    assert any("pg_wal" in path.parts for path in canaries)
    assert any("base" in path.parts for path in canaries)
    assert any(path.name.startswith(RELAY_STORE) for path in canaries)
    in_trays, _ = search(kiosks, marks, skip=lambda path: not in_tray(path))
    assert {"a PDF"} | {name for name in marks if name.endswith("pieces")} <= {hit.name for hit in in_trays}


@pytest.mark.parametrize("before", range(3))
def test_the_search_finds_every_form_between_two_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(searching, "CHUNK", 64)
    long = CANARY.encode() * 2
    written = {
        "plain": CANARY.encode(),
        "hexadecimal": CANARY.encode().hex().encode(),
        "escaped": CANARY.encode("unicode_escape"),
        "wide": CANARY.encode("utf-16-le"),
        "base64": base64.b64encode(b"x" * before + long + b"y"),
    }
    for name, form in written.items():
        (tmp_path / name).write_bytes(b"a" * 60 + form + b"a" * 60)
    hits, _ = search(tmp_path, {"canary": forms_of_text(CANARY)}, skip=lambda _: False)
    assert hits == {Hit(tmp_path / name, "canary") for name in written}
