"""Confirmed data kept whole or not at all and held against the municipality's reports; the claim that rests on them."""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.municipality import command
from gateway.peers.municipality import claiming, confirmed, journal
from gateway.peers.municipality.claiming import Sums, own_sums
from gateway.peers.municipality.errors import ClaimImpossible
from gateway.peers.municipality.trusted import Trusted
from protocol.application import Transition
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from protocol.papers import CONFIRMED_PART_BYTES, Claim, Claimed, ClaimError, Confirmed, Kept, SignedClaim, verify_claim
from tests.peers.municipality.kit import CODE, PARTY, Town, World
from tests.peers.municipality.statements import DAY_US, FEE, FROZEN_US, noted, paper, parts, sold, statement
from tests.peers.municipality.test_refusals import open_incidents

PERIOD = "2026-10"


@contextmanager
def desk(town: Town):
    """The directory opened, and the centre's trust as it reads it."""
    with town.opened() as municipality:
        yield municipality, Trusted(town.data, municipality.settings).centre


async def bring(client, line, data) -> Kept:
    """Every part of a document, over the line; what the last was answered."""
    kept = None
    for part in parts(line, data):
        result = await client.ask(Operation.CONFIRMED, encode(part))
        assert result.outcome == Outcome.NOTED
        kept = msgspec.msgpack.decode(result.body, type=Kept)
    return kept


@pytest.mark.trio
async def test_what_is_brought_is_whole_and_the_claim_is_made_on_asking_once(town: Town, world: World) -> None:
    with town.opened() as municipality:
        noted(municipality.store, sold(1), sold(2, copies=2))
    data = statement(world)
    line = paper(data)
    async with town.answering() as client:
        assert (await client.ask(Operation.CLAIM, encode(Claim(PERIOD)))).outcome == Outcome.NOT_CLAIMED
        assert await bring(client, line, data) == Kept(1, True)
        assert await bring(client, line, data) == Kept(1, True)
        first = await client.ask(Operation.CLAIM, encode(Claim(PERIOD)))
        again = await client.ask(Operation.CLAIM, encode(Claim(PERIOD)))
        assert first.outcome == Outcome.CLAIMED
        assert first.body == again.body, "a claim is made once"
        assert (await client.ask(Operation.CLAIM, encode(Claim("2026-11")))).outcome == Outcome.NOT_CLAIMED
    said = msgspec.msgpack.decode(first.body, type=Claimed)
    claim = verify_claim(said.claim, world_trust(town))
    assert (claim.number, claim.yen, claim.day) == (said.number, said.yen, said.day)
    assert (claim.party, claim.code, claim.period, claim.copies) == (PARTY, CODE, PERIOD, 3)
    assert (claim.fees, claim.commission, claim.yen) == (900, 345, 555)
    assert claim.statement == hashlib.sha256(data).digest()
    assert open_incidents(town) == ["report-unmatched"] * 2, "the reports of this test are of nothing issued"


def world_trust(town: Town):
    """The municipality's own bundle, as the centre has it."""
    return town.world.trust


@pytest.mark.trio
async def test_a_statement_that_is_not_what_the_reports_say_waits_for_a_person(town: Town, world: World) -> None:
    with town.opened() as municipality:
        noted(municipality.store, sold(1))
    data = statement(world)
    async with town.answering() as client:
        assert (await bring(client, paper(data), data)).whole
        assert (await client.ask(Operation.CLAIM, encode(Claim(PERIOD)))).outcome == Outcome.NOT_CLAIMED
        assert "statement-differs" in open_incidents(town)
        with town.opened() as municipality:
            (incident,) = [each for each in journal.incidents(municipality.store) if each.code == "statement-differs"]
        assert incident.detail == "2026-10: copies 3, own 1; yen 900, own 300"
        with desk(town) as (municipality, trust):
            claiming.claim(municipality, PERIOD, trust=trust, by="合成 担当")
        assert (await client.ask(Operation.CLAIM, encode(Claim(PERIOD)))).outcome == Outcome.CLAIMED


def test_no_claim_without_a_confirmed_statement(town: Town) -> None:
    with desk(town) as (municipality, trust), pytest.raises(ClaimImpossible, match="10th"):
        claiming.claim(municipality, PERIOD, trust=trust, by="x")


