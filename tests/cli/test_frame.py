"""`sekisho frame inspect` explains what it can and never falls over."""

import json
from pathlib import Path

import msgpack
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.frame import command
from tests.vectors import make

HERE = Path(make.__file__).parent
V = json.loads((HERE / "handshake.json").read_text())
R = json.loads((HERE / "receipt.json").read_text())


def inspect(data: bytes, *args: str) -> Result:
    result = CliRunner().invoke(command, ["inspect", "-", *args], input=data)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_handshake_is_decoded_field_by_field() -> None:
    result = inspect(bytes.fromhex(V["hello_frame"]))
    assert result.exit_code == 0
    for fact in ("@0 HELLO", "ES256", "'peer-line-1'", "signature 64 bytes", "role: 'inquiry'", "versions: 1 [1]"):
        assert fact in result.output
    assert "slots: 2" in inspect(bytes.fromhex(V["welcome_frame"])).output


def test_hex_and_a_file_are_read_as_well(tmp_path: Path) -> None:
    assert "HELLO" in inspect((V["hello_frame"] + "\n").encode()).output
    (tmp_path / "capture").write_text(V["hello_frame"])
    result = CliRunner().invoke(command, ["inspect", str(tmp_path / "capture")])
    assert "HELLO" in result.output
    assert CliRunner().invoke(command, ["inspect", str(tmp_path / "none")]).exit_code == 1


def test_sealed_frames_stay_sealed_without_the_key_and_open_with_it() -> None:
    data = bytes.fromhex(V["hello_frame"] + V["request_frame"] + V["ping_frame"])
    assert inspect(data).output.count("sealed, ") == 2
    opened = inspect(data, "--key", V["to_centre"])
    assert opened.exit_code == 0
    assert "requests: 2 [(request_id=" in opened.output
    assert b"heartbea".hex() in opened.output
    assert "NOTICE" in inspect(bytes.fromhex(V["notice_frame"]), "--key", V["to_peer"]).output
    wrong = inspect(data, "--key", V["to_peer"])
    assert wrong.exit_code == 1
    assert "SEAL_BROKEN" in wrong.output


def test_a_clear_fault_says_its_code() -> None:
    assert "code 914" in inspect(bytes.fromhex(V["clear_fault_frame"])).output


@pytest.mark.parametrize("key", ["xyz", "00", "0" * 63])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    assert "64 hex digits" in inspect(b"", "--key", key).output


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\xff\xff\xff\xff\x01", "offset 0: FRAME_TOO_LARGE"),
        (bytes.fromhex(V["hello_frame"]) + b"\0\0\0\1\x63", "FRAME_UNKNOWN"),
        (bytes.fromhex(V["hello_frame"]) + b"\0\0\0\0", "MALFORMED"),
        (bytes.fromhex(V["hello_frame"])[:-1], "ends inside a frame"),
    ],
)
def test_a_malformed_stream_names_offset_and_reason(data: bytes, why: str) -> None:
    result = inspect(data)
    assert result.exit_code == 1
    assert why in result.output


def test_the_offset_is_that_of_the_bad_frame() -> None:
    good = bytes.fromhex(V["hello_frame"])
    assert f"offset {len(good)}:" in inspect(good + b"\0\0\0\0").output


def test_files_of_the_protocol_are_recognised() -> None:
    bundle = bytes.fromhex(R["trust_bundle"])
    assert "a receipt: proof + opening + finality" in inspect(bytes.fromhex(R["receipt"])).output
    assert "a trust bundle of centre-test" in inspect(bundle).output
    assert "a signed key history of centre-test" in inspect(msgpack.unpackb(bundle)["history"]).output
    assert "a checkpoint note of sekisho/centre-test/inquiry, size 5" in inspect(R["checkpoint_note"].encode()).output


def test_output_is_bounded() -> None:
    many = (b"\0\0\0\x11\x07" + bytes(16)) * 5_000
    result = inspect(many)
    assert result.exit_code == 0
    assert len(result.output) < 100_000
    assert "and 4000 frames more" in result.output


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), kind=st.integers(0, 12), framed=st.booleans())
def test_junk_is_explained_or_refused(data: bytes, kind: int, framed: bool) -> None:
    result = inspect((len(data) + 1).to_bytes(4, "big") + bytes([kind]) + data if framed else data)
    assert result.exit_code in (0, 1)
    assert "\x1b" not in result.output
