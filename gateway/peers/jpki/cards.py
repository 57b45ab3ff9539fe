"""Simulated cards (試験用カード): one file each, with a key that only the PIN opens and tries that are counted on it.

Like a chip, a card counts a try before it looks at the PIN, forgets the count after a right one, and is locked after
three wrong ones in a row. The file is the card: whoever has it holds the card, and a try made through one program
counts in every other.
Source: DOMAIN 2.8, E2; 000仕3-1, 000仕8-2(2).
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from certs.files import PRIVATE, write_new, write_whole
from gateway.peers.jpki.authority import BACKDATED, CardKey, certify, make_jpki, revoke
from gateway.peers.jpki.errors import CardError, JpkiRefused, PinLocked, PinWrong, Unreadable
from gateway.peers.jpki.store import CardRecord
from protocol.certificates import CardType

PIN_TRIES: Final = 3
SUFFIX: Final = ".card"
NOTE: Final = "試験用カード: a simulated card of a test authority, of no use outside tests"
_PIN: Final = re.compile(r"[0-9]{4}")
_HOLDER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class _Chip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The card file: JSON; certificate DER, key PKCS#8 PEM encrypted under the PIN."""

    note: str = NOTE
    version: Literal[1] = 1
    type: int
    certificate: bytes
    key: str
    tries_left: int = PIN_TRIES
    damaged: bool = False


def issue_card(
    directory: Path,
    *,
    holder: str,
    algorithm: Literal["rsa2048", "p384"],
    pin: str,
    now: datetime,
    days: int,
    card_type: CardType = CardType.MY_NUMBER_CARD,
    damaged: bool = False,
) -> Path:
    """Make a card in the authority's directory; return its file, `cards/<holder>.card`.

    `holder` is a synthetic label, `pin` four digits. A damaged card cannot be read.
    Raises: JpkiRefused for a label, PIN or validity that cannot be, or a label that has a card; JpkiAbsent.
    """
    if not _HOLDER.fullmatch(holder):
        raise JpkiRefused(f"the holder {holder[:40]!r} must be 1 to 40 of a-z, 0-9 and '-'; it is a label, not a name")
    if not _PIN.fullmatch(pin):
        raise JpkiRefused("the PIN must be four digits")
    if days < 1:
        raise JpkiRefused("a card lasts a day or more")
    path = directory / "cards" / f"{holder}{SUFFIX}"
    if path.exists():
        raise JpkiRefused(f"holder {holder} has a card; choose another label")
    key = _new_key(algorithm)
    record = CardRecord(
        serial=x509.random_serial_number(),
        holder=holder,
        algorithm=algorithm,
        type=int(card_type),
        not_before=now - BACKDATED,
        not_after=now + timedelta(days=days),
    )
    certificate = certify(directory, key, record)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(pin.encode()))
    chip = _Chip(
        type=int(card_type), certificate=certificate.public_bytes(Encoding.DER), key=encrypted.decode(), damaged=damaged
    )
    write_new(path, _written(chip), mode=PRIVATE)
    return path


class SimulatedCard:
    """A card that lies on the reader. `certificate` is DER, `type` a protocol.certificates.CardType."""

    def __init__(self, path: Path, certificate: bytes, kind: CardType) -> None:
        self._path = path
        self.certificate = certificate
        self.type = kind

    @classmethod
    def load(cls, path: Path) -> "SimulatedCard":
        """Read what a card says without its PIN. Raises: Unreadable."""
        chip = _read(path)
        return cls(path, chip.certificate, CardType(chip.type))

    @property
    def tries_left(self) -> int:
        """How often the PIN may still be tried, 0 when it is locked. Raises: Unreadable."""
        return _read(self._path).tries_left

    def sign(self, pin: str, content: bytes) -> bytes:
        """Sign with the card's key: PKCS#1 v1.5 with SHA-256 (RSA), or DER ECDSA with SHA-384 (P-384).

        Raises: PinWrong, PinLocked, Unreadable.
        """
        return self.opened(pin)(content)

    def opened(self, pin: str) -> Callable[[bytes], bytes]:
        """As a chip stays open after its PIN: what signs from now on without it. The PIN costs some 20 to 100 ms.

        Raises: PinWrong, PinLocked, Unreadable.
        """
        with _taken(self._path):
            chip = _read(self._path)
            if chip.tries_left == 0:
                raise PinLocked
            left = chip.tries_left - 1
            write_whole(self._path, _written(msgspec.structs.replace(chip, tries_left=left)), mode=PRIVATE)
            key = _opened(chip, pin)
            if key is None:
                raise PinWrong(left) if left else PinLocked
            write_whole(self._path, _written(msgspec.structs.replace(chip, tries_left=PIN_TRIES)), mode=PRIVATE)
        return partial(_signature, key)


def _signature(key: CardKey, content: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(content, ec.ECDSA(hashes.SHA384()))


def _new_key(algorithm: str) -> CardKey:
    if algorithm == "rsa2048":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "p384":
        return ec.generate_private_key(ec.SECP384R1())
    raise JpkiRefused(f"no kind of key {algorithm!r}; cards have rsa2048 or p384")


def _opened(chip: _Chip, pin: str) -> CardKey | None:
    """The key, if this is the PIN."""
    if not _PIN.fullmatch(pin):
        return None
    try:
        key = load_pem_private_key(chip.key.encode(), password=pin.encode())
    except ValueError:
        return None
    if not isinstance(key, CardKey):
        raise Unreadable
    return key


def _read(path: Path) -> _Chip:
    try:
        chip = msgspec.json.decode(path.read_bytes(), type=_Chip)
    except (OSError, msgspec.DecodeError) as error:
        raise Unreadable from error
    if chip.damaged or chip.type not in set(CardType) or not 0 <= chip.tries_left <= PIN_TRIES:
        raise Unreadable
    return chip


def _written(chip: _Chip) -> bytes:
    return msgspec.json.format(msgspec.json.encode(chip), indent=1) + b"\n"


@contextmanager
def _taken(path: Path) -> Iterator[None]:
    """One program at a time. The directory is locked, as the file itself is replaced."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unreadable from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


__all__ = [
    "SUFFIX",
    "CardError",
    "PinLocked",
    "PinWrong",
    "SimulatedCard",
    "Unreadable",
    "issue_card",
    "make_jpki",
    "revoke",
]
