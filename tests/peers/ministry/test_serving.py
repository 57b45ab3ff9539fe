"""Over real TLS only registered terminals reach the application; the others read what to do."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from gateway.peers.ministry import people
from gateway.peers.ministry.credentials import issue_terminal, make_authority
from gateway.peers.ministry.desk import Event, Terminal
from gateway.peers.ministry.serving import serve_terminals
from gateway.peers.ministry.web import make_app
from tests.kit import lines
from tests.peers.ministry.kit import Place

pytestmark = pytest.mark.trio
NOW = datetime.fromtimestamp(lines.NOW_US / 1e6, UTC)
PASSWORD = "synthetic"


class Door:
    """A server with its authority."""

    def __init__(self, place: Place, directory: Path, port: int) -> None:
        self.place = place
        self.directory = directory
        self.port = port

    def terminal(self, label: str, *, now: datetime = NOW, registered: bool = True) -> ssl.SSLContext:
        """A terminal's TLS with a new certificate."""
        made = issue_terminal(
            self.directory, self.directory / f"{label}.p12", label=label, password=PASSWORD, now=now, days=365
        )
        if registered:
            people.add_terminal(self.place.store, made)
        return client(self.directory, self.directory / f"{label}.p12")

    async def get(self, context: ssl.SSLContext, path: str = "/sign-in") -> str:
        """One HTTP/1.1 request; the response's text."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        tls = trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)
        try:
            await tls.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b"".join([chunk async for chunk in tls]).decode()
        finally:
            await trio.aclose_forcefully(stream)


def client(directory: Path, packed: Path | None) -> ssl.SSLContext:
    """A browser's context: trusts the authority, shows the certificate of a PKCS#12 file."""
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    if packed is not None:
        key, certificate, _ = pkcs12.load_key_and_certificates(packed.read_bytes(), PASSWORD.encode())
        assert key is not None
        assert certificate is not None
        pem = packed.with_suffix(".pem")
        pem.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context.load_cert_chain(pem)
    return context


async def start_and_stop(receive: Any, send: Any) -> None:
    """An application's lifespan."""
    for what in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{what}.complete"})


@asynccontextmanager
async def door(place: Place, directory: Path, app: Any = None) -> AsyncIterator[Door]:
    """The desk's pages, or another application, served."""
    # The server's own certificate is checked by the real clock, as a browser would.
    make_authority(directory / "terminals", hosts=("localhost", "127.0.0.1"), now=datetime.now(UTC))
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:

        async def listen(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve_terminals(
                app or make_app(place.desk, now_us=place.clock),
                place.desk,
                directory / "terminals",
                bind="127.0.0.1:0",
                shutdown=shutdown,
                task_status=task_status,
            )

        (address,) = await nursery.start(listen)
        yield Door(place, directory / "terminals", int(address.rsplit(":", 1)[1]))
        shutdown.set()


async def test_a_registered_terminal_gets_the_pages(place: Place, tmp_path: Path) -> None:
    async with door(place, tmp_path) as at:
        text = await at.get(at.terminal("window-9"))
    assert text.startswith("HTTP/1.1 200")
    assert "暗証番号" in text


async def test_the_application_is_told_which_certificate_it_was(place: Place, tmp_path: Path) -> None:
    told: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await start_and_stop(receive, send)
            return
        told.append(scope["state"]["terminal"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with door(place, tmp_path, app) as at:
        for label in ("window-8", "window-9"):
            await at.get(at.terminal(label))
    labels = [found.label for print_ in told if (found := people.find_terminal(place.store, print_)) is not None]
    assert labels == ["window-8", "window-9"]


async def test_those_that_may_not_come_in_read_what_to_do_and_reach_nothing(place: Place, tmp_path: Path) -> None:
    reached = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await start_and_stop(receive, send)
            return
        reached.append(scope)

    async with door(place, tmp_path, app) as at:
        lost = at.terminal("lost")
        people.lose_terminal(place.store, "lost")
        cases = {
            "登録されていません": at.terminal("unknown", registered=False),
            "紛失": lost,
            "有効期間外": at.terminal("expired", now=NOW - timedelta(days=500)),
        }
        for words, context in cases.items():
            text = await at.get(context)
            assert text.startswith("HTTP/1.1 403"), words
            assert words in text
            assert 'lang="en"' in text
            assert "no-store" in text
    assert reached == []
    refused = [detail for event, detail in place.events() if event == Event.TERMINAL_REFUSED]
    assert refused == ["terminal-unknown", "terminal-lost", "terminal-expired"]


async def test_a_terminal_reported_lost_is_refused_on_the_connection_it_has(place: Place, tmp_path: Path) -> None:
    async with door(place, tmp_path) as at:
        context = at.terminal("window-9")
        stream = await trio.open_tcp_stream("127.0.0.1", at.port)
        tls = trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)
        statuses = []
        for _ in range(2):
            await tls.send_all(b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n")
            data = b""
            while b"</html>" not in data:
                data += await tls.receive_some(65536)
            statuses.append(data[9:12])
            if len(statuses) == 1:
                people.lose_terminal(place.store, "window-9")
        await trio.aclose_forcefully(stream)
    assert statuses == [b"200", b"403"]


async def test_without_a_certificate_or_with_a_strangers_there_is_no_connection(place: Place, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    make_authority(stranger, hosts=("localhost",), now=datetime.now(UTC))
    issue_terminal(stranger, stranger / "x.p12", label="x", password=PASSWORD, now=datetime.now(UTC), days=9)
    async with door(place, tmp_path) as at:
        for packed in (None, stranger / "x.p12"):
            try:
                text = await at.get(client(at.directory, packed))
            except trio.BrokenResourceError:
                text = ""
            assert text == ""
        assert (await at.get(at.terminal("window-9"))).startswith("HTTP/1.1 200")


async def test_tls_below_1_3_is_refused(place: Place, tmp_path: Path) -> None:
    async with door(place, tmp_path) as at:
        context = at.terminal("window-9")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(trio.BrokenResourceError):
            await at.get(context)


async def test_a_label_is_not_used_again(place: Place) -> None:
    with pytest.raises(people.PeopleError, match="already"):
        people.add_terminal(
            place.store, Terminal(fingerprint=b"\7" * 32, label="window-1", not_before_us=0, not_after_us=1)
        )
