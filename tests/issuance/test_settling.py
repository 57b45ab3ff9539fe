"""Settlement over an operator's line: documents of its own in parts, and reconciliations that become acts, once."""

import hashlib
import os

import msgspec
import pytest
import trio

from gateway.line import papers as fetching
from gateway.line.papers import PapersFailed, fetch_papers, list_papers, send_reconciliation
from gateway.settlement.journal import open_journal
from gateway.store.pool import open_database
from gateway.store.settlement_acts import JOURNAL_LOCK, PART_BYTES, ActStore, DocumentRow, DocumentStore
from protocol import papers
from protocol.act import Act, ActKind, encode_act
from protocol.disclosure import Difference, Fault, Proposal, Reconciliation, Standing, encode_reconciliation
from protocol.messages import Operation, Refusal, encode
from protocol.outcomes import Outcome
from protocol.papers import PAPER_PART_BYTES, PaperQuery, Reconcile, ReconcilePart
from protocol.settlement import Amount
from tests.issuance.kit import NOW_US, OTHER, Kiosk, centre_of
from tests.kit.sitting import OPERATOR
from tests.ledger.building import Signer

PERIOD = "2026-10"
DISCLOSED = hashlib.sha256(b"what was disclosed").digest()


class Relay:
    """An operator's line to a worker, as gateway.line.papers uses one."""

    def __init__(self, worker, party=OPERATOR):
        self.worker, self.party = worker, party

    async def ask(self, operation, body, *, timeout_s=30.0):
        """Retries what is retryable, as a LineClient does."""
        with trio.fail_after(timeout_s):
            while True:
                answer = await self.worker.ask(operation, body, party=self.party, timeout_s=10.0)
                if answer.outcome is not Outcome.BUSY:
                    return answer
                await trio.sleep(0.01)


async def put(dsn, name, data, *, party=OPERATOR, period=PERIOD):
    """A document, as a step of settlement makes it."""

    async def pieces():
        yield data

    async with open_database(dsn.owner, size=2, role="tests") as database:
        row = DocumentRow(os.urandom(16), party, period, name, "application/octet-stream", 0, b"", NOW_US)
        return await DocumentStore(database).put(row, pieces())


async def write(dsn, *kinds, **fields):
    """Acts, as the centre's steps write them."""
    known = {"contract": "", "claim": "", "period": PERIOD, "party": "", "day": "2026-11-02", "by": "clerk"}
    acts = [Act(kind=kind, at_us=NOW_US, **{**known, **fields}) for kind in kinds]
    async with (
        open_database(dsn.owner, size=3, role="tests") as database,
        open_journal(
            database,
            centre="centre",
            role="certificate",
            node="desk",
            sign=Signer("block-1"),
            now_us=lambda: NOW_US,
        ) as journal,
    ):
        await journal.write(acts)


async def disclose(dsn, *, party=OPERATOR, digest=DISCLOSED, turn=0):
    """The act of a disclosure."""
    await write(dsn, ActKind.DISCLOSED, party=party, facts=encode([b"cut", digest]), turn=turn)


def difference(n):
    side = Standing("121002", "juminhyo", "store-1", 1, 300, "2026-10-05")
    return Difference(
        fault=Fault.EXTRA, request_id=n.to_bytes(16, "big"), application=n.to_bytes(16, "big"), ours=None,
        theirs=side, proposal=Proposal.VOID, text="店舗に記録がありません / the store has no record",
    )  # fmt: skip


def result(differences=0, **fields):
    known = {
        "party": OPERATOR, "period": PERIOD, "disclosure_digest": DISCLOSED, "made_us": NOW_US, "by": "合成 担当",
        "agreed": not differences, "differences": tuple(map(difference, range(differences))),
        "ours": Amount(10, 12, 3_600, 1_380),
    }  # fmt: skip
    return Reconciliation(**{**known, **fields})


async def acts_of(worker, kind=ActKind.RECONCILED):
    acts = [row.act for row in await ActStore(worker.database).acts(period=PERIOD)]
    return sorted((act for act in acts if act.kind == kind), key=lambda act: act.turn)


