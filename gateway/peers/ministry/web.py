"""The terminals' pages as one ASGI application over a desk.

Routes are thin: read the form, ask the desk, show or go on. Every page that changes something is a POST with the
session's CSRF value, and its result is another page, so a reload repeats nothing. Every response has the headers of
gateway.peers.ministry.pages.HEADERS; nothing is cached, and nothing is loaded from anywhere else.

The server puts the SHA-256 of the terminal's certificate into scope["state"]["terminal"] and lets registered terminals
through only.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from quart import Response, abort, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from gateway.peers.ministry import pages_approvals, pages_asking, pages_records, pages_sign_in
from gateway.peers.ministry.desk import Desk
from gateway.peers.ministry.errors import SIGN_IN_AGAIN, TERMINAL_REFUSED, DeskRefused, Why
from gateway.peers.ministry.pages import ADVICE, ASSETS, HEADERS
from gateway.peers.ministry.texts import LANGUAGES
from gateway.peers.ministry.visiting import (
    LANGUAGE_COOKIE,
    Reception,
    own_site_only,
    set_cookie,
    to,
)

log = structlog.get_logger()

UPLOAD_BYTES_MAX: Final = 256 << 10
"""A form with a receipt file; so small that it is never spooled to a disk while it is read."""


def _now_us() -> int:
    return time.time_ns() // 1000


def make_app(desk: Desk, *, now_us: Callable[[], int] = _now_us) -> QuartTrio:
    """The application. `now_us` is the clock by which times left are shown; the desk keeps its own."""
    app = QuartTrio("sekisho-ministry", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = UPLOAD_BYTES_MAX
    reception = Reception(desk, now_us=now_us)
    for part in (pages_sign_in, pages_asking, pages_approvals, pages_records):
        app.register_blueprint(part.routes(reception))

    files = {path: Path(__file__).with_name("static").joinpath(path.removeprefix("/static/")) for path in ASSETS}
    assets = {path: file.read_bytes() for path, file in files.items()}

    @app.get("/static/<path:name>")
    async def asset(name: str) -> Response:
        path = f"/static/{name}"
        if path not in assets:
            abort(404)
        return Response(assets[path], content_type=ASSETS[path])

    @app.get("/")
    async def start() -> Response:
        await reception.enter()
        return to("/search/name")

    @app.post("/language")
    async def choose_language() -> Response:
        own_site_only()
        form = await request.form
        back = form.get("back", "/")
        response = to(back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/")
        chosen = form.get("language", "")
        set_cookie(response, LANGUAGE_COOKIE, chosen if chosen in LANGUAGES else LANGUAGES[0])
        return response

    @app.errorhandler(DeskRefused)
    async def refused(error: DeskRefused) -> Response:
        if error.why is Why.SESSION_LOCKED:
            return to("/unlock")
        if error.why in SIGN_IN_AGAIN:
            return to(f"/sign-in?why={error.why}")
        status = 403 if error.why in TERMINAL_REFUSED else 409
        words = {"refused": error, "words": error.words, "advice": ADVICE}
        try:
            visit = await reception.enter()
        except DeskRefused:  # nobody is signed in (any more), or the terminal itself is refused
            return reception.open_page("refused.html", status=status, **words)
        return await reception.page(visit, "refused.html", status=status, nav="", **words)

    @app.errorhandler(HTTPException)
    async def no_such_page(error: HTTPException) -> Response:
        code = error.code or 500
        key = f"error.{code}" if code in (403, 404, 405, 413) else "error.500"
        return reception.open_page("error.html", status=code, key=key)

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.error("page_failed", reason=type(error).__name__)  # its text may hold what was typed
        return reception.open_page("error.html", status=500, key="error.500")

    @app.after_request
    async def harden(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    return app
