"""sekisho settle verify: a sound record has no finding, and every kind of change beside the journal is named."""

import datetime as dt

import pytest

from gateway.settlement.checking import check_settlement
from gateway.settlement.conduct import confirm, disclose, invoice, pay
from protocol.act import ActKind, encode_act
from protocol.trust import Trust
from tests.settlement.conducting import CLERK, SEPTEMBER, TWO, house, sale

CHANGES = {
    "act-entry": "update settlement.act set content = $1 where kind = 6 and party = 'cvs-dev'",
    "act-columns": "update settlement.act set party = 'gms' where kind = 6 and party = 'gms-dev'",
    "act-unreadable": "update settlement.act set content = '\\xc1' where kind = 4",
    "no-act": "delete from settlement.act where kind = 6 and party = 'gms-dev'",
    "no-entry": "update settlement.act set idx = 77 where kind = 4",
    "document-parts": "update settlement.document_part set data = '\\x00' where number = 0 and document ="
    " (select id from settlement.document where name like '%gms-dev-fees.pdf')",
    "document": "update settlement.document set name = name || 'x' where name like '%.items'",
    "frozen-sum": "update ledger.entry set yen = yen + 100, commission = commission where yen = 450",
    "invoice-contradicted": "update ledger.entry set commission = commission - 5 where yen = 450",
    "disclosure-contradicted": "update ledger.entry set store = '77' where yen = 450",
    "turns": "delete from settlement.act where kind = 8 and turn = 0",
}


async def _played(place):
    await place.record(*(sale(n) for n in range(1, 4)), sale(5, party="gms-dev", town="takaoka", fee=450))
    for act in await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK):
        await place.reconcile(place.desk("2026-10-02"), act)
    await confirm(place.desk("2026-10-09"), SEPTEMBER, TWO)
    made = await invoice(place.desk("2026-10-09"), SEPTEMBER, CLERK)
    for yen in (100, 200):
        await pay(place.desk("2026-10-20"), SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 20), yen=yen)
    return made


@pytest.mark.guest
async def test_what_was_done_by_the_steps_holds_and_what_was_changed_beside_them_is_named(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        made = await _played(place)
        found = await check_settlement(place.desk("2026-10-20"))
        assert (found.findings, found.acts, found.periods) == ((), 11, 1)
        owner = place.database
        for table in ("settlement.act", "settlement.document", "settlement.document_part", "ledger.entry"):
            await owner.execute(f"alter table {table} disable trigger all")
            await owner.execute(f"create table kept_{table.split('.')[1]} as table {table}")
        for code, change in CHANGES.items():
            await owner.execute(change, *([encode_act(made[1])] if "$1" in change else []))
            found = await check_settlement(place.desk("2026-10-20"))
            assert code in {each.code for each in found.findings}, code
            await _restored(owner)
        assert (await check_settlement(place.desk("2026-10-20"))).findings == ()


@pytest.mark.guest
async def test_a_period_of_which_one_side_lacks_a_document_is_not_conserved(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _played(place)
        await place.database.execute("alter table settlement.act disable trigger all")
        await place.database.execute("delete from settlement.act where kind = $1", int(ActKind.RELEASED))
        codes = {each.code for each in (await check_settlement(place.desk("2026-10-20"))).findings}
        assert codes == {"no-act"}
        await place.database.execute("delete from settlement.act where kind = 6 and party = 'cvs-dev'")
        codes = {each.code for each in (await check_settlement(place.desk("2026-10-20"))).findings}
        assert codes == {"no-act", "not-conserved"}


async def _restored(owner):
    for name in ("settlement.document_part", "settlement.document", "settlement.act", "ledger.entry"):
        await owner.execute(f"delete from {name}")
    for name in ("ledger.entry", "settlement.act", "settlement.document", "settlement.document_part"):
        await owner.execute(f"insert into {name} select * from kept_{name.split('.')[1]}")


@pytest.mark.guest
async def test_a_signature_that_no_key_of_the_centre_made_is_named(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _played(place)
        known = place.centre.trust
        trust = Trust(
            centre="centre",
            role="certificate",
            environment="test",
            root=known.root,
            signed_history=known.signed_history,
        )
        found = await check_settlement(place.desk("2026-10-20"), trust=trust)
        assert all(each.text.startswith("signature: ") for each in found.findings)
        assert [each.code for each in found.findings] == ["signature"] * 6