@pytest.mark.guest
async def test_a_party_fetches_its_documents_whole_and_again_for_nothing(database_dsn, cards, tmp_path):
    async with centre_of(database_dsn, cards) as centre:
        sizes = (0, 1, PAPER_PART_BYTES, PART_BYTES + PAPER_PART_BYTES + 7)
        made = {f"paper-{size}.bin": os.urandom(size) for size in sizes}
        for name, data in made.items():
            await put(database_dsn, name, data)
        await put(database_dsn, "theirs.bin", b"another's", party=OTHER)
        await put(database_dsn, "paper-0.bin", b"of a month before", period="2026-09")
        line = Relay(centre.workers[1])
        fetched = await fetch_papers(line, tmp_path, period=PERIOD)
        assert {each.file.name: each.file.read_bytes() for each in fetched} == made
        assert not any(each.stood for each in fetched)
        assert all(each.stood for each in await fetch_papers(line, tmp_path, period=PERIOD))
        assert sorted(file.name for file in (tmp_path / PERIOD).iterdir()) == sorted(made)
        listed = await list_papers(line)
        assert (listed[0].period, len(listed)) == ("2026-09", len(made) + 1)
        blocks = await centre.workers[0].database.fetch("select count(*) from ledger.block")
        assert blocks[0][0] == 0, "nothing is recorded of it"


