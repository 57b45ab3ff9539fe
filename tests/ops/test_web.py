"""The ops endpoints, served for real on loopback."""

import json
import socket
import urllib.error
import urllib.request
from http.client import HTTPMessage
from pathlib import Path

import pytest
import trio

from gateway.ops.exposition import Exposition
from gateway.ops.web import Check, ops_app, serve_ops
from tests.ops.tools import write_slot


def fetched(url: str) -> tuple[int, HTTPMessage, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 (loopback, made here)
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


async def get(url: str) -> tuple[int, HTTPMessage, bytes]:
    return await trio.to_thread.run_sync(fetched, url)


def checks(*, database: bool) -> list[Check]:
    return [
        Check(name="hsm", ja="HSM", en="HSM", ok=True),
        Check(name="database", ja="データベース<&", en="Database<&", ok=database),
    ]


async def visit(
    directory: Path, *, database: bool = True, live: bool = True
) -> dict[str, tuple[int, HTTPMessage, bytes]]:
    app = ops_app(
        render=Exposition(directory, now_s=lambda: 0.0).render,
        live=lambda: live,
        ready=lambda: checks(database=database),
    )
    shutdown = trio.Event()
    found = {}
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            (base,) = await nursery.start(
                lambda task_status: serve_ops(app, bind="127.0.0.1:0", shutdown=shutdown, task_status=task_status)
            )
            for path in ("/metrics", "/health/live", "/health/ready", "/", "/nothing"):
                found[path] = await get(base + path)
            shutdown.set()
    return found


async def check_endpoints(directory: Path) -> None:
    found = await visit(directory)
    status, headers, body = found["/metrics"]
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert b'sekisho_requests_total{operation="inquire_by_code",outcome="exact"} 3.0' in body
    assert found["/health/live"][0] == 200
    status, _, body = found["/health/ready"]
    assert (status, json.loads(body)) == (200, {"ready": True, "checks": {"hsm": True, "database": True}})
    assert found["/nothing"][0] == 404


@pytest.mark.trio
async def test_the_endpoints_answer_under_plain_trio(tmp_path: Path) -> None:
    await trio.to_thread.run_sync(lambda: write_slot(tmp_path, "0", answered=3, lines=1))
    await check_endpoints(tmp_path)


@pytest.mark.guest
async def test_the_endpoints_answer_under_trio_as_guest(tmp_path: Path) -> None:
    await trio.to_thread.run_sync(lambda: write_slot(tmp_path, "0", answered=3, lines=1))
    await check_endpoints(tmp_path)


@pytest.mark.trio
async def test_a_failing_check_is_named_and_makes_the_gateway_not_ready(tmp_path: Path) -> None:
    found = await visit(tmp_path, database=False, live=False)
    assert found["/health/live"][0] == 503
    status, _, body = found["/health/ready"]
    assert (status, json.loads(body)) == (503, {"ready": False, "checks": {"hsm": True, "database": False}})
    page = found["/"][2].decode()
    assert "一部の機能が利用できません" in page
    assert "Not fully in service" in page


@pytest.mark.trio
async def test_the_status_page_speaks_both_languages_and_escapes_what_it_shows(tmp_path: Path) -> None:
    status, headers, body = (await visit(tmp_path))["/"]
    page = body.decode()
    assert status == 200
    assert '<html lang="ja">' in page
    assert "稼働中" in page
    assert '<span lang="en">In service</span>' in page
    assert "データベース&lt;&amp;" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers


@pytest.mark.trio
async def test_cancelling_ends_the_server_and_frees_its_address(tmp_path: Path) -> None:
    app = ops_app(render=lambda accept: (b"", accept), live=lambda: True, ready=list)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            (base,) = await nursery.start(
                lambda task_status: serve_ops(app, bind="127.0.0.1:0", task_status=task_status)
            )
            nursery.cancel_scope.cancel()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", int(base.rsplit(":", 1)[1])))
