"""The ops process's page for machines: one scrape endpoint, two health endpoints, one small status page.

A Quart-Trio application on Hypercorn's Trio worker; it runs under plain Trio and under Trio as a guest alike. It holds
no personal data and changes nothing. It listens on loopback unless told otherwise, as it has no authentication: who may
scrape from elsewhere is for the operator's network to say.

  /metrics       all processes' metrics, in the text form or as OpenMetrics, as the Accept header asks
  /health/live   200 while this process turns; a supervisor restarts it otherwise
  /health/ready  200 if every check holds, else 503; the body names each check
  /              the same for people, in Japanese and English
"""

import base64
import hashlib
import html
import logging
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

BIND_DEFAULT: Final = "127.0.0.1:9464"
GRACEFUL_TIMEOUT_S: Final = 3.0
_HEADERS_BYTES_MAX: Final = 16 << 10

_STYLE: Final = (
    "body{font:1rem/1.7 sans-serif;margin:2rem auto;max-width:40rem;padding:0 1rem;color:#1a1a1c;background:#fff}"
    "table{border-collapse:collapse}th,td{border:1px solid #757578;padding:.4rem .8rem;text-align:left}"
    "a{color:#0017c1}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold for work to be accepted: a fixed name, its words, and whether it holds."""

    name: str
    ja: str
    en: str
    ok: bool


def ops_app(
    *, render: Callable[[str], tuple[bytes, str]], live: Callable[[], bool], ready: Callable[[], list[Check]]
) -> QuartTrio:
    """The application.

    render: Exposition.render, called in a thread. live and ready: called for each request, so they must be quick and
    must not block; they read what the process knows already.
    """
    app = QuartTrio("sekisho-ops", static_folder=None)

    @app.get("/metrics")
    async def metrics() -> Response:
        body, content_type = await trio.to_thread.run_sync(render, request.headers.get("Accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    @app.get("/health/live")
    async def health_live() -> Response:
        alive = live()
        return _json({"live": alive}, 200 if alive else 503)

    @app.get("/health/ready")
    async def health_ready() -> Response:
        checks = ready()
        holds = all(check.ok for check in checks)
        return _json({"ready": holds, "checks": {check.name: check.ok for check in checks}}, 200 if holds else 503)

    @app.get("/")
    async def status() -> Response:
        return Response(_page(ready()), content_type="text/html; charset=utf-8")

    @app.after_request
    async def harden(response: Response) -> Response:
        response.headers.update(_SECURITY_HEADERS)
        return response

    return app


async def serve_ops(
    app: QuartTrio,
    *,
    bind: str = BIND_DEFAULT,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `shutdown` is set or the caller cancels; open requests then have GRACEFUL_TIMEOUT_S to end.

    bind: "host:port" (port 0 for any free one), "unix:path" or "fd://number" of a bound socket. task_status.started
    gets the addresses that listen, as "http://127.0.0.1:9464".
    Raises: OSError when the address cannot be bound.
    """
    config = Config()
    config.bind = [bind]
    config.accesslog = None  # paths and addresses of who looks are nobody's business
    config.errorlog = logging.getLogger("hypercorn.error")  # through our own logging, never straight to the terminal
    config.graceful_timeout = GRACEFUL_TIMEOUT_S
    config.h11_max_incomplete_size = _HEADERS_BYTES_MAX
    config.include_server_header = False
    await serve(app, config, shutdown_trigger=shutdown.wait if shutdown is not None else None, task_status=task_status)


def _json(value: Mapping[str, object], status: int) -> Response:
    return Response(msgspec.json.encode(value), status=status, content_type="application/json")


def _page(checks: list[Check]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{html.escape(check.ja)} <span lang="en">{html.escape(check.en)}</span></th>'
        f"<td>{'正常' if check.ok else '異常'} <span lang='en'>{'OK' if check.ok else 'not OK'}</span></td></tr>"
        for check in checks
    )
    verdict = "稼働中" if all(check.ok for check in checks) else "一部の機能が利用できません"
    verdict_en = "In service" if all(check.ok for check in checks) else "Not fully in service"
    return (
        '<!doctype html><html lang="ja"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>関所 稼働状況 | Sekisho status</title>'
        f'<style>{_STYLE}</style></head><body><main><h1>関所 稼働状況 <span lang="en">Sekisho status</span></h1>'
        f'<p role="status">{verdict} <span lang="en">{verdict_en}</span></p><table>'
        '<thead><tr><th scope="col">項目 <span lang="en">Item</span></th>'
        '<th scope="col">状態 <span lang="en">State</span></th></tr></thead>'
        f'<tbody>{rows}</tbody></table><p><a href="/metrics">計測値 <span lang="en">Metrics</span></a></p>'
        "</main></body></html>"
    )
