"""docs/PROTOCOL.md says what the code does: tables, diagrams and the worked example."""

import json
import re
from pathlib import Path

import pytest

from protocol import limits
from protocol.errors import FaultCode
from protocol.frames import FrameType
from protocol.outcomes import CATALOGUE
from protocol.states import MAY_RECEIVE, TRANSITIONS, State
from tests.vectors import make

TEXT = (Path(__file__).parents[2] / "docs" / "PROTOCOL.md").read_text()


def section(name: str) -> str:
    """The text under a second-level heading."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Cells of the table rows, headings and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def yes(fact: bool) -> str:
    return "yes" if fact else "no"


def test_the_diagrams_draw_the_table_of_transitions() -> None:
    drawn = set(re.findall(r"^    (\S+) --> (\S+)$", section("States"), re.MULTILINE))
    assert drawn == {(a.value, b.value) for a, ways in TRANSITIONS.items() for b in ways}


def test_the_table_of_states_is_the_codes() -> None:
    said = {state: set(kinds.split(", ")) - {"nothing"} for state, kinds in rows(section("States"))}
    assert said == {state.value: {kind.name for kind in MAY_RECEIVE[state]} for state in State}


def test_the_outcomes_are_the_catalogue() -> None:
    assert rows(section("Outcomes")) == [
        [str(int(o)), o.name, m.ja, m.en, yes(m.recorded), yes(m.retryable), yes(m.charged)]
        for o, m in CATALOGUE.items()
    ]


def test_the_faults_are_the_codes() -> None:
    table = rows(section("Faults"))
    assert [row[:2] for row in table] == [[str(int(fault)), fault.name] for fault in FaultCode]
    assert all(row[2] in {"peer", "centre", "both"} and row[3] for row in table)


def test_the_limits_are_the_modules() -> None:
    said = dict(rows(section("Limits")))
    assert said == {n: str(getattr(limits, n)) for n in vars(limits) if n.isupper() and not n.startswith("_")}


def test_the_frame_types_are_the_codes() -> None:
    assert [(int(row[0]), row[1]) for row in rows(section("Frames"))] == [(int(k), k.name) for k in FrameType]


@pytest.mark.parametrize("name", ["handshake", "block"])
def test_the_worked_example_is_the_vectors(name: str) -> None:
    vector = json.loads((Path(make.__file__).parent / f"{name}.json").read_text())
    shown = re.findall(r"^(\w+)[^\n]*\n```\n([0-9a-f\n]+)\n```", section("A worked example"), re.MULTILINE)
    assert len(shown) == 12
    for field, value in shown:
        if field in vector:
            assert value.replace("\n", "") == vector[field]
    assert all(field in vector for field, _ in shown[:9]) == (name == "handshake")
