"""A centre with its database at hand and a clock that is set: where synthetic business is recorded and settled.

The centre's workers need not run, and while they do, nothing of theirs is touched: recording has a stream of its own,
and so has the journal of settlement. Source: gateway.app.synthetic_ledger, gateway.settlement.desk.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from certs.names import CENTRE_PARTY
from gateway.app.configuration import Configuration
from gateway.app.keys import signer
from gateway.app.supervisor import Dsns
from gateway.app.synthetic_ledger import PastClock, PastLedger, open_past
from gateway.directory.affairs import AFFAIRS
from gateway.directory.apply import load
from gateway.directory.directory import Directory
from gateway.ledger.recording import Rider
from gateway.settlement.calendars import STANDARD
from gateway.settlement.desk import Desk
from gateway.settlement.journal import Journal, open_journal
from gateway.settlement.paper import Names
from gateway.settlement.terms import Contract
from gateway.settlement.toml import read_contract
from gateway.store.pool import Database, open_database
from hsm.interface import KeyStore
from hsm.opening import open_keystore, passphrase_from_file
from protocol.certificates import KINDS
from protocol.keys import Purpose
from protocol.trust import Trust, decode_trust

CONTRACTS = "contracts"
"""The directory of a centre's contract files."""
SETTLEMENT = "settlement"
"""And of what settlement writes."""


class PastCentre(msgspec.Struct, frozen=True, kw_only=True):
    """A centre that was opened. owner, gateway, ops: its database as those roles."""

    configuration: Configuration
    keystore: KeyStore
    owner: Database
    gateway: Database
    ops: Database
    directory: Directory
    contracts: tuple[Contract, ...]
    trust: Trust

    @property
    def data(self) -> Path:
        """Where it lies."""
        return self.configuration.base

    @property
    def role(self) -> str:
        """Which of the two it is."""
        return self.configuration.centre.role

    def ledger(self, rider: Rider, *, at_us: int) -> AbstractAsyncContextManager[PastLedger]:
        """A recording of past business from a time on."""
        return open_past(
            self.gateway,
            self.ops,
            role=self.role,
            node=self.configuration.centre.node,
            keystore=self.keystore,
            centre=CENTRE_PARTY,
            rider=rider,
            at_us=at_us,
        )

    def desk(self, ledger: PastLedger, *, at_us: int) -> Desk:
        """The desk at which a step is done at a time; the ledger's clock is set to it."""
        ledger.clock.set(at_us)
        return Desk(
            database=self.owner,
            journal=self._journal(ledger.clock),
            sign_invoice=signer(self.keystore, Purpose.INVOICE, ledger.clock),
            contracts=self.contracts,
            calendars=STANDARD,
            centre=CENTRE_PARTY,
            role=self.role,
            environment=self.configuration.centre.environment,
            names=names_of(self.directory),
            out=self.data / SETTLEMENT,
            now_us=at_us,
            cover=ledger.checkpoint,
        )

    def _journal(self, clock: PastClock) -> Callable[[], AbstractAsyncContextManager[Journal]]:
        def journal() -> AbstractAsyncContextManager[Journal]:
            return open_journal(
                self.owner,
                centre=CENTRE_PARTY,
                role=self.role,
                node=self.configuration.centre.node,
                sign=signer(self.keystore, Purpose.BLOCK, clock),
                now_us=clock,
            )

        return journal


@asynccontextmanager
async def opened_centre(configuration: Configuration, dsns: Dsns) -> AsyncIterator[PastCentre]:
    """A centre whose database runs. Raises: StoreError, HsmError, SettlementError, TrustError, OSError."""
    keystore = open_keystore(configuration.keystore_uri, lambda: passphrase_from_file(configuration.passphrase_file))
    try:
        async with (
            open_database(dsns.owner, size=6, role="settlement") as owner,
            open_database(dsns.gateway, size=2, role="synthetic business") as gateway,
            open_database(dsns.ops, size=2, role="synthetic business") as ops,
        ):
            yield PastCentre(
                configuration=configuration,
                keystore=keystore,
                owner=owner,
                gateway=gateway,
                ops=ops,
                directory=await load(owner),
                contracts=tuple(
                    read_contract(path) for path in sorted((configuration.base / CONTRACTS).glob("*.toml"))
                ),
                trust=decode_trust((configuration.base / "trust.bundle").read_bytes()),
            )
    finally:
        keystore.close()


def names_of(directory: Directory) -> Names:
    """What documents call the directory's parties, certificate kinds and affairs."""
    document = directory.document
    parties = {each.id: (each.name_ja, each.name_en) for each in document.parties}
    matters = {str(kind): (name.ja, name.en) for kind, name in KINDS.items()}
    matters |= {affair.id: (affair.title_ja, affair.title_en) for affair in AFFAIRS.values()}
    return Names(parties=parties, matters=matters, issuer=parties[CENTRE_PARTY])
