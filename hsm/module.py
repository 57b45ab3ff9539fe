"""A PKCS#11 module and the gate before it: calls may run side by side, re-initialisation runs alone.

After a token was lost, sessions only come again when the module is finalised and initialised, and no call may be inside
it meanwhile. Calls pass the gate with the generation their session belongs to; re-initialising raises the generation
and so makes every older session stale, whichever key store of this process holds it.

python-pkcs11 initialises a module without locking, so modules are always reached through p11-kit-proxy, which locks.
A module is a thing of the process: `module_at` gives the same one for the same path.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pkcs11

PROXY_NAME: Final = "p11-kit-proxy.so"
_PLACES: Final = (Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/local/lib"))


class Module:
    """One loaded module. `generation` counts initialisations."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.generation = 1
        self.opened: set[str] = set()
        """Labels of the tokens that stores of this process hold; a login is the process's, so one store a token."""
        self._library: Any = pkcs11.lib(path)
        self._gate = threading.Condition()
        self._inside = 0
        self._alone = False

    def enter(self, generation: int, until_s: float) -> bool:
        """Pass the gate; True obliges to `leave`. False: the session is of an older generation.

        Raises: TimeoutError when the gate stays closed until `until_s` of the monotonic clock.
        """
        with self._gate:
            while self._alone:
                if not self._gate.wait(until_s - time.monotonic()) and time.monotonic() >= until_s:
                    raise TimeoutError
            if generation != self.generation:
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """The call is out of the module."""
        with self._gate:
            self._inside -= 1
            if not self._inside:
                self._gate.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the gate closed, with no call inside. Waits as long as the slowest call takes."""
        with self._gate:
            while self._alone:
                self._gate.wait()
            self._alone = True  # from here on nobody enters, so those inside run out
            while self._inside:
                self._gate.wait()
        try:
            yield
        finally:
            with self._gate:
                self._alone = False
                self._gate.notify_all()

    def renew(self) -> None:
        """Finalise and initialise; only inside `alone`. Raises: pkcs11.PKCS11Error."""
        self.generation += 1
        with suppress(
            pkcs11.PKCS11Error
        ):  # a module that lost its token may refuse to finalise; it is initialised anew
            self._library.finalize()
        self._library.initialize()

    def token(self, label: str) -> Any:
        """The one token of a label; only inside `alone`. Raises: pkcs11.NoSuchToken, MultipleTokensReturned."""
        return self._library.get_token(token_label=label)


_modules: dict[str, Module] = {}
_modules_lock: Final = threading.Lock()


def module_at(path: str) -> Module:
    """The process's module of this path, loaded when first asked for. Raises: pkcs11.PKCS11Error, RuntimeError."""
    with _modules_lock:
        if path not in _modules:
            _modules[path] = Module(path)
        return _modules[path]


def find_proxy() -> Path | None:
    """Where the system keeps p11-kit-proxy, if it does."""
    for place in _PLACES:
        for found in (place / PROXY_NAME, *sorted(place.glob(f"*-linux-*/{PROXY_NAME}"))):
            if found.is_file():
                return found
    return None
