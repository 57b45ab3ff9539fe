"""A test environment: part of the handshake, named in every answer, and of synthetic residents only."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from gateway.app.configuration import TEST_ENVIRONMENT
from gateway.app.setup import SEED
from gateway.cli import root
from gateway.host import run_guest
from gateway.inquiry.cases import known_cases, known_residents
from gateway.inquiry.keys import load_keys
from gateway.inquiry.record import SCHEMA, encode_record
from gateway.line.dial import LineError
from gateway.peers.line_file import line_from
from gateway.store.pool import open_database
from hsm.opening import open_keystore, passphrase_from_file
from protocol.messages import InquiryByName, Operation, Request, encode
from protocol.outcomes import Outcome
from tests.kit.centre import Made, by_code, made_centre

REAL = known_residents(SEED)[2]  # whom "exact-by-name" asks for


@pytest.fixture(scope="module")
def tried() -> Iterator[Made]:
    """A test environment in whose register one record is not marked as synthetic."""
    with (
        tempfile.TemporaryDirectory(prefix="sekisho-tried-") as directory,
        made_centre(Path(directory), environment=TEST_ENVIRONMENT) as made,
    ):
        run_guest(_unmark, made)
        yield made


async def _unmark(made: Made) -> None:
    keystore = open_keystore(
        made.configuration.keystore_uri, lambda: passphrase_from_file(made.configuration.passphrase_file)
    )
    try:
        async with open_database(made.server.dsn(), role="test") as database:
            keys = await load_keys(database, keystore)
            sealed = keys.seal(
                encode_record(msgspec.structs.replace(REAL.record, synthetic=False)),
                record_id=REAL.record_id,
                version=1,
                schema=SCHEMA,
                nonce=os.urandom(12),
            )
            await database.execute(
                "update register.record set sealed = $2, key_id = $3 where record_id = $1",
                REAL.record_id,
                sealed,
                keys.current,
                commit=True,
            )
    finally:
        keystore.close()


@pytest.mark.trio
async def test_every_answer_names_the_environment_and_only_the_synthetic_are_released(tried: Made) -> None:
    case = next(case for case in known_cases(SEED) if case.key == "exact-by-name")
    named = case.question(affair="vehicle-12-1", step=1, staff="staff-001", case="2026-0001")
    assert isinstance(named, InquiryByName)
    async with tried.gateway() as running, tried.line(running) as line:
        synthetic = await line.ask(Operation.INQUIRE_BY_CODE, by_code())
        real = await line.ask_once(Request(line.new_id(), Operation.INQUIRE_BY_NAME, 5_000, encode(named)))
        refused = await line.ask(Operation.INQUIRE_BY_CODE, by_code(staff="nobody"))
    assert [synthetic.environment, real.environment, refused.environment] == ["test"] * 3
    assert (synthetic.outcome, refused.outcome) == (Outcome.EXACT, Outcome.STAFF_NOT_AUTHORISED)
    assert (real.outcome, real.entry) == (Outcome.UNAVAILABLE, None)
    assert REAL.record.name.encode() not in real.body
    charged = await tried.owner("select count(*), sum(yen) from ledger.entry")
    assert charged[0][0] in (0, 2)  # as far as the projection has come: never the third
    assert not await tried.owner("select 1 from ledger.claim where request_id = $1", real.request.request_id)


@pytest.mark.trio
async def test_a_line_that_means_another_environment_is_refused(tried: Made) -> None:
    async with tried.gateway() as running:
        dialling = tried.dialling(running)
        elsewhere = msgspec.structs.replace(dialling.target, environment="production")
        async with line_from(msgspec.structs.replace(dialling, target=elsewhere)) as line:
            with pytest.raises(LineError, match="environment"):
                await line.wait_open(3.0)


def test_serve_takes_a_test_environment_only_by_name_and_nothing_else_under_that_name(tried: Made) -> None:
    unnamed = CliRunner().invoke(root, ["serve", "--data", str(tried.data)])
    assert unnamed.exit_code == 1
    assert "--test-environment" in unnamed.output
    file = tried.data / "sekisho.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('environment = "test"', 'environment = "production"'), encoding="utf-8")
    try:
        misnamed = CliRunner().invoke(root, ["serve", "--data", str(tried.data), "--test-environment"])
    finally:
        file.write_text(text, encoding="utf-8")
    assert misnamed.exit_code == 1
    assert "production" in misnamed.output
