"""Terminals for tests: a desk served by mutual TLS in a thread, and a real Chromium that comes with a certificate."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import trio
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from gateway.peers.ministry.credentials import issue_terminal, make_authority
from gateway.peers.ministry.serving import serve_terminals
from gateway.peers.ministry.web import make_app
from tests.kit.components import require

PASSWORD = "terminal-password"
STARTED_S = 20


@contextmanager
def served(desk, directory: Path, *, now_us=None) -> Iterator[str]:
    """The pages over a desk at https://127.0.0.1:port, with its own authority in `directory`."""
    make_authority(directory, hosts=["127.0.0.1"], now=datetime.now(UTC))
    app = make_app(desk, now_us=now_us) if now_us else make_app(desk)
    listening = threading.Event()
    address: list[str] = []
    control: list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]] = []

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            control.append((trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            bound = await nursery.start(lambda task_status: serve_terminals(
                app, desk, directory, bind="127.0.0.1:0", task_status=task_status))  # fmt: skip
            address.extend(bound)
            listening.set()

    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    try:
        assert listening.wait(STARTED_S), "the terminals' server did not start"
        yield address[0].replace("http://", "https://")
    finally:
        for token, scope in control:
            trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join(STARTED_S)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    program = require("chromium", "the terminals' pages are driven in it (Debian: chromium)")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def terminal(browser: Browser, directory: Path, address: str, label: str, **options: object) -> BrowserContext:
    """A terminal with a certificate of its own."""
    file = directory / f"{label}.p12"
    if not file.exists():
        issue_terminal(directory, file, label=label, password=PASSWORD, now=datetime.now(UTC), days=30)
    context = browser.new_context(
        base_url=address,
        ignore_https_errors=True,
        client_certificates=[{"origin": address, "pfxPath": str(file), "passphrase": PASSWORD}],
        locale="ja-JP",
        timezone_id="Asia/Tokyo",
        **options,
    )
    context.set_default_timeout(10_000)
    return context
