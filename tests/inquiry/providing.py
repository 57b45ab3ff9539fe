"""Blocks that provide records, through the real store: residents are numbers, keys are fixed."""

from gateway.inquiry.provision import RECORD_GIVEN, HistoryKeys, Provided, YearGone
from gateway.ledger.block import build_block
from gateway.ledger.stream import advance
from gateway.store.ledger import Claim
from protocol.ledger import Entry, EntryKind, encode_entry
from protocol.outcomes import Outcome
from tests.ledger.building import Centre, Writer

DAY_US = 86_400_000_000
SECRET = b"a year's secret that is fixed..."


def keys_of_year(year):
    """The fixed keys of a year."""
    return HistoryKeys(year, SECRET[:-4] + b"%04d" % year)


async def keys_of(year):
    """The same for what awaits them."""
    return keys_of_year(year)


class Gone:
    """Keys of some years only."""

    def __init__(self, *years):
        self.years = years

    async def __call__(self, year):
        if year not in self.years:
            raise YearGone(year)
        return keys_of_year(year)


def resident(n):
    """A record id."""
    return n.to_bytes(16, "big")


def shown(n, *, at_us, subject=None, staff="staff-001", case="2026-0001", party="mlit", line="line-1", affair=None):
    """An entry of request n at a time, and what it provides: None for a refusal."""
    rid = (at_us // 1000).to_bytes(6, "big") + b"\x70\x00\x80" + n.to_bytes(7, "big")
    outcome = Outcome.NONE if subject is None else Outcome.EXACT
    commitment = n.to_bytes(32, "big")
    entry = Entry(
        1,
        party,
        line,
        rid,
        commitment,
        1,
        affair or "vehicle-12-1",
        1,
        "",
        outcome,
        EntryKind.FIRST,
        10 if subject is not None else 0,
        0,
        1,
        bytes(32),
        at_us,
    )
    return entry, None if subject is None else Provided(resident(subject), staff, case, RECORD_GIVEN)


class Providing(Writer):
    """A stream's writer whose blocks carry their batches."""

    def __init__(self, store, centre=None, *, slot=0):
        super().__init__(store, centre or Centre(), slot=slot)
        self._nonce = 0

    def drafted(self, pairs, *, year, nonce=None):
        """What `commit` takes for (entry, provided) pairs."""
        entries = [entry for entry, _ in pairs]
        at_us = max(entry.at_us for entry in entries)
        draft = build_block(self.stream, [encode_entry(entry) for entry in entries], at_us)
        claims = [Claim(e.party, e.request_id, 0, e.request_commitment, i) for i, e in enumerate(entries)]
        provided = [(i, each) for i, (_, each) in enumerate(pairs) if each is not None]
        self._nonce += 1
        riding = None
        if provided:
            riding = (
                keys_of_year(year)
                .batch(
                    provided,
                    stream=self.stream.id,
                    height=self.stream.height_next,
                    at_us=at_us,
                    nonce=self._nonce.to_bytes(12, "big"),
                )
                .riding()
            )
        return draft, self.centre.block.sign(draft.to_sign), "block-1", claims, riding

    async def provide(self, *pairs, year):
        """Commit a block."""
        drafted = self.drafted(pairs, year=year)
        await self.store.commit(*drafted)
        self.stream = advance(self.stream, drafted[0].header)
