"""The command line: `sekisho`. One module a command, loaded when it is asked for.

Errors of the packages become one line on standard error and exit status 1; a defect of ours keeps its traceback.
"""

import importlib
import sys
from typing import Final

import click

from certs.errors import CertsError
from gateway.app.configuration import ConfigurationError
from gateway.app.setup import SetupError
from gateway.app.supervisor import StartError
from gateway.directory.errors import DirectoryError
from gateway.inquiry.errors import InquiryError
from gateway.line.dial import LineError
from gateway.peers.line_file import LineFileError
from gateway.peers.ministry.errors import MinistryError
from gateway.store.errors import StoreError
from hsm.errors import HsmError

COMMANDS: Final = {
    "demo": "Start a centre with synthetic residents and ask it.",
    "init": "Make a development centre in a directory.",
    "serve": "Serve lines.",
    "inquire": "Ask one question over a line.",
    "ministry": "A ministry's server, its users and terminals.",
    "receipt": "Verify and show receipts, offline.",
    "database": "Bring a database's schema to this version.",
    "register": "Load residents' notifications; see and keep the register.",
    "ledger": "Verify the ledger.",
    "history": "Who received what of whom.",
    "frame": "Explain captured frames and files.",
    "directory": "Who may do what.",
    "pki": "Issue and revoke line certificates (development).",
    "hsm": "Keys: make, list, rotate.",
    "slo": "Prometheus rules from the latency objectives.",
}
KNOWN_ERRORS: Final = (
    CertsError,
    ConfigurationError,
    DirectoryError,
    HsmError,
    InquiryError,
    LineError,
    LineFileError,
    MinistryError,
    SetupError,
    StartError,
    StoreError,
)


class _Commands(click.Group):
    """Knows every command's name and line without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"gateway.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands)
@click.version_option(package_name="sekisho", prog_name="sekisho")
def root() -> None:
    """Sekisho 関所: the gateway to the registers of residents.

    Start with `sekisho demo`, which needs nothing set up.
    """


def main() -> None:
    """Entry point of the `sekisho` command."""
    try:
        root(prog_name="sekisho")
    except KNOWN_ERRORS as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except BaseExceptionGroup as group:
        known, rest = group.split(KNOWN_ERRORS)
        if known is None or rest is not None:
            raise
        for leaf in _leaves(known):
            click.echo(f"Error: {leaf}", err=True)
        sys.exit(1)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    out: list[BaseException] = []
    for error in group.exceptions:
        out += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return out
