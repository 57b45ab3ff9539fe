"""Choosing the work, asking by name or by 住民票コード, and the graded answer."""

import secrets
from collections.abc import Mapping
from typing import Final

from quart import Blueprint, Response

from gateway.peers.ministry.desk import Answer, Question, Right
from gateway.peers.ministry.errors import WORDS, DeskRefused, Why
from gateway.peers.ministry.forms import Work, WrongForm, read_by_code, read_by_name, read_work, typed_again
from gateway.peers.ministry.visiting import Done, Reception, Visit, to

_READ = {"name": read_by_name, "code": read_by_code}
_ADVICE: Final[Mapping[str, str]] = {
    "NONE": "advice.none",
    "AMBIGUOUS": "advice.ambiguous",
    "AFFAIR_NOT_GRANTED": "advice.right",
    "STEP_NOT_GRANTED": "advice.right",
    "METHOD_NOT_GRANTED": "advice.right",
    "STAFF_NOT_AUTHORISED": "advice.right",
    "CONTRACT_NOT_IN_FORCE": "advice.right",
    "CASE_REFERENCE_INVALID": "advice.case",
    "OUTSIDE_HOURS": "advice.hours",
    "SUSPENDED": "advice.suspended",
    "VOLUME_EXCEEDED": "advice.volume",
    "APPROVAL_INVALID": "advice.approval",
    "FIELD_INVALID": "advice.field",
    "BUSY": "advice.later",
    "UNAVAILABLE": "advice.later",
    "PENDING": "advice.later",
    "DEADLINE_EXCEEDED": "advice.later",
    "DRAINING": "advice.later",
    "STALE_REQUEST_ID": "advice.clock",
    "FUTURE_REQUEST_ID": "advice.clock",
}
"""What a clerk can do about an outcome without data, by the outcome's name: the catalogue's key."""


def routes(reception: Reception) -> Blueprint:
    """The pages under /work, /search and /answers."""
    part = Blueprint("asking", __name__)
    desk = reception.desk

    @part.get("/work")
    async def work() -> Response:
        visit = await reception.enter(Right.INQUIRE)
        return await work_page(visit, _as_form(visit.memory.work), {})

    @part.post("/work")
    async def choose_work() -> Response:
        visit, form = await reception.enter_with_form(Right.INQUIRE)
        try:
            visit.memory.work = read_work(form, desk.affairs())
        except WrongForm as wrong:
            return await work_page(visit, {"pair": form.get("pair", ""), "case": form.get("case", "")}, wrong.fields)
        return to("/search/name")

    async def work_page(visit: Visit, typed: dict[str, str], wrong: dict[str, str]) -> Response:
        return await reception.page(
            visit,
            "work.html",
            status=422 if wrong else 200,
            nav="work",
            affairs=desk.affairs(),
            form=typed,
            wrong=wrong,
        )

    @part.get("/search/<any(name, code):by>")
    async def search_form(by: str) -> Response:
        visit = await reception.enter()
        if not visit.may(Right.INQUIRE):
            return to("/approvals" if visit.may(Right.APPROVE) else "/history")
        if visit.memory.work is None:
            return to("/work")
        return await search_page(visit, by, {}, {}, _new_form_id())

    @part.post("/search/<any(name, code):by>")
    async def search(by: str) -> Response:
        visit, form = await reception.enter_with_form(Right.INQUIRE)
        if visit.memory.work is None:
            return to("/work")
        form_id = form.get("form_id", "")
        try:
            question = _READ[by](form, visit.memory.work)
            place = await reception.once(visit, form_id, lambda: ask(visit, question))
        except WrongForm as wrong:
            return await search_page(visit, by, form, wrong.fields, form_id)
        except DeskRefused as refused:
            if refused.why is Why.FIELD_INVALID and refused.field in ("name", "address", "birth", "sex", "code"):
                return await search_page(visit, by, form, {refused.field: f"wrong.{refused.field}"}, form_id)
            if refused.why is not Why.LINE_DOWN:
                raise
            return await search_page(visit, by, form, {}, form_id, refused=refused)
        return to(place)

    async def ask(visit: Visit, question: Question) -> Done:
        answer = await desk.search(visit.caller, question)
        return Done(f"/answers/{answer.request_id}", settled=answer.recorded)

    @part.post("/search/again")
    async def correct() -> Response:
        """The search form with an earlier question in it; a new question when it is sent."""
        visit, form = await reception.enter_with_form(Right.INQUIRE)
        if visit.memory.work is None:
            return to("/work")
        by = "code" if form.get("code") else "name"
        return await search_page(visit, by, form, {}, _new_form_id())

    async def search_page(
        visit: Visit,
        by: str,
        typed: dict[str, str],
        wrong: dict[str, str],
        form_id: str,
        *,
        refused: DeskRefused | None = None,
    ) -> Response:
        return await reception.page(
            visit, "search.html", status=422 if wrong else 503 if refused else 200, nav="search", by=by, form=typed,
            wrong=wrong, form_id=form_id, refused=refused, words=WORDS[refused.why] if refused else None,
        )  # fmt: skip

    @part.get("/answers")
    async def held() -> Response:
        visit = await reception.enter(Right.INQUIRE)
        return await reception.page(visit, "answers.html", nav="answers", held=await desk.held(visit.caller))

    @part.get("/answers/<request_id>")
    async def answer(request_id: str) -> Response:
        visit = await reception.enter(Right.INQUIRE)
        shown = await desk.view(visit.caller, request_id)
        return await answer_page(visit, shown)

    async def answer_page(visit: Visit, shown: Answer) -> Response:
        erases_ms = max(0, shown.erases_us - reception.now_us()) // 1000
        return await reception.page(
            visit, "answer.html", nav="search", answer=shown, erases_ms=erases_ms, form_id=_new_form_id(),
            again=typed_again(shown.question), asked_by="code" if shown.question.code else "name",
            advice_key=_ADVICE.get(shown.outcome_name, "advice.other"),
        )  # fmt: skip

    @part.post("/answers/<request_id>/erase")
    async def erase(request_id: str) -> Response:
        visit, _ = await reception.enter_with_form(Right.INQUIRE)
        await desk.erase(visit.caller, request_id)
        return to("/search/name")

    @part.post("/answers/<request_id>/print")
    async def print_form(request_id: str) -> Response:
        """The form on paper, once: sent again, it leads to the register of forms and numbers nothing."""
        visit, form = await reception.enter_with_form(Right.INQUIRE)
        sheets: list[Response] = []

        async def number() -> Done:
            printed = await desk.print_form(visit.caller, request_id)
            erases_ms = max(0, printed.answer.erases_us - reception.now_us()) // 1000
            sheets.append(await reception.page(visit, "sheet.html", nav="forms", printed=printed, erases_ms=erases_ms))
            return Done("/forms?printed")

        place = await reception.once(visit, form.get("form_id", ""), number)
        return sheets[0] if sheets else to(place)

    return part


def _as_form(work: Work | None) -> dict[str, str]:
    if work is None:
        return {"pair": "", "case": ""}
    return {"pair": f"{work.affair}/{work.step}", "case": work.case}


def _new_form_id() -> str:
    return secrets.token_urlsafe(16)
