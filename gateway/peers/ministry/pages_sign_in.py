"""Signing in with PIN and second factor, the locked screen, and the end of a session."""

from quart import Blueprint, Response, jsonify, request

from gateway.peers.ministry.desk import Right
from gateway.peers.ministry.errors import WORDS, DeskRefused, Why
from gateway.peers.ministry.visiting import (
    CHALLENGE_COOKIE,
    SESSION_COOKIE,
    Reception,
    drop_cookie,
    own_site_only,
    set_cookie,
    terminal,
    to,
)

_BESIDE_THE_FIELD = frozenset({Why.SIGN_IN_FAILED, Why.CODE_WRONG, Why.CODE_USED, Why.PIN_WRONG})
_SHOWN_REASONS = frozenset({Why.CHALLENGE_OVER, Why.SIGN_IN_NEEDED})


def routes(reception: Reception) -> Blueprint:
    """The pages under /sign-in, /second-factor, /lock, /unlock, /sign-out, and /touch."""
    part = Blueprint("sign_in", __name__)
    desk = reception.desk

    async def shown(template: str, refused: DeskRefused | None, **values: object) -> Response:
        return reception.open_page(
            template, status=200 if refused is None else 422, refused=refused,
            words=None if refused is None else refused.words, **values,
        )  # fmt: skip

    @part.get("/sign-in")
    async def sign_in() -> Response:
        await desk.terminal(terminal())
        why = request.args.get("why", "")
        reason = WORDS[Why(why)] if why in _SHOWN_REASONS else None
        return await shown("sign_in.html", None, user="", reason=reason, out="out" in request.args)

    @part.post("/sign-in")
    async def first_factor() -> Response:
        own_site_only()
        form = await request.form
        user = form.get("user", "").strip()
        try:
            challenge = await desk.sign_in(terminal(), user, form.get("pin", ""))
        except DeskRefused as refused:
            if refused.why not in _BESIDE_THE_FIELD:
                raise
            return await shown("sign_in.html", refused, user=user, reason=None, out=False)
        response = to("/second-factor")
        set_cookie(response, CHALLENGE_COOKIE, challenge.id)
        return response

    @part.get("/second-factor")
    async def second_factor() -> Response:
        if not request.cookies.get(CHALLENGE_COOKIE):
            return to("/sign-in")
        return await shown("second_factor.html", None)

    @part.post("/second-factor")
    async def enter_code() -> Response:
        own_site_only()
        form = await request.form
        code = "".join(form.get("code", "").split())
        try:
            signed_in = await desk.second_factor(terminal(), request.cookies.get(CHALLENGE_COOKIE, ""), code)
        except DeskRefused as refused:
            if refused.why not in _BESIDE_THE_FIELD:
                raise
            return await shown("second_factor.html", refused)
        may_ask = Right.INQUIRE in signed_in.session.rights
        response = to("/work" if may_ask else "/approvals" if Right.APPROVE in signed_in.session.rights else "/history")
        set_cookie(response, SESSION_COOKIE, signed_in.token)
        drop_cookie(response, CHALLENGE_COOKIE)
        return response

    @part.post("/lock")
    async def lock() -> Response:
        visit, _ = await reception.enter_with_form(locked=True)
        await desk.lock(visit.caller)
        return to("/unlock")

    @part.get("/unlock")
    async def locked() -> Response:
        visit = await reception.enter(locked=True)
        if not visit.session.locked:
            return to("/search/name")
        return await reception.page(visit, "locked.html", nav="", refused=None, words=None)

    @part.post("/unlock")
    async def unlock() -> Response:
        visit, form = await reception.enter_with_form(locked=True)
        try:
            await desk.unlock(visit.caller, form.get("pin", ""))
        except DeskRefused as refused:
            if refused.why not in _BESIDE_THE_FIELD:
                raise
            return await reception.page(visit, "locked.html", status=422, nav="", refused=refused, words=refused.words)
        return to("/search/name")

    @part.post("/sign-out")
    async def sign_out() -> Response:
        visit, _ = await reception.enter_with_form(locked=True)
        await desk.sign_out(visit.caller)
        reception.forget(visit)
        response = to("/sign-in?out")
        drop_cookie(response, SESSION_COOKIE)
        return response

    @part.post("/touch")
    async def touch() -> Response:
        visit, _ = await reception.enter_with_form()
        session = visit.session
        left_us = max(0, min(session.idle_lock_us, session.ends_us) - reception.now_us())
        return jsonify(lock_ms=left_us // 1000)

    return part
