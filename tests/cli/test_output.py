"""What a command prints arrives whole."""

import os
import subprocess
import sys
import time
from pathlib import Path

COMMAND = """
import click, trio
from gateway import cli
from gateway.host import run_guest

def root(**_):
    run_guest(trio.sleep, 0.01)
    click.echo("あ" * 200_000)

cli.root = root
cli.main()
"""


def test_a_long_answer_into_a_slow_pipe_is_whole_with_and_without_a_buffer() -> None:
    for unbuffered in ("1", ""):
        with subprocess.Popen(
            [sys.executable, "-c", COMMAND],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONIOENCODING": "utf-8"},
        ) as child:
            assert child.stdout is not None
            time.sleep(0.5)  # until it waits for the pipe's reader, while uvloop's leftovers are taken down
            printed = child.stdout.read()
        assert (child.returncode, printed.decode()) == (0, "あ" * 200_000 + "\n")
