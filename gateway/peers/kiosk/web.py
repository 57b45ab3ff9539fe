"""The kiosk's screens as one ASGI application over one machine: there is one screen, whoever looks at it.

Routes are thin: read the form, let the machine take the step, show the screen it stands at. Every step is a POST with
the process's token from this very site, answered by 303 to the one screen. The kiosk's own turns run in a nursery of
the server's, so a browser that goes away stops nothing; the screen follows by asking /state.

The language and everything else of a sitting is in the machine's process, nothing of it in the browser: no cookie, no
cache, and never the document.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import structlog
import trio
from quart import Response, abort, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from gateway.peers.kiosk.errors import ChoiceInvalid, OutOfOrder
from gateway.peers.kiosk.faults import POWER_STEPS, PowerSwitch
from gateway.peers.kiosk.pages import ASSETS, HEADERS, TITLES, render
from gateway.peers.kiosk.playing import clear_faults, play
from gateway.peers.kiosk.running import Running
from gateway.peers.kiosk.screens import Language, say
from gateway.peers.kiosk.steps import LEFT_ALONE, State
from gateway.peers.kiosk.texts import trouble_words
from protocol.certificates import OPTIONS, Option

log = structlog.get_logger()

FORM_BYTES_MAX: Final = 8 << 10
STEP_SEEN_S: Final = 2.0
_OWN_NAMES: Final = frozenset({"127.0.0.1", "localhost"})
Names = dict[str, tuple[str, str]]


class Screen:
    """What the one screen is in: its language, and the municipalities' names as they become known."""

    def __init__(self, running: Running, *, names: Names) -> None:
        self.running = running
        self.names = names
        self.lang: Language = "ja"
        self.last = State.START
        self.token = secrets.token_urlsafe(24)

    @property
    def key(self) -> str:
        """Changes whenever another screen is to be shown."""
        kiosk = self.running.kiosk
        view = kiosk.view
        told = f"/{kiosk.announcements.revision}" if view.state == State.START else ""
        return f"{view.state}/{view.trouble}/{view.tries_left}/{self.running.link.connected}/{self.lang}{told}"

    def shown(self, state: State) -> None:
        """The next user begins in Japanese, however the last one ended."""
        if state is State.START and self.last is not State.START:
            self.lang = "ja"
        self.last = state

    def municipalities(self) -> list[tuple[str, tuple[str, str]]]:
        """Codes and names to choose from."""
        menu = self.running.kiosk.view.menu
        if menu is not None:
            self.names[menu.municipality] = (menu.name_ja, menu.name_en)
        return [(code, self.names.get(code, (code, code))) for code in self.running.kiosk.trusts]


