"""A bounded pool of sessions with one token, which heals itself.

One session logs in and stays (closing it would log all out); the others serve calls, one call each at a time. When a
call fails as a device fails, every session of that generation is given up, and a thread of the pool's own rebuilds them
behind the module's gate; callers wait for it and try again until their deadline, so a lost token costs time, not
signatures. Rebuilding in its own thread means that no caller, however it ends, leaves the pool half-built.

    whole --(a call fails, or a session is stale)--> lost --(rebuilt)--> whole
    lost --(the PIN is refused)--> dead: a token locks after few wrong PINs, so it is not tried again

Invariants kept here: at most `size` calls at once; generations only rise; a session of an older generation is never
used. The PIN stays in memory for as long as the pool, since a rebuilt session needs it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import pkcs11

from hsm.errors import HsmError, HsmUnavailable, PassphraseWrong, StoreAbsent
from hsm.module import Module

SESSIONS_MAX: Final = 4
DEADLINE_MS: Final = 2_000
"""A call that could not be made for so long raises HsmUnavailable."""
RETRY_MS_MIN: Final = 20
RETRY_MS_MAX: Final = 500

T = TypeVar("T")
PIN_ERRORS: Final = (pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.PinInvalid, pkcs11.PinLenRange)


class Place:
    """One session and the objects found in it, by class and key id."""

    __slots__ = ("_found", "generation", "session")

    def __init__(self, session: Any, generation: int) -> None:
        self.session = session
        self.generation = generation
        self._found: dict[tuple[int, str], Any] = {}

    def key(self, kind: pkcs11.ObjectClass, key_id: str) -> Any:
        """The key object. Raises: pkcs11.NoSuchKey."""
        name = (int(kind), key_id)
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = find_key(self.session, kind, key_id)
        return found


def find_key(session: Any, kind: pkcs11.ObjectClass, key_id: str) -> Any:
    """The one key of a class and id. Raises: pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned."""
    objects = list(session.get_objects({pkcs11.Attribute.CLASS: kind, pkcs11.Attribute.ID: key_id.encode()}))
    if not objects:
        raise pkcs11.NoSuchKey(key_id)
    if len(objects) > 1:
        raise pkcs11.MultipleObjectsReturned(key_id)
    return objects[0]


class SessionPool:
    """Sessions with the token `label`. `load` reads the token through the login session at each (re)build.

    Raises on construction: PassphraseWrong; StoreAbsent without such a token; HsmUnavailable; what `load` raises.
    """

    def __init__(
        self,
        module: Module,
        label: str,
        pin: str,
        load: Callable[[Any], None],
        *,
        size: int = SESSIONS_MAX,
        deadline_ms: int = DEADLINE_MS,
    ) -> None:
        self.rebuilds = 0
        self.reason = ""
        self._module = module
        self._label = label
        self._pin = pin
        self._load = load
        self._size = size
        self._deadline_s = deadline_ms / 1000
        lock = threading.RLock()
        self._state = threading.Condition(lock)  # callers wait here for a session
        self._trouble = threading.Condition(lock)  # the healing thread waits here, so no caller's wake-up goes to it
        self._changing = threading.Lock()
        self._free: list[Place] = []
        self._all: list[Place] = []
        self._login: Place | None = None
        self._generation = 0
        self._lost = False
        self._dead = False
        self._closed = False
        self._first_build()
        self._thread = threading.Thread(target=self._heal, name=f"hsm-{label}", daemon=True)
        self._thread.start()

    @property
    def available(self) -> bool:
        """Whether calls can be made now."""
        return not (self._lost or self._dead or self._closed)

    def run(self, work: Callable[[Place], T]) -> T:
        """Do one call in a session of the pool, again after healing if the device failed under it.

        `work` must be harmless to repeat; an HsmError it raises is its result. Raises: HsmUnavailable at the deadline.
        """
        until_s = time.monotonic() + self._deadline_s
        while True:
            place = self._take(until_s)
            try:
                if not self._enter(place, until_s):
                    continue
                try:
                    result = work(place)
                finally:
                    self._module.leave()
            except pkcs11.PKCS11Error as error:
                self._lose(place.generation, type(error).__name__)
                continue
            except BaseException:
                self._give(place)
                raise
            self._give(place)
            return result

    def change(self, work: Callable[[Any], T]) -> T:
        """Do something once in the login session, one at a time; a device failure is the caller's to judge.

        Raises: HsmUnavailable when the device fails before or during it; HsmError of `work`.
        """
        until_s = time.monotonic() + self._deadline_s
        with self._changing:
            while True:
                place = self._login_place(until_s)
                if self._enter(place, until_s):
                    break
            try:
                return work(place.session)
            except pkcs11.PKCS11Error as error:
                self._lose(place.generation, type(error).__name__)
                raise HsmUnavailable(f"the token failed during a change ({type(error).__name__})") from error
            finally:
                self._module.leave()

    def close(self) -> None:
        """Close the sessions and log out; calls raise HsmUnavailable from now on."""
        with self._state:
            if self._closed:
                return
            self._closed = True
            self._state.notify_all()
            self._trouble.notify_all()
        self._thread.join()
        with self._module.alone():
            for place in self._all:  # the login session is the last
                if place.generation == self._module.generation:
                    with suppress(pkcs11.PKCS11Error):  # the token may be gone; its sessions are gone with it
                        place.session.close()
            self._free.clear()
            self._login = None
        self._module.opened.discard(self._label)

    def _enter(self, place: Place, until_s: float) -> bool:
        try:
            entered = self._module.enter(place.generation, until_s)
        except TimeoutError:
            raise HsmUnavailable("the token is being opened again") from None
        if not entered:
            self._lose(place.generation, "another token of this module was opened again")
        return entered

    def _take(self, until_s: float) -> Place:
        with self._state:
            self._wait(lambda: bool(self._free), until_s)
            return self._free.pop()

    def _login_place(self, until_s: float) -> Place:
        with self._state:
            self._wait(lambda: not self._lost and self._login is not None, until_s)
            if self._login is None:
                raise HsmUnavailable("closed")
            return self._login

    def _wait(self, ready: Callable[[], bool], until_s: float) -> None:
        while not ready() or self._closed or self._dead:
            if self._closed:
                raise HsmUnavailable("the key store is closed")
            left_s = until_s - time.monotonic()
            if self._dead or left_s <= 0:
                raise HsmUnavailable(self.reason or "all its sessions are busy")
            self._state.wait(left_s)

    def _give(self, place: Place) -> None:
        with self._state:
            if place.generation == self._generation and not self._lost and not self._closed:
                self._free.append(place)
                self._state.notify()

    def _lose(self, generation: int, reason: str) -> None:
        with self._state:
            if generation == self._generation and not self._lost:
                self._lost = True
                self.reason = f"token {self._label}: {reason}"
                self._free.clear()
                self._trouble.notify_all()

    def _heal(self) -> None:
        """The pool's thread: rebuild whenever sessions are lost, at growing intervals while that fails."""
        retry_ms = RETRY_MS_MIN
        while True:
            with self._state:
                while not self._lost and not self._closed:
                    self._trouble.wait()
                if self._closed:
                    return
            try:
                with self._module.alone():
                    self._build(renew=self._module.generation == self._generation)
                retry_ms = RETRY_MS_MIN
            except PIN_ERRORS as error:
                self._die(f"token {self._label} no longer takes the PIN ({type(error).__name__}); open it again")
                return
            except (pkcs11.PKCS11Error, HsmError) as error:
                with self._state:
                    self.reason = f"token {self._label}: {error or type(error).__name__}"
                    if not self._closed:
                        self._trouble.wait(retry_ms / 1000)
                retry_ms = min(retry_ms * 2, RETRY_MS_MAX)

    def _die(self, reason: str) -> None:
        with self._state:
            self._dead = True
            self.reason = reason
            self._state.notify_all()

    def _first_build(self) -> None:
        with self._module.alone():
            if self._label in self._module.opened:
                raise HsmUnavailable(f"token {self._label} is open in this process already")
            try:
                try:
                    self._build(renew=False)
                except PIN_ERRORS:
                    raise
                except pkcs11.PKCS11Error:
                    self._build(renew=True)  # a token that came after the module was initialised is not listed yet
            except PIN_ERRORS as error:
                raise PassphraseWrong(f"token {self._label} ({type(error).__name__})") from error
            except pkcs11.NoSuchToken as error:
                raise StoreAbsent(f"token {self._label}") from error
            except pkcs11.PKCS11Error as error:
                raise HsmUnavailable(f"token {self._label}: {error or type(error).__name__}") from error
            self._module.opened.add(self._label)

    def _build(self, *, renew: bool) -> None:
        """Open all sessions; inside Module.alone."""
        if renew:
            self._module.renew()
        generation = self._module.generation
        with self._state:
            self._generation = generation  # should the rest fail, the next attempt renews
        token = self._module.token(self._label)
        login = token.open(rw=True, user_pin=self._pin)
        try:
            self._load(login)
            free = [Place(token.open(), generation) for _ in range(self._size)]
        except HsmError:
            login.close()
            raise
        with self._state:
            self.rebuilds += 1 if self._login is not None else 0
            self._login = Place(login, generation)
            self._all = [*free, self._login]
            self._free = free
            self._lost = False
            self.reason = ""
            self._state.notify_all()
