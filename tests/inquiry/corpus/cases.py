"""What a case of the corpus is, and how it is written down.

A line of cases.jsonl is one case: the people in the register (synthetic, no real person is meant), the question, whom
of them it means or null, and the outcome that people who keep registers would expect, with the fields that differ.
"""

from pathlib import Path
from typing import Final

import msgspec

FILE: Final = Path(__file__).with_name("cases.jsonl")


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """A resident of a case; what is left out is empty."""

    name: str
    kana: str
    address: str
    birth: str = "1975-11-23"
    sex: int = 1
    former_surname: str = ""
    alias: str = ""
    former_names: tuple[str, ...] = ()
    former_addresses: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question by name; history: the affair may search former names and addresses."""

    name: str
    address: str
    birth: str | None = None
    sex: int | None = None
    history: bool = True


class Case(msgspec.Struct, frozen=True):
    """One case. `meant`: place in people of the person to be released, None when nobody is to be."""

    id: str
    rule: str
    people: tuple[Person, ...]
    ask: Question
    outcome: str
    meant: int | None
    differing: tuple[str, ...]


def read() -> list[Case]:
    """The corpus as it is committed."""
    decode = msgspec.json.Decoder(Case).decode
    return [decode(line) for line in FILE.read_text("utf-8").splitlines()]


def written(cases: list[Case]) -> str:
    """The corpus as text, one case a line."""
    return "".join(msgspec.json.encode(case).decode() + "\n" for case in cases)
