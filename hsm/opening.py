"""From a URI to a key store: `software:PATH`, or `pkcs11:token=LABEL;module=PATH`.

Source: RFC 7512 gives the form of PKCS#11 URIs; of its attributes token and module-path are used.
"""

from collections.abc import Callable
from pathlib import Path

from hsm.errors import HsmError, PassphraseUnreadable
from hsm.interface import KeyStore
from hsm.software import SoftwareKeystore


class UriInvalid(HsmError):  # noqa: N818 - named after the fact
    """Not a key store URI."""

    code = "uri-invalid"

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri!r} is not a key store: write software:PATH or pkcs11:token=LABEL;module-path=PATH")
        self.uri = uri


def open_keystore(uri: str, passphrase: Callable[[], str]) -> KeyStore:
    """Open the store of a URI; the passphrase (or PIN) is asked for once. Raises: HsmError."""
    kind, _, rest = uri.partition(":")
    if kind == "software" and rest:
        return SoftwareKeystore.open(Path(rest), passphrase())
    raise UriInvalid(uri)


def passphrase_from_file(path: Path) -> str:
    """The first line of a file that only its owner may read. Raises: PassphraseUnreadable."""
    try:
        if path.stat().st_mode & 0o077:
            raise PassphraseUnreadable(str(path), "others may read this passphrase; chmod 600")
        text = path.read_text(encoding="utf-8").split("\n", 1)[0]
    except (OSError, UnicodeDecodeError) as error:
        raise PassphraseUnreadable(str(path), "the passphrase cannot be read") from error
    if not text:
        raise PassphraseUnreadable(str(path), "the passphrase is empty")
    return text
