"""Acts stand in the ledger or nowhere, each once, and what a killed command left behind is closed by the next."""

import msgspec
import pytest

from gateway.ledger.stream import Stream
from gateway.settlement.errors import ActStands, NotWritten
from gateway.settlement.journal import JOURNAL_SLOT, open_journal
from gateway.store.errors import StoreRefused
from gateway.store.ledger import LedgerStore
from gateway.store.pool import open_database
from gateway.store.settlement_acts import ActStore, DocumentRow, DocumentStore
from protocol.act import Act, ActError, ActKind, act_commitment, decode_act, encode_act
from protocol.ledger import BlockKind, decode_entry, decode_header
from protocol.messages import Operation
from tests.ledger.building import T0_US, Signer

PLACE = {"centre": "j-lis", "role": "certificate", "node": "node-1"}


def act(kind=ActKind.DISCLOSED, **fields):
    known = {"contract": "000", "claim": "fees", "period": "2026-10", "party": "cvs", "day": "2026-11-02"}
    return Act(**{"kind": kind, "by": "clerk-1", "at_us": T0_US, **known, **fields})


@pytest.mark.guest
async def test_an_act_and_its_entry_stand_together_and_once(database_dsn):
    async with open_database(database_dsn.owner, size=4, role="tests") as database:
        signer = Signer("block-1")
        wanted = [act(), act(party="gms"), act(ActKind.CONFIRMED, party="", facts=b"\x01")]
        async with open_journal(database, **PLACE, sign=signer, now_us=lambda: T0_US) as journal:
            await journal.write(wanted)
            with pytest.raises(ActStands, match="already"):
                await journal.write([act(ActKind.INVOICED), act()])
            await journal.write([act(ActKind.INVOICED)])
        rows = await ActStore(database).acts(period="2026-10")
        assert [row.act for row in rows] == [*wanted, act(ActKind.INVOICED)]
        for row in rows:
            block = await LedgerStore(database).read_block(row.stream, row.height)
            entry = decode_entry(block.entries[row.idx])
            assert entry.request_commitment == entry.response_commitment == act_commitment(encode_act(row.act))
            assert (entry.operation, entry.party, entry.counterparty) == (Operation.SETTLE, "j-lis", row.act.party)
            assert (entry.yen, entry.commission) == (0, 0)
        last = await LedgerStore(database).read_block(rows[0].stream, 2)
        assert decode_header(last.header).kind == BlockKind.CLOSE
        with pytest.raises(StoreRefused):
            await database.execute("update settlement.act set period = '2026-11'")


@pytest.mark.guest
async def test_a_journal_that_was_killed_is_closed_by_the_next_and_a_key_away_writes_nothing(database_dsn):
    async with open_database(database_dsn.owner, size=4, role="tests") as database:
        ledger = LedgerStore(database)
        left = Stream(id=b"k" * 16, role="certificate", node="node-1", slot=JOURNAL_SLOT)
        await ledger.open_stream(left, opened_us=T0_US, predecessor=None)

        signer, away = Signer("block-1"), False

        async def sign(data):
            if away:
                raise OSError("the keystore is away")
            return await signer(data)

        async with open_journal(database, **PLACE, sign=sign, now_us=lambda: T0_US) as journal:
            block = await ledger.read_block(left.id, 0)
            assert decode_header(block.header).kind == BlockKind.CLOSE
            away = True
            with pytest.raises(NotWritten):
                await journal.write([act()])
            away = False
            await journal.write([act()])
        (row,) = await ActStore(database).acts()
        assert row.act == act()


@pytest.mark.guest
async def test_a_document_is_read_as_it_was_put_by_its_party_alone(database_dsn):
    data = bytes(range(256)) * 4000
    asked = DocumentRow(b"d" * 16, "cvs", "2026-10", "invoice.pdf", "application/pdf", 0, b"", T0_US)

    async def pieces():
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]

    async with open_database(database_dsn.owner, size=4, role="tests") as database:
        store = DocumentStore(database)
        row = await store.put(asked, pieces())
        assert row.size == len(data)
        assert await store.listed(party="cvs") == [row]
        assert await store.listed(party="cvs", period="2026-09") == await store.listed(party="gms") == []
        assert b"".join([part async for part in store.read(row)]) == data
        assert await store.part(row.id, 0, party="gms") is None
        assert await store.part(row.id, 9, party="cvs") is None


def test_an_act_has_one_form():
    assert decode_act(encode_act(act())) == act()
    assert act().key == ("000", "fees", "2026-10", "cvs", 1, 0)
    for bad in (b"", b"\xc1", encode_act(act()) + b"\x00", msgspec.msgpack.encode([1])):
        with pytest.raises(ActError):
            decode_act(bad)
