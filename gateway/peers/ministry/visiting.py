"""One request of a terminal: who it is, in which language, whether its form is its own.

The terminal's certificate comes from the connection's state, the session's token from a cookie that only this
site's own requests carry. A form that changes something brings the session's CSRF value; before there is a session,
and beside it, the browser's own word that the request comes from this site is required (Sec-Fetch-Site, else Origin).

What is remembered between requests lives in memory, a bounded entry a session: the work chosen, and which forms were
answered already, so that a form sent twice is asked once. No question and no answer is kept here.
"""

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
import trio
from quart import Response, abort, request

from gateway.peers.ministry.desk import AffairChoice, Caller, Choice, Desk, Right, SessionView, Status
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.forms import Work
from gateway.peers.ministry.pages import render
from gateway.peers.ministry.texts import LANGUAGES, Language

SESSION_COOKIE: Final = "__Host-sekisho-session"
CHALLENGE_COOKIE: Final = "__Host-sekisho-challenge"
LANGUAGE_COOKIE: Final = "__Host-sekisho-language"
SESSIONS_MAX: Final = 1024
ANSWERED_MAX: Final = 64
FORM_ID_CHARS_MAX: Final = 64


class Done(NamedTuple):
    """What became of a form: the page its result is on, and whether sending it again could change nothing."""

    place: str
    settled: bool = True


class _Memory:
    """What one session left: its work, and form id to the page its answer is on (or an event until it is known)."""

    def __init__(self) -> None:
        self.work: Work | None = None
        self.answered: OrderedDict[str, str | trio.Event] = OrderedDict()


class Visit(msgspec.Struct, kw_only=True):
    """A request of a signed-in user whose screen is not locked."""

    caller: Caller
    session: SessionView
    lang: Language
    memory: _Memory

    def may(self, right: Right) -> bool:
        """Whether the user has the right."""
        return right in self.session.rights


class Reception:
    """Receives requests for a desk. `now_us` is the server's clock, microseconds since 1970."""

    def __init__(self, desk: Desk, *, now_us: Callable[[], int]) -> None:
        self.desk = desk
        self.now_us = now_us
        self._memories: OrderedDict[str, _Memory] = OrderedDict()

    async def enter(self, right: Right | None = None, *, locked: bool = False) -> Visit:
        """The visit of this request; it defers the idle lock unless the screen is locked.

        Raises: DeskRefused: SIGN_IN_NEEDED, SESSION_LOCKED (unless `locked`), RIGHT_MISSING.
        """
        caller = Caller(terminal(), request.cookies.get(SESSION_COOKIE, ""))
        session = await self.desk.session(caller, touch=not locked)
        if session.locked and not locked:
            raise DeskRefused(Why.SESSION_LOCKED)
        if right is not None and right not in session.rights:
            raise DeskRefused(Why.RIGHT_MISSING)
        return Visit(caller=caller, session=session, lang=language(), memory=self._memory(caller.token))

    async def enter_with_form(
        self, right: Right | None = None, *, locked: bool = False
    ) -> tuple[Visit, dict[str, str]]:
        """As enter, for a form; answers 403 when it is not this session's own."""
        own_site_only()
        visit = await self.enter(right, locked=locked)
        form = (await request.form).to_dict()
        brought = form.get("csrf", "") or request.headers.get("X-Csrf", "")
        if not hmac.compare_digest(brought.encode(), visit.session.csrf.encode()):
            abort(403)
        return visit, form

    async def page(self, visit: Visit, template: str, /, *, status: int = 200, **values: Any) -> Response:
        """A page in the frame of a signed-in user."""
        waiting = 0
        if visit.may(Right.APPROVE) and not visit.session.locked:
            waiting = len((await self.desk.inbox(visit.caller)).to_decide)
        now = self.now_us()
        body = render(
            template,
            visit.lang,
            session=visit.session,
            status=self.desk.status(),
            work=self.said_work(visit.memory.work),
            waiting=waiting,
            lock_ms=max(0, min(visit.session.idle_lock_us, visit.session.ends_us) - now) // 1000,
            here=request.path if request.method == "GET" else "/",
            now_us=now,
            **values,
        )
        return made(body, status)

    def open_page(self, template: str, /, *, status: int = 200, **values: Any) -> Response:
        """A page for nobody in particular: signing in, and refusals before it."""
        known: Status = self.desk.status()
        body = render(
            template, language(), session=None, status=known, work=None, waiting=0, lock_ms=0, here=request.path,
            nav="", now_us=self.now_us(), **values,
        )  # fmt: skip
        return made(body, status)

    def said_work(self, work: Work | None) -> tuple[AffairChoice, Choice, str] | None:
        """The affair, the step and the case reference of some work, with their words."""
        return None if work is None else (*self.said_pair(work.affair, work.step), work.case)

    def said_pair(self, affair: str, step: int) -> tuple[AffairChoice, Choice]:
        """An affair and its step with their words. Both are the desk's own."""
        choice = next(choice for choice in self.desk.affairs() if choice.id == affair)
        return choice, next(s for s in choice.steps if s.number == step)

    async def once(self, visit: Visit, form_id: str, act: Callable[[], Awaitable[Done]]) -> str:
        """Do what a form asks one time: the page its result is on, also when the form is sent again.

        A copy that comes while the first is under way waits for it. When the first fails or is not settled, the form
        may be sent again. Answers 403 to a form without an id of its own.
        """
        if not 0 < len(form_id) <= FORM_ID_CHARS_MAX:
            abort(403)
        answered = visit.memory.answered
        while isinstance(earlier := answered.get(form_id), trio.Event):
            await earlier.wait()
        if earlier is not None:
            return earlier
        under_way = answered[form_id] = trio.Event()
        try:
            done = await act()
            answered[form_id] = done.place
        except BaseException:
            answered.pop(form_id, None)
            raise
        finally:
            under_way.set()
        if not done.settled:
            answered.pop(form_id, None)
        while len(answered) > ANSWERED_MAX:
            answered.popitem(last=False)
        return done.place

    def forget(self, visit: Visit) -> None:
        """The session is over."""
        self._memories.pop(visit.caller.token, None)

    def _memory(self, token: str) -> _Memory:
        memory = self._memories.setdefault(token, _Memory())
        self._memories.move_to_end(token)
        while len(self._memories) > SESSIONS_MAX:
            self._memories.popitem(last=False)
        return memory


def terminal() -> bytes:
    """SHA-256 of the terminal's certificate, which the server put into the connection's state."""
    fingerprint: bytes = request.scope["state"]["terminal"]
    return fingerprint


def language() -> Language:
    """The language this terminal chose; Japanese without a choice."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "ja")
    return "en" if chosen == "en" else LANGUAGES[0]


def own_site_only() -> None:
    """Answers 403 to what another site's page sent: the browser says where a request comes from."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            abort(403)
    elif request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
        abort(403)


def set_cookie(response: Response, name: str, value: str) -> None:
    """A cookie of this host alone, for this browser session, out of reach of scripts and other sites."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Strict")


def drop_cookie(response: Response, name: str) -> None:
    """Let the browser forget a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")


def to(place: str) -> Response:
    """Go on to another page, by GET: a reload there repeats nothing."""
    return Response("", status=303, headers={"Location": place})


def made(body: str, status: int) -> Response:
    """A response with an HTML body."""
    return Response(body, status=status, content_type="text/html; charset=utf-8")
