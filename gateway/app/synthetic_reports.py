"""Reports of synthetic business to the municipalities, numbered and noted as their line would have brought them.

Source: gateway.issuance.forwarding; 000仕13-1, 001-14.
"""

from pathlib import Path
from typing import Final

import msgspec

from gateway.app.synthetic_ledger import PastNotRecorded
from gateway.issuance.forwarding import payload
from gateway.peers.municipality.reports import note
from gateway.peers.municipality.setup import opened_municipality
from gateway.store.issuance_reports import ReportStore
from gateway.store.pool import Database
from protocol.issuance import Report

AT_ONCE: Final = 256


async def report(gateway: Database, town: Path, *, code: str, at_us: int) -> int:
    """Bring a municipality, whose server does not run, all reports that are due. Returns: up to which number.

    gateway: the centre's database as that role. Raises: StoreError, SetupIncomplete, HsmError; PastNotRecorded.
    """
    queue = ReportStore(gateway)
    while await queue.number(code, payload):
        pass
    _, known = await queue.bounds(code)
    with opened_municipality(town) as municipality:
        while reports := await queue.after(code, known, AT_ONCE):
            with municipality.store.transaction():
                for each in reports:
                    known = note(municipality.store, msgspec.msgpack.decode(each.payload, type=Report)).number
            if known != reports[-1].number:
                raise PastNotRecorded(f"municipality {code} noted {known}, not {reports[-1].number}")
    await queue.noted(code, known, at_us)
    return known
