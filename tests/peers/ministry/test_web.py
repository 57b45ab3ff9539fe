"""The routes against a desk in memory: what is asked of it, what is shown, what is refused."""

import io
import re
from html import unescape
from pathlib import Path

import pytest
import trio
import trio.testing
from quart.datastructures import FileStorage

import gateway.peers.ministry as ministry
from gateway.peers.ministry.errors import WORDS, DeskRefused, Why
from gateway.peers.ministry.pages import HEADERS, turned_away
from gateway.peers.ministry.web import make_app
from tests.peers.ministry.fake_desk import CODE, NOW_US, PIN, SELECTED, FakeDesk

pytestmark = pytest.mark.trio

WORK = {"pair": "vehicle-12-1/2", "case": "2026-TR-000123"}
NAME_FORM = {"name": "高橋花子", "address": "千葉市中央区千葉港1-1-1", "birth": "S50.5.3", "sex": "2", "form_id": "f1"}


class Terminal:
    """A browser at a terminal: cookies kept, the CSRF value taken from the last page."""

    def __init__(self, desk: FakeDesk, fingerprint: bytes = b"1" * 32) -> None:
        self.desk = desk
        self.app = make_app(desk, now_us=lambda: desk.now_us)
        self.client = self.app.test_client()
        self.fingerprint = fingerprint
        self.raw = self.text = ""

    async def go(self, path, form=None, *, csrf=True, method=None, headers=None, files=None):
        options = {"scheme": "https", "scope_base": {"state": {"terminal": self.fingerprint}}, "headers": headers or {}}
        if form is not None or method == "POST":
            form = dict(form or {})
            if csrf and (found := re.search(r'name="csrf" value="([^"]+)"', self.text)):
                form.setdefault("csrf", found[1])
            response = await self.client.post(path, form=form, files=files, **options)
        else:
            response = await self.client.get(path, **options)
        body = await response.get_data()
        if response.content_type and response.content_type.startswith("text/html") and body:
            self.raw = body.decode()
            self.text = unescape(self.raw)
        for name, value in HEADERS.items():
            assert response.headers[name] == value
        return response

    async def follow(self, path, form=None, **options):
        response = await self.go(path, form, **options)
        while response.status_code == 303:
            response = await self.go(response.headers["Location"])
        return response

    async def sign_in(self, user="clerk"):
        await self.go("/sign-in")
        await self.go("/sign-in", {"user": user, "pin": PIN})
        response = await self.go("/second-factor", {"code": CODE})
        assert response.status_code == 303
        return await self.follow("/")

    async def at_work(self, user="clerk"):
        await self.sign_in(user)
        await self.follow("/work", WORK)
        return self


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def at(desk: FakeDesk) -> Terminal:
    return Terminal(desk)


async def test_without_a_session_every_page_leads_to_sign_in(at: Terminal) -> None:
    for path in ("/", "/work", "/search/name", "/answers", "/approvals", "/history", "/receipts", "/forms", "/users"):
        response = await at.go(path)
        assert response.status_code == 303
        assert response.headers["Location"].startswith("/sign-in")


async def test_signing_in_takes_both_factors_and_sets_a_cookie_out_of_reach(at: Terminal) -> None:
    response = await at.go("/sign-in", {"user": "clerk", "pin": PIN})
    assert response.headers["Location"] == "/second-factor"
    response = await at.go("/second-factor", {"code": "123 456"})
    cookie = next(c for c in response.headers.getlist("Set-Cookie") if c.startswith("__Host-sekisho-session=token"))
    for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Strict"):
        assert part in cookie
    assert "Domain" not in cookie


async def test_a_wrong_pin_is_said_with_its_remedy_and_keeps_the_user(at: Terminal) -> None:
    response = await at.go("/sign-in", {"user": "clerk", "pin": "1"})
    assert response.status_code == 422
    assert WORDS[Why.SIGN_IN_FAILED].ja in at.text
    assert WORDS[Why.SIGN_IN_FAILED].remedy_ja in at.text
    assert 'value="clerk"' in at.text
    assert 'aria-invalid="true"' in at.text


