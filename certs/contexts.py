"""The TLS of a line: version 1.3 only, both sides authenticated, the line protocol by ALPN, no tickets.

OpenSSL checks the chain against the anchors in the handshake; names, usage, revocation and freshness are
`certs.verification`'s, asked right after it. Resumption is off because a resumed session would be let in on the word
of an earlier check.
Source: DESIGN 6; RFC 8446.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from certs.errors import MaterialError, MaterialProblem
from protocol.limits import ALPN

FILE_BYTES_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFiles:
    """Where the PEM files of one end lie: certificate (leaf first, then what is sent with it), its key, the anchors
    (roots and known intermediates) and the revocation lists.
    """

    certificate: Path
    key: Path
    anchors: Path
    crls: Path

    @classmethod
    def in_directory(cls, directory: Path) -> Self:
        """Take the names under which `sekisho pki issue` writes them."""
        return cls(
            certificate=directory / "certificate.pem",
            key=directory / "key.pem",
            anchors=directory / "anchors.pem",
            crls=directory / "crl.pem",
        )


def server_context(files: LineFiles) -> ssl.SSLContext:
    """Make the context of the end that listens; a client without a certificate is refused in the handshake.

    Raises: MaterialError naming the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    return _finished(context, files)


def client_context(files: LineFiles, *, check_hostname: bool = False) -> ssl.SSLContext:
    """Make the context of the end that dials; the server's chain is verified in either case.

    `check_hostname` asks OpenSSL to match the address too. Without it the caller must name the line it expects when
    it verifies the peer (`TlsMaterial.verify_peer`), or any line of the CA could answer.
    Raises: MaterialError naming the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_hostname
    context.verify_mode = ssl.CERT_REQUIRED
    return _finished(context, files)


def read_bounded(path: Path) -> bytes:
    """Read one file of material. Raises: MaterialError(UNREADABLE)."""
    try:
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise MaterialError(path, MaterialProblem.UNREADABLE, f"cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise MaterialError(path, MaterialProblem.UNREADABLE, f"more than {FILE_BYTES_MAX} bytes")
    return data


def _finished(context: ssl.SSLContext, files: LineFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.set_alpn_protocols([ALPN])
    anchors = read_bounded(files.anchors)
    try:
        context.load_verify_locations(cadata=anchors.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise MaterialError(files.anchors, MaterialProblem.MALFORMED, f"not trust anchors: {error}") from error
    for path in (files.certificate, files.key):
        read_bounded(path)
    try:
        # A password is given so that an encrypted key is an error and not a question on the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise MaterialError(
            files.key, MaterialProblem.MISMATCH, f"not the key of {files.certificate}, or one of them is malformed"
        ) from error
    return context
