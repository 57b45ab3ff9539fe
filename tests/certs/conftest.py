"""Two authorities: one at a fixed time for decisions, one at the present time for OpenSSL, which has its own clock."""

from datetime import UTC, datetime

import pytest

from tests.certs.ends import Site

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def site(tmp_path):
    return Site.make(tmp_path, now=NOW)


@pytest.fixture
def present():
    return datetime.now(UTC)


@pytest.fixture
def live(tmp_path, present):
    return Site.make(tmp_path, now=present)
