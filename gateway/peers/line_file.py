"""What a program at the far end of a line needs to dial: one TOML file, `line.toml`, and the files it names.

Paths are relative to the file. `sekisho init` writes one for the development ministry.
"""

import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from certs.contexts import LineFiles
from certs.material import TlsMaterial
from certs.names import parse_line_name
from gateway.line.dial import LineClient, Sign, Target, open_line
from hsm import calls
from hsm.interface import KeyStore
from hsm.opening import open_keystore, passphrase_from_file
from protocol.keys import Algorithm, Purpose
from protocol.trust import Trust, TrustError, decode_trust

FILE_NAME: Final = "line.toml"


class LineFileError(Exception):
    """The file cannot be used; the sentence names file, field and remedy."""


class LineFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """line.toml: own and centre's line names (party/line), address, role, environment, and where the files are."""

    own: str
    centre: str
    host: str
    port: int
    role: str
    environment: str
    tls: str
    trust: str
    keystore: str
    passphrase_file: str


class Dialling(msgspec.Struct, frozen=True, kw_only=True):
    """A line file read: target, TLS files, the centre's trust, the line's keys and its signing function."""

    target: Target
    files: LineFiles
    trust: Trust
    keystore: KeyStore
    sign: Sign


def read_line_file(path: Path, *, port: int | None = None) -> Dialling:
    """Read line.toml, or the one in a directory, with everything it names. `port` overrides the file's.

    Raises: LineFileError, HsmError.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        read = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), LineFile)
        base = file.parent
        trust = decode_trust((base / read.trust).read_bytes())
        target = Target(
            host=read.host,
            port=port or read.port,
            centre=parse_line_name(read.centre),
            role=read.role,
            environment=read.environment,
            own=parse_line_name(read.own),
        )
    except FileNotFoundError as error:
        raise LineFileError(f"{error.filename} does not exist; name a line file with --line") from error
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, TrustError, ValueError) as error:
        raise LineFileError(f"{file}: {error}") from error
    kind, _, rest = read.keystore.partition(":")
    uri = f"software:{base / rest}" if kind == "software" else read.keystore
    keystore = open_keystore(uri, lambda: passphrase_from_file(base / read.passphrase_file))
    return Dialling(
        target=target,
        files=LineFiles.in_directory(base / read.tls),
        trust=trust,
        keystore=keystore,
        sign=signing(keystore),
    )


@asynccontextmanager
async def line_from(dialling: Dialling) -> AsyncIterator[LineClient]:
    """A line to the centre, kept open while the block runs. Raises: CertsError when the TLS files cannot be used."""
    material = TlsMaterial(dialling.files, now=datetime.now(UTC))
    async with open_line(dialling.target, material=material, trust=dialling.trust, sign=dialling.sign) as client:
        yield client


def signing(keystore: KeyStore) -> Sign:
    """Signs with the newest LINE key of a keystore."""

    async def sign(signed: bytes) -> tuple[Algorithm, str, bytes]:
        record = keystore.current(Purpose.LINE, time.time_ns() // 1000)
        return Algorithm(record.algorithm), record.key_id, await calls.sign(keystore, record.key_id, signed)

    return sign
