"""Own history, receipts, the register of printed forms, and the users for one who manages."""

from quart import Blueprint, Response, request

from gateway.peers.ministry.desk import (
    DISPOSAL_WORDS,
    EVENT_WORDS,
    Disposal,
    Event,
    HistoryFilter,
    ReceiptFacts,
    Right,
)
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.visiting import Reception, Visit, to


def routes(reception: Reception) -> Blueprint:
    """The pages under /history, /receipts, /forms and /users."""
    part = Blueprint("records", __name__)
    desk = reception.desk

    @part.get("/history")
    async def history() -> Response:
        visit = await reception.enter()
        everyone = "all" in request.args and visit.may(Right.MANAGE)
        query = _filter()
        found = await (desk.all_history if everyone else desk.own_history)(visit.caller, query)
        return await reception.page(
            visit, "history.html", nav="history", found=found, query=query, everyone=everyone, event_words=EVENT_WORDS,
            can_see_all=visit.may(Right.MANAGE),
        )  # fmt: skip

    @part.get("/receipts")
    async def receipts() -> Response:
        visit = await reception.enter()
        return await receipts_page(visit)

    async def receipts_page(
        visit: Visit, *, facts: ReceiptFacts | None = None, refused: DeskRefused | None = None, wrong: str = ""
    ) -> Response:
        return await reception.page(
            visit, "receipts.html", status=422 if refused or wrong else 200, nav="receipts",
            receipts=await desk.receipts(visit.caller), facts=facts, words=refused.words if refused else None,
            wrong={"receipt": wrong} if wrong else {},
        )  # fmt: skip

    @part.post("/receipts/<request_id>/file")
    async def receipt_file(request_id: str) -> Response:
        visit, form = await reception.enter_with_form()
        kept = await desk.receipt_file(visit.caller, request_id, opening=form.get("opening") == "yes")
        response = Response(kept.data, content_type="application/octet-stream")
        response.headers.set("Content-Disposition", "attachment", filename=kept.name)
        return response

    @part.post("/receipts/verify")
    async def verify() -> Response:
        visit, _ = await reception.enter_with_form()
        upload = (await request.files).get("receipt")
        data = upload.read() if upload is not None else b""
        if not data:
            return await receipts_page(visit, wrong="wrong.receipt-missing")
        try:
            return await receipts_page(visit, facts=await desk.verify_receipt(visit.caller, data))
        except DeskRefused as refused:
            if refused.why is not Why.RECEIPT_INVALID:
                raise
            return await receipts_page(visit, refused=refused)

    @part.get("/forms")
    async def forms() -> Response:
        visit = await reception.enter()
        return await reception.page(
            visit, "forms.html", nav="forms", forms=await desk.forms(visit.caller), disposal_words=DISPOSAL_WORDS,
            printed="printed" in request.args,
        )  # fmt: skip

    @part.post("/forms/<number>/dispose")
    async def dispose(number: str) -> Response:
        visit, form = await reception.enter_with_form()
        try:
            how = Disposal(form.get("how", ""))
        except ValueError:
            raise DeskRefused(Why.FIELD_INVALID, field="how") from None
        await desk.dispose_form(visit.caller, number, how)
        return to("/forms")

    @part.get("/users")
    async def users() -> Response:
        visit = await reception.enter(Right.MANAGE)
        return await reception.page(visit, "users.html", nav="users", users=await desk.users(visit.caller))

    @part.post("/users/<user>/<any(lock, unlock):what>")
    async def lock_user(user: str, what: str) -> Response:
        visit, _ = await reception.enter_with_form(Right.MANAGE)
        await (desk.lock_user if what == "lock" else desk.unlock_user)(visit.caller, user)
        return to("/users")

    return part


def _filter() -> HistoryFilter:
    """The history's filter from the address; what cannot be read does not narrow."""
    event, before = request.args.get("event", ""), request.args.get("before", "")
    return HistoryFilter(
        event=Event(event) if event in EVENT_WORDS else None,
        case=request.args.get("case", "").strip(),
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None,
    )
