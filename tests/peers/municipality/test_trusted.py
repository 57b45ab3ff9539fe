"""Files that say whom to believe, taken over while serving."""

import shutil

import pytest

from gateway.peers.municipality.errors import SetupIncomplete
from gateway.peers.municipality.settings import read_settings
from gateway.peers.municipality.setup import now_us
from gateway.peers.municipality.trusted import Trusted
from protocol.trust import encode_trust
from tests.peers.municipality.kit import OPERATOR, Town, World


@pytest.fixture
def trusted(town: Town, world: World) -> Trusted:
    """Of copies that the test may change."""
    for name in ("operators", "centre.bundle"):
        source = world.root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, town.data / name)
    text = (town.data / "municipality.toml").read_text()
    (town.data / "municipality.toml").write_text(
        text.replace('"../operators"', '"operators"').replace('"../centre.bundle"', '"centre.bundle"')
    )
    return Trusted(town.data, read_settings(town.data))


def test_an_operator_that_joins_is_known_after_a_reload_and_one_that_leaves_is_not(
    trusted: Trusted, town: Town
) -> None:
    place = town.data / "operators"
    assert trusted.anchors.of_operator(OPERATOR)
    assert not trusted.anchors.of_operator("operator-b")
    shutil.move(place / f"{OPERATOR}.pem", place / "operator-b.pem")
    trusted.reload()
    assert trusted.anchors.of_operator("operator-b")
    assert not trusted.anchors.of_operator(OPERATOR)


def test_a_spoilt_file_leaves_in_force_what_stood(trusted: Trusted, town: Town) -> None:
    (town.data / "operators" / "operator-b.pem").write_text("spoilt")
    before = trusted.anchors
    with pytest.raises(SetupIncomplete, match=r"operator-b\.pem"):
        trusted.reload()
    assert trusted.anchors is before


def test_only_a_line_key_of_the_centre_that_is_valid_now_speaks_on_the_line(
    trusted: Trusted, town: Town, world: World
) -> None:
    line = next(each for each in world.centre.keys() if each.purpose == "line")
    assert trusted.centre_key(line.key_id, now_us()) is not None
    assert trusted.centre_key(line.key_id, line.not_before_us - 1) is None
    assert trusted.centre_key("line-unknown", now_us()) is None
    assert (
        trusted.centre_key(next(each for each in world.centre.keys() if each.purpose == "history").key_id, now_us())
        is None
    )
    (town.data / "centre.bundle").write_bytes(encode_trust(world.trust))  # another's bundle
    trusted.reload()
    assert trusted.centre_key(line.key_id, now_us()) is None
