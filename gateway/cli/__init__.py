"""The command line: `sekisho`. One module a command, loaded when it is asked for.

Errors of the packages become one line on standard error and exit status 1; a defect of ours keeps its traceback.
"""

import importlib
import io
import sys
from typing import Final

import click

COMMANDS: Final = {
    "demo": "Start a centre with synthetic residents and ask it.",
    "init": "Make a development centre in a directory.",
    "serve": "Serve lines.",
    "inquire": "Ask one question over a line.",
    "ministry": "A ministry's server, its users and terminals.",
    "certificate": "Verify certificates and photographs of them, offline.",
    "municipality": "A municipality's issuing server and its residents.",
    "relay": "An operator's relay between its kiosks and the centre.",
    "kiosk": "A kiosk: in a browser, or one application.",
    "receipt": "Verify and show receipts, offline.",
    "invoice": "Prove an invoice against the receipts you hold.",
    "database": "Bring a database's schema to this version.",
    "register": "Load residents' notifications; see and keep the register.",
    "issuance": "Certificates: incidents, applications, reports.",
    "settle": "Settlement: its steps from disclosure to payment, dates, late interest, terms.",
    "ledger": "Verify the ledger; export a period of it.",
    "history": "Who received what of whom.",
    "frame": "Explain captured frames and files.",
    "directory": "Who may do what.",
    "pki": "Issue and revoke line certificates (development).",
    "jpki": "Cards for tests: a card authority and its OCSP responder.",
    "hsm": "Keys: make, list, rotate.",
    "slo": "Prometheus rules from the latency objectives.",
}
KNOWN_ERRORS: Final = frozenset(
    {
        "certs.errors.CertsError",
        "gateway.app.configuration.ConfigurationError",
        "gateway.app.setup.SetupError",
        "gateway.app.supervisor.StartError",
        "gateway.directory.errors.DirectoryError",
        "gateway.fonts.FontMissing",
        "gateway.inquiry.errors.InquiryError",
        "gateway.issuance.errors.IssuanceError",
        "gateway.ledger.errors.LedgerError",
        "gateway.line.dial.LineError",
        "gateway.peers.kiosk.errors.KioskError",
        "gateway.peers.jpki.errors.JpkiError",
        "gateway.peers.kit.errors.KitError",
        "gateway.peers.line_file.LineFileError",
        "gateway.peers.ministry.errors.MinistryError",
        "gateway.peers.municipality.errors.MunicipalityError",
        "gateway.peers.proof_book.ProofBookError",
        "gateway.peers.relay.errors.RelayError",
        "gateway.settlement.errors.SettlementError",
        "gateway.store.errors.StoreError",
        "hsm.errors.HsmError",
        "protocol.disclosure.DisclosureError",
    }
)
"""By name: importing what raises them would cost every command, and every process it starts, half a second."""


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
    _write_whole()
    try:
        root(prog_name="sekisho")
    except Exception as error:
        leaves = _leaves(error)
        if not all(map(is_known, leaves)):
            raise
        for leaf in leaves:
            click.echo(f"Error: {leaf}", err=True)
        sys.exit(1)


def _write_whole() -> None:
    """Buffer standard output where PYTHONUNBUFFERED took its buffer away.

    Without one, Python drops what a write left over, and the kernel writes less than it is given while it takes an
    io_uring of uvloop's down: a long answer into a pipe ended after 64 KiB, with exit status 0.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(sys.stdout.buffer, io.RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(sys.stdout.detach()), encoding, errors, line_buffering=True)


def is_known(error: BaseException) -> bool:
    """Whether an error is one of the packages', to be shown as one line."""
    return any(f"{each.__module__}.{each.__qualname__}" in KNOWN_ERRORS for each in type(error).__mro__)


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in _leaves(each)]
