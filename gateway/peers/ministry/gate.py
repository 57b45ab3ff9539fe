"""Signing in and sessions: who is at which terminal, and until when.

A session is of one user at one terminal: its token is worth nothing with another terminal's certificate, and one that
turns up there ends the session, for it was stolen. A user has one session. It locks after idle time, at its user's
wish, and ends at an absolute time, when the user loses standing (locked, no longer valid) or the terminal does.

Whenever a session locks or ends, what it holds is erased and the erasure recorded. Sessions live in memory: when the
server ends they are gone with everything shown. Deadlines are checked at every call and by `tick`, so neither a quiet
terminal nor a slow timer keeps anything on.

Source: 002 別2-2(4), (9)ウ; DOMAIN 2.5.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final, Protocol

import structlog
import trio

from gateway.peers.ministry import history, people
from gateway.peers.ministry.desk import Caller, Challenge, Event, Right, SessionView, SignedIn, Terminal
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.factors import (
    UNKNOWN_HASH,
    CodeDrifted,
    CodeRight,
    CodeUsed,
    judge_code,
    pin_is_right,
)
from gateway.peers.ministry.people import User
from gateway.peers.ministry.store import Store

log = structlog.get_logger()

CHALLENGE_US: Final = 180_000_000
CHALLENGES_MAX: Final = 256
PIN_CHECKS_MAX: Final = 2
"""PINs checked at once: each takes 64 MiB."""
REFUSALS_RECORDED_EVERY_US: Final = 600_000_000


class Holding(Protocol):
    """What a session holds of answers (gateway.peers.ministry.shown)."""

    def clear(self) -> list[str]:
        """Erase everything; the request ids of what was there."""

    def expire(self, now_us: int) -> list[str]:
        """Erase what is past its time; its request ids."""


class Session:
    """One session. Changed by Gate only, but for `holding`."""

    def __init__(self, user: User, terminal: Terminal, token_hash: bytes, now_us: int, holding: Holding) -> None:
        self.user = user
        self.terminal = terminal
        self.token_hash = token_hash
        self.began_us = now_us
        self.active_us = now_us
        self.locked = False
        self.csrf = secrets.token_urlsafe(24)
        self.holding = holding

    def require(self, right: Right) -> None:
        """Raises: RIGHT_MISSING."""
        if right not in self.user.rights:
            raise DeskRefused(Why.RIGHT_MISSING)


class _Challenge:
    def __init__(self, user: str, terminal: bytes, until_us: int) -> None:
        self.user = user
        self.terminal = terminal
        self.until_us = until_us


class Gate:
    """Sign-in, sessions and terminals over one store. `new_holding` makes what a new session holds answers in."""

    def __init__(self, store: Store, new_holding: Callable[[], Holding]) -> None:
        self._store = store
        self._new_holding = new_holding
        self._sessions: dict[bytes, Session] = {}
        self._challenges: dict[str, _Challenge] = {}
        self._pin_checks = trio.CapacityLimiter(PIN_CHECKS_MAX)
        self._refused_at: dict[bytes, int] = {}

    # --- terminals

    async def terminal(self, fingerprint: bytes) -> Terminal:
        """Desk.terminal."""
        return self._terminal(fingerprint)

    def _terminal(self, fingerprint: bytes) -> Terminal:
        terminal = people.find_terminal(self._store, fingerprint)
        now_us = self._store.now_us()
        why = people.terminal_objection(terminal, now_us)
        if terminal is not None and why is None:
            return terminal
        why = why or Why.TERMINAL_UNKNOWN
        for session in [each for each in self._sessions.values() if each.terminal.fingerprint == fingerprint]:
            self._end(session, Event.SESSION_END, why.value)
        last_us = self._refused_at.get(fingerprint)
        if last_us is None or now_us - last_us > REFUSALS_RECORDED_EVERY_US:  # a line a time, not a line a request
            if len(self._refused_at) >= CHALLENGES_MAX:
                self._refused_at.clear()
            self._refused_at[fingerprint] = now_us
            label = terminal.label if terminal is not None else fingerprint.hex()[:16]
            history.append(self._store, Event.TERMINAL_REFUSED, terminal=label, detail=why.value)
            log.warning("terminal_refused", reason=why.value)
        raise DeskRefused(why)

    # --- the two factors

    async def sign_in(self, terminal: bytes, user: str, pin: str) -> Challenge:
        """Desk.sign_in."""
        place = self._terminal(terminal)
        if not await self._pin_right(user, pin, place, Event.SIGN_IN_FAILED):
            raise DeskRefused(Why.SIGN_IN_FAILED, field="pin")
        found = self._standing(user, place, Event.SIGN_IN_FAILED)
        now_us = self._store.now_us()
        self._challenges = {key: each for key, each in self._challenges.items() if each.until_us > now_us}
        while len(self._challenges) >= CHALLENGES_MAX:
            del self._challenges[next(iter(self._challenges))]
        challenge, until_us = secrets.token_urlsafe(24), now_us + CHALLENGE_US
        self._challenges[challenge] = _Challenge(found.id, terminal, until_us)
        history.append(self._store, Event.SIGN_IN, user=found.id, terminal=place.label)
        return Challenge(id=challenge, until_us=until_us)

    async def second_factor(self, terminal: bytes, challenge: str, code: str) -> SignedIn:
        """Desk.second_factor."""
        place = self._terminal(terminal)
        now_us = self._store.now_us()
        asked = self._challenges.get(challenge)
        if asked is None or asked.terminal != terminal or asked.until_us <= now_us:
            raise DeskRefused(Why.CHALLENGE_OVER)
        user = self._begin_attempt(asked.user, place, Event.SECOND_FACTOR_FAILED)
        judged = judge_code(
            people.totp_secret(self._store, user),
            "".join(code.split()),
            now_us=now_us,
            last_step=user.totp_step,
        )
        if isinstance(judged, CodeRight) and people.use_step(self._store, user.id, judged.step):
            del self._challenges[challenge]
            people.all_right(self._store, user.id)
            return self._begin(user, place, now_us)
        drift_s = judged.drift_s if isinstance(judged, CodeDrifted) else None
        why = Why.CODE_WRONG if drift_s is None else Why.CLOCK_OFF
        if isinstance(judged, CodeUsed | CodeRight):
            why = Why.CODE_USED
        self._failed(user.id, place, Event.SECOND_FACTOR_FAILED, why.value)
        raise DeskRefused(why, field="code", drift_s=drift_s)

    async def _pin_right(self, user: str, pin: str, place: Terminal, failure: Event) -> bool:
        """Judge a PIN, counted; the right one's attempt is taken back. Raises: USER_LOCKED."""
        known = people.find_user(self._store, user) is not None
        counted = self._begin_attempt(user, place, failure) if known else None
        pin_hash = counted.pin_hash if counted is not None else UNKNOWN_HASH
        right = await trio.to_thread.run_sync(pin_is_right, pin_hash, pin, limiter=self._pin_checks)
        if counted is None:
            # What was typed may be anything, a PIN in the wrong field included: it is not written down.
            history.append(self._store, failure, terminal=place.label, detail="unknown-user")
            return False
        if right:
            people.take_back_attempt(self._store, user)
        else:
            self._failed(user, place, failure, "pin-wrong")
        return right

    def _begin_attempt(self, user: str, place: Terminal, failure: Event) -> User:
        """The user, with one more attempt counted before it is judged. Raises: USER_LOCKED and other objections."""
        with self._store.transaction():
            found = people.find_user(self._store, user)
            if found is None:
                raise DeskRefused(Why.CHALLENGE_OVER)
            if found.objection(self._store.now_us()) is not Why.USER_LOCKED:
                if found.failures < self._store.settings.failures_max:
                    people.begin_attempt(self._store, user)
                    return found
                # As many as are allowed are being judged right now, or the limit was lowered since.
                people.attempt_failed(self._store, user)
                found = people.find_user(self._store, user) or found
        history.append(self._store, failure, user=user, terminal=place.label, detail=Why.USER_LOCKED.value)
        raise DeskRefused(Why.USER_LOCKED, until_us=_until(found))

    def _failed(self, user: str, place: Terminal, event: Event, detail: str) -> None:
        """Record a failure. Raises: USER_LOCKED when it was one too many."""
        until_us = people.attempt_failed(self._store, user)
        history.append(self._store, event, user=user, terminal=place.label, detail=detail)
        if until_us is not None:
            history.append(self._store, Event.USER, user=user, terminal=place.label, detail="locked-by-failures")
            log.warning("user_locked", reason="failures")
            self.end_of_user(user, Why.USER_LOCKED.value)
            raise DeskRefused(Why.USER_LOCKED, until_us=until_us)

    def _standing(self, user: str, place: Terminal, failure: Event) -> User:
        found = people.find_user(self._store, user)
        why = found.objection(self._store.now_us()) if found is not None else Why.SIGN_IN_FAILED
        if found is None or why is not None:
            why = why or Why.SIGN_IN_FAILED
            history.append(self._store, failure, user=user, terminal=place.label, detail=why.value)
            raise DeskRefused(why, until_us=_until(found) if found is not None else None)
        return found

    # --- sessions

    def _begin(self, user: User, place: Terminal, now_us: int) -> SignedIn:
        self.end_of_user(user.id, "signed-in-again")
        token = secrets.token_urlsafe(32)
        session = Session(user, place, _hash(token), now_us, self._new_holding())
        self._sessions[session.token_hash] = session
        history.append(self._store, Event.SECOND_FACTOR, user=user.id, terminal=place.label)
        return SignedIn(token=token, session=self._view(session))

    def at(self, caller: Caller, *, touch: bool = True) -> Session:
        """The caller's unlocked session. Raises: SIGN_IN_NEEDED, SESSION_LOCKED, TERMINAL_LOST and the like."""
        session = self._found(caller)
        if session.locked:
            raise DeskRefused(Why.SESSION_LOCKED)
        if touch:
            session.active_us = self._store.now_us()
        return session

    def still(self, session: Session) -> None:
        """Hold that a session is there and unlocked after a wait. Raises: SIGN_IN_NEEDED, SESSION_LOCKED."""
        if session.token_hash in self._sessions:
            self._due(session, self._store.now_us())
        if session.token_hash not in self._sessions:
            raise DeskRefused(Why.SIGN_IN_NEEDED)
        if session.locked:
            raise DeskRefused(Why.SESSION_LOCKED)

    async def session(self, caller: Caller, *, touch: bool = False) -> SessionView:
        """Desk.session."""
        session = self._found(caller)
        if touch and not session.locked:
            session.active_us = self._store.now_us()
        return self._view(session)

    async def lock(self, caller: Caller) -> None:
        """Desk.lock."""
        session = self._found(caller)
        if not session.locked:
            self._lock(session, "user")

    async def unlock(self, caller: Caller, pin: str) -> SessionView:
        """Desk.unlock."""
        session = self._found(caller)
        if not await self._pin_right(session.user.id, pin, session.terminal, Event.UNLOCK_FAILED):
            raise DeskRefused(Why.PIN_WRONG, field="pin")
        session = self._found(caller)  # it may have ended while the PIN was judged
        session.locked = False
        session.active_us = self._store.now_us()
        history.append(self._store, Event.UNLOCK, user=session.user.id, terminal=session.terminal.label)
        return self._view(session)

    async def sign_out(self, caller: Caller) -> None:
        """Desk.sign_out."""
        session = self._sessions.get(_hash(caller.token))
        if session is not None and session.terminal.fingerprint == caller.terminal:
            self._end(session, Event.SIGN_OUT, "")

    def tick(self) -> None:
        """Do what is due: expire what is shown, lock idle sessions, end those whose time or standing is over."""
        now_us = self._store.now_us()
        for session in list(self._sessions.values()):
            self._due(session, now_us)

    def end_of_user(self, user: str, detail: str) -> None:
        """End the sessions of a user."""
        for session in [each for each in self._sessions.values() if each.user.id == user]:
            self._end(session, Event.SESSION_END, detail)

    def end_all(self, detail: str) -> None:
        """End every session."""
        for session in list(self._sessions.values()):
            self._end(session, Event.SESSION_END, detail)

    def record_erased(self, session: Session, request_ids: list[str], detail: str) -> None:
        """Write that answers were erased from memory, and why."""
        for request_id in request_ids:
            history.append(
                self._store,
                Event.ERASE,
                user=session.user.id,
                terminal=session.terminal.label,
                request_id=request_id,
                detail=detail,
            )

    def _found(self, caller: Caller) -> Session:
        self._terminal(caller.terminal)
        session = self._sessions.get(_hash(caller.token))
        if session is None:
            raise DeskRefused(Why.SIGN_IN_NEEDED)
        if session.terminal.fingerprint != caller.terminal:
            self._end(session, Event.SESSION_END, "token-at-other-terminal")
            log.warning("session_at_other_terminal")
            raise DeskRefused(Why.SIGN_IN_NEEDED)
        self._due(session, self._store.now_us())
        if session.token_hash not in self._sessions:
            raise DeskRefused(Why.SIGN_IN_NEEDED)
        return session

    def _due(self, session: Session, now_us: int) -> None:
        user = people.find_user(self._store, session.user.id)
        why = user.objection(now_us) if user is not None else Why.USER_NOT_VALID
        terminal = people.find_terminal(self._store, session.terminal.fingerprint)
        why = why or people.terminal_objection(terminal, now_us)
        if user is None or why is not None:
            self._end(session, Event.SESSION_END, (why or Why.USER_NOT_VALID).value)
            return
        session.user = user  # rights as they are now
        if now_us >= self._ends_us(session):
            self._end(session, Event.SESSION_END, "time")
        elif not session.locked and now_us >= self._idle_us(session):
            self._lock(session, "idle")
        else:
            self.record_erased(session, session.holding.expire(now_us), "time")

    def _lock(self, session: Session, detail: str) -> None:
        session.locked = True
        self.record_erased(session, session.holding.clear(), "lock")
        history.append(self._store, Event.LOCK, user=session.user.id, terminal=session.terminal.label, detail=detail)

    def _end(self, session: Session, event: Event, detail: str) -> None:
        if self._sessions.pop(session.token_hash, None) is None:
            return
        self.record_erased(session, session.holding.clear(), event.value)
        history.append(self._store, event, user=session.user.id, terminal=session.terminal.label, detail=detail)

    def _idle_us(self, session: Session) -> int:
        return session.active_us + self._store.settings.idle_lock_minutes * 60_000_000

    def _ends_us(self, session: Session) -> int:
        return session.began_us + self._store.settings.session_hours * 3_600_000_000

    def _view(self, session: Session) -> SessionView:
        return SessionView(
            user=session.user.id,
            staff=session.user.staff,
            rights=session.user.rights,
            terminal_label=session.terminal.label,
            locked=session.locked,
            idle_lock_us=self._idle_us(session),
            ends_us=self._ends_us(session),
            csrf=session.csrf,
        )


def _hash(token: str) -> bytes:
    """Sessions are found by their token's hash, so that a comparison's time tells nothing of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _until(user: User) -> int | None:
    return None if user.locked_until_us == people.FOR_EVER_US else user.locked_until_us
