"""A contract from its first late payment to its hand-over, over a real ledger, with every step done twice."""

import base64
import datetime as dt
import hashlib
import json

import msgspec
import pytest

from gateway.settlement.admission import StepRefused
from gateway.settlement.checking import check_settlement
from gateway.settlement.conduct import confirm, disclose, invoice, pay, status
from gateway.settlement.conduct_contract import (
    NothingOwed,
    ask_interest,
    inspect,
    overdue,
    pay_interest,
    receive_claim,
    receive_from_line,
    waive_interest,
)
from gateway.settlement.conduct_ending import AccountOvertaken, NoAccount, accelerate, due_at_once, final_account
from gateway.settlement.contract_facts import Inspected, Received, facts_of
from gateway.settlement.errors import GivenInvalid
from gateway.settlement.handed_over import HandOverContradicted, check_package
from gateway.settlement.handing_over import hand_over
from gateway.settlement.interest import Waiver
from gateway.settlement.package import PackageInvalid
from gateway.settlement.terms import PartyRole
from gateway.settlement.toml import contract_of
from gateway.store.settlement_lines import BringingStore, ClaimRow
from protocol.act import ActKind
from protocol.keys import KeyHistory, KeyRecord, Purpose, SignedKeyHistory, encode_signed_history, history_to_sign
from protocol.settlement import NOTHING
from protocol.trust import Trust
from tests.ledger.building import T0_US, entry, request_id
from tests.settlement.conducting import CLERK, DEPLOY, SEPTEMBER, TWO, day_us, files, house, sale

FEE = 50_000_000
"""Of a single copy, so that few entries bear interest."""
NET = 4 * (FEE - 115)
ENDED = dt.date(2026, 9, 30)
TERM = "2026-04-01/2026-09-30"


def day(text):
    return dt.date.fromisoformat(text)


async def invoiced(place):
    """September is invoiced on 15 October; due on the 20th."""
    await place.record(*(sale(n, fee=FEE) for n in range(1, 5)))
    await place.record(sale(5, party="gms-dev", town="takaoka", fee=450))
    for act in await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK):
        await place.reconcile(place.desk("2026-10-05"), act)
    await confirm(place.desk("2026-10-09"), SEPTEMBER, CLERK)
    return await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)


async def received(place, at="2026-10-14", **fields):
    known = {"number": "C-1", "yen": NET, "dated": day("2026-10-13"), "received": day("2026-10-14")}
    return await receive_claim(place.desk(at), SEPTEMBER, "chiba", "fees", CLERK, **{**known, **fields})


