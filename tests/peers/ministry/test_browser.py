"""The clerk's day in a real Chromium, over mutual TLS, on every page with axe-core's verdict (WCAG 2.2 A and AA)."""

import re
import time

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gateway.peers.ministry.errors import WORDS, DeskRefused, Why
from tests.peers.ministry.fake_desk import CODE, PIN, FakeDesk
from tests.peers.ministry.terminals import chromium, served, terminal

pytestmark = pytest.mark.slow

CASE = "2026-TR-000123"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
ADDRESS = "千葉市中央区千葉港1-1-1"


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk(time.time_ns() // 1000)


@pytest.fixture
def place(desk, browser, tmp_path):
    """Opens a terminal: place("first") is a page of a browser context with that terminal's certificate."""
    directory = tmp_path / "terminals"
    contexts = []
    with served(desk, directory) as address:

        def opened(label: str, **options: object) -> Page:
            context = terminal(browser, directory, address, label, **options)
            contexts.append(context)
            page = context.new_page()
            page.faults = []
            page.on("pageerror", lambda error: page.faults.append(str(error)))
            page.on("console", lambda said: "Content Security" in said.text and page.faults.append(said.text))
            return page

        yield opened
        for context in contexts:
            for page in context.pages:
                assert getattr(page, "faults", []) == []
            context.close()


def sign_in(page: Page, user: str = "clerk") -> None:
    page.goto("/")
    page.fill("#user", user)
    page.fill("#pin", PIN)
    page.click("main .primary")
    page.fill("#code", CODE)
    page.click("main .primary")
    page.wait_for_selector(".nav")


def choose_work(page: Page) -> None:
    page.goto("/work")
    page.fill("#case", CASE)
    page.check("input[value='vehicle-12-1/2']")
    page.click("main .primary")
    page.wait_for_url("**/search/name")


def ask(page: Page, name: str) -> None:
    page.goto("/search/name")
    page.fill("#name", name)
    page.fill("#address", ADDRESS)
    page.click("main .primary")
    page.wait_for_url("**/answers/*")


def locks_in(desk: FakeDesk, seconds: int) -> None:
    session = desk.sessions["token-clerk"]
    idle_lock_us = time.time_ns() // 1000 + seconds * 1_000_000
    desk.sessions["token-clerk"] = msgspec.structs.replace(session, idle_lock_us=idle_lock_us)


def holds(page: Page) -> None:
    """axe-core finds nothing, and at 320 px (1280 px at 400 %) nothing is wider than the page."""
    page.wait_for_load_state("load")
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    size = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, page.url
    page.set_viewport_size(size)


def test_signing_in_holds_at_every_step_and_says_what_is_wrong(place, desk) -> None:
    page = place("first")
    page.goto("/")
    holds(page)
    page.fill("#user", "clerk")
    page.fill("#pin", "1")
    page.click("main .primary")
    expect(page.locator(".summary")).to_be_focused()
    holds(page)
    page.fill("#pin", PIN)
    page.click("main .primary")
    holds(page)
    page.fill("#code", "000000")
    page.click("main .primary")
    expect(page.locator("main")).to_contain_text("約4分遅れています")
    holds(page)
    desk.refuse_sign_in = DeskRefused(Why.USER_LOCKED, until_us=desk.now_us)
    page.goto("/sign-in")
    page.fill("#user", "clerk")
    page.fill("#pin", "1")
    page.click("main .primary")
    expect(page.locator("main")).to_contain_text(WORDS[Why.USER_LOCKED].remedy_ja)
    holds(page)


def test_a_clerk_asks_by_keyboard_alone_and_sees_what_differs(place) -> None:
    page = place("first")
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#user")).to_be_focused()
    page.keyboard.type("clerk")
    page.keyboard.press("Tab")
    page.keyboard.type(PIN)
    page.keyboard.press("Enter")
    page.wait_for_url("**/second-factor")
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type(CODE)
    page.keyboard.press("Enter")
    page.wait_for_url("**/work")
    holds(page)
    skip_to_content(page)
    page.keyboard.press("Tab")
    page.keyboard.type(CASE)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search/name")
    holds(page)
    skip_to_content(page)
    for _ in range(3):
        page.keyboard.press("Tab")  # past the two tabs, into the name
    expect(page.locator("#name")).to_be_focused()
    for text in ("高橋花子", ADDRESS, "S50.5.3"):
        page.keyboard.insert_text(text)
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**/answers/*")
    assert page.locator("tr.differs td").first.locator("mark").all_inner_texts() == ["髙"]
    assert page.locator("tr.differs td.asked mark").all_inner_texts() == ["高"]
    expect(page.locator(".differences")).to_contain_text("1文字目： 照会 高 (U+9AD8) → 登録 髙 (U+9AD9)")
    family = page.locator("tr.differs .value").first.evaluate("element => getComputedStyle(element).fontFamily")
    assert family.startswith(("IPAmjMincho", '"IPAmjMincho'))
    holds(page)


def skip_to_content(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")


def test_a_reload_asks_nothing_and_a_second_click_asks_once(place, desk) -> None:
    page = place("first")
    sign_in(page)
    choose_work(page)
    page.fill("#name", "高橋花子")
    page.fill("#address", ADDRESS)
    page.locator("main .primary").dblclick(no_wait_after=True)
    expect(page).to_have_url(re.compile("/answers/"))  # the second click breaks off what the first began
    expect(page.locator("tr.differs")).to_be_visible()
    page.reload()
    assert len(desk.asked) == 1


def test_refusals_say_reason_field_and_remedy(place) -> None:
    page = place("first")
    sign_in(page)
    choose_work(page)
    page.click("main .primary")
    expect(page.locator(".summary")).to_be_focused()
    page.click(".summary a >> nth=0")
    expect(page.locator("#name")).to_be_focused()
    holds(page)
    for name, said in (("項目誤り", "生年月日"), ("佐藤太郎", "住民票コードで照会"), ("だれもいない", "住民票の写し")):
        ask(page, name)
        expect(page.locator("main")).to_contain_text(said)
        holds(page)
    page.goto("/search/code")
    holds(page)


def test_a_second_person_approves_on_a_second_terminal(place) -> None:
    first, second = place("first"), place("second")
    sign_in(first)
    choose_work(first)
    ask(first, "件数超過")
    holds(first)
    first.click("main .primary")
    holds(first)
    first.fill("#reason", "月末の申請が集中しているため")
    first.click("main .primary")
    first.wait_for_url("**/approvals/*")
    sign_in(second, "approver")
    second.goto("/approvals")
    holds(second)
    second.click(f"main a:has-text('{CASE}')")
    expect(second.locator("main")).to_contain_text("件数超過")
    holds(second)
    second.click("main .primary")
    expect(second.locator(".badge.good >> nth=1")).to_have_text("承認済み")
    first.reload()
    first.click("main .primary")
    first.wait_for_url("**/answers/*")
    expect(first.locator("tr.differs mark").first).to_be_visible()


def test_locking_takes_what_is_shown_out_of_the_document(place, desk) -> None:
    page = place("first")
    sign_in(page)
    choose_work(page)
    ask(page, "高橋花子")
    answer = page.url
    page.click("#lock-form button")
    page.wait_for_url("**/unlock")
    assert "髙橋" not in page.content()
    holds(page)
    page.go_back()
    page.wait_for_url("**/unlock")
    assert "髙橋" not in page.content()
    page.fill("#pin", PIN)
    page.click("main .primary")
    page.goto(answer)
    expect(page.locator("main")).to_contain_text(WORDS[Why.NOT_HELD].ja)
    holds(page)


def test_what_is_shown_goes_at_its_time_and_the_screen_locks_when_idle(place, desk) -> None:
    desk.shown_ms = 3_000
    desk.now_us = time.time_ns() // 1000
    page = place("first")
    sign_in(page)
    choose_work(page)
    desk.now_us = time.time_ns() // 1000
    ask(page, "高橋花子")
    expect(page.locator("tr.differs")).to_have_count(1)
    expect(page.locator("[data-erased]")).to_be_visible(timeout=10_000)
    assert "髙橋" not in page.content()
    locks_in(desk, 2)
    page.goto("/search/name")
    page.fill("#name", "高橋花子")
    expect(page.locator("#warning")).to_be_visible()
    page.wait_for_url("**/unlock")
    assert desk.sessions["token-clerk"].locked


def test_a_key_pressed_defers_the_lock(place, desk) -> None:
    page = place("first")
    desk.idle_ms = 50_000
    desk.now_us = time.time_ns() // 1000
    sign_in(page)
    choose_work(page)
    expect(page.locator("#warning")).to_be_visible()
    locks_in(desk, 600)
    page.fill("#name", "高橋")
    with page.expect_response("**/touch"):
        page.locator("#name").press("a")
    expect(page.locator("#warning")).to_be_hidden()
    assert page.input_value("#name") == "高橋a"


def test_a_screen_that_the_server_locked_meanwhile_is_wiped_at_the_next_key(place, desk) -> None:
    page = place("first")
    desk.idle_ms = 50_000
    desk.now_us = time.time_ns() // 1000
    sign_in(page)
    choose_work(page)
    ask(page, "高橋花子")
    expect(page.locator("#warning")).to_be_visible()
    session = desk.sessions["token-clerk"]
    desk.sessions["token-clerk"] = msgspec.structs.replace(session, locked=True)
    page.keyboard.press("Tab")
    page.wait_for_url("**/unlock")
    assert "髙橋" not in page.content()


def test_the_form_prints_alone_with_its_number(place, desk) -> None:
    page = place("first")
    sign_in(page)
    choose_work(page)
    ask(page, "高橋花子")
    page.click("text=帳票を印刷")
    number = desk.printed[0].number
    expect(page.locator(".sheet")).to_contain_text(number)
    holds(page)
    page.emulate_media(media="print")
    assert page.locator("header").is_hidden()
    assert page.locator(".nav").is_hidden()
    expect(page.locator(".sheet .synthetic")).to_be_visible()
    assert page.pdf()[:5] == b"%PDF-"
    page.emulate_media(media="screen")
    page.goto("/search/name")
    page.emulate_media(media="print")
    assert page.locator("main").is_hidden()


def test_records_and_languages_hold(place, desk) -> None:
    desk.notices = ("本日17時に提供を停止します",)
    page = place("first")
    sign_in(page, "manager")
    choose_work(page)
    ask(page, "高橋花子")
    page.click("text=帳票を印刷")
    page.wait_for_selector(".sheet")
    for path in ("/answers", "/approvals", "/history", "/receipts", "/forms", "/users", "/nowhere"):
        page.goto(path)
        holds(page)
    page.goto("/receipts")
    page.set_input_files("#receipt", files=[{"name": "r", "mimeType": "application/octet-stream", "buffer": b"proof"}])
    page.click("main .primary")
    expect(page.locator("main")).to_contain_text("受領証は正しいものです")
    holds(page)
    with page.expect_download() as download:
        page.click("text=証明を保存")
    assert re.fullmatch(r"[0-9a-f]+\.receipt", download.value.suggested_filename)
    page.click("header button:has-text('English')")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    for path in ("/work", "/search/name", "/history", "/forms"):
        page.goto(path)
        holds(page)


def test_a_lost_terminal_learns_what_to_do(place, desk) -> None:
    page = place("first")
    sign_in(page)
    desk.refuse_terminal = Why.TERMINAL_LOST
    page.goto("/")
    expect(page.locator("main")).to_contain_text(WORDS[Why.TERMINAL_LOST].remedy_ja)
    holds(page)


def test_nothing_is_stored_in_the_browser(place) -> None:
    page = place("first")
    sign_in(page)
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page.evaluate("performance.getEntriesByType('resource').every(one => one.name.startsWith(location.origin))")
    assert {cookie["name"]: (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) for cookie in
            page.context.cookies()} == {"__Host-sekisho-session": (True, True, "Strict")}  # fmt: skip
