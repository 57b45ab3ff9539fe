"""What every test may ask for: the `guest` marker, a database, and SoftHSM.

`@pytest.mark.guest` on an async test runs it, with its async fixtures, in Trio as guest of uvloop, where asyncpg works.
`@pytest.mark.trio` alone is plain Trio; with pytest-trio's `autojump_clock` in virtual time.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.kit.components import softhsm_configured
from tests.kit.database import DatabaseDsn, Databases, databases
from tests.kit.guest import guest_run
from tests.kit.softhsm import Softhsm

# On a machine that judges a change the same examples are tried every time; elsewhere new ones are looked for.
settings.register_profile("judging", derandomize=True)
if os.environ.get("CI") or os.environ.get("SEKISHO_REQUIRE_ALL") == "1":
    settings.load_profile("judging")


NAMED_BYTES_MAX = 16


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give guest tests to pytest-trio with our runner."""
    for item in items:
        if item.get_closest_marker("guest") is not None:
            item.add_marker(pytest.mark.trio(run=guest_run))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long bytes are often random: a test is named by their place, so that two processes collect the same names."""
    return argname if isinstance(val, bytes) and len(val) > NAMED_BYTES_MAX else None


@pytest.fixture(scope="session")
def database_server() -> Iterator[Databases]:
    """The run's one PostgreSQL server, started when first asked for."""
    # Not under pytest's own directory: a second pytest would close that to the server's user.
    with tempfile.TemporaryDirectory(prefix="sekisho-tests-") as directory, databases(Path(directory)) as found:
        yield found


@pytest.fixture
def database_dsn(database_server: Databases) -> Iterator[DatabaseDsn]:
    """A fresh database with the whole schema, for this test alone."""
    with database_server.fresh() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Softhsm]:
    """SoftHSM's tokens, once a run: the libraries read where they are when they are loaded."""
    with softhsm_configured(tmp_path_factory.mktemp("softhsm")) as (tokens, proxy):
        yield Softhsm(tokens, str(proxy))
