"""A synthetic month and quarter settled to the last yen: every step on its day, and the payer proves its invoice."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest

from certs.authority import DevelopmentAuthority
from gateway.app.configuration import read_configuration
from gateway.app.development_contracts import write_contracts
from gateway.app.supervisor import Dsns
from gateway.app.synthetic_centre import PastCentre, opened_centre
from gateway.app.synthetic_cycle import CLERK, MonthCycle
from gateway.app.synthetic_forgery import forge
from gateway.app.synthetic_ledger import make_partitions
from gateway.app.synthetic_parties import make_shops
from gateway.app.synthetic_quarter_cycle import settle_quarter
from gateway.app.synthetic_times import month_times, quarter_times
from gateway.directory import toml
from gateway.directory.apply import Change, apply
from gateway.issuance.rider import issuance_rider
from gateway.ledger.verification import verify_ledger
from gateway.peers.relay.store import create_store
from gateway.settlement import conduct
from gateway.settlement.calendars import STANDARD
from gateway.settlement.conduct_status import Stand
from gateway.settlement.periods import month, quarter
from gateway.settlement.proving import Fault, prove_invoice
from gateway.settlement.receipts import Kept
from gateway.settlement.tariff import read_tariff
from gateway.settlement.windows import midnight_us
from gateway.store.ledger_audit import AUDIT_CONNECTIONS, open_reader
from gateway.store.pool import open_database
from hsm.ceremony import create_standard_keys, trust_of
from hsm.software import SoftwareKeystore
from protocol.invoice import InvoiceError, decode_signed, read_items, verify_invoice
from protocol.trust import encode_trust
from tests.app.test_synthetic_month import APP
from tests.directory.certificates import bundle

SINCE_US = midnight_us(dt.date(2026, 4, 1))
OCTOBER = month_times(month(2026, 10), calendars=STANDARD)
SUMMER = quarter_times(quarter(2026, 2), calendars=STANDARD)
TARIFF = """
[[price]]
from = 2026-04-01
fee = 300
commission = 115
[[price]]
matter = "koseki-zenbu"
from = 2026-04-01
fee = 450
commission = 115
"""


def configured(place, role):
    """A centre's directory with its configuration, contracts and keys; its database is another's."""
    (place / "sekisho.toml").write_text(
        f'[centre]\nrole = "{role}"\n[database]\nembedded = "none"\n[keystore]\nuri = "software:keystore.sekisho"\n'
        'passphrase_file = "passphrase"\n[line]\n[ops]\n'
    )
    (place / "passphrase").write_text("test\n")
    (place / "passphrase").chmod(0o600)
    store = SoftwareKeystore.create(place / "keystore.sekisho", "test", owner="centre")
    create_standard_keys(store, "centre", label="past", now_us=SINCE_US)
    (place / "trust.bundle").write_bytes(encode_trust(trust_of(store, role=role, environment="development")))
    store.close()
    write_contracts(place, role)


@asynccontextmanager
async def centre(place, role, dsn, example) -> AsyncIterator[PastCentre]:
    configured(place, role)
    document = toml.read(APP / example)
    towns = tuple(msgspec.structs.replace(each, trust=bundle(each.party)) for each in document.municipalities)
    change = Change(asked_by="one", approved_by="two", reference="test", at_us=SINCE_US)
    async with open_database(dsn.owner, size=1, role="test") as owner:
        await apply(owner, msgspec.structs.replace(document, municipalities=towns), change)
    dsns = Dsns(gateway=dsn.gateway, ops=dsn.ops, owner=dsn.owner)
    async with opened_centre(read_configuration(place), dsns) as opened:
        await make_partitions(opened.ops, dt.date(2026, 7, 1), dt.date(2026, 11, 30))
        yield opened


async def assert_fits(dsn, trust):
    async with open_database(dsn.ops, size=AUDIT_CONNECTIONS, role="test") as ops, open_reader(ops) as reader:
        report = await verify_ledger(reader, trust)
    assert report.sound, report.findings


def proven(directory, receipts, trust, tariff=None):
    (file,) = directory.glob("*.invoice")
    invoice = verify_invoice(decode_signed(file.read_bytes()), trust)
    with file.with_suffix(".items").open("rb") as items:
        return prove_invoice(invoice, read_items(items, invoice), Kept(receipts, trust), tariff=tariff)


@pytest.mark.guest
async def test_a_month_is_settled_on_its_days_and_the_operator_proves_its_invoice(database_dsn, tmp_path):
    place, relay = tmp_path / "centre", tmp_path / "relay"
    place.mkdir()
    relay.mkdir()
    create_store(relay)
    authority = DevelopmentAuthority.create(tmp_path / "pki", name="Synthetic Operator", now=dt.datetime.now(dt.UTC))
    shops = make_shops(relay, authority, operator="cvs-dev", line="relay-1", at_us=SINCE_US)
    told = []
    async with centre(place, "certificate", database_dsn, "directory.certificate.example.toml") as opened:
        async with opened.ledger(issuance_rider, at_us=SINCE_US) as ledger:
            cycle = MonthCycle(opened, ledger, OCTOBER, relay=relay, shops=shops, visits=120, tell=told.append)
            settled = await cycle.run()
            status = await conduct.status(await opened.desk(ledger, at_us=OCTOBER.pass_on_us), "2026-10")
            again = await conduct.invoice(await opened.desk(ledger, at_us=OCTOBER.pass_on_us), "2026-10", CLERK)
        trust = opened.trust
        forged = await forge(
            next((settled.directory / "cvs-dev").glob("*.invoice")),
            next((settled.directory / "cvs-dev").glob("*.items")),
            tmp_path / "forged",
            trust=trust,
            sign=partial(opened.sign_invoice, at_us=OCTOBER.invoice_us),
        )
    assert again == settled.invoices
    assert {each.stand for each in status.steps} <= {Stand.DONE, Stand.NONE}
    assert sum(act.yen for act in settled.invoices) == sum(act.yen for act in settled.released) == status.frozen_yen
    assert sum(each.ja.startswith("差異: ") for each in told) == 3
    assert [each.at_us for each in told] == sorted(each.at_us for each in told)
    await assert_fits(database_dsn, trust)

    tariff = read_tariff(TARIFF)
    verdict = proven(settled.directory / "cvs-dev", relay / "proofs", trust, tariff)
    assert verdict.sound, verdict.findings
    assert verdict.proven == verdict.items > 120
    wrong = proven(tmp_path / "forged", relay / "proofs", trust, tariff)
    assert wrong.counts == {Fault.OTHER_AMOUNT: 1}
    assert wrong.findings[0].request_id == forged.request_id.hex()
    (tmp_path / "forged" / forged.items.name).write_bytes(
        (settled.directory / "cvs-dev" / forged.items.name).read_bytes()
    )
    with pytest.raises(InvoiceError, match="not the file"):
        proven(tmp_path / "forged", relay / "proofs", trust, tariff)


@pytest.mark.guest
async def test_a_quarter_is_invoiced_and_paid_and_the_ministry_proves_its_invoice(database_dsn, tmp_path):
    place, ministry = tmp_path / "centre", tmp_path / "ministry"
    place.mkdir()
    ministry.mkdir()
    told = []
    async with (
        centre(place, "inquiry", database_dsn, "directory.example.toml") as opened,
        opened.ledger(no_rider, at_us=SINCE_US) as ledger,
    ):
        (act,) = await settle_quarter(
            opened, ledger, SUMMER, party="mlit", line="line-1", staff="staff-001", ministry=ministry, count=300,
            tell=told.append,
        )  # fmt: skip
        status = await conduct.status(await opened.desk(ledger, at_us=SUMMER.pay_us), "2026-Q2")
    assert {each.stand for each in status.steps} <= {Stand.DONE, Stand.NONE}
    assert told[0].yen == act.yen == told[-1].yen > 0
    await assert_fits(database_dsn, opened.trust)
    verdict = proven(place / "settlement" / "2026-Q2" / "mlit", ministry / "proofs", opened.trust)
    assert verdict.sound, verdict.findings
    assert verdict.proven == verdict.items


async def no_rider(finals, *, stream, height, at_us):
    return None
