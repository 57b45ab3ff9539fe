"""`sekisho receipt` says what is proven, or in one line what is not."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from gateway.cli.receipt import command, jst
from protocol.receipt import decode_receipt, encode_receipt
from tests.vectors import make

VECTOR = json.loads((Path(make.__file__).parent / "receipt.json").read_text())
RECEIPT = decode_receipt(bytes.fromhex(VECTOR["receipt"]))
replace = msgspec.structs.replace


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "receipt").write_bytes(encode_receipt(RECEIPT))
    (tmp_path / "trust").write_bytes(bytes.fromhex(VECTOR["trust_bundle"]))
    (tmp_path / "note").write_text(VECTOR["checkpoint_note"])
    return tmp_path


def run(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_a_final_receipt_is_told_in_both_languages(files: Path) -> None:
    code, out = run("verify", files / "receipt", "--trust", files / "trust", "--checkpoint", files / "note")
    assert code == 0
    for fact in (
        "proven", "検証できました", "centre-test (inquiry, test)", "ministry-test", "line-1", "INQUIRE_BY_CODE",
        "該当者あり(完全一致) / Found", "10円", "2026-09-21 23:13:20+09:00", "height 0, index 3 of 7",
        "question and answer match", "checkpoint of size 5", "the one you kept",
    ):  # fmt: skip
        assert fact in out


def test_without_finality_and_opening_it_says_so(files: Path) -> None:
    (files / "receipt").write_bytes(encode_receipt(replace(RECEIPT, opening=None, finality=None)))
    code, out = run("verify", files / "receipt", "--trust", files / "trust")
    assert code == 0
    assert "not final yet: fetch" in out
    assert "not in this file" in out


def test_json_holds_the_same_facts(files: Path) -> None:
    code, out = run("verify", files / "receipt", "--trust", files / "trust", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["valid"], facts["yen"], facts["block"]["index"], facts["checkpoint"]["size"]) == (True, 10, 3, 5)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("receipt", b"junk", "not a receipt"),
        ("receipt", bytes(70_000), "longer than"),
        ("receipt", encode_receipt(replace(RECEIPT, proof=replace(RECEIPT.proof, index=2))), "path"),
        ("receipt", encode_receipt(replace(RECEIPT, finality=None)), "no finality"),
        ("trust", b"junk", "--trust"),
        ("note", b"\xff", "UTF-8"),
        ("note", b"junk", "checkpoint"),
    ],
)
def test_what_does_not_hold_is_one_line_and_exit_1(files: Path, name: str, data: bytes, why: str) -> None:
    (files / name).write_bytes(data)
    code, out = run("verify", files / "receipt", "--trust", files / "trust", "--checkpoint", files / "note")
    assert code == 1
    assert why in out
    assert len(out.strip().splitlines()) == 1


def test_a_file_that_is_not_there_is_named(files: Path) -> None:
    code, out = run("verify", files / "none", "--trust", files / "trust")
    assert (code, "cannot read receipt" in out) == (1, True)


def test_show_believes_nothing_and_obeys_no_control_characters(files: Path) -> None:
    code, out = run("show", files / "receipt")
    assert code == 0
    assert "not verified" in out
    assert "proof, opening, finality" in out
    (files / "receipt").write_bytes(encode_receipt(replace(RECEIPT, proof=replace(RECEIPT.proof, key_id="\x1b[2J"))))
    assert "\x1b" not in run("show", files / "receipt")[1]
    (files / "receipt").write_bytes(encode_receipt(replace(RECEIPT, proof=replace(RECEIPT.proof, entry=b""))))
    assert run("show", files / "receipt")[0] == 1


def test_a_time_beyond_the_calendar_is_a_number() -> None:
    assert jst(1 << 62).endswith("us")