async def test_a_clock_off_by_minutes_says_how_many_and_what_to_do(at: Terminal) -> None:
    await at.go("/sign-in", {"user": "clerk", "pin": PIN})
    await at.go("/second-factor", {"code": "000000"})
    assert "約4分遅れています" in at.text
    assert "自動設定" in at.text


async def test_a_locked_pin_says_until_when(at: Terminal, desk: FakeDesk) -> None:
    desk.refuse_sign_in = DeskRefused(Why.USER_LOCKED, until_us=NOW_US)
    response = await at.go("/sign-in", {"user": "clerk", "pin": PIN})
    assert response.status_code == 409
    assert "停止の解除：2026年" in at.text
    assert "管理者" in at.text


@pytest.mark.parametrize("why", [Why.TERMINAL_LOST, Why.TERMINAL_UNKNOWN, Why.TERMINAL_EXPIRED])
async def test_a_terminal_that_may_not_come_in_says_what_to_do(at: Terminal, desk: FakeDesk, why: Why) -> None:
    desk.refuse_terminal = why
    response = await at.go("/sign-in")
    assert response.status_code == 403
    assert WORDS[why].ja in at.text
    page = unescape(turned_away(DeskRefused(why)))
    assert WORDS[why].ja in page
    assert WORDS[why].en in page


async def test_a_form_without_the_sessions_value_is_refused(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    for value in ({"csrf": "other"}, {}):
        response = await at.go("/search/name", NAME_FORM | value, csrf=False)
        assert response.status_code == 403
    assert desk.asked == []


async def test_another_sites_form_is_refused_before_a_session_too(at: Terminal) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        response = await at.go("/sign-in", {"user": "clerk", "pin": PIN}, headers=headers)
        assert response.status_code == 403


async def test_the_work_is_chosen_before_anything_is_asked(at: Terminal) -> None:
    await at.sign_in()
    response = await at.go("/search/name")
    assert response.headers["Location"] == "/work"
    response = await at.go("/work", {"pair": "vehicle-97-3-1/3", "case": ""})
    assert response.status_code == 422
    assert 'href="#pair"' in at.text
    assert 'href="#case"' in at.text
    assert 'id="case-wrong"' in at.text


async def test_a_variant_answer_marks_the_character_that_differs(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM)
    question = desk.asked[0]
    assert (question.affair, question.step, question.case) == ("vehicle-12-1", 2, "2026-TR-000123")
    assert (question.birth, question.sex) == ("1975-05-03", 2)
    assert "<mark>髙</mark>橋　花子" in at.text
    assert "<mark>高</mark>橋花子" in at.text
    assert "1文字目：" in at.text
    assert "U+9AD9" in at.text
    assert "従前の住所" in at.text
    assert "合成データ（実在の人物ではありません）" in at.text


async def test_a_name_asked_in_kana_stands_beside_the_reading(at: Terminal) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM | {"name": "タカハシ ハナコ"})
    rows = re.findall(r'(?s)<th scope="row">([^<]+)</th>.*?<td class="asked"[^>]*>(.*?)</td>', at.text)
    asked = {label: re.sub("<[^>]+>", "", cell) for label, cell in rows}
    assert asked["ふりがな"] == "タカハシ ハナコ"
    assert "タカハシ" not in asked["氏名"]


async def test_variation_selectors_reach_the_centre_as_typed(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM | {"name": f"渡{SELECTED}太郎"})
    assert desk.asked[0].name == f"渡{SELECTED}太郎"


