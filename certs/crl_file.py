"""The cards' revocation list in a file that is replaced now and then, read anew when it was.

Whether a list is fresh, and whose it is, is for whoever uses it to judge (certs.ocsp).
"""

from collections.abc import Callable
from pathlib import Path

from cryptography import x509


class CrlFile:
    """A revocation list (DER) by path. `unread` is told of a file that cannot be read, once until one can again."""

    def __init__(self, path: Path, *, unread: Callable[[Exception], object] = lambda _: None) -> None:
        self._path = path
        self._unread = unread
        self._seen: tuple[int, int] | None = None
        self._told = False
        self._list: x509.CertificateRevocationList | None = None

    def read(self) -> x509.CertificateRevocationList | None:
        """The list as it stands, parsed once; the last good one while the file is absent or spoilt, None before any.

        A list that is gone still proves what it holds: who is on it stays revoked.
        """
        try:
            stat = self._path.stat()
            seen = stat.st_ino, stat.st_mtime_ns
            if seen != self._seen:
                self._list = x509.load_der_x509_crl(self._path.read_bytes())
                self._seen = seen
            self._told = False
        except (OSError, ValueError) as error:
            if not self._told:
                self._unread(error)
            self._told = True
        return self._list
