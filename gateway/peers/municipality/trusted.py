"""Whom the issuing server believes, read from files and taken over again when they change.

The centre's trust bundle names the key that speaks on its line; the operators' line authorities say which kiosks there
are; the card authority and its revocation list say which cards. A file that cannot be read leaves in force what stood.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog
from cryptography import x509

from certs.anchors import PARSE_ERRORS
from gateway.peers.municipality.errors import SetupIncomplete
from gateway.peers.municipality.settings import Settings
from protocol.keys import KeysError, PublicKey, Purpose
from protocol.trust import Trust, TrustError, decode_trust

log = structlog.get_logger()


class Anchors(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a session may rest on: the operators' line authorities, by operator, and the cards' authority.

    An authority under "" stands for every operator that has none of its own.
    """

    kiosks: Mapping[str, Sequence[x509.Certificate]]
    cards: Sequence[x509.Certificate]

    def of_operator(self, operator: str) -> Sequence[x509.Certificate]:
        """The anchors of an operator's kiosks; none for an operator that is not known."""
        return self.kiosks.get(operator, self.kiosks.get("", ()))


class Trusted:
    """The files of one directory, as last read whole. Raises: SetupIncomplete naming the file."""

    anchors: Anchors
    centre: Trust

    def __init__(self, data: Path, settings: Settings) -> None:
        self._kiosks = data / settings.kiosk_anchors
        self._cards = data / settings.card_anchors
        self._centre = data / settings.centre_trust
        self.reload()

    def reload(self) -> None:
        """Read all anew; nothing changes unless all of it is good. Raises: SetupIncomplete naming the file."""
        anchors = Anchors(kiosks=self._read_kiosks(), cards=_certificates(self._cards))
        try:
            centre = decode_trust(self._centre.read_bytes())
        except (OSError, TrustError) as error:
            raise SetupIncomplete(f"{self._centre}: {error}") from error
        self.anchors, self.centre = anchors, centre

    def centre_key(self, key_id: str, at_us: int) -> PublicKey | None:
        """The key with which the centre signs on its line, while it is valid."""
        try:
            return self.centre.key(key_id, purpose=Purpose.LINE, at_us=at_us)
        except (KeysError, TrustError):
            return None

    def _read_kiosks(self) -> dict[str, list[x509.Certificate]]:
        if self._kiosks.is_dir():
            return {file.stem: _certificates(file) for file in sorted(self._kiosks.glob("*.pem"))}
        return {"": _certificates(self._kiosks)}


class CrlFile:
    """A revocation list (DER) in a file that is replaced now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._list: x509.CertificateRevocationList | None = None

    def read(self) -> x509.CertificateRevocationList | None:
        """The list as it stands, parsed once; the last good one while the file is absent or spoilt."""
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns)
            if seen != self._seen:
                self._list = x509.load_der_x509_crl(self._path.read_bytes())
                self._seen = seen
        except (OSError, ValueError):
            log.warning("revocation_list_unreadable")
        return self._list


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, *PARSE_ERRORS) as error:
        raise SetupIncomplete(f"{path}: no certificates (PEM) can be read") from error
