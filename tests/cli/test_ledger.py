"""`sekisho ledger` from the outside."""

import csv
import io
import json

import msgspec
import pytest
from click.testing import CliRunner

from gateway.cli.ledger import command
from gateway.host import run_guest
from gateway.ledger.checkpointing import Checkpointer
from gateway.store.pool import open_database
from protocol.act import Act, ActKind, encode_act
from protocol.trust import encode_trust
from tests.ledger.building import T0_US, Centre, fill, ledger_of


@pytest.fixture
def ledger(database_dsn, tmp_path):
    centre = Centre()
    stream = []

    async def build():
        async with ledger_of(database_dsn) as (store, ops):
            one, _ = await fill(store, centre)
            stream.append(one.stream.id.hex())
            checkpointer = Checkpointer(ops, origin=centre.trust.origin, sign=centre.checkpoint, now_us=lambda: T0_US)
            (tmp_path / "kept.note").write_text((await checkpointer.run_once()).note)

    run_guest(build, signals={})
    (tmp_path / "trust.bundle").write_bytes(encode_trust(centre.trust))
    return tmp_path, stream[0]


def _verify(dsn, directory, *more):
    arguments = ["verify", "--dsn", dsn.ops, "--trust", str(directory / "trust.bundle"), *more]
    return CliRunner().invoke(command, arguments)


def _tamper(dsn, sql, *args):
    async def run():
        async with open_database(dsn.owner, role="test") as owner, owner.transaction() as connection:
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(sql, *args)

    run_guest(run, signals={})


def test_a_sound_ledger_ends_with_status_0_and_says_so(database_dsn, ledger):
    result = _verify(database_dsn, ledger[0], "--checkpoint", str(ledger[0] / "kept.note"))
    assert result.exit_code == 0, result.output
    assert "2 streams, 7 blocks, 21 entries, 22 claims, 1 checkpoints over 7 blocks" in result.output
    assert "everything fits; what 1 kept checkpoints cover is all there" in result.output


def test_what_does_not_fit_is_named_and_the_status_is_1(database_dsn, ledger):
    directory, stream = ledger
    _tamper(database_dsn, "delete from ledger.block where stream = decode($1, 'hex') and height = 2", stream)
    result = _verify(database_dsn, directory)
    assert result.exit_code == 1
    assert f"block-missing: stream {stream}, height 2: the block is gone" in result.output
    report = json.loads(_verify(database_dsn, directory, "--json").output)
    assert report["found"] == len(report["findings"]) > 0
    assert {"fault": "block-missing", "stream": stream, "height": 2}.items() <= report["findings"][0].items()


def test_the_projection_is_filled_and_rebuilt(database_dsn, ledger):
    for arguments, said in (
        ([], "7 blocks projected"),
        ([], "0 blocks projected"),
        (["--rebuild"], "7 blocks projected"),
    ):
        result = CliRunner().invoke(command, ["project", "--dsn", database_dsn.ops, *arguments])
        assert (result.exit_code, result.output) == (0, f"{said}\n")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"x", "not a checkpoint"), (b"\xff", "not a checkpoint")]
)
def test_a_checkpoint_that_is_none_is_an_error_in_one_line(database_dsn, ledger, content, said):
    path = ledger[0] / "bad.note"
    if content is not None:
        path.write_bytes(content)
    result = _verify(database_dsn, ledger[0], "--checkpoint", str(path))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert said in result.output
    assert result.output.count("\n") == 1


def test_a_bad_trust_bundle_is_an_error_that_names_the_option(database_dsn, tmp_path):
    (tmp_path / "trust.bundle").write_bytes(b"x")
    result = _verify(database_dsn, tmp_path)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: --trust {tmp_path}")


def test_a_database_that_is_away_is_an_error_in_one_line(tmp_path):
    (tmp_path / "trust.bundle").write_bytes(encode_trust(Centre().trust))
    arguments = [
        "verify",
        "--dsn",
        f"postgresql://nobody@/x?host={tmp_path}",
        "--trust",
        str(tmp_path / "trust.bundle"),
    ]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert "the database is not available" in result.output


def _export(dsn, *arguments):
    return CliRunner().invoke(command, ["export", *arguments, "--dsn", dsn.ops])


def _project(dsn):
    assert CliRunner().invoke(command, ["project", "--dsn", dsn.ops]).exit_code == 0


def _rows(data):
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_a_period_is_exported_whole_or_not_at_all(database_dsn, ledger, tmp_path):
    file = tmp_path / "export.csv"
    early = _export(database_dsn, "2026-Q2", "--out", str(file))
    assert early.exit_code == 1
    assert "run sekisho ledger project" in early.output
    assert not list(tmp_path.glob("export*"))
    _project(database_dsn)
    result = _export(database_dsn, "2026-Q2", "--out", str(file))
    assert result.exit_code == 0, result.output
    assert result.stderr == f"2026-Q2 (open) in {file}\n"
    rows = _rows(file.read_bytes())
    assert len(rows) == 20  # a repeat is free and is no booking
    assert sum(int(row["yen"]) for row in rows) == 18 * 10
    assert {row["column"] for row in rows} == {"sold", "voided"}
    assert _export(database_dsn, "2026-Q2").stdout_bytes == file.read_bytes()
    assert _rows(_export(database_dsn, "2026-Q3").stdout_bytes) == []
    assert _export(database_dsn, "2026-13").exit_code == 1
    assert "cannot be written" in _export(database_dsn, "2026-Q2", "--out", str(tmp_path / "no" / "x.csv")).output


def test_a_frozen_period_is_exported_as_its_freeze_left_it(database_dsn, ledger):
    _project(database_dsn)
    stream = bytes.fromhex(ledger[1])
    act = Act(
        kind=ActKind.CONFIRMED, contract="", claim="", period="2026-Q2", party="", day="2026-10-09", by="director",
        at_us=T0_US, facts=msgspec.msgpack.encode({stream: 2}),
    )  # fmt: skip
    _tamper(
        database_dsn,
        "insert into settlement.act (contract, claim, period, party, kind, turn, at_us, content, stream, height, idx)"
        " values ('', '', '2026-Q2', '', $1, 0, $2, $3, $4, 0, 0)",
        *(int(act.kind), act.at_us, encode_act(act), stream),
    )
    result = _export(database_dsn, "2026-Q2")
    assert {(row["stream"], row["height"]) for row in _rows(result.stdout_bytes)} == {
        (ledger[1], "0"),
        (ledger[1], "1"),
    }
    assert "2026-Q2 (frozen)" in result.stderr
    assert len(_rows(_export(database_dsn, "2026-Q3").stdout_bytes)) == 20 - 10  # what came later is carried over
