"""The relay team's page: in a real Chromium with axe-core's verdict, and what it refuses to others."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trio
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gateway.peers.relay import notices, outbox, registry, worklist
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.serving import Ports, serve_relay
from gateway.peers.relay.store import Store, open_store
from protocol import issuance
from protocol.issuance import Ground, KioskFact
from protocol.messages import decode_body, encode
from tests.line.kit import now_us
from tests.peers.ministry.terminals import chromium
from tests.peers.relay.kit import Centre, Site, begun, complete, event, kiosk, new_application

pytestmark = pytest.mark.slow

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
HOUR_US = 3_600_000_000


@contextmanager
def served(site: Site, data: Path, centre: Centre | None) -> Iterator[Ports]:
    """A relay in a thread, with a centre or without."""
    ready = threading.Event()
    found: list[Ports] = []
    control: list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]] = []

    async def relay(nursery: trio.Nursery, port: int) -> None:
        found.append(
            await nursery.start(
                lambda task_status: serve_relay(data, centre_port=port, stop=trio.Event(), task_status=task_status)
            )
        )
        ready.set()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            control.append((trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            if centre is None:
                await relay(nursery, 1)
                await trio.sleep_forever()
            async with site.centre_at(centre) as place:
                await relay(nursery, place.port)
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    try:
        assert ready.wait(20), "the relay did not start"
        yield found[0]
    finally:
        for token, scope in control:
            trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join(20)


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    with open_store(data) as opened:
        yield opened


@pytest.fixture
def page(browser):
    context = browser.new_context(locale="ja-JP", timezone_id="Asia/Tokyo")
    context.set_default_timeout(10_000)
    one = context.new_page()
    faults: list[str] = []
    one.on("pageerror", lambda error: faults.append(str(error)))
    one.on("console", lambda said: "Content Security" in said.text and faults.append(said.text))
    yield one
    context.close()
    assert faults == []


def paid(store: Store, *, journal: KioskFact | None = None) -> str:
    """An application that was paid an hour ago; in hexadecimal."""
    application = begun(store, new_application())
    worklist.deposited(
        store, event(KioskFact.DEPOSITED, application, yen=600), caller=kiosk(), now_us=now_us() - HOUR_US
    )
    if journal is not None:
        worklist.journal(store, application, printed=journal is KioskFact.PRINTED, at_us=now_us())
    return application.hex()


def holds(page: Page) -> None:
    """axe-core finds nothing, and at 320 px nothing is wider than the page."""
    page.wait_for_load_state("load")
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    size = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, page.url
    page.set_viewport_size(size)


def test_every_page_holds_in_both_languages(site: Site, data: Path, store: Store, page: Page) -> None:
    paid(store, journal=KioskFact.IDLE)
    registry.fault(store, "kiosk-1", now_us(), code="PAPER-JAM")
    notices.add(store, NoticeKind.KIOSK_FAULT, kiosk="kiosk-1", store_id="store-1", now_us=now_us(), code="PAPER-JAM")
    refused = begun(store, new_application())
    notice = complete(refused)
    with store.transaction():
        outbox.take_over(
            store, notice, asked=encode(notice), request_id=new_application(), caller=kiosk(), now_us=now_us()
        )
        store.run("UPDATE outbox SET state = 'refused', outcome = 235, done_us = taken_us")
    with served(site, data, None) as ports:
        base = f"http://127.0.0.1:{ports.page}"
        page.goto(base)
        expect(page.locator("html")).to_have_attribute("lang", "ja")
        for language in ("ja", "en"):
            for path in ("/", "/worklist", "/kiosks", "/notices", "/report?period=2026-11", "/nowhere"):
                page.goto(base + path)
                holds(page)
            page.goto(f"{base}/worklist")
            page.click("main a >> nth=0")
            expect(page.locator("main")).to_contain_text("Not printed" if language == "en" else "印刷なし")
            holds(page)
            page.click("header .tools button")
        page.goto(f"{base}/kiosks")
        expect(page.locator("main")).to_contain_text("PAPER-JAM")
        page.goto(f"{base}/notices")
        for left in (1, 0):  # the fault, and the paid application that has no outcome
            page.click("main button >> nth=0")
            expect(page.locator("main tbody tr")).to_have_count(left)
        expect(page.locator("main")).to_contain_text("未確認のお知らせはありません")
        page.goto(f"{base}/worklist")
        page.fill("input[name=by]", "CASE-7")
        page.click("text=処理済みにする")
        assert worklist.refused(store) == []
        page.goto(base)
        page.click("text=回線を試験する")
        expect(page.locator(".note.bad")).to_contain_text("センターが応答しません")
        holds(page)


def test_a_confirmed_refund_becomes_a_void_that_reaches_the_centre(
    site: Site, data: Path, store: Store, page: Page
) -> None:
    application = paid(store)
    centre = Centre()
    with served(site, data, centre) as ports:
        base = f"http://127.0.0.1:{ports.page}"
        page.goto(base)
        expect(page.locator("#in-doubt")).to_have_text("1")
        page.click("text=回線を試験する")
        expect(page.locator(".note.good")).to_contain_text("センターが応答しました")
        page.goto(f"{base}/worklist/{application}")
        page.check(f"input[value='{int(Ground.STAFF)}']")
        page.fill("#slip", "伝票１")
        page.click("main .primary")
        expect(page.locator(".summary")).to_contain_text("半角英数字")
        holds(page)
        page.fill("#slip", "R-000123")
        page.click("main .primary")
        expect(page.locator(".note.good")).to_be_visible()
        page.goto(base)
        expect(page.locator("#in-doubt")).to_have_text("0")
        expect(page.locator("#held")).to_have_text("0")
    (request,) = [one for one in centre.asked if one.operation == 27]
    sent = decode_body(27, request.body)
    assert isinstance(sent, issuance.Void)
    assert (sent.application.hex(), sent.ground, sent.staff_slip, sent.store) == (
        application, Ground.STAFF, "R-000123", "store-1",
    )  # fmt: skip


def test_other_sites_and_other_names_are_kept_out_and_metrics_name_nobody(site: Site, data: Path, store: Store) -> None:
    application = paid(store)
    with served(site, data, None) as ports, httpx.Client(base_url=f"http://127.0.0.1:{ports.page}") as client:
        form = {"ground": "4", "slip": "R-1"}
        path = f"/worklist/{application}"
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "http://evil.example"},
            {"Host": "evil.example"},
        ):
            assert client.post(path, data=form, headers=headers).status_code == 403
        assert len(worklist.in_doubt(store, before_us=now_us())) == 1
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
        seen = client.get("/")
        assert seen.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "script" not in seen.text
        said = client.get("/metrics").text
        assert "sekisho_relay_in_doubt 1.0" in said
        assert "sekisho_relay_line_up 0.0" in said
        assert not any(word in said for word in ("kiosk-1", "store-1", application))
        assert client.get("/report/2026-11.csv").content.startswith(b"\xef\xbb\xbf")
        assert client.get("/report/2026-11.json").json()["lines"] == []
        assert client.post(path, data={"ground": "x", "slip": "R-1"}).status_code == 422
        assert client.get("/worklist/../../etc").status_code == 404
