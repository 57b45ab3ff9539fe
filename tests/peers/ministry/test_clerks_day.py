"""A clerk's day from the browser to the ledger: Chromium, the ministry server, the dedicated line, a real centre."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pyotp
import pytest
import trio
from playwright.sync_api import Page, expect

from gateway.directory.model import Document
from gateway.peers.ministry import people
from gateway.peers.ministry.credentials import issue_terminal
from gateway.peers.ministry.desk import Event
from gateway.peers.ministry.serving import serve_terminals
from gateway.peers.ministry.web import make_app
from tests.kit.centre import Made, made_centre
from tests.peers.ministry.terminals import PASSWORD, chromium, terminal
from tests.peers.ministry.test_real_centre import PIN, Office, working

pytestmark = [pytest.mark.trio, pytest.mark.slow]
ADDRESS = "千葉市中央区千葉港1-2-3"
QUESTIONS_A_DAY = 4


@pytest.fixture(scope="module")
def centre() -> Iterator[Made]:
    """A centre of two workers."""
    with TemporaryDirectory(prefix="sekisho-day-") as directory, made_centre(Path(directory)) as made:
        yield made


def tightened(document: Document) -> Document:
    contract = document.contracts[0]
    volume = msgspec.structs.replace(contract.volume, records_per_staff_day_max=QUESTIONS_A_DAY)
    return msgspec.structs.replace(
        document, contracts=[msgspec.structs.replace(contract, volume=volume), *document.contracts[1:]]
    )


async def test_a_clerks_day(centre: Made, tmp_path: Path) -> None:
    async with (
        centre.directory(tightened),
        working(centre, tmp_path) as (office, desk),
        trio.open_nursery() as nursery,
    ):
        for label in ("window-1", "window-2"):
            made = issue_terminal(
                office.ministry.terminals,
                office.ministry.terminals / f"{label}.p12",
                label=label,
                password=PASSWORD,
                now=datetime.now(UTC),
                days=30,
            )
            people.add_terminal(office.ministry.store, made)
        (address,) = await nursery.start(
            lambda task_status: serve_terminals(
                make_app(desk), desk, office.ministry.terminals, bind="127.0.0.1:0", task_status=task_status
            )
        )
        await trio.to_thread.run_sync(day, office, address.replace("http://", "https://"))
        recorded = [
            Event(event) for (event,) in office.ministry.store.rows("SELECT event FROM history ORDER BY number")
        ]
        assert {Event.SIGN_IN, Event.SEARCH, Event.VIEW, Event.PRINT, Event.LOCK, Event.ERASE} <= set(recorded)
        assert {Event.APPROVAL_REQUEST, Event.APPROVE, Event.RECEIPT} <= set(recorded)
        nursery.cancel_scope.cancel()


def day(office: Office, address: str) -> None:
    """What the two people do, each at a terminal of their own."""
    with chromium() as browser:
        first = terminal(browser, office.ministry.terminals, address, "window-1").new_page()
        sign_in(office, first, "clerk")
        first.fill("#case", "2026-TR-000123")
        first.check("input[value='vehicle-12-1/2']")
        first.click("main .primary")

        ask(first, "高橋一郎")  # a variant: the register has 髙
        expect(first.locator("tr.differs mark").first).to_have_text("髙")
        expect(first.locator(".differences").first).to_contain_text("高 (U+9AD8) → 登録 髙 (U+9AD9)")

        first.click("text=帳票を印刷")
        expect(first.locator(".sheet")).to_contain_text("髙橋")

        ask(first, "鈴木太郎", "千葉市中央区千葉港3-5-1")  # two of that name live there
        expect(first.locator("h1")).to_have_text("該当者を特定できません")

        first.goto("/search/code")
        first.fill("#code", "12345678901")  # its check digit is wrong
        first.click("main .primary")
        expect(first.locator("main")).to_contain_text("FIELD_INVALID")
        expect(first.locator("main")).to_contain_text("住民票コード")

        for _ in range(QUESTIONS_A_DAY):  # one of these is more than a day allows
            ask(first, "佐藤美咲", "千葉市中央区千葉港2-10-8")
            if first.locator("form[action='/approvals/new']").count():
                break
        first.click("form[action='/approvals/new'] button")
        first.fill("#reason", "同じ案件の再確認")
        first.click("main .primary")
        expect(first.locator("main")).to_contain_text("判断を待っています")

        second = terminal(browser, office.ministry.terminals, address, "window-2").new_page()
        sign_in(office, second, "head")
        second.click("main td a")
        expect(second.locator("main")).to_contain_text("佐藤美咲")
        second.click("main .primary")
        expect(second.locator("main .badge").first).to_have_text("承認済み")

        first.reload()
        first.click("main .primary")
        expect(first.locator(".record")).to_contain_text("サトウ")

        first.goto("/receipts")
        with first.expect_download() as download:
            first.click("text=証明を保存 >> nth=0")
        first.set_input_files("#receipt", download.value.path())
        first.click("main .primary")
        expect(first.locator("main")).to_contain_text("受領証は正しいものです")

        first.goto("/answers")
        first.click("main td a >> nth=0")
        first.wait_for_url("**/answers/*")
        first.click("#lock-form button")
        first.wait_for_url("**/unlock")
        assert "サトウ" not in first.content()
        first.fill("#pin", PIN)
        first.click("main .primary")
        first.goto("/answers")
        expect(first.locator("main")).to_contain_text("表示できる回答はありません")


def sign_in(office: Office, page: Page, user: str) -> None:
    page.goto("/")
    page.fill("#user", user)
    page.fill("#pin", PIN)
    page.click("main .primary")
    page.fill("#code", pyotp.TOTP(office.secrets[user]).now())
    page.click("main .primary")
    page.wait_for_selector(".nav")


def ask(page: Page, name: str, address: str = ADDRESS) -> None:
    page.goto("/search/name")
    page.fill("#name", name)
    page.fill("#address", address)
    page.click("main .primary")
    page.wait_for_url("**/answers/*")
