"""Builders for the tests of certificates: an authority with the files of its lines, and a TLS pair in memory."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs import LINE, DevelopmentAuthority, Issued, LineFiles, LineName, Profile, RevocationLists, TrustAnchors

MINISTRY = LineName("ministry-1", "line-a")
CENTRE_INQUIRY = LineName("centre", "inquiry")


@dataclass(frozen=True)
class Site:
    """An authority and the directory its lines' files are put in."""

    authority: DevelopmentAuthority
    root: Path

    @classmethod
    def make(cls, root: Path, *, now: datetime, name: str = "Test Line CA", crl: bool = True) -> "Site":
        site = cls(DevelopmentAuthority.create(root / "ca", name=name, now=now), root)
        if crl:
            site.authority.write_crl(now=now)
        return site

    @property
    def anchors(self) -> TrustAnchors:
        return TrustAnchors.parse(self.authority.anchors_pem)

    @property
    def revocation(self) -> RevocationLists:
        return RevocationLists.parse(self.crl_pem, anchors=self.anchors)

    @property
    def crl_pem(self) -> bytes:
        return (self.authority.directory / "crl.pem").read_bytes()

    def files(self, issued: Issued, label: str) -> LineFiles:
        directory = self.root / label
        directory.mkdir(exist_ok=True)
        files = LineFiles.in_directory(directory)
        files.certificate.write_bytes(issued.certificate_pem)
        files.key.touch(mode=0o600)
        files.key.write_bytes(issued.key_pem)
        files.anchors.write_bytes(self.authority.anchors_pem)
        files.crls.write_bytes(self.crl_pem)
        return files

    def line(
        self, profile: Profile = LINE, name: LineName = MINISTRY, *, now: datetime, hosts=(), days=None, label=None
    ) -> LineFiles:
        issued = self.authority.issue(profile, name, now=now, hosts=hosts, days=days)
        return self.files(issued, label or f"{name.party}-{name.line}")


def leaf_der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)


class TlsPair:
    """A client and a server joined in memory."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext, *, server_hostname: str | None = None) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(to_client, to_server, server_hostname=server_hostname)
        self.server = server.wrap_bio(to_server, to_client, server_side=True)

    def handshake(self) -> None:
        """Finish the handshake on both sides, the client's certificate included; raise what either side raises."""
        waiting = [self.client, self.server]
        for _ in range(20):
            for end in list(waiting):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                waiting.remove(end)
            if not waiting:
                return
        raise AssertionError("the handshake does not end")

    def say(self, text: bytes) -> None:
        """Pass bytes both ways."""
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            assert sender.write(text) == len(text)
            assert receiver.read(len(text)) == text
