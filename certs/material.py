"""What an end needs for its lines, held as one value that is replaced whole.

`reload` reads every file anew and swaps only if all of it is good together; otherwise the old value stays and the
error names the file. New connections take the contexts of the moment; a line that stands keeps the one it began with
and goes on. Whether it still may is asked again with `verify_peer` on the certificate it showed.
"""

import ssl
import stat
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from certs.anchors import PARSE_ERRORS, TrustAnchors
from certs.contexts import LineFiles, client_context, read_bounded, server_context
from certs.errors import (
    AnchorsError,
    CertificateRefused,
    MaterialError,
    MaterialProblem,
    ProtocolNotAgreedError,
    Refusal,
    RevocationListError,
)
from certs.names import LineName
from certs.profiles import USAGE_OIDS, Usage
from certs.revocation import RevocationLists, require_fresh
from certs.verification import LineCertificate, verify_line_certificate
from protocol.limits import ALPN


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One reading of the files: our own certificate, found good, the contexts, and what peers are judged by."""

    own: LineCertificate
    server: ssl.SSLContext
    client: ssl.SSLContext
    client_by_host: ssl.SSLContext
    anchors: TrustAnchors
    revocation: RevocationLists

    @property
    def good_until(self) -> datetime:
        """UTC: from then on our own certificate, or a list by which some peer is judged, is of no use."""
        return min(self.own.good_until, self.revocation.next_update)

    @classmethod
    def read(cls, files: LineFiles, *, now: datetime) -> "Material":
        """Read and judge all files together. Raises: MaterialError naming the file."""
        before = {path: read_bounded(path) for path in (files.certificate, files.key, files.anchors, files.crls)}
        anchors = _anchors(files, before[files.anchors])
        revocation = _revocation(files, before[files.crls], anchors, now)
        own = _own(files, before[files.certificate], anchors, revocation, now)
        _require_guarded_key(files, before[files.key])
        material = cls(
            own=own,
            server=server_context(files),
            client=client_context(files),
            client_by_host=client_context(files, check_hostname=True),
            anchors=anchors,
            revocation=revocation,
        )
        # OpenSSL opens the files itself: what it loaded must be what was judged.
        for path, data in before.items():
            if read_bounded(path) != data:
                raise MaterialError(path, MaterialProblem.MISMATCH, "changed while it was being read; reload again")
        return material


class TlsMaterial:
    """The material in force. Use from one thread; `current` may be kept by whoever began with it."""

    def __init__(self, files: LineFiles, *, now: datetime) -> None:
        """Read the files for the first time. Raises: MaterialError naming the file."""
        self._files = files
        self._current = Material.read(files, now=now)

    @property
    def current(self) -> Material:
        """What a new connection uses."""
        return self._current

    def reload(self, *, now: datetime) -> Material:
        """Read everything anew and put it in force at once; on any error the old stays in force.

        Raises: MaterialError naming the file, also for a revocation list older than the one held (an old list put
        back would let in what was revoked since).
        """
        fresh = Material.read(self._files, now=now)
        issuer = fresh.revocation.older_than(self._current.revocation)
        if issuer is not None:
            raise MaterialError(
                self._files.crls, MaterialProblem.OLDER, f"the list of {issuer} is older than the one in force"
            )
        self._current = fresh
        return fresh

    def verify_peer(
        self,
        certificate: bytes | None,
        *,
        alpn: str | None,
        usage: Usage,
        now: datetime,
        expected: LineName | None = None,
    ) -> LineCertificate:
        """Judge the peer of a finished handshake by what is in force now.

        `certificate` is `getpeercert(binary_form=True)`, `alpn` is `selected_alpn_protocol()`, `usage` the end at
        which the peer stands, `expected` the line a dialling client wants to reach.
        Raises: ProtocolNotAgreedError; CertificateRefused, with WRONG_NAME when it is another line than expected, and
        with MALFORMED when there is none.
        """
        if alpn != ALPN:
            raise ProtocolNotAgreedError(alpn, ALPN)
        if not certificate:
            raise CertificateRefused(Refusal.MALFORMED, "the peer showed no certificate")
        found = verify_line_certificate(
            certificate,
            chain=(),
            anchors=self._current.anchors,
            revocation=self._current.revocation,
            usage=usage,
            now=now,
        )
        if expected is not None and found.name != expected:
            raise CertificateRefused(Refusal.WRONG_NAME, f"it names {found.name}, not {expected}")
        return found


def _anchors(files: LineFiles, data: bytes) -> TrustAnchors:
    try:
        return TrustAnchors.parse(data)
    except AnchorsError as error:
        raise MaterialError(files.anchors, MaterialProblem.MALFORMED, str(error)) from error


def _revocation(files: LineFiles, data: bytes, anchors: TrustAnchors, now: datetime) -> RevocationLists:
    """Lists that are stale now would refuse everybody: better to keep what there is, or not to start."""
    try:
        lists = RevocationLists.parse(data, anchors=anchors)
        for each in lists.by_issuer.values():
            require_fresh(each, now=now)
    except RevocationListError as error:
        raise MaterialError(files.crls, MaterialProblem.MALFORMED, str(error)) from error
    except CertificateRefused as error:
        raise MaterialError(files.crls, MaterialProblem.UNUSABLE, error.detail) from error
    return lists


def _own(
    files: LineFiles, data: bytes, anchors: TrustAnchors, revocation: RevocationLists, now: datetime
) -> LineCertificate:
    """Judge our own certificate as a peer will, at whichever end it may stand."""
    try:
        leaf, *sent = x509.load_pem_x509_certificates(data)
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, *PARSE_ERRORS) as error:
        raise MaterialError(files.certificate, MaterialProblem.MALFORMED, f"not a line certificate: {error}") from error
    usage: Usage = "server" if USAGE_OIDS["server"] in purposes else "client"
    try:
        return verify_line_certificate(
            leaf.public_bytes(Encoding.DER),
            chain=[each.public_bytes(Encoding.DER) for each in sent],
            anchors=anchors,
            revocation=revocation,
            usage=usage,
            now=now,
        )
    except CertificateRefused as error:
        raise MaterialError(files.certificate, MaterialProblem.UNUSABLE, str(error)) from error


def _require_guarded_key(files: LineFiles, data: bytes) -> None:
    if files.key.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise MaterialError(files.key, MaterialProblem.EXPOSED, "others may read or write this key; chmod 600")
    try:
        load_pem_private_key(data, password=None)
    except TypeError as error:
        raise MaterialError(files.key, MaterialProblem.MALFORMED, "the key is encrypted; give it in plain") from error
    except PARSE_ERRORS as error:
        raise MaterialError(files.key, MaterialProblem.MALFORMED, f"not a private key: {error}") from error
