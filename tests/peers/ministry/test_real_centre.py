"""A desk on a real centre: processes, PostgreSQL, dedicated line, and its pages' server, made by the commands."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pyotp
import pytest
import trio

from certs.material import TlsMaterial
from gateway.app.setup import SEED
from gateway.directory.affairs import AFFAIRS as CENTRES
from gateway.inquiry.cases import known_cases
from gateway.line.dial import open_line
from gateway.peers.ministry import people
from gateway.peers.ministry.affairs import AFFAIRS
from gateway.peers.ministry.credentials import issue_terminal
from gateway.peers.ministry.desk import ApprovalState, Caller, Desk, HistoryFilter, Question, Right
from gateway.peers.ministry.errors import DeskRefused
from gateway.peers.ministry.factors import hash_pin
from gateway.peers.ministry.office import running_desk
from gateway.peers.ministry.setup import Ministry, make_ministry, opened_ministry
from gateway.peers.proof_book import open_proof_book
from tests.kit.centre import Made, made_centre, poll

pytestmark = [pytest.mark.trio, pytest.mark.slow]
PIN = "2746-winter"


@pytest.fixture(scope="module")
def centre() -> Iterator[Made]:
    """A centre of two workers."""
    with tempfile.TemporaryDirectory(prefix="sekisho-ministry-") as directory, made_centre(Path(directory)) as made:
        yield made


class Office:
    """A ministry's server with the two members of staff that the centre knows, each with an authenticator."""

    def __init__(self, ministry: Ministry) -> None:
        self.ministry = ministry
        self.secrets = {"clerk": pyotp.random_base32(), "head": pyotp.random_base32()}
        for user, staff, right in (("clerk", "staff-001", Right.INQUIRE), ("head", "staff-900", Right.APPROVE)):
            people.add_user(
                ministry.store,
                user=user,
                staff=staff,
                rights=frozenset({right}),
                pin_hash=hash_pin(PIN),
                totp_secret=self.secrets[user],
                valid_from=date(2019, 4, 1),
                valid_until=None,
                trained_on=date(2019, 4, 1),
            )

    async def enter(self, desk: Desk, user: str) -> Caller:
        """A new terminal, and a session at it."""
        made = issue_terminal(
            self.ministry.terminals,
            self.ministry.directory / f"{user}.p12",
            label=user,
            password="synthetic",
            now=datetime.now(UTC),
            days=30,
        )
        people.add_terminal(self.ministry.store, made)
        challenge = await desk.sign_in(made.fingerprint, user, PIN)
        entered = await desk.second_factor(made.fingerprint, challenge.id, pyotp.TOTP(self.secrets[user]).now())
        return Caller(made.fingerprint, entered.token)


@asynccontextmanager
async def working(centre: Made, directory: Path) -> AsyncIterator[tuple[Office, Desk]]:
    """Centre and desk running."""
    make_ministry(directory / "desk", centre.data / "ministry", now=datetime.now(UTC))
    async with centre.gateway() as running:
        opened = opened_ministry(directory / "desk", port=running.port)
        with opened as ministry, open_proof_book(directory / "desk" / "proofs") as book:
            dialling = ministry.dialling
            material = TlsMaterial(dialling.files, now=datetime.now(UTC))
            party = dialling.target.own.party
            async with (
                open_line(dialling.target, material=material, trust=dialling.trust, sign=dialling.sign) as line,
                running_desk(ministry.store, line, dialling.trust, party=party, book=book) as desk,
            ):
                await line.wait_open(20)
                yield Office(ministry), desk


def question(key: str) -> Question:
    case = next(each for each in known_cases(SEED) if each.key == key)
    return Question(
        affair="vehicle-12-1",
        step=1,
        case="2026-0001",
        code=case.code or "",
        name=case.name,
        address=case.address,
        birth=case.birth or "",
        sex=case.sex,
    )


async def test_every_known_case_comes_to_the_clerk_as_the_centre_means_it(centre: Made, tmp_path: Path) -> None:
    async with working(centre, tmp_path) as (office, desk):
        clerk = await office.enter(desk, "clerk")
        for case in known_cases(SEED):
            answer = await desk.search(clerk, question(case.key))
            assert (case.key, answer.outcome_name) == (case.key, case.outcome.name)
            assert answer.differing == case.differing
            assert answer.found == bool(answer.fields)
            assert answer.synthetic == answer.found
            assert answer.receipt_kept

        refused = await desk.search(clerk, Question(affair="vehicle-12-1", step=1, case="2026-0001", code="12"))
        assert (refused.outcome_name, refused.field) == ("FIELD_INVALID", "code")

        async def final() -> bool:
            return all(kept.final for kept in await desk.receipts(clerk))

        await poll(final, within_s=30)
        kept = (await desk.receipts(clerk))[-1]
        facts = await desk.verify_receipt(clerk, (await desk.receipt_file(clerk, kept.request_id, opening=True)).data)
        assert facts.opened
        assert facts.final_size is not None
        with open_proof_book(tmp_path / "desk" / "proofs") as book:
            book.seal()
            assert sum(month.proofs for month in book.months()) == len(await desk.receipts(clerk))

        desk_bytes = b"".join(path.read_bytes() for path in (tmp_path / "desk").iterdir() if path.is_file())
        for case in known_cases(SEED):
            for text in filter(None, (case.name, case.address, case.code)):
                assert text.encode() not in desk_bytes


async def test_a_second_person_approves_at_the_centre(centre: Made, tmp_path: Path) -> None:
    async with working(centre, tmp_path) as (office, desk):
        clerk, head = await office.enter(desk, "clerk"), await office.enter(desk, "head")
        asked = await desk.request_approval(
            clerk, [question("exact-by-code"), question("exact-by-name")], reason="一斉確認"
        )
        (waiting,) = (await desk.inbox(head)).to_decide
        approved = await desk.approve(head, waiting.id)
        assert approved.state is ApprovalState.APPROVED
        answers = await desk.run_approved(clerk, asked.id)
        assert [answer.outcome_name for answer in answers] == ["EXACT", "EXACT"]
        page = await desk.own_history(head, HistoryFilter())
        assert page.entries[0].detail == f"{asked.id} APPROVED"


async def test_with_the_centre_away_the_clerk_is_told_and_may_ask_again(centre: Made, tmp_path: Path) -> None:
    make_ministry(tmp_path / "desk", centre.data / "ministry", now=datetime.now(UTC))
    opened = opened_ministry(tmp_path / "desk", port=1)
    with opened as ministry, open_proof_book(tmp_path / "desk" / "proofs") as book:
        ministry.store.keep_settings(type(ministry.store.settings)(answer_seconds=1))
        dialling = ministry.dialling
        material = TlsMaterial(dialling.files, now=datetime.now(UTC))
        async with (
            open_line(dialling.target, material=material, trust=dialling.trust, sign=dialling.sign) as line,
            running_desk(ministry.store, line, dialling.trust, party="mlit", book=book) as desk,
        ):
            clerk = await Office(ministry).enter(desk, "clerk")
            assert not desk.status().connected
            with trio.fail_after(10), pytest.raises(DeskRefused, match="line-down"):
                await desk.search(clerk, question("exact-by-code"))


async def test_the_affairs_on_offer_are_those_the_centre_lists() -> None:
    assert {
        affair.id: (affair.ja, affair.en, {step.number: step.ja for step in affair.steps}) for affair in AFFAIRS
    } == {affair.id: (affair.title_ja, affair.title_en, affair.step_names()) for affair in CENTRES.values()}
