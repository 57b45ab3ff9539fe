"""`sekisho serve`: a centre's workers and ops process, until Ctrl-C or SIGTERM."""

import signal
from pathlib import Path

import click
import trio

from gateway.app import supervisor
from gateway.app.configuration import TEST_ENVIRONMENT, Configuration, read_configuration
from gateway.ops.logs import configure_logging

TEST_BANNER = "*** 試験環境 TEST ENVIRONMENT: 合成データのみ synthetic residents only ***"


@click.command("serve")
@click.option("--data", type=click.Path(path_type=Path), help="Directory of a centre (holds sekisho.toml).")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file, in place of --data.")
@click.option("--role", type=click.Choice(["inquiry"]), default="inquiry", show_default=True, help="Which centre.")
@click.option("--test-environment", is_flag=True, help="It is a test environment, and may only be one (試験環境).")
def command(data: Path | None, config: Path | None, role: str, *, test_environment: bool) -> None:
    """Serve lines until Ctrl-C or SIGTERM, which drain them; SIGHUP reads certificates and directory anew.

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
        raise click.ClickException(f"{configuration.path} is a centre of role {configuration.centre.role}, not {role}")
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
    trio.run(_serve, configuration)


async def _serve(configuration: Configuration) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with (
            supervisor.database(configuration) as dsns,
            supervisor.running_gateway(configuration, dsns, say=click.echo) as gateway,
        ):
            click.echo(f"metrics on http://127.0.0.1:{gateway.ops_port}/metrics; Ctrl-C drains and ends")
            async for _ in signals:
                break
            click.echo("draining")
