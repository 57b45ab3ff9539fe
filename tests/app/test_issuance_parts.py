"""What a certificate worker reads at its start, and anew: card authorities, the keys all workers share."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.app.configuration import ConfigurationError, read_configuration
from gateway.app.issuance import card_anchors, fetch_from, shared_secret
from gateway.peers.jpki.authority import make_jpki
from gateway.store.issuance import IssuanceStore
from gateway.store.pool import open_database
from hsm.ceremony import create_standard_keys
from hsm.software import SoftwareKeystore

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
BASE = """
[centre]
role = "certificate"
[database]
embedded = "postgres"
[keystore]
uri = "software:keystore.sekisho"
passphrase_file = "passphrase"
[line]
[ops]
"""


def test_confirmed_data_are_brought_from_the_tenth_of_the_month_after() -> None:
    assert fetch_from("2026-10") == int(datetime(2026, 11, 9, 15, tzinfo=UTC).timestamp()) * 1_000_000
    assert fetch_from("2026-12") == int(datetime(2027, 1, 9, 15, tzinfo=UTC).timestamp()) * 1_000_000
    assert fetch_from("no period") == 0


def test_card_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "sekisho.toml").write_text(BASE)
    configuration = read_configuration(tmp_path)
    with pytest.raises(ConfigurationError, match="card_anchors"):
        card_anchors(configuration)
    make_jpki(tmp_path / "jpki", now=NOW)
    assert len(card_anchors(configuration)) == 2


def test_a_certificate_centre_has_no_history_and_an_inquiry_centre_no_cards(tmp_path: Path) -> None:
    file = tmp_path / "sekisho.toml"
    file.write_text(BASE)
    with pytest.raises(ConfigurationError, match="no provision history"):
        _ = read_configuration(tmp_path).history
    file.write_text(BASE + "[history.candidates]\nmass_search = 5\n")
    with pytest.raises(ConfigurationError, match="history"):
        read_configuration(tmp_path)
    file.write_text(BASE.replace('"certificate"', '"inquiry"') + '[certificate]\nocsp_responder = "http://127.0.0.1"\n')
    with pytest.raises(ConfigurationError, match="certificate"):
        read_configuration(tmp_path)


@pytest.mark.guest
async def test_workers_share_one_key_of_each_name_and_it_is_kept_wrapped(database_dsn, tmp_path):
    keystore = SoftwareKeystore.create(tmp_path / "keys", "passphrase of a test", owner="centre")
    create_standard_keys(keystore, "centre", label="1", now_us=NOW_US)
    async with open_database(database_dsn.gateway, size=2, role="test") as database:
        store = IssuanceStore(database)
        nonce = await shared_secret(store, keystore, "nonce", lambda: NOW_US)
        assert await shared_secret(IssuanceStore(database), keystore, "nonce", lambda: NOW_US) == nonce
        other = await shared_secret(store, keystore, "pseudonym", lambda: NOW_US)
        stored = await database.fetch("select sealed from issuance.secret")
    keystore.close()
    assert len(nonce) == len(other) == 32
    assert nonce != other
    assert not any(nonce in row[0] or other in row[0] for row in stored)
