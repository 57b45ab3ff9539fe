"""Whom the issuing server believes, read from files and taken over again when they change.

The centre's trust bundle names the key that speaks on its line; the operators' line authorities say which kiosks there
are; the card authority and its revocation list say which cards. A file that cannot be read leaves in force what stood.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import structlog
from cryptography import x509

from certs import CertificateRefused, CertsError, Refusal, RevocationLists, TrustAnchors
from certs.anchors import PARSE_ERRORS
from gateway.peers.municipality.cards import issued_by
from gateway.peers.municipality.errors import SetupIncomplete
from gateway.peers.municipality.settings import Settings
from protocol.keys import KeysError, PublicKey, Purpose
from protocol.trust import Trust, TrustError, decode_trust

log = structlog.get_logger()


class Anchors(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a session may rest on: the operators' line authorities, by operator, and the cards' authority.

    An authority under "" stands for every operator that has none of its own. Where an operator's revocation lists are
    at hand, none of its kiosks passes that they do not show good; where they are not, the centre's register of kiosks
    is what takes one away.
    """

    kiosks: Mapping[str, Sequence[x509.Certificate]]
    cards: Sequence[x509.Certificate]
    revoked: Mapping[str, RevocationLists] = {}

    def of_operator(self, operator: str) -> Sequence[x509.Certificate]:
        """The anchors of an operator's kiosks; none for an operator that is not known."""
        return self.kiosks.get(operator, self.kiosks.get("", ()))

    def require_standing(self, operator: str, kiosk: x509.Certificate, *, now: datetime) -> None:
        """Pass unless the operator's lists are at hand and do not show this certificate good.

        Raises: CertificateRefused.
        """
        place = operator if operator in self.kiosks else ""
        lists = self.revoked.get(place)
        if lists is None:
            return
        issuer = next((each for each in self.kiosks[place] if issued_by(kiosk, each)), None)
        if issuer is None:
            raise CertificateRefused(Refusal.UNTRUSTED, "its issuer is not at hand")
        lists.require_good(kiosk, issuer=issuer, now=now)


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
        files = self._kiosk_files()
        kiosks = {name: _certificates(file) for name, file in files.items()}
        revoked = {name: lists for name, file in files.items() if (lists := _lists(file, kiosks[name])) is not None}
        anchors = Anchors(kiosks=kiosks, cards=_certificates(self._cards), revoked=revoked)
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

    def _kiosk_files(self) -> dict[str, Path]:
        if self._kiosks.is_dir():
            return {file.stem: file for file in sorted(self._kiosks.glob("*.pem"))}
        return {"": self._kiosks}


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, *PARSE_ERRORS) as error:
        raise SetupIncomplete(f"{path}: no certificates (PEM) can be read") from error


def _lists(anchors: Path, certificates: Sequence[x509.Certificate]) -> RevocationLists | None:
    """The lists (PEM) in NAME.crl beside NAME.pem; None without such a file."""
    file = anchors.with_suffix(".crl")
    if not file.exists():
        return None
    try:
        return RevocationLists.parse(file.read_bytes(), anchors=TrustAnchors.of(certificates))
    except (OSError, CertsError) as error:
        raise SetupIncomplete(f"{file}: {error}") from error