@pytest.mark.guest
async def test_a_citys_claim_is_paid_when_it_is_ours_and_not_before(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        with pytest.raises(GivenInvalid, match="is not confirmed"):
            await received(place)
        await invoiced(place)
        wrong, _ = await received(place, yen=NET + 1)
        assert not facts_of(wrong, Received).proper
        with pytest.raises(StepRefused, match="has no claim"):
            await pay(place.desk("2026-10-29"), SEPTEMBER, "chiba", CLERK, day=day("2026-10-29"))
        right, claim = await received(place, number="C-2")
        assert (right.turn, claim.id, facts_of(right, Received).proper) == (1, "fees", True)
        assert (await received(place, at="2026-10-20", number="C-2"))[0] == right
        with pytest.raises(GivenInvalid, match="is to come"):
            await received(place, number="C-3", received=day("2026-10-15"))
        paid = await pay(place.desk("2026-10-29"), SEPTEMBER, "chiba", CLERK, day=day("2026-10-29"))
        assert (paid.yen, paid.contract) == (NET, "001-chiba")


@pytest.mark.guest
async def test_a_claim_that_came_over_the_line_is_taken_with_its_number_sum_and_days(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await invoiced(place)
        desk, store = place.desk("2026-10-20"), BringingStore(place.database)
        with pytest.raises(GivenInvalid, match="no claim of chiba for 2026-09 came over its line"):
            await receive_from_line(desk, SEPTEMBER, "chiba", "fees", CLERK)
        for party, number in (("chiba", "C-1"), ("takaoka", "T-1")):
            row = ClaimRow(party, SEPTEMBER, number, NET, "2026-10-13", b"signed", day_us("2026-10-14", hour=23))
            await store.receive(row)
        act, _ = await receive_from_line(desk, SEPTEMBER, "chiba", "fees", CLERK)
        said = facts_of(act, Received)
        assert (said.number, said.dated, said.proper) == ("C-1", day("2026-10-13"), True)
        assert (act.day, act.yen, said.document) == ("2026-10-14", NET, hashlib.sha256(b"signed").digest())
        assert (await receive_from_line(desk, SEPTEMBER, "chiba", "fees", CLERK))[0] == act


@pytest.mark.guest
async def test_the_account_of_a_ministry_is_of_whole_quarters(database_dsn, tmp_path):
    contract = contract_of((DEPLOY / "002-ministry.toml").read_bytes())
    async with house(database_dsn, tmp_path, role="inquiry") as place:

        def desk(at):
            return place.desk(at, role="inquiry", contracts=(contract,))

        at_us = day_us("2026-08-10")
        answers = [entry(n, party="mlit", rid=request_id(n, at_us), yen=30) for n in range(1, 4)]
        await place.record(*(msgspec.structs.replace(each, at_us=at_us, matter="vehicle-67") for each in answers))
        made, _ = await final_account(desk("2026-10-01"), "mlit", day("2026-08-20"), None)
        assert (made.unbilled.due_yen, made.lines, made.unclaimed) == (90, (), ())
        await invoice(desk("2026-10-05"), "2026-Q2", CLERK, received=day("2026-10-31"))
        made, _ = await final_account(desk("2026-12-01"), "mlit", day("2026-08-20"), None)
        assert [(line.deadline, line.open_yen, line.interest_running_yen) for line in made.lines] == [
            (day("2026-11-30"), 90, 0)
        ]
        assert made.unbilled == NOTHING


@pytest.mark.guest
async def test_the_lines_charges_are_claimed_at_the_terms_end_and_paid(database_dsn, tmp_path):
    given = {"number": "L-1", "dated": ENDED, "received": day("2026-10-02")}
    async with house(database_dsn, tmp_path) as place:
        desk = place.desk("2026-10-02")
        act, _ = await receive_claim(desk, TERM, "cvs-dev", "line", CLERK, yen=330_000, **given)
        assert facts_of(act, Received).ours_yen == 6 * 55_000
        paid = await pay(place.desk("2026-10-30"), TERM, "cvs-dev", CLERK, day=day("2026-10-30"), claim="line")
        assert paid.yen == 330_000
        made, _ = await final_account(place.desk("2026-11-01"), "cvs-dev", ENDED, None)
        assert [(line.claim, line.deadline, line.open_yen) for line in made.lines] == [("line", day("2026-10-31"), 0)]
        assert made.is_settled


@pytest.mark.guest
async def test_late_interest_is_asked_for_paid_or_waived_once(database_dsn, tmp_path):
    """200,000,000 yen were received; 2.5 % over eight days that count is 109,589, cut to 109,500."""
    async with house(database_dsn, tmp_path) as place:
        with pytest.raises(NothingOwed):
            await overdue(place.desk("2026-10-20"), SEPTEMBER, "cvs-dev", "fees")
        await invoiced(place)
        running = await overdue(place.desk("2026-10-30"), SEPTEMBER, "cvs-dev", "fees")
        assert [(each.turn, each.late.days, each.late.base_yen) for each in running.delays] == [(None, 10, 4 * FEE)]
        given = {"payable_by": day("2026-11-30")}
        with pytest.raises(GivenInvalid, match="not paid yet"):
            await ask_interest(place.desk("2026-10-30"), SEPTEMBER, "cvs-dev", "fees", CLERK, **given)
        said = Inspected(
            first=day("2026-10-22"), last=day("2026-10-23"), notice=day("2026-10-16"), reference="1号", place="Tokyo"
        )
        held = await inspect(place.desk("2026-10-24"), "cvs-dev", CLERK, said)
        assert await inspect(place.desk("2026-10-25"), "cvs-dev", CLERK, said) == held
        await pay(place.desk("2026-10-30"), SEPTEMBER, "cvs-dev", CLERK, day=day("2026-10-30"))
        (asked,) = await ask_interest(place.desk("2026-11-02"), SEPTEMBER, "cvs-dev", "fees", CLERK, **given)
        assert (asked.kind, asked.yen) == (ActKind.INTEREST, 109_500)
        assert await ask_interest(place.desk("2026-11-09"), SEPTEMBER, "cvs-dev", "fees", CLERK, **given) == [asked]
        with pytest.raises(GivenInvalid, match="109,501 yen, of 109,500"):
            await pay_interest(
                place.desk("2026-11-20"), SEPTEMBER, "cvs-dev", "fees", CLERK, day=day("2026-11-20"), yen=109_501
            )
        paid = await pay_interest(
            place.desk("2026-11-20"), SEPTEMBER, "cvs-dev", "fees", CLERK, day=day("2026-11-19"), yen=100_000
        )
        assert paid == await pay_interest(
            place.desk("2026-11-21"), SEPTEMBER, "cvs-dev", "fees", CLERK, day=day("2026-11-19")
        )
        rest = await pay_interest(place.desk("2026-11-21"), SEPTEMBER, "cvs-dev", "fees", CLERK, day=day("2026-11-21"))
        assert (rest.turn, rest.yen) == (1, 9_500)
        made, _ = await final_account(place.desk("2026-11-22"), "cvs-dev", ENDED, CLERK)
        assert (made.to_centre_yen, [each.yen for each in made.unclaimed]) == (0, [6 * 55_000])
        papers = sorted(path.name for path in (tmp_path / SEPTEMBER / "cvs-dev").glob("interest-*"))
        own = "interest-2026-09-cvs-dev-fees"
        assert papers == [f"{own}{part}.{kind}" for part in ("-paid-1", "-paid-2", "") for kind in ("json", "pdf")]
        assert (tmp_path / TERM.replace("/", "_") / "cvs-dev" / "final-account-cvs-dev-2026-09-30.pdf").exists()
        assert (await check_settlement(place.desk("2026-11-23"))).findings == ()


@pytest.mark.guest
async def test_interest_that_was_waived_is_not_owed(database_dsn, tmp_path):
    waiver = Waiver(ground="bank failure", reference="12号")
    async with house(database_dsn, tmp_path) as place:
        await invoiced(place)
        with pytest.raises(GivenInvalid, match="nothing of certificate-2026-09-cvs-dev-fees was late"):
            await waive_interest(place.desk("2026-10-19"), SEPTEMBER, "cvs-dev", "fees", CLERK, waiver)
        await pay(place.desk("2026-10-30"), SEPTEMBER, "cvs-dev", CLERK, day=day("2026-10-30"))
        (act,) = await waive_interest(place.desk("2026-11-02"), SEPTEMBER, "cvs-dev", "fees", CLERK, waiver)
        assert act.yen == -136_900
        assert await waive_interest(place.desk("2026-11-03"), SEPTEMBER, "cvs-dev", "fees", CLERK, waiver) == [act]
        given = {"payable_by": day("2026-11-30")}
        with pytest.raises(GivenInvalid, match="waived"):
            await ask_interest(place.desk("2026-11-04"), SEPTEMBER, "cvs-dev", "fees", CLERK, **given)


@pytest.mark.guest
async def test_an_acceleration_makes_the_invoice_due_on_the_day_of_the_event(database_dsn, tmp_path):
    given = {"occurred": day("2026-10-16"), "ground": "不渡り", "reference": "7号"}
    async with house(database_dsn, tmp_path) as place:
        await invoiced(place)
        act = await accelerate(place.desk("2026-10-17"), "cvs-dev", PartyRole.OPERATOR, 2, CLERK, **given)
        assert act == await accelerate(place.desk("2026-10-18"), "cvs-dev", PartyRole.OPERATOR, 2, CLERK, **given)
        due = await due_at_once(place.desk("2026-10-17"), act)
        assert [(each.number, each.open_yen) for each in due] == [("certificate-2026-09-cvs-dev-fees", NET)]
        found = await overdue(place.desk("2026-10-19"), SEPTEMBER, "cvs-dev", "fees")
        assert (found.debt.deadline, found.debt.accelerated, found.delays[0].late.days) == (day("2026-10-16"), True, 3)
        late = (await status(place.desk("2026-10-19"), SEPTEMBER)).late
        assert [(each.party, each.step, each.deadline) for each in late if each.incoming] == [
            ("cvs-dev", "payment", "2026-10-16")
        ]
        assert "due at once" in next(each for each in late if each.incoming).detail


@pytest.mark.guest
async def test_a_final_account_is_of_all_the_ledger_has_and_waits_for_what_is_in_no_invoice(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await invoiced(place)
        made, act = await final_account(place.desk("2026-10-16"), "cvs-dev", ENDED, CLERK)
        assert (made.to_centre_yen, made.unbilled, act.yen) == (NET, NOTHING, NET)
        assert (await final_account(place.desk("2026-10-16"), "cvs-dev", ENDED, CLERK))[1] == act
        with pytest.raises(StepRefused, match="runs until"):
            await final_account(place.desk("2026-10-16"), "cvs-dev", day("2026-10-16"), TWO)
        await place.record(sale(9, day="2026-09-29", fee=300))
        with pytest.raises(StepRefused, match="1 bookings of 185 yen"):
            await final_account(place.desk("2026-10-17"), "cvs-dev", ENDED, CLERK)
        made, act = await final_account(place.desk("2026-10-17"), "cvs-dev", ENDED, TWO)
        assert (made.unbilled.due_yen, act.second, act.ground) == (185, "clerk-2", "unbilled: agreed by telephone")
        city, _ = await final_account(place.desk("2026-10-17"), "takaoka", ENDED, None)
        assert (city.unbilled, city.lines) == (NOTHING, ())


@pytest.mark.guest
async def test_what_came_after_the_last_freeze_is_billed_in_the_month_after_the_contracts_end(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path / "settlement") as place:
        await invoiced(place)
        await place.record(sale(9, day="2026-09-29", fee=300), sale(10, day="2026-10-02", fee=1_000))
        for act in await disclose(place.desk("2026-11-02"), "2026-10", CLERK):
            await place.reconcile(place.desk("2026-11-04"), act)
        await confirm(place.desk("2026-11-09"), "2026-10", CLERK)
        await invoice(place.desk("2026-11-13"), "2026-10", CLERK)
        made, act = await final_account(place.desk("2026-11-14"), "cvs-dev", ENDED, CLERK)
        assert [(line.period, line.yen) for line in made.lines] == [(SEPTEMBER, NET), ("2026-10", 185 + 885)]
        assert (made.unbilled, act.second) == (NOTHING, "")
        trust = trust_of(place)
        await hand_over(place.desk("2026-11-16"), "cvs-dev", CLERK, out=tmp_path / "out", trust=trust)
        assert check_package(tmp_path / "out", trust).entries.due_yen == NET + 185


def trust_of(place):
    """The house's keys with that of its invoices, as of a certificate centre."""
    centre = place.centre
    keys = [(centre.root, Purpose.HISTORY), (centre.block, Purpose.BLOCK), (place.signer, Purpose.INVOICE)]
    keys += [(centre.checkpoint, Purpose.CHECKPOINT), (centre.checkpoint_pq, Purpose.CHECKPOINT_PQ)]
    records = [KeyRecord(key.key_id, str(purpose), int(key.algorithm), key.spki, 0) for key, purpose in keys]
    history = KeyHistory("centre", 1, T0_US, records).encode()
    signed = SignedKeyHistory("root-1", 1, centre.root.sign(history_to_sign(history)), history)
    return Trust(
        centre="centre",
        role="certificate",
        environment="test",
        root=centre.root.spki,
        signed_history=encode_signed_history(signed),
    )


@pytest.mark.guest
async def test_a_package_is_made_once_the_account_stands_and_holds_together_without_the_centre(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path / "settlement") as place:
        trust = trust_of(place)
        await invoiced(place)
        with pytest.raises(NoAccount):
            await hand_over(place.desk("2026-10-16"), "cvs-dev", CLERK, out=tmp_path / "early", trust=trust)
        assert not list(tmp_path.glob(".early*"))
        await pay(place.desk("2026-10-20"), SEPTEMBER, "cvs-dev", CLERK, day=day("2026-10-20"))
        account, _ = await final_account(place.desk("2026-10-21"), "cvs-dev", ENDED, CLERK)
        assert (account.to_centre_yen, account.unbilled) == (0, NOTHING)
        act, manifest = await hand_over(place.desk("2026-10-22"), "cvs-dev", CLERK, out=tmp_path / "out", trust=trust)
        found = check_package(tmp_path / "out", trust)
        assert (found.manifest, found.account, found.entries.due_yen) == (manifest, account, NET)
        kinds = [ActKind(each.kind).name for each in found.acts]
        assert kinds == ["DISCLOSED", "RECONCILED", "CONFIRMED", "INVOICED", "PAID", "FINAL_ACCOUNT"]
        names = {line.name for line in manifest.files}
        assert {"ledger.csv", "account.json", "trust.bundle", "checkpoint.note", "acts.csv", "README.txt"} < names
        assert "documents/2026-09/certificate-2026-09-cvs-dev-fees.pdf" in names
        assert not any("gms-dev" in text for text in ((tmp_path / "out" / n).read_text(errors="ignore") for n in names))

        again, _ = await hand_over(place.desk("2026-10-25"), "cvs-dev", CLERK, out=tmp_path / "again", trust=trust)
        assert again == act
        assert files(tmp_path / "again") == files(tmp_path / "out")
        with pytest.raises(GivenInvalid, match="exists"):
            await hand_over(place.desk("2026-10-25"), "cvs-dev", CLERK, out=tmp_path / "out", trust=trust)

        city, _ = await final_account(place.desk("2026-10-26"), "chiba", ENDED, CLERK)
        await hand_over(place.desk("2026-10-27"), "chiba", CLERK, out=tmp_path / "city", trust=trust)
        assert check_package(tmp_path / "city", trust).entries.due_yen == NET == city.unbilled.due_yen + NET

        assert (await check_settlement(place.desk("2026-10-27"))).findings == ()
        await place.record(sale(9, day="2026-09-29", fee=300))
        with pytest.raises(AccountOvertaken):
            await hand_over(place.desk("2026-10-28"), "cvs-dev", CLERK, out=tmp_path / "late", trust=trust)


@pytest.mark.guest
async def test_a_package_whose_parts_do_not_fit_is_refused_even_under_the_centres_signature(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path / "settlement") as place:
        trust = trust_of(place)
        await invoiced(place)
        await final_account(place.desk("2026-10-21"), "cvs-dev", ENDED, CLERK)
        await hand_over(place.desk("2026-10-22"), "cvs-dev", CLERK, out=tmp_path / "out", trust=trust)
        check_package(tmp_path / "out", trust)

        def less_one_booking(data):
            return b"\r\n".join(data.split(b"\r\n")[:-2]) + b"\r\n"

        def another_sum(data):
            return data.replace(b'"to_centre_yen": ', b'"to_centre_yen": 1')

        for name, change in (("ledger.csv", less_one_booking), ("account.json", another_sum)):
            path = tmp_path / "out" / name
            before = path.read_bytes()
            assert change(before) != before
            path.write_bytes(change(before))
            with pytest.raises(PackageInvalid, match=name):
                check_package(tmp_path / "out", trust)
            sealed_again(tmp_path / "out", place.signer)
            with pytest.raises(HandOverContradicted, match=name):
                check_package(tmp_path / "out", trust)
            path.write_bytes(before)
            sealed_again(tmp_path / "out", place.signer)
        (tmp_path / "out" / "documents" / "2026-09" / "certificate-2026-09-cvs-dev-fees.invoice").unlink()
        sealed_again(tmp_path / "out", place.signer)
        with pytest.raises(HandOverContradicted, match="is missing"):
            check_package(tmp_path / "out", trust)
        act = next((tmp_path / "out" / "acts").glob("*.receipt"))
        act.unlink()
        sealed_again(tmp_path / "out", place.signer)
        with pytest.raises(HandOverContradicted, match="has no receipt"):
            check_package(tmp_path / "out", trust)


def sealed_again(directory, signer):
    """A list of the files as they are now, under the centre's own signature."""

    from gateway.settlement.package import FileLine, Manifest, manifest_bytes, manifest_to_sign

    lines = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and not name.startswith("manifest."):
            data = path.read_bytes()
            lines.append(FileLine(name, len(data), hashlib.sha256(data).hexdigest()))
    old = msgspec.json.decode((directory / "manifest.json").read_bytes(), type=Manifest)
    new = manifest_bytes(msgspec.structs.replace(old, files=tuple(sorted(lines, key=lambda line: line.name))))
    (directory / "manifest.json").write_bytes(new)
    signature = base64.b64encode(signer.sign(manifest_to_sign(new))).decode()
    text = json.dumps({"key_id": signer.key_id, "signature": signature}, indent=1)
    (directory / "manifest.signature").write_bytes(f"{text}\n".encode())
