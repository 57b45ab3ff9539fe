"""A whole sitting in a real Chromium, on every screen with axe-core's verdict (WCAG 2.2 A and AA)."""

import re
import time
from contextlib import ExitStack

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from gateway.peers.kiosk.front import Limits
from gateway.peers.kiosk.steps import State
from protocol.messages import Operation
from protocol.outcomes import CATALOGUE, Outcome
from tests.peers.kiosk.fakes import PIN, Centre
from tests.peers.kiosk.screens import make_cards, served
from tests.peers.ministry.terminals import chromium

pytestmark = pytest.mark.slow
WAIT_MS = 10_000
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    return make_cards(tmp_path_factory.mktemp("jpki") / "jpki")


@pytest.fixture
def centre(town) -> Centre:
    one = Centre(town)
    one.pages = 1
    return one


@pytest.fixture
def stand(centre, cards, tmp_path):
    """Sets up a kiosk, which stands for longer than the page that looks at it."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(served(tmp_path, centre, cards, **options))


@pytest.fixture
def page(browser, stand):
    context = browser.new_context(locale="ja-JP", timezone_id="Asia/Tokyo", viewport={"width": 1024, "height": 768})
    context.set_default_timeout(WAIT_MS)
    one = context.new_page()
    faults: list[str] = []
    one.on("pageerror", lambda error: faults.append(str(error)))
    one.on("console", lambda said: said.type == "error" and faults.append(said.text))
    yield one
    context.close()
    assert faults == []


def holds(page: Page) -> None:
    """axe-core finds nothing, nothing is wider than a narrow screen, and every target is large."""
    page.wait_for_load_state("load")
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    size = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, page.url
    page.set_viewport_size(size)
    heights = page.evaluate(
        "[...document.querySelectorAll('button')].filter(b => b.offsetParent).map(b => b.offsetHeight)"
    )
    assert all(height >= 44 for height in heights)


def at(page: Page, state: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-state", re.compile(f"^{state}/"), timeout=WAIT_MS)


def up_to_pin(page: Page, address: str, card: str = "resident-0") -> None:
    page.goto(address)
    page.click("text=証明書の交付を始める")
    page.click(f"button[value='{card}']")
    at(page, "pin")


def up_to_pay(page: Page, address: str, copies: int = 2) -> None:
    up_to_pin(page, address)
    page.fill("#pin", PIN)
    page.click("main .primary")
    at(page, "municipality")
    page.click("text=見本市")
    at(page, "menu")
    page.click("button[value='juminhyo']")
    page.check(f"input[name='copies'][value='{copies}']")
    page.click("main .primary")
    page.click("text=この内容で申請する")
    at(page, "pay")


def test_a_whole_sitting_by_touch_with_every_screen_accessible(page, stand) -> None:
    kiosk = stand(printing=False)
    page.goto(kiosk.address)
    at(page, "start")
    holds(page)
    page.click("text=証明書の交付を始める")
    at(page, "card")
    holds(page)
    page.click("button[value='resident-0']")
    at(page, "pin")
    holds(page)
    page.click("[data-digit='9']")
    page.click("[data-clear]")
    for _ in range(4):
        page.click("[data-digit='0']")
    page.click("main .primary")
    expect(page.locator("#wrong")).to_contain_text("あと2回")
    holds(page)
    for digit in PIN:
        page.click(f"[data-digit='{digit}']")
    page.click("main .primary")
    at(page, "municipality")
    holds(page)
    page.click("text=見本市")
    at(page, "menu")
    expect(page.locator("main")).to_contain_text("12月29日から1月3日は休止")
    holds(page)
    page.click("button[value='juminhyo']")
    at(page, "options")
    holds(page)
    page.check("input[name='option'][value='2']")
    page.check("input[name='copies'][value='2']")
    page.click("main .primary")
    at(page, "confirm")
    expect(page.locator(".facts")).to_contain_text("600円")
    expect(page.locator(".facts")).to_contain_text("本籍・筆頭者")
    holds(page)
    page.click("text=この内容で申請する")
    at(page, "pay")
    assert not list(kiosk.tray.iterdir())
    holds(page)
    page.click("text=600円を入れる")
    at(page, "printing")
    holds(page)
    kiosk.let_print()
    at(page, "receipt")
    holds(page)
    page.click("text=領収書を取りました")
    at(page, "take")
    holds(page)
    page.click("text=すべて取りました")
    at(page, "start")
    names = sorted(path.name for path in kiosk.tray.iterdir())
    assert [name.partition("-")[0] for name in names] == ["certificate", "certificate", "receipt"]
    assert "600 円" in (kiosk.tray / names[2]).read_text()
    assert page.context.cookies() == []


def test_in_english_and_by_keyboard_alone(page, stand) -> None:
    kiosk = stand()
    page.goto(kiosk.address)
    page.click("button[name='language']")
    expect(page.locator("h1")).to_have_text("Certificate service")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()

    def press(label: str) -> None:
        target = page.get_by_role("button", name=label, exact=False).first
        for _ in range(40):
            if target.evaluate("e => e === document.activeElement"):
                break
            page.keyboard.press("Tab")
        expect(target).to_be_focused()
        page.keyboard.press("Enter")

    press("Get a certificate")
    at(page, "card")
    press("resident-1")
    at(page, "pin")
    expect(page.locator("#pin")).to_be_focused()
    page.keyboard.type(PIN)
    page.keyboard.press("Enter")
    at(page, "municipality")
    press("Sample City")
    at(page, "menu")
    press("Seal registration certificate")
    at(page, "options")
    press("Next")
    at(page, "confirm")
    press("Apply for this")
    at(page, "pay")
    press("Insert 300 yen")
    at(page, "receipt")
    press("I have the receipt")
    press("I have everything")
    at(page, "start")
    expect(page.locator("h1")).to_have_text("証明書交付サービス")


def test_nothing_of_a_sitting_stays_in_the_browser(page, stand) -> None:
    kiosk = stand()
    seen: list[tuple[str, str, str]] = []
    page.on(
        "response",
        lambda r: seen.append((r.url, r.headers.get("cache-control", ""), r.headers.get("content-type", ""))),
    )
    up_to_pay(page, kiosk.address)
    page.click("text=600円を入れる")
    at(page, "receipt")
    assert len(seen) > 20
    assert {cached for _, cached, _ in seen} == {"no-store"}
    assert not [url for url, _, kind in seen if "pdf" in kind]
    assert page.request.get(f"{kiosk.address}/operator").status == 404
    assert page.request.get(kiosk.address, headers={"Host": "elsewhere.test:80"}).status == 403
    assert page.request.post(f"{kiosk.address}/do/receipt", form={"token": "guessed"}).status == 403
    assert kiosk.running.kiosk.state is State.RECEIPT


def test_a_refusal_says_what_to_do_in_the_centres_words(page, stand, centre) -> None:
    centre.answers[Operation.DOCUMENT] = Outcome.NOT_ENTITLED
    kiosk = stand()
    up_to_pin(page, kiosk.address)
    page.fill("#pin", PIN)
    page.click("main .primary")
    at(page, "municipality")
    page.click("text=見本市")
    page.click("button[value='inkan']")
    page.click("main .primary")
    page.click("text=この内容で申請する")
    at(page, "refused")
    expect(page.locator("main")).to_contain_text(CATALOGUE[Outcome.NOT_ENTITLED].ja)
    expect(page.locator("main")).to_contain_text("手数料はいただいていません")
    holds(page)
    page.click("main .primary")
    at(page, "start")


def test_a_card_that_cannot_be_read_and_a_kiosk_without_its_relay_say_so(page, stand, centre) -> None:
    kiosk = stand()
    page.goto(kiosk.address)
    page.click("text=証明書の交付を始める")
    page.click("button[value='bent']")
    at(page, "refused")
    expect(page.locator("main")).to_contain_text("カードを読み取れません")
    page.click("main .primary")
    at(page, "start")
    centre.connected = False
    expect(page.locator("main")).to_contain_text("ただいま取り扱いできません")
    holds(page)


def test_stops_are_on_the_first_screen_and_a_stopped_service_cannot_be_begun(page, stand, centre) -> None:
    kiosk = stand()
    page.goto(kiosk.address)
    kiosk.look()
    expect(page.locator("main")).to_contain_text("12月29日から1月3日は休止")
    expect(page.locator("text=証明書の交付を始める")).to_be_visible()
    holds(page)
    centre.answers[Operation.MENU] = Outcome.SUSPENDED
    kiosk.look()
    expect(page.locator("main")).to_contain_text("ただいま取扱いを休止しています")
    expect(page.locator("text=証明書の交付を始める")).to_have_count(0)
    holds(page)
    page.click("button[name='language']")
    expect(page.locator("main")).to_contain_text("The service is stopped at the moment")
    page.goto(kiosk.address)
    page.evaluate(
        "fetch('/do/begin', {method: 'POST', body: new URLSearchParams({token: document.body.dataset.token})})"
    )
    at(page, "refused")
    expect(page.locator("main")).to_contain_text("notices on the first screen")
    holds(page)


def test_a_jam_is_shown_and_staff_clear_it(page, stand) -> None:
    kiosk = stand(operator=True)
    page.goto(f"{kiosk.address}/operator")
    holds(page)
    page.fill("#fault", "jam:2:1")
    page.click("main .primary")
    up_to_pay(page, kiosk.address)
    page.click("text=600円を入れる")
    at(page, "refunded")
    expect(page.locator("main")).to_contain_text("返金済・無効")
    holds(page)
    page.click("main .primary")
    at(page, "out-of-order")
    holds(page)
    page.goto(f"{kiosk.address}/operator")
    page.click("text=故障を直す")
    page.goto(kiosk.address)
    at(page, "start")


def test_a_silent_user_is_warned_can_stay_and_is_gone_after_the_time(page, stand) -> None:
    kiosk = stand(limits=Limits(silent_us=14_000_000))
    kiosk.place.now_us = now_us()
    kiosk.running.kiosk.front.now_us = now_us
    up_to_pin(page, kiosk.address)
    page.click("button[name='language']")
    expect(page.locator("h1")).to_have_text("Enter your PIN")
    expect(page.locator("#warning")).to_be_visible()
    stands = now_us()
    kiosk.running.kiosk.front.now_us = lambda: stands  # however long the page is looked at, it warns
    holds(page)
    page.click("#stay")
    kiosk.running.kiosk.front.limits = Limits(silent_us=30_000_000)
    expect(page.locator("#warning")).to_be_hidden()
    assert kiosk.running.kiosk.state is State.PIN
    kiosk.running.kiosk.front.limits = Limits(silent_us=1_000_000)
    kiosk.running.kiosk.front.now_us = now_us
    at(page, "start")
    expect(page.locator("h1")).to_have_text("証明書交付サービス")
    assert kiosk.running.kiosk._sitting is None
