"""The [history] table: dated rules and thresholds are read whole or refused by name."""

from datetime import date
from pathlib import Path

import pytest

from gateway.app.configuration import Configuration, ConfigurationError, read_configuration
from gateway.inquiry.retirement import RETENTION_DEFAULT

BASE = """
[centre]
[database]
embedded = "postgres"
[keystore]
uri = "software:keystore.sekisho"
passphrase_file = "passphrase"
[line]
[ops]
"""


def _read(tmp_path: Path, text: str) -> Configuration:
    (tmp_path / "sekisho.toml").write_text(BASE + text)
    return read_configuration(tmp_path)


def test_without_the_table_the_history_is_kept_five_years(tmp_path: Path) -> None:
    history = _read(tmp_path, "").history
    assert history.retention == RETENTION_DEFAULT
    assert history.candidates.mass_search == 100


def test_retention_is_dated_and_thresholds_are_counts(tmp_path: Path) -> None:
    history = _read(
        tmp_path,
        "[history]\nretention = [{ valid_from = 2002-08-05, years = 5 }, { valid_from = 2030-04-01, years = 7 }]\n"
        "[history.candidates]\nmass_search = 40\nnight_from_hour = 20\n",
    ).history
    assert [(rule.valid_from, rule.years) for rule in history.retention] == [
        (date(2002, 8, 5), 5),
        (date(2030, 4, 1), 7),
    ]
    assert (history.candidates.mass_search, history.candidates.night_from_hour) == (40, 20)


@pytest.mark.parametrize(
    "text",
    [
        "[history]\nretention = [{ valid_from = 2002-08-05, years = 0 }]\n",
        "[history]\nretention = [{ years = 5 }]\n",
        "[history.candidates]\nmass_search = 0\n",
        "[history.candidates]\nnight_from_hour = 25\n",
        "[history.candidates]\nmas_search = 5\n",
        "[history]\nretained = 5\n",
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="history"):
        _read(tmp_path, text)
