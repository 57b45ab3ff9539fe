"""A hand-over package: files in a directory, a list of them all with their digests, and the centre's signature over it.

manifest.json is the list: one canonical JSON object, UTF-8, ended by LF. manifest.signature is JSON of the key's id and
the signature in base64, by an INVOICE key of the centre over context("hand-over") and the bytes of the list. The two
are the only files that the list does not name. The same files give the same list, whenever they are written.

Source: 000契21, 27; DOMAIN A9; docs/SETTLEMENT.md, Hand-over.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import AsyncIterable, Iterator
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import msgspec

from certs.files import PRIVATE, write_new
from gateway.settlement.errors import SettlementError
from protocol.keys import KeysError, Purpose, context
from protocol.trust import Trust, TrustError

FORMAT: Final = "sekisho-hand-over/1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.signature"
MANIFEST_BYTES_MAX: Final = 16 << 20
_READ_BYTES: Final = 1 << 20
_DIRECTORY: Final = 0o700
_CONTEXT: Final = context("hand-over")
T = TypeVar("T", bound=msgspec.Struct)


class PackageInvalid(SettlementError):  # noqa: N818  named after the fact
    """A directory that is no whole, unaltered package. Fields: file."""

    code: ClassVar[str] = "package-invalid"

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why} / 引継ぎ資料が不完全又は改変されています; fetch the package again")
        self.file = file


class FileLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. name: its path with slashes; size in bytes; sha256 in hex."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The list. contract, party, term: what was handed over; made_us: when; files by name."""

    format: str = FORMAT
    centre: str
    role: str
    environment: str
    contract: str
    party: str
    term: str
    made_us: int
    files: tuple[FileLine, ...]


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signature of a list. signature: base64."""

    key_id: str
    signature: str


class Package:
    """A package being written into an empty directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=_DIRECTORY, parents=True)
        self.directory = directory
        self._lines: dict[str, FileLine] = {}

    @property
    def lines(self) -> tuple[FileLine, ...]:
        """What was added so far, by name."""
        return tuple(self._lines[name] for name in sorted(self._lines))

    async def add(self, name: str, data: AsyncIterable[bytes]) -> None:
        """Write a file from pieces. Raises: OSError."""
        digest, size = hashlib.sha256(), 0
        path = self.directory.joinpath(name)
        path.parent.mkdir(mode=_DIRECTORY, parents=True, exist_ok=True)
        with path.open("xb") as file:
            async for piece in data:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        self._lines[name] = FileLine(name, size, digest.hexdigest())

    def put(self, name: str, data: bytes) -> None:
        """Write a file. Raises: OSError."""
        path = self.directory.joinpath(name)
        path.parent.mkdir(mode=_DIRECTORY, parents=True, exist_ok=True)
        write_new(path, data, mode=PRIVATE)
        self._lines[name] = FileLine(name, len(data), hashlib.sha256(data).hexdigest())

    def seal(self, manifest: bytes, *, key_id: str, signature: bytes) -> None:
        """Write the list and its signature; nothing can be added after it. Raises: OSError."""
        write_new(self.directory.joinpath(MANIFEST), manifest, mode=PRIVATE)
        signed = Signed(key_id, base64.b64encode(signature).decode())
        write_new(self.directory.joinpath(SIGNATURE), _json(signed), mode=PRIVATE)


def manifest_bytes(manifest: Manifest) -> bytes:
    """The canonical bytes of a list."""
    return _json(manifest)


def manifest_to_sign(manifest: bytes) -> bytes:
    """What the centre's INVOICE key signs."""
    return _CONTEXT + manifest


def read_package(directory: Path, trust: Trust) -> Manifest:
    """The list of a package, if the centre signed it and the files are these very files.

    Raises: PackageInvalid, naming the first file that is not as it should be; OSError.
    """
    data = _bytes(directory, MANIFEST)
    manifest = _read(data, Manifest, MANIFEST)
    signed = _read(_bytes(directory, SIGNATURE), Signed, SIGNATURE)
    if manifest.format != FORMAT:
        raise PackageInvalid(MANIFEST, f"not of format {FORMAT}")
    if (manifest.centre, manifest.role, manifest.environment) != (trust.centre, trust.role, trust.environment):
        raise PackageInvalid(MANIFEST, f"it is of {manifest.centre}/{manifest.role}/{manifest.environment}")
    try:
        key = trust.key(signed.key_id, purpose=Purpose.INVOICE, at_us=manifest.made_us)
        key.verify(base64.b64decode(signed.signature, validate=True), manifest_to_sign(data))
    except (KeysError, TrustError, binascii.Error) as error:
        raise PackageInvalid(SIGNATURE, str(error)) from error
    _check_files(directory, manifest)
    return manifest


def _bytes(directory: Path, name: str) -> bytes:
    try:
        with directory.joinpath(name).open("rb") as file:
            data = file.read(MANIFEST_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PackageInvalid(name, "is missing") from error
    if len(data) > MANIFEST_BYTES_MAX:
        raise PackageInvalid(name, "longer than any list")
    return data


def _check_files(directory: Path, manifest: Manifest) -> None:
    wanted = {line.name: line for line in manifest.files}
    if list(wanted) != sorted(wanted) or len(wanted) != len(manifest.files):
        raise PackageInvalid(MANIFEST, "its files are not in order, or one stands twice")
    present = set(_files(directory)) - {MANIFEST, SIGNATURE}
    for name in sorted(present ^ set(wanted)):
        raise PackageInvalid(name, "is missing" if name in wanted else "is not in the list")
    for line in manifest.files:
        if _digest(directory.joinpath(line.name)) != (line.size, line.sha256):
            raise PackageInvalid(line.name, "is another file than the list names")


def _files(directory: Path) -> Iterator[str]:
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            raise PackageInvalid(name, "is a link")
        if not path.is_dir():
            yield name


def _digest(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
            size += len(data)
    return size, digest.hexdigest()


def _json(value: msgspec.Struct) -> bytes:
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=1, sort_keys=True)
    return f"{text}\n".encode()


def _read(data: bytes, shape: type[T], name: str) -> T:
    try:
        found = msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PackageInvalid(name, "cannot be read") from error
    if _json(found) != data:
        raise PackageInvalid(name, "is not in the one form of what it says")
    return found