@pytest.mark.parametrize("change", [{"party": "another"}, {"period": "2026-09"}, {"issuer": "other"}])
def test_a_statement_of_another_is_an_incident_and_rests_no_claim(town: Town, world: World, change: dict) -> None:
    data = statement(world, **change)
    line = paper(data)
    with desk(town) as (municipality, trust):
        assert confirmed.keep(municipality.store, Confirmed(line, 0, data)).whole
        claiming.check(municipality.store, line, trust=trust, party=PARTY)
        assert claiming.position(municipality.store, PERIOD, trust=trust, party=PARTY).statement is None
    assert open_incidents(town) == ["paper-spoilt"]


def test_the_statement_that_was_made_last_counts(town: Town, world: World) -> None:
    with desk(town) as (municipality, trust):
        for copies, at_us in ((3, FROZEN_US), (5, FROZEN_US + 5), (4, FROZEN_US + 2)):
            data = statement(world, copies=copies, at_us=at_us)
            confirmed.keep(municipality.store, Confirmed(paper(data, name=f"{copies}.invoice"), 0, data))
        found = claiming.position(municipality.store, PERIOD, trust=trust, party=PARTY)
        assert found.said == Sums(5, 1500)
        assert not found.agrees


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    size=st.integers(0, 3 * CONFIRMED_PART_BYTES),
)
def test_parts_in_any_order_and_again_come_to_the_very_document(town: Town, data: st.DataObject, size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    line = paper(content, name="items.bin")
    everything = parts(line, content)
    order = data.draw(st.permutations(everything + everything[:2]))
    with town.opened() as municipality:
        store = municipality.store
        whole = [confirmed.keep(store, part).whole for part in order]
        assert whole.index(True) == next(
            n for n in range(len(order)) if {p.number for p in order[: n + 1]} == set(range(len(everything)))
        )
        assert confirmed.content(store, line) == content
        (kept,) = [each for each in confirmed.papers(store, period=PERIOD) if each.line == line]
        assert kept.whole_us is not None


def test_what_comes_to_another_digest_is_dropped_and_may_come_anew(town: Town) -> None:
    content = bytes(3 * CONFIRMED_PART_BYTES + 5)
    line = paper(content)
    with town.opened() as municipality:
        store = municipality.store
        spoilt = [*parts(line, content)[:3], Confirmed(line, 3, b"other")]
        assert [confirmed.keep(store, part) for part in spoilt][-1] == Kept(0, False)
        assert [confirmed.keep(store, part) for part in parts(line, content)][-1] == Kept(4, True)
    assert open_incidents(town) == ["paper-spoilt"]


def test_parts_that_are_none_are_refused_and_change_nothing(town: Town) -> None:
    content = bytes(CONFIRMED_PART_BYTES + 5)
    line = paper(content)
    first, second = parts(line, content)
    huge = msgspec.structs.replace(line, id=b"h" * 16, size=confirmed.KEPT_BYTES_MAX + 1)
    with town.opened() as municipality:
        store = municipality.store
        confirmed.keep(store, first)
        for wrong in (
            Confirmed(line, 2, b""),
            Confirmed(line, 1, b"too long for the end"),
            Confirmed(msgspec.structs.replace(line, name="other.pdf"), 1, second.data),
            Confirmed(huge, 0, first.data),
        ):
            assert confirmed.keep(store, wrong) == Kept(0, False)
        assert confirmed.keep(store, second) == Kept(2, True)
    assert open_incidents(town) == ["paper-spoilt"] * 4


VOID = {"transition": Transition.VOIDED, "copies": -1, "yen": -FEE}


def test_what_the_reports_come_to_follows_the_deposit_and_the_freeze() -> None:
    month = 31 * DAY_US
    listed = [
        sold(1),
        sold(2, copies=2),
        sold(3, application=(1).to_bytes(16, "big"), **VOID),
        sold(4, day=40),  # of November, it seems; by correction 6 of October
        sold(5, at_us=FROZEN_US + 1),  # of October, reported after the freeze
        sold(6, application=(4).to_bytes(16, "big"), transition=11, copies=0, yen=0, deposited_at_us=sold(9).at_us,
             at_us=FROZEN_US + 2),
        sold(7, day=41),  # of November
    ]  # fmt: skip
    october = own_sums(listed, period="2026-10", at_us=FROZEN_US, before_us=FROZEN_US)
    november = own_sums(listed, period="2026-11", at_us=FROZEN_US + month, before_us=FROZEN_US)
    assert (october, november) == (Sums(2, 600), Sums(3, 900)), "late ones are adjustments of the next month"
    later = FROZEN_US + month
    alone = own_sums(listed, period="2026-11", at_us=later, before_us=later)
    assert alone == Sums(1, 300), "October is still open then, and has its own"


@given(
    changes=st.lists(st.tuples(st.integers(1, 120), st.integers(1, 3), st.integers(0, 120)), max_size=12),
    freezes=st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)),
)
def test_months_together_come_to_all_reports(changes, freezes) -> None:
    """However late reports come: no copy is in two statements, none in none."""
    listed = [
        sold(n, day=day, copies=copies, at_us=sold(n, day=day).deposited_at_us + late * DAY_US)
        for n, (day, copies, late) in enumerate(changes, start=1)
    ]
    ends = [31, 61, 92]  # of October, November, December
    cuts = [sold(1, day=end + 1 + extra).deposited_at_us for end, extra in zip(ends, sorted(freezes), strict=True)]
    months = ["2026-10", "2026-11", "2026-12"]
    sums = [
        own_sums(listed, period=month, at_us=cut, before_us=before)
        for month, cut, before in zip(months, cuts, [cuts[0], *cuts], strict=False)
    ]
    expected = sum(
        each.copies for each in listed if each.at_us <= cuts[2] and claiming.month_of(each.deposited_at_us) <= months[2]
    )
    assert sum(each.copies for each in sums) == expected


