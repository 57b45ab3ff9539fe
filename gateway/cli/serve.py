"""`sekisho serve`: a centre's workers and ops process, until Ctrl-C or SIGTERM."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, get_args

import click
import trio

from gateway.app import supervisor
from gateway.app.configuration import TEST_ENVIRONMENT, Configuration, Role, read_configuration
from gateway.ops.logs import configure_logging

TEST_BANNER = "*** 試験環境 TEST ENVIRONMENT: 合成データのみ synthetic residents only ***"
HARD_STOP_STATUS: Final = 3


@click.command("serve")
@click.option("--data", type=click.Path(path_type=Path), help="Directory of a centre (holds sekisho.toml).")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file, in place of --data.")
@click.option("--role", type=click.Choice(get_args(Role)), default="inquiry", show_default=True, help="Which centre.")
@click.option("--test-environment", is_flag=True, help="It is a test environment, and may only be one (試験環境).")
def command(data: Path | None, config: Path | None, role: Role, *, test_environment: bool) -> None:
    """Serve lines until Ctrl-C or SIGTERM, which drain them; SIGHUP reads keys, certificates and directory anew.

    A second Ctrl-C or SIGTERM ends at once, with exit status 3; what was not recorded by then is not lost to its asker,
    who asks again under the same id.

    \b
    Example:
      sekisho init --data centre
      sekisho serve --data centre
    """
    place = config or data
    if place is None:
        raise click.UsageError("name the centre with --data DIR, or its configuration with --config FILE")
    configuration = read_configuration(place)
    if configuration.centre.role != role:
        raise click.ClickException(
            f"{configuration.path} is a centre of role {configuration.centre.role}; say so with --role"
        )
    is_test = configuration.centre.environment == TEST_ENVIRONMENT
    if test_environment and not is_test:
        raise click.ClickException(
            f"{configuration.path} is of environment {configuration.centre.environment}: a test environment has its own"
            " keys and register; make one with `sekisho init --test-environment --data DIR`"
        )
    if is_test and not test_environment:
        raise click.ClickException(f"{configuration.path} is a test environment; say so with --test-environment")
    if is_test:
        click.echo(TEST_BANNER)
    configure_logging()
    if not trio.run(_serve, configuration):
        click.echo("ended without draining", err=True)
        raise SystemExit(HARD_STOP_STATUS)


async def _serve(configuration: Configuration) -> bool:
    """True when it drained, False when a second signal ended it."""
    at_once = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with (
            supervisor.database(configuration) as dsns,
            trio.open_nursery() as nursery,
        ):
            async with supervisor.running_gateway(configuration, dsns, say=click.echo, at_once=at_once) as gateway:
                click.echo(f"metrics on http://127.0.0.1:{gateway.ops_port}/metrics; Ctrl-C drains and ends")
                await anext(signals)
                click.echo("draining; once more ends at once")
                nursery.start_soon(_end_at_once, signals, at_once)
            nursery.cancel_scope.cancel()
    return not at_once.is_set()


async def _end_at_once(signals: AsyncIterator[int], at_once: trio.Event) -> None:
    await anext(signals)
    at_once.set()
