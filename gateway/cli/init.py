"""`sekisho init`: a development centre in a directory."""

from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.app.configuration import TEST_ENVIRONMENT, Role
from gateway.app.setup import ENVIRONMENT, RESIDENTS_DEFAULT, RESIDENTS_MIN, TokenPlace, make_centre


@click.command("init")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Directory to make the centre in.")
@click.option(
    "--role", type=click.Choice(get_args(Role)), default="inquiry", show_default=True, help="What the centre is for."
)
@click.option("--port", type=click.IntRange(0, 65535), default=9440, show_default=True, help="Port of the lines.")
@click.option("--ops-port", type=click.IntRange(0, 65535), default=9441, show_default=True, help="Port of metrics.")
@click.option("--workers", type=click.IntRange(0, 256), default=0, show_default=True, help="0: one a core.")
@click.option(
    "--residents",
    type=click.IntRange(RESIDENTS_MIN, 10_000_000),
    default=RESIDENTS_DEFAULT,
    show_default=True,
    help="Synthetic residents to seed, in an inquiry centre.",
)
@click.option(
    "--keystore",
    metavar="URI",
    help="Keep the centre's keys in an initialised token: pkcs11:token=LABEL;module-path=PATH of p11-kit-proxy.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File with the token's PIN, readable by its owner only; it stays where it is. With --keystore.",
)
@click.option(
    "--dsn",
    envvar="SEKISHO_OWNER_DSN",
    show_envvar=True,
    help="Put the tables into an empty database of your own PostgreSQL 15 or newer: DSN of its owner, who may create"
    " roles. Without it the directory has a server of its own.",
)
@click.option("--test-environment", is_flag=True, help="Make it a test environment (試験環境); see `sekisho serve`.")
def command(
    data: Path,
    role: Role,
    port: int,
    ops_port: int,
    workers: int,
    residents: int,
    keystore: str | None,
    passphrase_file: Path | None,
    dsn: str | None,
    *,
    test_environment: bool,
) -> None:
    """Make a development centre: PKI, keys, database, directory, and the line of one far end.

    An inquiry centre has synthetic residents and a ministry; a certificate centre an operator of kiosks, the
    certificate it dials municipalities with, and a card authority for tests. Without --keystore the keys are sealed in
    a file of the directory.

    \b
    Then:
      sekisho serve --data DIR
      sekisho inquire --line DIR/ministry --code 12345678901 --affair vehicle-12-1 --case 2026-0001

    \b
    Or:
      sekisho init --role certificate --data DIR
      sekisho serve --role certificate --data DIR
    """
    console = Console(stderr=True)
    if (keystore is None) != (passphrase_file is None):
        raise click.UsageError("--keystore and --passphrase-file go together")
    token = None
    if keystore is not None and passphrase_file is not None:
        token = TokenPlace(uri=keystore, pin_file=passphrase_file)
    make_with_progress(
        console,
        data,
        port=port,
        ops_port=ops_port,
        workers=workers,
        residents=residents,
        token=token,
        owner_dsn=dsn,
        environment=TEST_ENVIRONMENT if test_environment else ENVIRONMENT,
        role=role,
    )
    flag = " --test-environment" if test_environment else ""
    if role != "inquiry":
        flag += f" --role {role}"
    click.echo(f"made {data}; start it with `sekisho serve --data {data}{flag}`")


def make_with_progress(
    console: Console,
    data: Path,
    *,
    port: int,
    ops_port: int,
    workers: int,
    residents: int,
    token: TokenPlace | None = None,
    owner_dsn: str | None = None,
    environment: str = ENVIRONMENT,
    role: Role = "inquiry",
    since_us: int | None = None,
) -> None:
    """make_centre with its steps and a bar on the console."""
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("residents", total=residents, visible=False)
        make_centre(
            data,
            port=port,
            ops_port=ops_port,
            workers=workers,
            residents=residents,
            token=token,
            owner_dsn=owner_dsn,
            environment=environment,
            role=role,
            since_us=since_us,
            say=lambda text: bar.console.print(f"  {text}", highlight=False),
            progress=lambda done, of: bar.update(task, completed=done, total=of, visible=True),
        )
