"""The relay team's pages as an ASGI application, and their server: Hypercorn on Trio, on loopback unless told.

There is no sign-in: whoever reaches the page is on the relay's own machine (000別1-1(2): the DMZ has no route to it).
What is still kept out is another site in the same browser: a request must name this host, and a form must come from
this site. Nothing is loaded from elsewhere; every response bears HEADERS.

/metrics is for Prometheus.
"""

import ipaddress
import logging
import re
import time
from typing import Any, Final

import msgspec
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, abort, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from gateway.line.dial import LineClient, LineError
from gateway.peers.relay import notices, outbox, pages, registry, totals, worklist
from gateway.peers.relay.errors import NotResolvable, SetupIncomplete, StoreFailed
from gateway.peers.relay.serving import Running
from protocol import issuance
from protocol.certificates import Named
from protocol.messages import Operation, Request, encode

FORM_BYTES_MAX: Final = 16 << 10
HEADERS_BYTES_MAX: Final = 16 << 10
GRACEFUL_TIMEOUT_S: Final = 2.0
LINE_TEST_S_MAX: Final = 5.0
SHOWN_MAX: Final = 200
LANGUAGE_COOKIE: Final = "sekisho-relay-language"
_PERIOD: Final = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")
_APPLICATION: Final = re.compile(r"[0-9a-f]{32}")
_SAID: Final[dict[int, Named]] = {
    403: Named("この操作はこの画面からのみ行えます", "This is done from this page only"),
    404: Named("ページがありません", "No such page"),
    503: Named("いま記録できません。ディスクを確認してください", "Cannot be kept now; see the relay's disk"),
}


