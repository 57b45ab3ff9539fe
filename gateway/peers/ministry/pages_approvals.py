"""Check and balance (牽制体制): asking another person's approval, deciding on another's, asking what was approved."""

import secrets

from quart import Blueprint, Response

from gateway.peers.ministry.desk import Question, Right
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.forms import WrongForm, read_by_code, read_by_name
from gateway.peers.ministry.visiting import Done, Reception, Visit, to


def routes(reception: Reception) -> Blueprint:
    """The pages under /approvals."""
    part = Blueprint("approvals", __name__)
    desk = reception.desk

    @part.get("/approvals")
    async def inbox() -> Response:
        visit = await reception.enter()
        found = await desk.inbox(visit.caller)
        return await reception.page(visit, "approvals.html", nav="approvals", inbox=found)

    @part.post("/approvals/new")
    async def new() -> Response:
        """The request form for the question of a refused answer, which travels in the form and nowhere else."""
        visit, form = await reception.enter_with_form(Right.INQUIRE)
        if visit.memory.work is None:
            return to("/work")
        return await request_page(visit, form, {}, secrets.token_urlsafe(16))

    async def request_page(visit: Visit, typed: dict[str, str], wrong: dict[str, str], form_id: str) -> Response:
        return await reception.page(
            visit, "approval_request.html", status=422 if wrong else 200, nav="approvals", form=typed, wrong=wrong,
            form_id=form_id,
        )  # fmt: skip

    @part.post("/approvals")
    async def request_approval() -> Response:
        visit, form = await reception.enter_with_form(Right.INQUIRE)
        work = visit.memory.work
        if work is None:
            return to("/work")
        form_id = form.get("form_id", "")
        reason = form.get("reason", "").strip()
        try:
            if not reason:
                raise WrongForm({"reason": "wrong.reason-missing"})
            question: Question = read_by_code(form, work) if form.get("code") else read_by_name(form, work)

            async def apply() -> Done:
                made = await desk.request_approval(visit.caller, [question], reason=reason)
                return Done(f"/approvals/{made.id}")

            place = await reception.once(visit, form_id, apply)
        except WrongForm as wrong:
            return await request_page(visit, form, wrong.fields, form_id)
        except DeskRefused as refused:
            if refused.why is not Why.FIELD_INVALID or refused.field != "reason":
                raise
            return await request_page(visit, form, {"reason": "wrong.reason"}, form_id)
        return to(place)

    @part.get("/approvals/<approval_id>")
    async def one(approval_id: str) -> Response:
        visit = await reception.enter()
        found = await desk.approval(visit.caller, approval_id)
        return await reception.page(
            visit, "approval.html", nav="approvals", approval=found, form_id=secrets.token_urlsafe(16),
            said=reception.said_pair(found.affair, found.step),
        )  # fmt: skip

    @part.post("/approvals/<approval_id>/approve")
    async def approve(approval_id: str) -> Response:
        visit, _ = await reception.enter_with_form(Right.APPROVE)
        await desk.approve(visit.caller, approval_id)
        return to(f"/approvals/{approval_id}")

    @part.post("/approvals/<approval_id>/reject")
    async def reject(approval_id: str) -> Response:
        visit, form = await reception.enter_with_form(Right.APPROVE)
        await desk.reject(visit.caller, approval_id, note=form.get("note", "").strip())
        return to(f"/approvals/{approval_id}")

    @part.post("/approvals/<approval_id>/ask")
    async def ask(approval_id: str) -> Response:
        visit, form = await reception.enter_with_form(Right.INQUIRE)

        async def run() -> Done:
            answers = await desk.run_approved(visit.caller, approval_id)
            return Done(f"/answers/{answers[0].request_id}" if len(answers) == 1 else "/answers")

        return to(await reception.once(visit, form.get("form_id", ""), run))

    return part
