"""The contract files of a development centre are the shipped ones, for the parties of its directory."""

from pathlib import Path

import pytest

from gateway.app.development_contracts import write_contracts
from gateway.app.settling import calendars_of, read_contracts
from gateway.directory import toml
from gateway.settlement.calendars import STANDARD
from gateway.settlement.periods import month, quarter
from gateway.settlement.sides import sides

HERE = Path(__file__).parents[2]
PAIRS = {"operator": "000-operator", "municipality": "001-municipality", "ministry": "002-ministry"}


@pytest.mark.parametrize(("made", "shipped"), PAIRS.items())
def test_the_file_in_the_package_is_the_one_that_is_shipped(made, shipped):
    own = (HERE / "gateway" / "app" / f"contract.{made}.toml").read_bytes()
    assert own == (HERE / "deploy" / "contracts" / f"{shipped}.toml").read_bytes()


@pytest.mark.parametrize(
    ("role", "example", "period", "expected"),
    [
        (
            "certificate",
            "directory.certificate.example.toml",
            month(2026, 11),
            [(True, "cvs-dev"), (False, "chiba"), (False, "takaoka")],
        ),
        ("inquiry", "directory.example.toml", quarter(2026, 3), [(True, "mlit")]),
    ],
)
def test_every_party_that_settles_has_a_contract(tmp_path, role, example, period, expected):
    write_contracts(tmp_path, role)
    found = sides(read_contracts(tmp_path), period)
    assert [(side.incoming, side.party) for side in found] == expected
    document = toml.read(HERE / "gateway" / "app" / example)
    assert {side.party for side in found} == {party.id for party in document.parties} - {"centre"}
    assert calendars_of(tmp_path) == STANDARD
