"""A small certificate centre for tests of the steps: a real ledger of September 2026, contracts, and a desk by day."""

import datetime as dt
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from gateway.ledger.checkpointing import Checkpointer
from gateway.ledger.projection import project_all
from gateway.settlement.calendars import STANDARD
from gateway.settlement.conduct import Desk, Person
from gateway.settlement.journal import open_journal
from gateway.settlement.paper import Names
from gateway.settlement.toml import contract_of
from gateway.settlement.windows import midnight_us
from gateway.store.ledger import LedgerStore
from gateway.store.pool import open_database
from gateway.store.settlement_acts import riding
from protocol.act import Act, ActKind
from protocol.application import Transition
from protocol.disclosure import Difference, Fault, Proposal, Reconciliation, Standing, encode_reconciliation
from protocol.ledger import CertificateEntry, Delivery, EntryKind
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.settlement import NOTHING
from tests.ledger.building import Centre, Signer, Writer, request_id

DEPLOY = Path(__file__).parents[2] / "deploy" / "contracts"
SEPTEMBER = "2026-09"
OPERATORS, TOWNS = ("cvs-dev", "gms-dev"), ("chiba", "takaoka")
CLERK = Person(by="clerk-1")
TWO = Person(by="clerk-1", second="clerk-2", ground="agreed by telephone")
NAMES = Names(parties={}, matters={}, issuer=("センター", "Centre"))
COMMISSION = 115


def contracts():
    """One of each operator and of each municipality, by the shipped files."""
    operator, town = (DEPLOY / "000-operator.toml").read_text(), (DEPLOY / "001-municipality.toml").read_text()
    texts = [operator.replace("cvs-dev", party).replace("dev-agreement-cvs", f"000-{party}") for party in OPERATORS]
    texts += [town.replace('"chiba"', f'"{party}"').replace("dev-agreement-chiba", f"001-{party}") for party in TOWNS]
    return tuple(contract_of(text.encode()) for text in texts)


def day_us(text, hour=12):
    """Noon of a day in Japan."""
    return midnight_us(dt.date.fromisoformat(text)) + hour * 3_600_000_000


def sale(
    n, *, party="cvs-dev", town="chiba", kind="juminhyo", day="2026-09-10", copies=1, fee=300, step=None, store="1"
):
    """The entry of a completion, or of another step of application n; copies and yen are signed."""
    at_us = day_us(day) + n
    transition = int(Transition.COMPLETED if step is None else step)
    delivery = Delivery(request_id(10_000 + n, at_us), transition, copies, at_us, day, store, "kiosk-1")
    own = request_id(n + 1_000_000 * transition, at_us)
    return CertificateEntry(
        2, party, "relay-1", own, n.to_bytes(32, "big"), 1, kind, 1, town, 100, EntryKind.FIRST,
        fee * copies, COMMISSION * copies, 1, bytes(32), at_us, None, delivery,
    )  # fmt: skip


class House:
    """A centre's database with its writer and its keys."""

    def __init__(self, database, writer, centre, out):
        self.database = database
        self.writer = writer
        self.centre = centre
        self.signer = Signer("invoice-1")
        self.out = out
        self.contracts = contracts()
        self._sent = 0

    async def record(self, *entries):
        """One block, projected and covered by a checkpoint."""
        await self.writer.append(list(entries))
        await self.cover()

    async def cover(self):
        """A checkpoint over all blocks."""
        maker = Checkpointer(
            self.database, origin="sekisho/centre/certificate", sign=self.centre.checkpoint, now_us=lambda: 1
        )
        await maker.run_once()
        await project_all(self.database)

    def desk(self, day, **fields):
        """The desk on a day."""
        now_us = day_us(day)

        def journal():
            return open_journal(
                self.database, centre="centre", role="certificate", node="node-1", sign=self.centre.block,
                now_us=lambda: now_us,
            )  # fmt: skip

        known = {
            "database": self.database, "journal": journal, "sign_invoice": self.signer, "contracts": self.contracts,
            "calendars": STANDARD, "centre": "centre", "role": "certificate", "environment": "test", "names": NAMES,
            "out": self.out, "now_us": now_us, "cover": self.cover,
        }  # fmt: skip
        return Desk(**{**known, **fields})

    async def reconcile(self, desk, act, *differences):
        """What an operator sends over its line about a disclosure (an act); without differences it agrees."""
        from gateway.settlement import facts

        told = Reconciliation(
            party=act.party, period=act.period, disclosure_digest=facts.disclosed(act).signature.digest, made_us=1,
            by="operator-clerk", agreed=not differences, differences=differences, ours=NOTHING,
        )  # fmt: skip
        acts = await desk.acts(of=act.period)
        turn = sum(each.kind == ActKind.RECONCILED and each.party == act.party for each in acts)
        came = Act(
            kind=int(ActKind.RECONCILED), contract="", claim="", period=act.period, party=act.party, turn=turn,
            day=str(desk.today), by="operator-clerk", at_us=desk.now_us, facts=encode_reconciliation(told),
        )  # fmt: skip
        entry = CertificateEntry(
            2, act.party, "relay-1", request_id(5_000_000 + desk.now_us % 1000 + self._sent, desk.now_us), bytes(32),
            int(Operation.RECONCILE), act.period, int(ActKind.RECONCILED), "", int(Outcome.RECONCILED),
            EntryKind.FIRST, 0, 0, 1, bytes(32), desk.now_us, None,
        )  # fmt: skip
        self._sent += 1
        await self.writer.append([entry], riding=riding([(came, 0)]))


def difference(n, *, proposal=Proposal.ADD):
    """An application that the operator has and the centre has not."""
    return Difference(
        fault=Fault.MISSING, request_id=b"", application=n.to_bytes(16, "big"),
        ours=Standing("chiba", "juminhyo", "1", 1, 300, "2026-09-10"), theirs=None, proposal=proposal, text="no entry",
    )  # fmt: skip


@asynccontextmanager
async def house(dsn, out, *, role="certificate"):
    """A centre with an empty ledger."""
    async with open_database(dsn.owner, size=5, role="tests") as database:
        centre = Centre()
        writer = Writer(LedgerStore(database), centre)
        writer.stream = msgspec.structs.replace(writer.stream, role=role)
        yield House(database, await writer.open(), centre, out)


def files(out):
    """Every document's bytes by its place."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
