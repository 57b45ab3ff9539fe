"""A centre in a PostgreSQL of one's own: made by the command against its owner's DSN, and served from it."""

import asyncio
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.app.configuration import read_configuration
from gateway.app.supervisor import database
from gateway.store.embedded import EmbeddedPostgres
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.kit.centre import RESIDENTS, WORKERS, Made, by_code

OWNER = "landlord"
DATABASE = "someones database"


class Foreign:
    """A server that is not ours, where a role of its administrator's choice owns an empty database."""

    def __init__(self, server: EmbeddedPostgres, port: int) -> None:
        self._server = server
        self._password = secrets.token_urlsafe(12) + "/?#@ "
        self.port = port
        self.execute(
            f"create role {OWNER} login createrole password '{self._password}'",
            f'create database "{DATABASE}" owner {OWNER}',
        )

    @property
    def dsn(self) -> str:
        password = "".join(f"%{byte:02x}" for byte in self._password.encode())
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{self.port}/{DATABASE.replace(' ', '%20')}?sslmode=disable"

    def execute(self, *statements: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._server.dsn(database="postgres"))
            try:
                for sql in statements:
                    await connection.execute(sql)
            finally:
                await connection.close()

        asyncio.run(run())


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = {"fsync": "off", "shared_buffers": "64MB"}
    with (
        tempfile.TemporaryDirectory(prefix="sekisho-foreign-") as directory,
        EmbeddedPostgres(Path(directory) / "server", port=port, settings=settings) as server,
    ):
        yield Foreign(server, port)


def _sekisho(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def _init(data: Path, dsn: str) -> subprocess.CompletedProcess[str]:
    sizes = ("--workers", WORKERS, "--residents", RESIDENTS)
    return _sekisho("init", "--data", data, "--port", 0, "--ops-port", 0, *sizes, "--dsn", dsn)


@pytest.fixture(scope="module")
def data(foreign: Foreign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("foreign") / "centre"
    run = _init(made, foreign.dsn)
    assert run.returncode == 0, run.stderr
    return made


@pytest.mark.trio
async def test_a_centre_in_a_foreign_database_serves_from_it(data: Path) -> None:
    made = Made(data, server=None)  # type: ignore[arg-type]
    assert not (data / "postgres").exists()
    async with database(made.configuration) as dsns, made.gateway(dsns) as running, made.line(running) as line:
        result = await line.ask(Operation.INQUIRE_BY_CODE, by_code())
        assert result.outcome == Outcome.EXACT
    verified = _sekisho("ledger", "verify", "--data", data)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_workers_and_ops_have_roles_of_their_own_and_the_file_is_private(data: Path) -> None:
    tables = read_configuration(data).database
    users = [urlsplit(dsn).username for dsn in (tables.owner_dsn, tables.gateway_dsn, tables.ops_dsn)]
    assert users == [OWNER, "sekisho_gateway", "sekisho_ops"]
    assert all(urlsplit(dsn).query == "sslmode=disable" for dsn in (tables.gateway_dsn, tables.ops_dsn))
    assert (data / "sekisho.toml").stat().st_mode & 0o077 == 0


def test_a_database_that_holds_a_centre_is_not_taken(data: Path, foreign: Foreign, tmp_path: Path) -> None:
    run = _init(tmp_path / "second", foreign.dsn)
    assert run.returncode == 1
    assert "holds a centre" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_server_whose_roles_another_centre_uses_is_not_taken(data: Path, foreign: Foreign, tmp_path: Path) -> None:
    foreign.execute(f"create database beside owner {OWNER}")
    run = _init(tmp_path / "second", foreign.dsn.replace("someones%20database", "beside"))
    assert run.returncode == 1
    assert "stand already" in run.stderr


def test_no_uri_is_named_without_repeating_it(tmp_path: Path) -> None:
    run = _init(tmp_path / "centre", "host=localhost password=opensesame")
    assert run.returncode == 1
    assert "the DSN is not understood" in run.stderr
    assert "opensesame" not in run.stderr


def test_migrating_what_is_up_to_date_changes_nothing(data: Path) -> None:
    run = _sekisho("database", "migrate", "--data", data)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "the schema is this version's\n"
