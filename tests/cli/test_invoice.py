"""`sekisho invoice` proves an invoice against a book of proofs, names what does not fit, and gets what it lacks."""

import datetime as dt
import hashlib
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner

from gateway.cli import invoice as module
from gateway.cli.invoice import command
from gateway.peers.proof_book import open_proof_book
from gateway.settlement.periods import month
from gateway.settlement.windows import Window, midnight_us
from protocol.checkpoint import Checkpoint, NoteSignature, body_to_sign, format_note
from protocol.invoice import encode_signed
from protocol.messages import decode_body
from protocol.outcomes import Outcome
from protocol.receipt import Receipt, encode_receipt
from protocol.settlement import Amount
from protocol.trust import encode_trust
from tests.settlement.billing_kit import CENTRE, altered, bill, proofs_of, signed
from tests.settlement.building import NOVEMBER, entry

ROWS = [entry(n, height=n) for n in range(1, 5)]
FROZEN = {"frozen_us": midnight_us(dt.date(2026, 12, 9))}
FROZEN_BEFORE_US = midnight_us(dt.date(2026, 11, 9))
BILLED = bill(ROWS, Window(NOVEMBER), **FROZEN)
TARIFF = "[[price]]\nfrom = 2026-04-01\nfee = {fee}\ncommission = 115\n"


@pytest.fixture
def files(tmp_path):
    """An operator's files: trust bundle, invoice with its items, and a relay's directory with a book of proofs."""
    (tmp_path / "trust.bundle").write_bytes(encode_trust(CENTRE.trust))
    put(tmp_path, BILLED)
    hold(tmp_path, ROWS)
    return tmp_path


def put(directory, billed):
    (directory / "november.invoice").write_bytes(encode_signed(billed.signed))
    (directory / "november.items").write_bytes(billed.items)


def hold(directory, rows):
    with open_proof_book(directory / "relay" / "proofs") as book:
        book.add(proofs_of(rows))


def run(*args):
    result = CliRunner().invoke(command, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def verify(files, *more):
    given = ("--receipts", files / "relay", "--trust", files / "trust.bundle")
    return run("verify", files / "november.invoice", *given, *more)


def test_a_true_invoice_is_proven_in_both_languages(files):
    code, out = verify(files)
    assert code == 0
    for fact in (
        "請求書 / invoice", "2026-11, 確定 / frozen 2026-12-09", "740円 (fees 1,200, commission 460, tax 41)",
        "4; 証明済み / proven 4", "一致しました / everything fits",
    ):  # fmt: skip
        assert fact in out


def test_json_holds_the_same_facts(files):
    code, out = verify(files, "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["sound"], facts["items"], facts["proven"], facts["due_yen"]) == (True, 4, 4, 740)
    assert facts["findings"] == []


def test_one_changed_fee_is_caught_even_under_the_centre_s_own_signature(files):
    items = bytearray(BILLED.items)
    assert items[24:28] == (300).to_bytes(4, "big")
    items[24:28] = (310).to_bytes(4, "big")
    sold = BILLED.invoice.cells[0].sold + Amount(0, 0, 10, 0)
    lying = msgspec.structs.replace(altered(BILLED.invoice, 0, sold=sold), items_digest=hashlib.sha256(items).digest())
    put(files, signed(lying, bytes(items)))
    code, out = verify(files)
    assert code == 1
    assert "1 x other-amount: 受領証と異なる金額" in out
    assert f"other-amount {ROWS[0].request_id.hex()}: billed with 1 copies, 310 yen" in out


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda files: flip(files / "november.invoice", -10), "signature"),
        (lambda files: flip(files / "november.items", 40), "items: it is not the file that the invoice names"),
        (
            lambda files: (files / "november.items").write_bytes(BILLED.items[:-1]),
            "items: the file ends inside an item",
        ),
        (lambda files: (files / "november.items").unlink(), "name the items with --items"),
        (lambda files: (files / "november.invoice").write_bytes(b"%PDF"), "file: not"),
        (lambda files: (files / "trust.bundle").write_bytes(b""), "--trust"),
    ],
)
def test_what_is_not_the_centres_is_refused_in_one_line(files, spoil, why):
    spoil(files)
    code, out = verify(files)
    assert code == 1
    assert why in out
    assert "Traceback" not in out


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_tariff_that_was_not_agreed_is_caught(files):
    (files / "tariff.toml").write_text(TARIFF.format(fee=300))
    assert verify(files, "--tariff", files / "tariff.toml")[0] == 0
    (files / "tariff.toml").write_text(TARIFF.format(fee=290))
    code, out = verify(files, "--tariff", files / "tariff.toml")
    assert code == 1
    assert "4 x other-tariff: 合意した料金と異なる単価" in out