def make_app(
    running: Running,
    nursery: trio.Nursery,
    *,
    names: Names,
    hours: tuple[str, str],
    operator: PowerSwitch | None = None,
) -> QuartTrio:
    """The application. operator: the switch that the test controls and the tray's links use; None leaves them out."""
    app = QuartTrio("sekisho-kiosk", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = FORM_BYTES_MAX
    screen = Screen(running, names=names)
    kiosk = running.kiosk
    assets = {name: (path.read_bytes(), kind) for name, (path, kind) in ASSETS.items()}

    async def form() -> dict[str, list[str]]:
        """The form of this very screen; 403 for any other."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        sent = await request.form
        token = sent.get("token") or request.headers.get("X-Token", "")
        if site not in ("same-origin", "none") or not hmac.compare_digest(token.encode(), screen.token.encode()):
            abort(403)
        return {key: sent.getlist(key) for key in sent}

    async def step(work: Callable[[], Awaitable[None]]) -> Response:
        """Begin a step; answer once the machine has moved, however long the rest takes."""
        moved = kiosk.front.changed

        async def run() -> None:
            try:
                await work()
            except (
                OutOfOrder,
                ChoiceInvalid,
            ) as error:  # sent twice, or from an old screen: the screen says where it is
                log.info("step_dropped", code=error.code)
            except Exception as error:  # noqa: BLE001 - the machine is out of order, and the server goes on to say so
                log.error("step_failed", reason=type(error).__name__)
            finally:
                moved.set()

        nursery.start_soon(run)
        with trio.move_on_after(STEP_SEEN_S):
            await moved.wait()
        return _to("/")

    def page(template: str, *, state_key: str, status: int = 200, **values: object) -> Response:
        body = render(template, screen.lang, token=screen.token, state_key=state_key, **values)
        return Response(body, status=status, content_type="text/html; charset=utf-8")

    @app.before_request
    async def own_name_only() -> None:
        if request.host.rpartition(":")[0] not in _OWN_NAMES:  # another site's name that leads here is not ours
            abort(403)

    @app.get("/")
    async def show() -> Response:
        view = kiosk.view
        state = State(view.state)
        screen.shown(state)
        offered = [] if view.offer is None else [each for each in Option if view.offer.options & each]
        return page(
            "screen.html",
            state_key=screen.key,
            title=say(TITLES.get(state, "working-title"), screen.lang),
            working=state not in TITLES,
            view=view,
            words=trouble_words(view.trouble) if view.trouble else None,
            connected=running.link.connected,
            hours=hours,
            notices=kiosk.announcements.lines,
            stopped=kiosk.announcements.stopped,
            cards=running.reader.names(),
            municipalities=screen.municipalities(),
            offered=[(int(each), OPTIONS[each].en if screen.lang == "en" else OPTIONS[each].ja) for each in offered],
            show_operator=operator is not None,
        )

    @app.get("/state")
    async def state() -> Response:
        view = kiosk.view
        left = kiosk.front.left_us
        said = {
            "key": screen.key,
            "done": view.done,
            "total": view.total,
            "left_ms": None if left is None else left // 1000,
            "finished": view.state in LEFT_ALONE,
        }
        return Response(msgspec.json.encode(said), content_type="application/json")

    @app.post("/touch")
    async def touch() -> Response:
        await form()
        kiosk.front.touch()
        return Response("", status=204)

    @app.post("/language")
    async def language() -> Response:
        screen.lang = "en" if (await form()).get("language") == ["en"] else "ja"
        kiosk.front.touch()
        return _to("/")

    @app.post("/do/<action>")
    async def act(action: str) -> Response:
        sent = await form()
        first = {key: values[0] for key, values in sent.items()}
        plain: dict[str, Callable[[], Awaitable[None]]] = {
            "begin": kiosk.begin,
            "back": kiosk.back,
            "agree": kiosk.agree,
            "pay": kiosk.pay,
            "receipt": kiosk.take_receipt,
            "take": kiosk.take_all,
            "leave": kiosk.leave,
            "acknowledge": kiosk.acknowledge,
            "card": partial(kiosk.insert_card, first.get("card", "")),
            "pin": partial(kiosk.enter_pin, first.get("pin", "")),
            "municipality": partial(kiosk.choose_municipality, first.get("code", "")),
            "kind": partial(kiosk.choose_kind, first.get("kind", "")),
            "options": partial(
                kiosk.choose_options, options=_bits(sent.get("option", [])), copies=_number(first.get("copies", ""))
            ),
        }
        if action not in plain:
            abort(404)
        return await step(plain[action])

    @app.get("/static/<name>")
    async def asset(name: str) -> Response:
        if name not in assets:
            abort(404)
        data, kind = assets[name]
        return Response(data, content_type=kind)

    if operator is not None:
        _add_operator(app, running, operator, form, page)

    @app.errorhandler(HTTPException)
    async def no_such_page(error: HTTPException) -> Response:
        return page("error.html", state_key="", status=error.code or 500)

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.error("page_failed", reason=type(error).__name__)  # its text may hold what was typed
        return page("error.html", state_key="", status=500)

    @app.after_request
    async def harden(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    return app


def _add_operator(
    app: QuartTrio,
    running: Running,
    power: PowerSwitch,
    form: Callable[[], Awaitable[dict[str, list[str]]]],
    page: Callable[..., Response],
) -> None:
    """The test controls: faults to play, and the paper in the tray."""
    folder = running.printer.folder

    def papers() -> list[str]:
        return sorted(path.name for path in folder.iterdir() if path.is_file())

    @app.get("/operator")
    async def controls() -> Response:
        return page("operator.html", state_key="", said="", power_steps=POWER_STEPS, tray=papers())

    @app.post("/operator/fault")
    async def fault() -> Response:
        said = (await form()).get("fault", [""])[0]
        try:
            play(running, power, said)
        except ChoiceInvalid as error:
            said = str(error)
        return page("operator.html", state_key="", said=said, power_steps=POWER_STEPS, tray=papers())

    @app.post("/operator/clear")
    async def clear() -> Response:
        await form()
        clear_faults(running, power)
        if running.kiosk.state is State.OUT_OF_ORDER:
            await running.kiosk.clear_fault()
        return _to("/operator")

    @app.get("/operator/tray/<name>")
    async def paper(name: str) -> Response:
        if name not in papers():
            abort(404)
        kind = "application/pdf" if name.endswith(".pdf") else "text/plain; charset=utf-8"
        return Response((folder / name).read_bytes(), content_type=kind)


def _bits(chosen: list[str]) -> int:
    return sum({_number(each) for each in chosen})


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 4 else -1


def _to(place: str) -> Response:
    return Response("", status=303, headers={"Location": place})