@pytest.mark.guest
async def test_a_long_list_comes_in_pages(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        count = 2 * papers.PAPERS_A_PAGE + 1
        for n in range(count):
            await put(database_dsn, f"{n:03}.pdf", b"")
        listed = await list_papers(Relay(centre.workers[0]))
        assert [each.name for each in listed] == [f"{n:03}.pdf" for n in range(count)]


@pytest.mark.guest
async def test_what_is_not_a_partys_own_does_not_exist_for_it(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        worker = centre.workers[0]
        row = await put(database_dsn, "one.bin", b"x" * 100)
        unknown = await worker.ask(Operation.PAPER, PaperQuery(b"?" * 16, 0))
        other = await worker.ask(Operation.PAPER, PaperQuery(row.id, 0), party=OTHER)
        assert (unknown.outcome, unknown.body) == (other.outcome, other.body)
        assert unknown.outcome is Outcome.PAPER_UNKNOWN
        assert unknown.entry is None
        beyond = await worker.ask(Operation.PAPER, PaperQuery(row.id, 1))
        assert beyond.outcome is Outcome.FIELD_INVALID
        with pytest.raises(PapersFailed, match="PAPERS"):
            [part async for part in fetching.read_paper(Relay(worker, OTHER), line_of(row))]


def line_of(row):
    return papers.PaperLine(row.id, row.period, row.name, row.media, row.size, row.digest)


@pytest.mark.guest
async def test_a_document_that_was_altered_on_the_way_is_not_kept(database_dsn, cards, tmp_path, monkeypatch):
    async with centre_of(database_dsn, cards) as centre:
        await put(database_dsn, "one.bin", b"x" * 100)
        line = Relay(centre.workers[0])
        ask = line.ask

        async def altered(operation, body, **options):
            answer = await ask(operation, body, **options)
            if operation == Operation.PAPER:
                answer.body = answer.body[:-1] + b"y"
            return answer

        monkeypatch.setattr(line, "ask", altered)
        with pytest.raises(PapersFailed, match="fetch it again"):
            await fetch_papers(line, tmp_path)
        assert list((tmp_path / PERIOD).iterdir()) == []


@pytest.mark.guest
@pytest.mark.parametrize("differences", [0, 3, 400])
async def test_a_result_becomes_an_act_in_the_block_of_its_entry(database_dsn, cards, differences):
    async with centre_of(database_dsn, cards) as centre:
        worker = centre.workers[0]
        await disclose(database_dsn)
        said = result(differences)
        answer = await send_reconciliation(Relay(worker), said)
        assert (answer.entry.operation, answer.entry.party) == (Operation.RECONCILE, OPERATOR)
        assert (answer.entry.yen, answer.entry.matter) == (0, PERIOD)
        (act,) = await acts_of(worker)
        assert (act.party, act.turn, act.day, act.by) == (OPERATOR, 0, "2026-11-20", "合成 担当")
        assert act.facts == encode_reconciliation(said)
        rows = await ActStore(worker.database).acts(period=PERIOD)
        (row,) = [row for row in rows if row.act == act]
        place = await worker.database.fetch(
            "select c.request_id, a.content from settlement.act a join ledger.claim c using (stream, height, idx)"
            " where a.stream = $1 and a.height = $2 and a.idx = $3",
            row.stream,
            row.height,
            row.idx,
        )
        assert [tuple(each) for each in place] == [(answer.entry.request_id, encode_act(act))]
        with trio.fail_after(5):  # what was held is dropped after the answer
            while await worker.database.fetch("select from settlement.held_part"):
                await trio.sleep(0.01)


@pytest.mark.guest
async def test_the_same_result_again_is_recorded_and_counts_once(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        await disclose(database_dsn)
        said = result(1)
        body = encode(Reconcile(hashlib.sha256(encode_reconciliation(said)).digest(), encode_reconciliation(said)))
        request_id = centre.new_id()
        first = await centre.workers[0].ask(Operation.RECONCILE, body, request_id=request_id)
        again = await centre.workers[1].ask(Operation.RECONCILE, body, request_id=request_id)
        other = await centre.workers[1].ask(Operation.RECONCILE, body)
        assert {each.outcome for each in (first, again, other)} == {Outcome.RECONCILED}
        assert again.entry.ref is not None
        assert len(await acts_of(centre.workers[0])) == 1
        second = await send_reconciliation(Relay(centre.workers[1]), result(2))
        assert second.outcome is Outcome.RECONCILED
        assert [act.turn for act in await acts_of(centre.workers[0])] == [0, 1]


@pytest.mark.guest
async def test_results_at_once_on_two_workers_all_stand_beside_business(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        await disclose(database_dsn)
        kiosk = await Kiosk(centre).issued()
        answers = []

        async def send(worker, n):
            answers.append(await send_reconciliation(Relay(worker), result(n)))

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for n in range(6):
                    nursery.start_soon(send, centre.workers[n % 2], n)
                nursery.start_soon(kiosk.complete, 2)
        assert {answer.outcome for answer in answers} == {Outcome.RECONCILED}
        assert [act.turn for act in await acts_of(centre.workers[0])] == list(range(6))
        moved = await centre.workers[0].database.fetch("select count(*) from issuance.event where transition = 4")
        assert moved[0][0] == 1


@pytest.mark.guest
async def test_an_act_and_a_completion_ride_with_one_block(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        await disclose(database_dsn)
        worker = centre.workers[0]
        kiosk = await Kiosk(centre).issued()
        worker.hold = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kiosk.complete, 2)
            nursery.start_soon(send_reconciliation, Relay(worker), result())
            with trio.fail_after(5):
                while len(worker._finals) < 2:
                    await trio.sleep(0.005)
            worker.hold.set()
        rows = await worker.database.fetch(
            "select count(*) from settlement.act a join issuance.event e using (stream, height) where e.transition = 4"
        )
        assert rows[0][0] == 1


@pytest.mark.guest
async def test_an_asker_that_gave_up_leaves_no_turn_to_be_taken_twice(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        await disclose(database_dsn)
        worker, other = centre.workers
        worker.hold = trio.Event()
        data = encode_reconciliation(result())
        asked = worker.asked(Operation.RECONCILE, Reconcile(hashlib.sha256(data).digest(), data))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.send, asked)
            with trio.fail_after(5):
                while not worker._finals:
                    await trio.sleep(0.005)
            asked.recording = True
            worker.settle(asked, Outcome.PENDING, b"")
            later = encode_reconciliation(result(1))
            body = Reconcile(hashlib.sha256(later).digest(), later)
            assert (await other.ask(Operation.RECONCILE, body)).outcome is Outcome.BUSY
            worker.hold.set()
        assert (await send_reconciliation(Relay(other), result(1))).outcome is Outcome.RECONCILED
        assert [act.turn for act in await acts_of(worker)] == [0, 1]


REFUSED = {
    "party": (result(party=OTHER), Outcome.RECONCILIATION_INVALID),
    "period": (result(period="2026-09"), Outcome.RECONCILIATION_INVALID),
    "disclosure_digest": (result(disclosure_digest=bytes(32)), Outcome.RECONCILIATION_INVALID),
    "by": (result(by=""), Outcome.RECONCILIATION_INVALID),
}


@pytest.mark.guest
async def test_what_does_not_fit_is_refused_with_its_field(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        worker = centre.workers[0]
        await disclose(database_dsn)
        for field, (said, outcome) in REFUSED.items():
            data = encode_reconciliation(said)
            answer = await worker.ask(Operation.RECONCILE, Reconcile(hashlib.sha256(data).digest(), data))
            assert (answer.outcome, msgspec.msgpack.decode(answer.body, type=Refusal).field) == (outcome, field)
            assert answer.entry is not None, "a refusal for cause is recorded"
        for digest, data, field in (
            (bytes(32), encode_reconciliation(result()), "digest"),
            (hashlib.sha256(b"\xc0").digest(), b"\xc0", "reconciliation"),
            (hashlib.sha256(encode_reconciliation(result())).digest(), b"", "digest"),
        ):
            answer = await worker.ask(Operation.RECONCILE, Reconcile(digest, data))
            assert answer.outcome is Outcome.RECONCILIATION_INVALID
            assert msgspec.msgpack.decode(answer.body, type=Refusal).field == field
        await disclose(database_dsn, digest=b"e" * 32, turn=1)
        with pytest.raises(PapersFailed, match="disclosed last"):
            await send_reconciliation(Relay(worker), result())
        assert await acts_of(worker) == []


@pytest.mark.guest
async def test_after_the_freeze_nothing_is_reconciled_but_what_stood_is_confirmed(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        worker = centre.workers[0]
        await disclose(database_dsn)
        await send_reconciliation(Relay(worker), result())
        await write(database_dsn, ActKind.CONFIRMED)
        assert (await send_reconciliation(Relay(worker), result())).outcome is Outcome.RECONCILED
        with pytest.raises(PapersFailed, match="frozen") as failed:
            await send_reconciliation(Relay(worker), result(1))
        assert failed.value.outcome == Outcome.PERIOD_FROZEN
        assert len(await acts_of(worker)) == 1


@pytest.mark.guest
async def test_while_somebody_writes_acts_the_line_is_told_to_wait(database_dsn, cards):
    async with (
        centre_of(database_dsn, cards) as centre,
        open_database(database_dsn.owner, size=2, role="tests") as database,
    ):
        await disclose(database_dsn)
        data = encode_reconciliation(result())
        body = Reconcile(hashlib.sha256(data).digest(), data)
        async with database.transaction() as journal:
            await journal.execute("select pg_catalog.pg_advisory_xact_lock($1)", JOURNAL_LOCK)
            assert (await centre.workers[0].ask(Operation.RECONCILE, body)).outcome is Outcome.BUSY
        assert (await centre.workers[0].ask(Operation.RECONCILE, body)).outcome is Outcome.RECONCILED


@pytest.mark.guest
async def test_an_operator_holds_parts_of_one_result_only(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        worker = centre.workers[0]
        for party, digest, number in ((OPERATOR, b"a", 0), (OPERATOR, b"a", 1), (OTHER, b"a", 0), (OPERATOR, b"b", 5)):
            answer = await worker.ask(
                Operation.RECONCILE_PART, ReconcilePart(digest * 32, number, b"part"), party=party
            )
            assert answer.outcome is Outcome.PART_HELD
            assert answer.entry is None
        rows = await worker.database.fetch("select party, digest, number from settlement.held_part order by party")
        assert {tuple(row) for row in rows} == {(OTHER, b"a" * 32, 0), (OPERATOR, b"b" * 32, 5)}