async def test_a_form_sent_twice_is_asked_once_and_shows_the_same_answer(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    first = await at.go("/search/name", NAME_FORM)
    second = await at.go("/search/name", NAME_FORM)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(desk.asked) == 1
    await at.follow("/search/name", NAME_FORM | {"form_id": "f2"})
    assert len(desk.asked) == 2


async def test_a_form_whose_answer_did_not_come_may_be_sent_again(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    desk.line_down = True
    response = await at.go("/search/name", NAME_FORM)
    assert response.status_code == 503
    assert WORDS[Why.LINE_DOWN].remedy_ja in at.text
    assert 'value="f1"' in at.text
    assert 'value="高橋花子"' in at.text
    desk.line_down = False
    response = await at.go("/search/name", NAME_FORM)
    assert response.headers["Location"].startswith("/answers/")


async def test_a_form_whose_answer_was_not_final_asks_again(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    for _ in range(2):
        await at.go("/search/name", NAME_FORM | {"name": "混雑"})
    assert len(desk.asked) == 2


async def test_copies_of_a_form_under_way_wait_for_the_first(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    at.text = 'name="csrf" value="csrf-clerk"'
    search, begun, go_on = desk.search, trio.Event(), trio.Event()

    async def slow(caller, question):
        begun.set()
        await go_on.wait()
        return await search(caller, question)

    desk.search = slow
    places = []

    async def send() -> None:
        places.append((await at.go("/search/name", NAME_FORM)).headers["Location"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await begun.wait()
        nursery.start_soon(send)
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
    assert len(places) == 3
    assert len(set(places)) == 1
    assert len(desk.asked) == 1


async def test_a_form_without_an_id_is_not_answered(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    for form_id in ("", "x" * 65):
        assert (await at.go("/search/name", NAME_FORM | {"form_id": form_id})).status_code == 403
    assert desk.asked == []


async def test_fields_that_cannot_be_read_are_named_beside_and_above(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    response = await at.go("/search/name", {"name": "", "address": "a" * 201, "birth": "昭和65年1月1日", "sex": "3"})
    assert response.status_code == 422
    for field in ("name", "address", "birth", "sex"):
        assert f'href="#{field}"' in at.text
        assert f'id="{field}-wrong"' in at.text
        assert re.search(rf'aria-describedby="[^"]*{field}-wrong"', at.text)
    assert "<title>エラー：" in at.text
    assert desk.asked == []


async def test_a_code_is_read_in_any_width(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    await at.follow("/search/code", {"code": "１２３４ ５６７-８９０３", "form_id": "c"})
    assert desk.asked[0].code == "12345678903"
    response = await at.go("/search/code", {"code": "123", "form_id": "d"})
    assert response.status_code == 422


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("だれもいない", "住民票の写し"),
        ("佐藤太郎", "生年月日と性別を加えて"),
        ("時間外", "提供時間内に"),
        ("停止中", "再開の通知"),
        ("項目誤り", "該当する項目"),
        ("時計ずれ", "時計"),
        ("混雑", "二重に課金されることはありません"),
        ("件数超過", "承認を申請する"),
    ],
)
async def test_an_answer_without_data_says_why_and_what_to_do(at: Terminal, name: str, advice: str) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM | {"name": name})
    assert advice in at.text
    assert "data-erases-ms" not in at.text


async def test_a_refusals_field_and_remedy_are_shown(at: Terminal) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM | {"name": "項目誤り"})
    assert "FIELD_INVALID" in at.text
    assert "生年月日" in at.text
    assert "a birth date is YYYY-MM-DD" in at.text


async def test_an_erased_answer_is_gone(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM)
    place = f"/answers/{next(iter(desk.answers))}"
    await at.follow(f"{place}/erase", {})
    response = await at.go(place)
    assert response.status_code == 409
    assert WORDS[Why.NOT_HELD].ja in at.text
    assert "髙橋" not in at.text


async def test_a_form_is_numbered_once_however_often_it_is_sent(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM)
    place = f"/answers/{next(iter(desk.answers))}/print"
    response = await at.go(place, {"form_id": "p1"})
    assert response.status_code == 200
    assert desk.printed[0].number in at.text
    await at.follow(place, {"form_id": "p1"})
    assert len(desk.printed) == 1
    assert "一度だけ表示" in at.text
    await at.follow(f"/forms/{desk.printed[0].number}/dispose", {"how": "shredded"})
    assert desk.printed[0].disposal == "shredded"


async def test_a_second_person_approves_and_the_first_asks(desk: FakeDesk) -> None:
    one, two = Terminal(desk), Terminal(desk, b"2" * 32)
    await one.at_work()
    await one.follow("/search/name", NAME_FORM | {"name": "件数超過"})
    await one.go("/approvals/new", NAME_FORM | {"name": "件数超過"})
    response = await one.go("/approvals", NAME_FORM | {"name": "件数超過", "form_id": "r", "reason": ""})
    assert response.status_code == 422
    assert 'href="#reason"' in one.text
    await one.follow("/approvals", NAME_FORM | {"name": "件数超過", "form_id": "r", "reason": "申請の集中"})
    approval = next(iter(desk.approvals))
    assert desk.approvals[approval].questions[0].birth == "1975-05-03"
    await two.sign_in("approver")
    await two.go("/approvals")
    assert "申請の集中" in two.text
    await two.go(f"/approvals/{approval}")
    assert "件数超過" in two.text
    await two.follow(f"/approvals/{approval}/approve", {})
    await one.go(f"/approvals/{approval}")
    response = await one.follow(f"/approvals/{approval}/ask", {"form_id": "x"})
    assert "<mark>" in one.text


async def test_a_rejection_brings_its_note(desk: FakeDesk) -> None:
    one, two = Terminal(desk), Terminal(desk, b"2" * 32)
    await one.at_work()
    await one.follow("/approvals", NAME_FORM | {"form_id": "r", "reason": "急ぎ"})
    approval = next(iter(desk.approvals))
    await two.sign_in("approver")
    await two.go(f"/approvals/{approval}")
    await two.follow(f"/approvals/{approval}/reject", {"note": "理由が不明"})
    await one.go(f"/approvals/{approval}")
    assert "理由が不明" in one.text


async def test_rights_decide_what_is_reached(at: Terminal) -> None:
    await at.sign_in("approver")
    assert (await at.go("/work")).status_code == 409
    assert WORDS[Why.RIGHT_MISSING].ja in at.text
    assert (await at.go("/users")).status_code == 409


async def test_a_locked_screen_shows_nothing_and_unlocks_with_the_pin(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    await at.follow("/search/name", NAME_FORM)
    await at.follow("/lock", {})
    assert "画面をロックしています" in at.text
    assert "髙橋" not in at.text
    assert (await at.go("/search/name")).headers["Location"] == "/unlock"
    response = await at.go("/unlock", {"pin": "1"})
    assert response.status_code == 422
    assert WORDS[Why.PIN_WRONG].ja in at.text
    await at.follow("/unlock", {"pin": PIN})
    assert "案件番号" in at.text


async def test_signing_out_ends_the_session(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    await at.follow("/sign-out", {})
    assert desk.sessions == {}
    assert "サインアウトしました" in at.text


async def test_touch_says_what_is_left(at: Terminal) -> None:
    await at.at_work()
    response = await at.go("/touch", {})
    assert await response.get_json() == {"lock_ms": 600_000}


async def test_a_receipt_is_saved_and_verified(at: Terminal) -> None:
    await at.sign_in()
    await at.go("/receipts")
    response = await at.go(f"/receipts/{'0196' * 8}/file", {"opening": "no"})
    assert await response.get_data() == b"proof"
    assert "attachment" in response.headers["Content-Disposition"]
    for data, expected in ((b"proof", "受領証は正しいものです"), (b"forged", WORDS[Why.RECEIPT_INVALID].ja)):
        await at.go("/receipts")
        await at.go("/receipts/verify", {}, files={"receipt": FileStorage(io.BytesIO(data), filename="r.receipt")})
        assert expected in at.text
    await at.go("/receipts/verify", {})
    assert "受領証のファイルを選んでください" in at.text


async def test_the_history_narrows_and_pages(at: Terminal) -> None:
    await at.sign_in()
    await at.go("/history?event=search")
    assert at.text.count("<tr>") == 2
    assert "before=1" in at.text
    await at.go("/history?event=nonsense&before=x&case=2026-TR-000123")
    assert at.text.count("<tr>") == 5


async def test_a_manager_locks_and_unlocks_users(at: Terminal, desk: FakeDesk) -> None:
    await at.sign_in("manager")
    await at.go("/users")
    await at.follow("/users/clerk/lock", {})
    await at.follow("/users/other/unlock", {})
    assert desk.erased == ["lock clerk", "unlock other"]
    await at.go("/history?all")
    assert "全員の操作履歴" in at.text


async def test_the_language_is_chosen_and_stays(at: Terminal) -> None:
    await at.go("/sign-in")
    assert '<html lang="ja">' in at.text
    response = await at.go("/language", {"language": "en", "back": "/sign-in"})
    assert response.headers["Location"] == "/sign-in"
    await at.go("/sign-in")
    assert '<html lang="en">' in at.text
    assert "Sign in" in at.text
    response = await at.go("/language", {"language": "xx", "back": "//elsewhere.example"})
    assert response.headers["Location"] == "/"


async def test_every_page_can_be_read_in_english(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work("manager")
    await at.go("/language", {"language": "en", "back": "/"})
    await at.follow("/search/name", NAME_FORM)
    place = f"/answers/{next(iter(desk.answers))}"
    for path in (place, "/answers", "/approvals", "/history", "/receipts", "/forms", "/users", "/work", "/search/code"):
        assert (await at.go(path)).status_code == 200
        chrome = re.sub(r'(?s)<(\w+)[^>]*lang="ja".*?</\1>|<td.*?</td>', "", at.text)
        chrome = re.sub(r"(?s)<(title|style|script).*?</\1>", "", chrome)
        assert '<html lang="en">' in at.text
        assert "操作" not in chrome


async def test_the_banner_stands_in_the_test_environment_only(at: Terminal, desk: FakeDesk) -> None:
    await at.go("/sign-in")
    assert "試験環境です" in at.text
    desk.test = False
    await at.go("/sign-in")
    assert "試験環境です" not in at.text


async def test_notices_of_the_centre_are_shown(at: Terminal, desk: FakeDesk) -> None:
    desk.notices = ("本日17時に提供を停止します",)
    await at.at_work()
    assert "本日17時に提供を停止します" in at.text


async def test_what_is_typed_is_never_markup(at: Terminal) -> None:
    await at.at_work()
    await at.go("/search/name", NAME_FORM | {"name": "<script>x</script>", "address": ""})
    assert "<script>x" not in at.raw
    assert "&lt;script&gt;x&lt;/script&gt;" in at.raw


async def test_a_page_that_is_not_there_says_so(at: Terminal) -> None:
    response = await at.go("/nowhere")
    assert response.status_code == 404
    assert "ページがありません" in at.text


async def test_a_fault_of_ours_shows_nothing_of_itself(at: Terminal, desk: FakeDesk) -> None:
    await at.at_work()
    desk.search = None  # the desk breaks
    response = await at.go("/search/name", NAME_FORM)
    assert response.status_code == 500
    assert "処理できませんでした" in at.text
    assert "Traceback" not in at.text


async def test_too_large_an_upload_is_refused(at: Terminal) -> None:
    await at.sign_in()
    response = await at.go("/receipts/verify", {"receipt": "x" * (300 << 10)})
    assert response.status_code == 413


async def test_only_the_pages_own_files_are_served(at: Terminal) -> None:
    for name in ("terminal.css", "terminal.js", "tokens/tokens.css"):
        assert (await at.go(f"/static/{name}")).status_code == 200
    for name in ("tokens/LICENSE", "../web.py", "..%2fweb.py", ""):
        assert (await at.go(f"/static/{name}")).status_code == 404


async def test_the_style_sheet_uses_tokens_that_exist() -> None:
    static = Path(ministry.__file__).with_name("static")
    css = (static / "terminal.css").read_text(encoding="utf-8")
    defined = set(re.findall(r"(--[a-z0-9-]+):", (static / "tokens" / "tokens.css").read_text(encoding="utf-8") + css))
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", css)) <= defined
    assert "url(" not in css
    assert "@import" not in css
