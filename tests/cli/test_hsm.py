"""`sekisho hsm` as a person types it."""

import base64
import json

import pytest
from click.testing import CliRunner

from gateway.cli.hsm import command
from protocol.keys import Purpose, verify_history


@pytest.fixture
def place(tmp_path):
    file = tmp_path / "passphrase"
    file.write_text("secret\n")
    file.chmod(0o600)
    return ("--keystore", f"software:{tmp_path}/keystore.sekisho", "--passphrase-file", str(file))


def run(*arguments, typed=None):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], input=typed)


def good(*arguments, typed=None):
    result = run(*arguments, typed=typed)
    assert result.exit_code == 0, result.output
    return result.stdout


def bad(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    return lines[0]


@pytest.fixture
def centre(place):
    good("init", "--set", "centre", "--owner", "centre", "--label", "2026-11-a1b2", *place)
    return place


def listed(place):
    return json.loads(good("list", "--json", *place))


def test_init_makes_the_standard_set_of_a_centre(centre):
    assert [key["key_id"] for key in listed(centre)] == [f"{purpose}-2026-11-a1b2" for purpose in (
        "history", "line", "block", "checkpoint", "checkpoint-pq", "seal", "invoice"
    )]  # fmt: skip


def test_init_for_a_line_names_its_keys_by_month_and_random_digits(place):
    good("init", "--set", "line", "--owner", "ministry", *place)
    assert [key["purpose"] for key in listed(place)] == ["history", "line"]
    assert all(len(key["key_id"].removeprefix(key["purpose"] + "-")) == len("2026-11-a1b2") for key in listed(place))


def test_init_never_touches_a_store_that_is_there(centre):
    before = listed(centre)
    assert "exists already" in bad("init", "--set", "line", "--owner", "x", *centre)
    assert listed(centre) == before


def test_the_list_is_a_table_with_ids_purposes_algorithms_and_validity(centre):
    text = good("list", *centre)
    row = next(line for line in text.splitlines() if "checkpoint-pq-2026" in line)
    assert row.split()[1:3] == ["checkpoint-pq", "ML_DSA_65"]
    assert row.split()[-2:] == ["-", "valid"]


def test_rotate_shows_both_keys_and_the_end_of_the_old_one(centre):
    keys = json.loads(good("rotate", "block", "--key-id", "block-new", "--overlap-days", "2", "--json", *centre))
    assert [(key["key_id"], key["not_after"] is None, key["valid"]) for key in keys] == [
        ("block-2026-11-a1b2", False, True),
        ("block-new", True, True),
    ]


def test_a_rotation_without_overlap_ends_the_old_key(centre):
    good("rotate", "seal", "--overlap-days", "0", *centre)
    assert [key["valid"] for key in listed(centre) if key["purpose"] == "seal"] == [False, True]


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.HISTORY])
def test_generate_makes_one_key_of_the_purposes_algorithm(centre, purpose):
    (key,) = json.loads(good("generate", purpose, "--key-id", "new", "--days", "30", "--json", *centre))
    same = next(other for other in listed(centre) if other["purpose"] == purpose)
    assert key["algorithm"] == same["algorithm"]
    assert key["not_after"] is not None


def test_the_history_written_to_a_file_verifies_under_the_root(centre, tmp_path):
    good("history", "--out", tmp_path / "history", *centre)
    root = base64.b64decode(listed(centre)[0]["public_key"])
    assert len(verify_history((tmp_path / "history").read_bytes(), root).records) == 7


def test_status_names_owner_keys_and_capabilities(centre):
    assert json.loads(good("status", "--json", *centre)) == {
        "owner": "centre",
        "available": True,
        "keys": 7,
        "text": "software keystore keystore.sekisho, open",
        "algorithms": ["A256GCM_WRAP", "ES256", "ML_DSA_65"],
    }
    assert "7 keys" in good("status", *centre)


def test_without_a_file_the_passphrase_is_asked_for_and_when_chosen_twice(place):
    keystore = place[:2]
    good("init", "--set", "line", "--owner", "m", *keystore, typed="typed\ntyped\n")
    assert len(json.loads(good("list", "--json", *keystore, typed="typed\n"))) == 2
    assert run("list", *keystore, typed="wrong\n").exit_code == 1


def test_errors_are_one_line_with_a_remedy(centre, tmp_path):
    assert "is taken" in bad("generate", "line", "--key-id", "line-2026-11-a1b2", *centre)
    assert "64 bytes" in bad("generate", "line", "--key-id", "x" * 65, *centre)
    assert "another `sekisho hsm init`" in bad("rotate", "history", *centre)
    assert "make one with `sekisho hsm init`" in bad("list", "--keystore", f"software:{tmp_path}/none", *centre[2:])
    assert "write software:PATH" in bad("list", "--keystore", "pkcs11:", *centre[2:])
    (tmp_path / "passphrase").chmod(0o644)
    assert "chmod 600" in bad("list", *centre)


def test_the_history_without_a_file_goes_to_standard_output_as_bytes(centre):
    root = base64.b64decode(listed(centre)[0]["public_key"])
    result = run("history", *centre)
    assert len(verify_history(result.stdout_bytes, root).records) == 7
