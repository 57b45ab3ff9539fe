"""A centre's desk for settlement: its contract files, its calendars' exceptions, its keys and names, put together.

contracts/*.toml   the money terms of each contract (gateway.settlement.toml)
calendars.toml     exceptions of office and banks by date; may be missing
letterheads.toml   addresses, registrations and accounts on documents; may be missing
settlement/        what settlement writes: a directory for each period and party
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from certs.names import CENTRE_PARTY
from gateway.app.configuration import CONTRACTS, LETTERHEADS, Configuration
from gateway.app.keys import signer
from gateway.directory import apply as directories
from gateway.directory.affairs import AFFAIRS
from gateway.directory.directory import Directory
from gateway.ledger.checkpointing import Checkpointer
from gateway.settlement.calendars import STANDARD, Calendars
from gateway.settlement.desk import Desk
from gateway.settlement.journal import Journal, open_journal
from gateway.settlement.letterheads import Letterhead, letterheads_of, with_letterheads
from gateway.settlement.paper import Names
from gateway.settlement.terms import Contract
from gateway.settlement.toml import read_calendars, read_contract
from gateway.store.pool import Database
from hsm.interface import KeyStore
from protocol.certificates import KINDS
from protocol.keys import Purpose

CALENDARS: Final = "calendars.toml"
SETTLEMENT: Final = "settlement"
CONNECTIONS: Final = 5
"""Of the database that a desk needs: lock and blocks of the journal, a snapshot, acts and documents."""


def read_contracts(base: Path) -> tuple[Contract, ...]:
    """All contract files of a centre, in the order of their names. Raises: TermsInvalid."""
    return tuple(read_contract(file) for file in sorted((base / CONTRACTS).glob("*.toml")))


def calendars_of(base: Path) -> Calendars:
    """The calendars with the centre's exceptions. Raises: TermsInvalid."""
    file = base / CALENDARS
    return read_calendars(file) if file.exists() else STANDARD


def letterheads_in(base: Path) -> dict[str, Letterhead]:
    """The letterheads of a centre's parties, none without a file. Raises: LetterheadInvalid."""
    file = base / LETTERHEADS
    return letterheads_of(file.read_bytes()) if file.exists() else {}


def names_of(directory: Directory, *, environment: str, letterheads: Mapping[str, Letterhead]) -> Names:
    """What documents call the directory's parties, certificate kinds and affairs, and how parties appear on them."""
    parties = {each.id: (each.name_ja, each.name_en) for each in directory.document.parties}
    matters = {str(kind): (name.ja, name.en) for kind, name in KINDS.items()}
    matters |= {affair.id: (affair.title_ja, affair.title_en) for affair in AFFAIRS.values()}
    names = Names(
        parties=parties, matters=matters, issuer=parties[CENTRE_PARTY], centre=CENTRE_PARTY, environment=environment
    )
    return with_letterheads(names, letterheads)


async def desk_of(
    configuration: Configuration, database: Database, keystore: KeyStore, now_us: Callable[[], int]
) -> Desk:
    """The desk at this time. database: as the schema's owner, with CONNECTIONS. Raises: StoreError, DirectoryError,
    TermsInvalid."""
    base, centre = configuration.base, configuration.centre

    def journal() -> AbstractAsyncContextManager[Journal]:
        sign = signer(keystore, Purpose.BLOCK, now_us)
        return open_journal(database, centre=CENTRE_PARTY, role=centre.role, node=centre.node, sign=sign, now_us=now_us)

    checkpointer = Checkpointer(
        database,
        origin=f"sekisho/{CENTRE_PARTY}/{centre.role}",
        sign=signer(keystore, Purpose.CHECKPOINT, now_us),
        now_us=now_us,
    )
    return Desk(
        database=database,
        journal=journal,
        sign_invoice=signer(keystore, Purpose.INVOICE, now_us),
        contracts=read_contracts(base),
        calendars=calendars_of(base),
        centre=CENTRE_PARTY,
        role=centre.role,
        environment=centre.environment,
        names=names_of(
            await directories.load(database), environment=centre.environment, letterheads=letterheads_in(base)
        ),
        out=base / SETTLEMENT,
        now_us=now_us(),
        cover=checkpointer.run_once,
    )