class _Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What the line test found: whether an answer came, after how many ms and with which outcome, or why none."""

    ok: bool
    ms: int = 0
    outcome: int = 0
    why: str = ""


def make_app(running: Running) -> QuartTrio:
    """The application over a relay that runs."""
    app = QuartTrio("sekisho-relay", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = FORM_BYTES_MAX
    reader = running.reader
    assets = {name: file.read_bytes() for name, file in pages.ASSETS.items()}

    def page(template: str, *, nav: str, status: int = 200, **values: Any) -> Response:
        body = pages.render(
            template,
            _language(),
            nav=nav,
            here=request.path,
            now_us=running.now_us(),
            operator=running.settings.operator,
            environment=running.settings.environment,
            **values,
        )
        return Response(body, status=status, content_type="text/html; charset=utf-8")

    def status_page(tested: _Tested | None) -> Response:
        states = registry.states(reader)
        return page(
            "status.html",
            nav="status",
            tested=tested,
            slots=len(running.line.open_slots),
            line_refused=running.line.refused,
            depth=outbox.depth(reader),
            in_doubt=len(running.watch.in_doubt()),
            refused=len(worklist.refused(reader)),
            notices=len(notices.unacknowledged(reader, limit=1000)),
            kiosks=len(states),
            connected=sum(one.connected_us is not None for one in states),
            in_use=sum(one.in_use for one in states),
            faulty=sum(bool(one.fault) for one in states),
        )

    @app.before_request
    async def guard() -> None:
        if request.method == "POST":
            await request.form  # read in any case: a body left behind would hold up the connection's next request
        if not _is_own_host(request.host, running.settings.page_host):
            abort(403)
        if request.method == "POST" and not _is_own_site():
            abort(403)

    @app.get("/static/<name>")
    async def asset(name: str) -> Response:
        if name not in assets:
            abort(404)
        return Response(assets[name], content_type="text/css; charset=utf-8")

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(running.metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/")
    async def status() -> Response:
        return status_page(None)

    @app.post("/line-test")
    async def line_test() -> Response:
        return status_page(await _test_line(running))

    @app.get("/worklist")
    async def work() -> Response:
        return page(
            "worklist.html",
            nav="worklist",
            items=running.watch.in_doubt()[:SHOWN_MAX],
            refused=worklist.refused(reader)[:SHOWN_MAX],
            done="done" in request.args,
        )

    def refund_page(application: str, *, wrong: NotResolvable | None, slip: str, ground: int) -> Response:
        before_us = running.now_us() + 1
        found = worklist.in_doubt(reader, before_us=before_us)
        item = next((one for one in found if one.application == application), None)
        if item is None:
            abort(404)
        status = 200 if wrong is None else 422
        return page("refund.html", nav="worklist", status=status, item=item, wrong=wrong, slip=slip[:60], ground=ground)

    @app.get("/worklist/<application>")
    async def refund(application: str) -> Response:
        return refund_page(application, wrong=None, slip="", ground=0)

    @app.post("/worklist/<application>")
    async def confirm_refund(application: str) -> Response:
        if not _APPLICATION.fullmatch(application):
            abort(404)
        form = await request.form
        slip = form.get("slip", "").strip()
        said = form.get("ground", "")
        ground = int(said) if said in {str(int(known)) for known in pages.GROUNDS} else 0
        request_id, now_us = LineClient.new_id(), running.now_us()
        try:
            await running.writer(
                lambda store: worklist.confirm_refund(
                    store, bytes.fromhex(application), ground=ground, slip=slip, request_id=request_id, now_us=now_us
                )
            )
        except NotResolvable as wrong:
            return refund_page(application, wrong=wrong, slip=slip, ground=ground)
        running.courier.wake()
        return _to("/worklist?done")

    @app.post("/refused/<int:number>")
    async def close_refused(number: int) -> Response:
        form = await request.form
        by, now_us = form.get("by", "").strip(), running.now_us()
        try:
            await running.writer(lambda store: worklist.close_refused(store, number, by=by, now_us=now_us))
        except NotResolvable as wrong:
            return page("error.html", nav="worklist", status=422, said=Named(wrong.ja, wrong.en))
        return _to("/worklist?done")

    @app.get("/kiosks")
    async def kiosks() -> Response:
        states = registry.states(reader)
        shown = sorted(states, key=lambda one: (not one.fault, one.connected_us is not None, one.store, one.kiosk))
        return page("kiosks.html", nav="kiosks", kiosks=shown[:SHOWN_MAX], total=len(states))

    @app.get("/notices")
    async def notice_list() -> Response:
        found = notices.unacknowledged(reader, limit=SHOWN_MAX)
        return page("notices.html", nav="notices", notices=found, words=notices.WORDS)

    @app.post("/notices/<int:number>")
    async def acknowledge(number: int) -> Response:
        now_us = running.now_us()
        await running.writer(lambda store: notices.acknowledge(store, number, by="page", now_us=now_us))
        return _to("/notices")

    @app.get("/report")
    async def report() -> Response:
        period = request.args.get("period", "")
        if not _PERIOD.fullmatch(period):
            period = worklist.business_day(running.now_us())[:7]
        found = totals.totals(reader, period)
        copies, yen = sum(one.copies for one in found), sum(one.yen for one in found)
        return page("report.html", nav="report", period=period, lines=found[:SHOWN_MAX], copies=copies, yen=yen)

    @app.get("/report/<name>")
    async def report_file(name: str) -> Response:
        period, _, suffix = name.rpartition(".")
        if not _PERIOD.fullmatch(period) or suffix not in ("csv", "json"):
            abort(404)
        found = totals.totals(reader, period)
        if suffix == "csv":
            response = Response(totals.as_csv(found).encode(), content_type="text/csv; charset=utf-8")
        else:
            operator = running.settings.operator
            made = totals.as_json(found, operator=operator, period=period, made_us=running.now_us())
            response = Response(made, content_type="application/json")
        response.headers["Content-Disposition"] = f'attachment; filename="{period}.{suffix}"'
        return response

    @app.post("/language")
    async def choose_language() -> Response:
        form = await request.form
        back = form.get("back", "/")
        response = _to(back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/")
        chosen = "en" if form.get("language") == "en" else "ja"
        response.set_cookie(LANGUAGE_COOKIE, chosen, path="/", httponly=True, samesite="Strict")
        return response

    @app.errorhandler(HTTPException)
    async def no_such_page(error: HTTPException) -> Response:
        code = error.code or 500
        return page("error.html", nav="", status=code, said=_SAID.get(code, _SAID[404]))

    @app.errorhandler(StoreFailed)
    async def not_kept(_: StoreFailed) -> Response:
        return page("error.html", nav="", status=503, said=_SAID[503])

    @app.after_request
    async def harden(response: Response) -> Response:
        response.headers.update(pages.HEADERS)
        return response

    return app


async def _test_line(running: Running) -> _Tested:
    """A CHALLENGE and back: it writes nothing at the centre, and passes everything a kiosk's call passes."""
    known = registry.states(running.reader)
    body = encode(issuance.Challenge(known[0].kiosk if known else "relay"))
    began = time.monotonic()
    try:
        with trio.fail_after(LINE_TEST_S_MAX):
            result = await running.line.ask_once(
                Request(LineClient.new_id(), Operation.CHALLENGE, int(LINE_TEST_S_MAX * 1000), body)
            )
    except (LineError, trio.TooSlowError) as error:
        return _Tested(ok=False, why=running.line.refused or type(error).__name__)
    return _Tested(ok=True, ms=round((time.monotonic() - began) * 1000), outcome=result.outcome)


def _language() -> pages.Language:
    return "en" if request.cookies.get(LANGUAGE_COOKIE) == "en" else "ja"


def _to(place: str) -> Response:
    return Response("", status=303, headers={"Location": place})


def _is_own_host(host: str, page_host: str) -> bool:
    """Whether a Host header names this machine: loopback, or the address the page was told to listen at."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]")
    if name in ("localhost", page_host.strip("[]")):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_own_site() -> bool:
    """Whether a form was sent from this site: the browser says where a request comes from."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    own = request.host_url.rstrip("/")
    return request.headers.get("Origin", own) == own


async def serve_page(
    running: Running, host: str, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; task_status.started gets the port.

    Raises: SetupIncomplete when the address cannot be bound.
    """
    config = Config()
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = GRACEFUL_TIMEOUT_S
    config.h11_max_incomplete_size = HEADERS_BYTES_MAX
    config.include_server_header = False
    app = make_app(running)
    async with trio.open_nursery() as nursery:
        try:
            bound: list[str] = await nursery.start(lambda task_status: serve(app, config, task_status=task_status))
        except* OSError as errors:
            raise SetupIncomplete(f"cannot listen at {config.bind[0]}; choose another page port") from errors
        task_status.started(int(bound[0].rsplit(":", 1)[1]))
