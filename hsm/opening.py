"""From a URI to a key store: `software:PATH`, or `pkcs11:token=LABEL` with `;module-path=PATH` of p11-kit-proxy.

The module is always p11-kit-proxy (hsm.module says why): a device's own module is registered with p11-kit, and the
proxy shows its tokens. Without module-path the system's proxy is used.

Source: RFC 7512 gives the form of PKCS#11 URIs; of its attributes token and module-path are used (module is taken for
module-path), percent-encoding included.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from hsm.errors import HsmError, HsmUnavailable, PassphraseUnreadable
from hsm.interface import KeyStore
from hsm.module import PROXY_NAME, find_proxy
from hsm.software import SoftwareKeystore
from hsm.token import TokenKeystore


class UriInvalid(HsmError):  # noqa: N818 - named after the fact
    """Not a key store URI."""

    code = "uri-invalid"

    def __init__(self, uri: str, why: str) -> None:
        super().__init__(f"{uri!r}: {why}; write software:PATH or pkcs11:token=LABEL;module-path=PATH")
        self.uri = uri


class _Token(NamedTuple):
    label: str
    module_path: str


def open_keystore(uri: str, passphrase: Callable[[], str]) -> KeyStore:
    """Open the store of a URI; the passphrase (or PIN) is asked for once. Raises: HsmError."""
    place = _place(uri)
    if isinstance(place, Path):
        return SoftwareKeystore.open(place, passphrase())
    return TokenKeystore.open(place.module_path, place.label, passphrase())


def create_keystore(uri: str, passphrase: Callable[[], str], *, owner: str) -> KeyStore:
    """Make an empty store at a URI: a new file, or key records in an initialised token.

    Raises: StoreExists, HsmError.
    """
    place = _place(uri)
    if isinstance(place, Path):
        return SoftwareKeystore.create(place, passphrase(), owner=owner)
    return TokenKeystore.create(place.module_path, place.label, passphrase(), owner=owner)


def is_token(uri: str) -> bool:
    """Whether a URI names a token. Raises: UriInvalid, HsmUnavailable without a module."""
    return isinstance(_place(uri), _Token)


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


def _place(uri: str) -> Path | _Token:
    kind, _, rest = uri.partition(":")
    if kind == "software" and rest:
        return Path(rest)
    if kind != "pkcs11":
        raise UriInvalid(uri, "not a key store")
    given: dict[str, str] = {}
    for part in rest.split(";"):
        name, _, value = part.partition("=")
        name = "module-path" if name == "module" else name
        if name not in ("token", "module-path") or not value or name in given:
            raise UriInvalid(uri, f"{part!r} is not understood")
        given[name] = unquote(value)
    if "token" not in given:
        raise UriInvalid(uri, "it names no token")
    module = given.get("module-path")
    if module is not None and Path(module).name != PROXY_NAME:
        raise UriInvalid(uri, f"the module must be {PROXY_NAME}; register {Path(module).name} with p11-kit")
    if module is None:
        found = find_proxy()
        if found is None:
            raise HsmUnavailable(f"{PROXY_NAME} is not installed; install p11-kit's modules or give module-path")
        module = str(found)
    return _Token(given["token"], module)
