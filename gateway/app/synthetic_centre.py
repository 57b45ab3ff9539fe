"""A centre with its database at hand and a clock that is set: where synthetic business is recorded and settled.

The centre's workers need not run, and while they do, nothing of theirs is touched: recording has a stream of its own,
and so has the journal of settlement. Source: gateway.app.synthetic_ledger, gateway.app.settling.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from certs.names import CENTRE_PARTY
from gateway.app.configuration import Configuration
from gateway.app.settling import CONNECTIONS, SETTLEMENT, desk_of
from gateway.app.supervisor import Dsns
from gateway.app.synthetic_ledger import PastLedger, open_past
from gateway.directory.apply import load
from gateway.directory.directory import Directory
from gateway.ledger.recording import Rider
from gateway.settlement.desk import Desk
from gateway.store.pool import Database, open_database
from hsm import calls
from hsm.interface import KeyStore
from hsm.opening import open_keystore, passphrase_from_file
from protocol.keys import Purpose
from protocol.trust import Trust, decode_trust


class PastCentre(msgspec.Struct, frozen=True, kw_only=True):
    """A centre that was opened. owner, gateway, ops: its database as those roles."""

    configuration: Configuration
    keystore: KeyStore
    owner: Database
    gateway: Database
    ops: Database
    directory: Directory
    trust: Trust

    @property
    def settlement(self) -> Path:
        """Where settlement puts its files: a directory for each period and party."""
        return self.configuration.base / SETTLEMENT

    def ledger(self, rider: Rider, *, at_us: int) -> AbstractAsyncContextManager[PastLedger]:
        """A recording of past business from a time on."""
        centre = self.configuration.centre
        return open_past(
            self.gateway,
            self.ops,
            role=centre.role,
            node=centre.node,
            keystore=self.keystore,
            centre=CENTRE_PARTY,
            rider=rider,
            at_us=at_us,
        )

    async def desk(self, ledger: PastLedger, *, at_us: int) -> Desk:
        """The desk at which a step is done at a time; the ledger's clock is set to it. Raises: as desk_of."""
        ledger.clock.set(at_us)
        desk = await desk_of(self.configuration, self.owner, self.keystore, ledger.clock)
        return msgspec.structs.replace(desk, now_us=at_us, cover=ledger.checkpoint)

    async def sign_invoice(self, content: bytes, *, at_us: int) -> tuple[str, bytes]:
        """With the centre's INVOICE key of a time: key id, signature. Raises: HsmError."""
        key_id = self.keystore.current(Purpose.INVOICE, at_us).key_id
        return key_id, await calls.sign(self.keystore, key_id, content)


@asynccontextmanager
async def opened_centre(configuration: Configuration, dsns: Dsns) -> AsyncIterator[PastCentre]:
    """A centre whose database runs. Raises: StoreError, HsmError, DirectoryError, TrustError, OSError."""
    keystore = open_keystore(configuration.keystore_uri, lambda: passphrase_from_file(configuration.passphrase_file))
    try:
        async with (
            open_database(dsns.owner, size=CONNECTIONS, role="settlement") as owner,
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
                trust=decode_trust((configuration.base / "trust.bundle").read_bytes()),
            )
    finally:
        keystore.close()
