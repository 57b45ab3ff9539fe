"""How the supervisor tells a child process what it is: one JSON line on standard input, one answer on standard output.

Secrets travel through the pipe and never through arguments or the environment. A child that cannot start says why in
its one line; after "ready" the pipe stays open, and its end of file tells the child that the supervisor is gone.
"""

import sys
from pathlib import Path
from typing import Literal

import msgspec


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """What a child needs: its kind and slot, the configuration file, DSNs, and the bound line port."""

    kind: Literal["worker", "ops"]
    slot: int
    slots: int
    configuration: str
    gateway_dsn: str
    ops_dsn: str
    host: str
    port: int


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A child's answer: ready, or the sentence why not; port is the ops endpoint's."""

    ready: bool
    why: str = ""
    port: int = 0


def read_birth() -> Birth:
    """The line on standard input. Raises: msgspec.DecodeError when a person started the module by hand."""
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=Birth)


def say(word: Word) -> None:
    """Tell the supervisor."""
    sys.stdout.buffer.write(msgspec.json.encode(word) + b"\n")
    sys.stdout.buffer.flush()


def configuration_path(birth: Birth) -> Path:
    """The configuration file as a path."""
    return Path(birth.configuration)
