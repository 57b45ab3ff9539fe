"""The cards' revocation list as a file that others replace, remove and spoil."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from certs.crl_file import CrlFile
from gateway.peers.jpki.authority import make_jpki, write_crl

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_list_is_read_anew_when_another_takes_its_place_and_stays_while_there_is_none(tmp_path: Path) -> None:
    jpki = tmp_path / "jpki"
    file = jpki / "crl.der"
    told: list[str] = []
    lists = CrlFile(file, unread=lambda error: told.append(type(error).__name__))
    assert lists.read() is None
    assert lists.read() is None
    assert told == ["FileNotFoundError"]
    make_jpki(jpki, now=NOW)
    first = lists.read()
    assert first is not None
    assert lists.read() is first
    write_crl(jpki, now=NOW + HOUR)
    second = lists.read()
    assert second is not None
    assert second.last_update_utc == first.last_update_utc + HOUR
    file.write_bytes(b"no list")
    assert lists.read() is second
    assert lists.read() is second
    file.unlink()
    assert lists.read() is second
    assert told == ["FileNotFoundError", "ValueError"], "once until one can be read again"
    write_crl(jpki, now=NOW + 2 * HOUR)
    third = lists.read()
    assert third is not None
    assert third.last_update_utc == first.last_update_utc + 2 * HOUR
    file.replace(jpki / "away.der")
    lists.read()
    assert told[2:] == ["FileNotFoundError"]