@pytest.mark.parametrize("what", ["claim", "signature", "sum", "shape"])
def test_a_claim_that_was_altered_is_found(town: Town, world: World, what: str) -> None:
    data = statement(world)
    with desk(town) as (municipality, trust):
        confirmed.keep(municipality.store, Confirmed(paper(data), 0, data))
        made = claiming.claim(municipality, PERIOD, trust=trust, by="x")
    signed = msgspec.msgpack.decode(made.claim, type=SignedClaim)
    claim = verify_claim(made.claim, world.trust)
    altered = {
        "claim": lambda: encode(SignedClaim(encode(msgspec.structs.replace(claim, number="9")), *rest(signed))),
        "signature": lambda: encode(SignedClaim(signed.claim, signed.key_id, bytes(64))),
        "sum": lambda: encode(SignedClaim(encode(msgspec.structs.replace(claim, yen=1)), *rest(signed))),
        "shape": lambda: made.claim + b"\0",
    }[what]()
    with pytest.raises(ClaimError):
        verify_claim(altered, world.trust)


def rest(signed: SignedClaim) -> tuple[str, bytes]:
    return signed.key_id, signed.signature


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)))


def test_the_command_shows_what_is_confirmed_and_reported_writes_it_and_claims(
    town: Town, world: World, tmp_path: Path
) -> None:
    where = ("settlement", PERIOD, "--data", town.data)
    assert "no confirmed data yet" in run(*where).output
    data, table = statement(world), bytes(CONFIRMED_PART_BYTES + 1)
    with town.opened() as municipality:
        noted(municipality.store, sold(1))
        confirmed.keep(municipality.store, Confirmed(paper(data), 0, data))
        confirmed.keep(municipality.store, parts(paper(table, name="cells.csv"), table)[0])
    shown = run(*where, "--out", tmp_path).output
    assert "parts are missing" in shown
    assert "confirmed 3通 900円  報告 / reported 1通 300円  不一致 / differs" in shown
    assert "not claimed" in shown
    assert [file.read_bytes() for file in (tmp_path / PERIOD).iterdir()] == [data]
    assert run(*where, "--claim").exit_code == 2, "a claim is somebody's"
    assert f"claimed {CODE}-{PERIOD} 555円" in run(*where, "--claim", "--by", "hanako").output
    *_, position = [json.loads(line) for line in run(*where, "--json").output.splitlines()]
    assert (position["agrees"], position["due_yen"], position["claim_yen"]) == (False, 555, 555)
    assert position["reported"] == {"copies": 1, "fees": 300}
    empty = run("settlement", "2026-09", "--data", town.data, "--claim", "--by", "hanako")
    assert isinstance(empty.exception, ClaimImpossible)
