"""`sekisho pki`: the development authority of the line."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
from cryptography import x509

from certs.authority import CRL_DAYS_DEFAULT, CRL_DAYS_MAX, DevelopmentAuthority
from certs.errors import CertsError
from certs.files import PRIVATE, PUBLIC, write_new, write_whole
from certs.names import parse_line_name
from certs.profiles import PROFILES
from certs.register import Reason, Register

_FILES = click.Path(path_type=Path)
_directory = click.option(
    "--dir", "directory", type=_FILES, required=True, help="Directory that holds the authority's files."
)
_days = click.option(
    "--days",
    type=click.IntRange(1, CRL_DAYS_MAX),
    default=CRL_DAYS_DEFAULT,
    show_default=True,
    help="Days until the next revocation list is due; without a newer one nobody is let in after that.",
)


@click.group(name="pki")
def command() -> None:
    """Issue and revoke line certificates with a development authority.

    For development, tests and the demo: its keys lie in files. In production the line CA is the centre's own, and the
    gateway is given its anchors and revocation lists.

    \b
    Example:
      sekisho pki init --dir ca
      sekisho pki issue --dir ca --profile centre --name centre/inquiry --host localhost --out tls/centre
      sekisho pki issue --dir ca --profile line --name ministry-1/line-a --out tls/ministry-1
      sekisho pki issue --dir ca --profile host --name city-1/issue --host localhost --out tls/city-1
      sekisho pki issue --dir ca --profile dial --name centre/certificate --out tls/centre-dial
    """


@command.command()
@_directory
@click.option("--name", default="Sekisho Development", show_default=True, help="Name of the authority.")
@_days
def init(directory: Path, name: str, days: int) -> None:
    """Make a root, an issuing CA and a first, empty revocation list.

    The directory must not exist or be empty; an authority is never overwritten.
    """
    with _reported():
        authority = DevelopmentAuthority.create(directory, name=name, now=_now())
        authority.write_crl(now=_now(), days=days)
    click.echo(f"authority made in {directory}; anchors.pem and crl.pem are for every end of a line")


@command.command()
@_directory
@click.option(
    "--profile",
    type=click.Choice(sorted(PROFILES)),
    required=True,
    help="Who accepts or dials: centre accepts, dial is the centre dialling; line is a member dialling, host accepts.",
)
@click.option("--name", required=True, metavar="PARTY/LINE", help="The line that the certificate names.")
@click.option("--host", "hosts", multiple=True, help="DNS name or IP address of the server; may be repeated.")
@click.option("--days", type=int, default=None, help="Validity in days, instead of the profile's.")
@click.option("--out", type=_FILES, required=True, help="Directory for the four files of the line.")
def issue(directory: Path, profile: str, name: str, hosts: tuple[str, ...], days: int | None, out: Path) -> None:
    """Issue a certificate with a new key.

    Writes certificate.pem, key.pem (mode 0600), anchors.pem and crl.pem into the directory --out, and prints the
    serial. Refuses if one of the files is there already.
    """
    with _reported():
        line = parse_line_name(name)
        authority = DevelopmentAuthority.open(directory)
        lists = _lists_of(directory)
        out.mkdir(parents=True, exist_ok=True)
        paths = {stem: out / f"{stem}.pem" for stem in ("certificate", "key", "anchors", "crl")}
        for path in paths.values():
            if path.exists():
                raise click.ClickException(f"--out: {path} exists; choose another directory or remove it")
        issued = authority.issue(PROFILES[profile], line, hosts=hosts, now=_now(), days=days)
        write_new(paths["key"], issued.key_pem, mode=PRIVATE)
        write_new(paths["certificate"], issued.certificate_pem, mode=PUBLIC)
        write_new(paths["anchors"], authority.anchors_pem, mode=PUBLIC)
        write_new(paths["crl"], lists, mode=PUBLIC)
    click.echo(f"{line.uri} serial {issued.serial:x} in {out}")


@command.command()
@_directory
@click.argument("serial", required=False)
@click.option("--cert", type=_FILES, default=None, help="The certificate to revoke, instead of its serial.")
@click.option("--reason", type=click.Choice(get_args(Reason)), default="unspecified", show_default=True)
@_days
def revoke(directory: Path, serial: str | None, cert: Path | None, reason: Reason, days: int) -> None:
    """Take back the certificate with SERIAL (hexadecimal, as issue printed it).

    Writes a new revocation list into the authority's directory. It counts at an end of a line once `sekisho pki crl`
    has brought it there and the process was told to reload.
    """
    if (serial is None) == (cert is None):
        raise click.UsageError("give either SERIAL or --cert FILE")
    with _reported():
        number = _parse_serial(serial) if serial is not None else _serial_of(cert)
        authority = DevelopmentAuthority.open(directory)
        authority.revoke(number, now=_now(), reason=reason)
        authority.write_crl(now=_now(), days=days)
    click.echo(f"serial {number:x} revoked; bring {directory / 'crl.pem'} to every end of a line and reload")


@command.command()
@_directory
@click.option("--out", type=_FILES, required=True, help="File to write; an older revocation list there is replaced.")
@_days
def crl(directory: Path, out: Path, days: int) -> None:
    """Write new revocation lists of the issuing CA and the root."""
    with _reported():
        if out.exists() and not out.read_bytes().startswith(b"-----BEGIN X509 CRL-----"):
            raise click.ClickException(f"--out: {out} is no revocation list; it is not overwritten")
        authority = DevelopmentAuthority.open(directory)
        moment = _now()
        write_whole(out, authority.write_crl(now=moment, days=days), mode=PUBLIC)
        revoked = _count_revoked(authority.register())
    click.echo(f"{out}: {revoked} revoked, next due within {days} days")


@contextmanager
def _reported() -> Iterator[None]:
    """Turn what can be expected to fail into one line and a non-zero exit."""
    try:
        yield
    except CertsError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def _lists_of(directory: Path) -> bytes:
    path = directory / "crl.pem"
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise click.ClickException(f"{path} is missing; write it with: sekisho pki crl --dir ... --out ...") from error


def _parse_serial(text: str) -> int:
    try:
        number = int(text.replace(":", ""), 16)
    except ValueError as error:
        raise click.ClickException(f"SERIAL: {text!r} is not a hexadecimal number") from error
    if number <= 0:
        raise click.ClickException(f"SERIAL: {text!r} is not a serial")
    return number


def _serial_of(path: Path | None) -> int:
    if path is None:
        raise click.UsageError("give either SERIAL or --cert FILE")
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).serial_number
    except ValueError as error:
        raise click.ClickException(f"--cert: {path} is not a PEM certificate") from error


def _count_revoked(register: Register) -> int:
    return sum(record.revoked is not None for record in register.records)


def _now() -> datetime:
    return datetime.now(UTC)