@pytest.mark.parametrize(
    ("before", "code", "said"),
    [
        ({"frozen_us": FROZEN_BEFORE_US}, 0, "everything fits"),
        ({"frozen_us": FROZEN_BEFORE_US + 1}, 1, "is said to have been"),
        ({"frozen_us": FROZEN_BEFORE_US, "party": "operator-2"}, 1, "it is of operator-2"),
    ],
)
def test_the_freeze_before_is_held_against_the_invoice_before(files, before, code, said):
    put(files, bill(ROWS, Window(NOVEMBER), **FROZEN, previous_us=FROZEN_BEFORE_US))
    october = bill([], Window(month(2026, 10)), **before)
    (files / "october.invoice").write_bytes(encode_signed(october.signed))
    found, out = verify(files, "--previous", files / "october.invoice")
    assert found == code
    assert said in out


def note(size, root):
    checkpoint = Checkpoint(CENTRE.trust.origin, size, root, BILLED.invoice.rests.checkpoint_us)
    signatures = [
        NoteSignature(signer.key_id, signer.sign(body_to_sign(checkpoint)))
        for signer in (CENTRE.checkpoint, CENTRE.checkpoint_pq)
    ]
    return format_note(checkpoint, signatures)


@pytest.mark.parametrize(
    ("size", "root", "code", "said"),
    [(9, bytes(32), 0, "everything fits"), (9, b"x" * 32, 1, "showed two ledgers"), (8, bytes(32), 1, "has size 8")],
)
def test_the_checkpoint_is_held_against_one_that_was_kept(files, size, root, code, said):
    (files / "kept.note").write_text(note(size, root))
    found, out = verify(files, "--checkpoint", files / "kept.note")
    assert found == code
    assert said in out


def test_months_that_cannot_matter_are_not_read_and_a_line_without_a_receipt_is_named(files):
    for path in (files / "relay" / "proofs").iterdir():
        path.unlink()
    hold(files, ROWS[1:])
    (files / "relay" / "proofs" / "2024-11.proofs").write_bytes(b"not read")
    code, out = verify(files, "--missing", files / "ids")
    assert code == 1
    assert "1 x no-proof" in out
    assert "unreadable 0" in out
    assert (files / "ids").read_text() == f"{ROWS[0].request_id.hex()}\n"


class Line:
    """A line to a centre that has these receipts."""

    def __init__(self, answers):
        self.answers = answers

    async def wait_open(self, timeout_s):
        assert timeout_s == 30

    async def ask(self, operation, body, *, timeout_s):
        found = self.answers.get(decode_body(operation, body).request_id)
        return SimpleNamespace(outcome=Outcome.RECEIPT if found else Outcome.RECEIPT_UNKNOWN, body=found)


def lined(monkeypatch, answers, *, party="operator-1"):
    own = SimpleNamespace(own=SimpleNamespace(party=party))

    @asynccontextmanager
    async def line_from(_):
        yield Line(answers)

    monkeypatch.setattr(module, "line_from", line_from)
    monkeypatch.setattr(module, "read_line_file", lambda *_, **__: SimpleNamespace(trust=CENTRE.trust, target=own))


def fetch(files):
    return run("fetch", files / "ids", "--line", "line", "--receipts", files / "relay")


def test_a_receipt_that_lacks_is_fetched_and_then_the_invoice_holds(files, monkeypatch):
    for path in (files / "relay" / "proofs").iterdir():
        path.unlink()
    hold(files, ROWS[1:])
    verify(files, "--missing", files / "ids")
    lined(monkeypatch, {ROWS[0].request_id: encode_receipt(Receipt(proofs_of(ROWS)[0]))})
    assert fetch(files) == (0, "1 fetched\n")
    assert verify(files, "--missing", files / "ids")[0] == 0
    assert (files / "ids").read_text() == ""
    assert fetch(files) == (0, "nothing to do\n")


def test_what_the_centre_cannot_show_or_shows_of_another_is_not_kept(files, monkeypatch):
    one, two = ROWS[0].request_id, ROWS[1].request_id
    (files / "ids").write_text(f"{one.hex()}\n{two.hex()}\n")
    proofs = proofs_of(ROWS)
    forged = msgspec.structs.replace(proofs[1], signature=bytes(64))
    for answers, said in (
        ({}, "2 not to be had"),
        ({one: encode_receipt(Receipt(proofs[2])), two: encode_receipt(Receipt(forged))}, "2 not proven"),
    ):
        lined(monkeypatch, answers)
        code, out = fetch(files)
        assert code == 1
        assert said in out
    lined(monkeypatch, {one: encode_receipt(Receipt(proofs[0]))}, party="operator-2")
    assert "1 not proven, 1 not to be had" in fetch(files)[1]
    assert not list((files / "relay").rglob("*.receipt"))
    (files / "ids").write_text("not an id")
    assert "is no request id" in fetch(files)[1]


def test_a_book_says_what_it_holds(files):
    code, out = run("proofs", files / "relay")
    assert code == 0
    assert "2026-11          4 proofs" in out
    code, out = run("proofs", files)
    assert code == 1
    assert "is no book of proofs" in out
