"""`sekisho slo`: Prometheus rules from the objectives in the configuration."""

import tomllib
from pathlib import Path

import click

from gateway.ops.errors import SloInvalidError
from gateway.ops.rules import render_rules
from gateway.ops.slo import DEFAULT_SLOS, SloConfig, parse_slos


@click.group()
def command() -> None:
    """Service-level objectives."""


@command.command("rules")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Configuration with [[slo]] tables; without it, the standard objectives.",
)
@click.option("--out", "out_file", type=click.Path(path_type=Path), help="File to write; standard output without it.")
def rules(config_file: Path | None, out_file: Path | None) -> None:
    """Write the Prometheus rules for the configured objectives."""
    slos: tuple[SloConfig, ...] = DEFAULT_SLOS
    if config_file is not None:
        try:
            slos = parse_slos(tomllib.loads(config_file.read_text(encoding="utf-8")))
        except SloInvalidError as error:
            raise click.ClickException(f"{config_file}: {error}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise click.ClickException(f"--config {config_file} is not TOML: {error}; mend it") from error
        except OSError as error:
            raise click.ClickException(
                f"--config {config_file} cannot be read: {error.strerror}; give a readable file"
            ) from error
    text = render_rules(slos)
    if out_file is None:
        click.echo(text, nl=False)
        return
    try:
        out_file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"--out {out_file} cannot be written: {error.strerror}; give a writable place"
        ) from error
