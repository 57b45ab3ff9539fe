"""Serving the terminals: Hypercorn on Trio, TLS 1.3, and a terminal's certificate before anything else.

Hypercorn hands an application no client certificate. Its server is therefore subclassed: once the handshake stands, the
SHA-256 of the certificate goes into the connection's state, from which scope["state"]["terminal"] is filled for every
request of that connection. The gatehouse then asks the desk at each request whether the terminal may come in: one that
is unknown, lost or past its date gets a page that says what to do, and nothing of the application but the files by
which pages are drawn.

Source: 002 別2-2(2), (4); RFC 8446.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.trio.tcp_server import TCPServer

from gateway.peers.ministry.credentials import fingerprint, server_context
from gateway.peers.ministry.desk import Desk
from gateway.peers.ministry.errors import DeskRefused
from gateway.peers.ministry.pages import ASSETS, HEADERS, turned_away

GRACEFUL_TIMEOUT_S: Final = 3.0
HEADERS_BYTES_MAX: Final = 16 << 10

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application: scope, receive, send."""

_HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
)


class TerminalConfig(Config):
    """Hypercorn's configuration with a TLS context of our own."""

    def __init__(self, directory: Path, bind: str) -> None:
        super().__init__()
        self.bind = [bind]
        self.certfile = str(directory / "server.pem")  # that there are such files makes Hypercorn listen with TLS
        self.keyfile = str(directory / "server.key")
        self.accesslog = None  # the operation history says who did what
        self.errorlog = logging.getLogger("hypercorn.error")
        self.graceful_timeout = GRACEFUL_TIMEOUT_S
        self.h11_max_incomplete_size = HEADERS_BYTES_MAX
        self.include_server_header = False
        self._context = server_context(directory)

    def create_ssl_context(self) -> ssl.SSLContext:
        """The context Hypercorn listens with."""
        return self._context


class _TerminalServer(TCPServer):
    """Puts the terminal's fingerprint into the connection's state; other servers' connections are left alone."""

    async def run(self) -> None:
        if isinstance(self.config, TerminalConfig):
            try:
                with trio.fail_after(self.config.ssl_handshake_timeout):
                    await self.stream.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                await trio.aclose_forcefully(self.stream.transport_stream)
                return
            der = self.stream.getpeercert(binary_form=True)
            self.state = {**self.state, "terminal": fingerprint(der) if der else b""}
        await super().run()


hypercorn.trio.run.TCPServer = _TerminalServer  # type: ignore[attr-defined]  # the only place where it can be set


class Gatehouse:
    """An ASGI application that lets registered terminals through to another."""

    def __init__(self, app: App, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI interface."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is no websocket behind here
            await send({"type": "websocket.close"})
            return
        if scope["path"] in ASSETS:  # the refusal's page is drawn with them
            await self._app(scope, receive, send)
            return
        try:
            await self._desk.terminal(scope["state"]["terminal"])
        except DeskRefused as refused:
            await send({"type": "http.response.start", "status": 403, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": turned_away(refused).encode()})
            return
        await self._app(scope, receive, send)


async def serve_terminals(
    app: App,
    desk: Desk,
    directory: Path,
    *,
    bind: str,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve terminals until `shutdown` is set or the caller cancels; open requests then have a few seconds.

    directory: of the credentials. bind: "host:port", port 0 for any. task_status.started gets the addresses.
    Raises: OSError when the address cannot be bound; SetupIncomplete.
    """
    await serve(
        Gatehouse(app, desk),
        TerminalConfig(directory, bind),
        shutdown_trigger=shutdown.wait if shutdown is not None else None,
        task_status=task_status,
    )
