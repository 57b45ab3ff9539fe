"""Builds ledgers for the tests: a synthetic centre's keys, entries, and blocks committed through the real store."""

import os
from contextlib import asynccontextmanager

import msgspec
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.ledger.block import build_block
from gateway.ledger.stream import Stream, advance
from gateway.store.ledger import Claim, LedgerStore
from gateway.store.pool import open_database
from protocol.application import claim_turn
from protocol.keys import (
    Algorithm,
    KeyHistory,
    KeyRecord,
    Purpose,
    SignedKeyHistory,
    encode_signed_history,
    history_to_sign,
)
from protocol.ledger import CertificateEntry, Delivery, Entry, EntryKind, EntryRef, encode_entry
from protocol.trust import Trust

T0_US = 1_790_000_000_000_000


class Signer:
    """An ES256 or ML-DSA-65 key that signs as a key store does."""

    def __init__(self, key_id, *, pq=False):
        self.key_id = key_id
        self._key = mldsa.MLDSA65PrivateKey.generate() if pq else ec.generate_private_key(ec.SECP256R1())
        self.algorithm = Algorithm.ML_DSA_65 if pq else Algorithm.ES256
        self.spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data):
        if self.algorithm == Algorithm.ML_DSA_65:
            return self._key.sign(data)
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    async def __call__(self, data):
        await trio.lowlevel.checkpoint()
        return self.key_id, self.sign(data)


class Centre:
    """A centre's signing keys and the trust bundle that vouches for them."""

    def __init__(self, role="inquiry"):
        self.root = Signer("root-1")
        self.block = Signer("block-1")
        self.checkpoint = Signer("checkpoint-1")
        self.checkpoint_pq = Signer("checkpoint-pq-1", pq=True)
        self.invoice = Signer("invoice-1")
        purposes = [
            (self.root, Purpose.HISTORY),
            (self.block, Purpose.BLOCK),
            (self.checkpoint, Purpose.CHECKPOINT),
            (self.checkpoint_pq, Purpose.CHECKPOINT_PQ),
            (self.invoice, Purpose.INVOICE),
        ]
        records = [KeyRecord(s.key_id, str(p), int(s.algorithm), s.spki, 0) for s, p in purposes]
        history = KeyHistory("centre", 1, T0_US, records).encode()
        signed = SignedKeyHistory("root-1", 1, self.root.sign(history_to_sign(history)), history)
        self.trust = Trust(
            centre="centre",
            role=role,
            environment="test",
            root=self.root.spki,
            signed_history=encode_signed_history(signed),
        )


def request_id(n, at_us=T0_US):
    return (at_us // 1000).to_bytes(6, "big") + b"\x70\x00\x80" + n.to_bytes(7, "big")


def entry(n, *, party="ministry-1", kind=EntryKind.FIRST, ref=None, rid=None, yen=10):
    return Entry(
        1,
        party,
        "line-a",
        rid or request_id(n),
        n.to_bytes(32, "big"),
        1,
        "pension",
        1,
        "",
        100,
        kind,
        yen,
        0,
        1,
        bytes(32),
        T0_US + n,
        ref,
    )


def certificate_entry(n, transition=None, *, application=0, kind=EntryKind.FIRST, ref=None, rid=None, **delivered):
    """An entry of version 2; with a delivery where a transition (0: none happened) is given."""
    delivery = None if transition is None else Delivery(request_id(10_000 + application), int(transition), **delivered)
    own = msgspec.structs.replace(entry(n, party="operator-1", kind=kind, ref=ref, rid=rid), version=2)
    return CertificateEntry(*(getattr(own, name) for name in own.__struct_fields__), delivery)


def moves(entries):
    """The claims of transitions that entries make, beside their own."""
    return [
        Claim(e.party, e.delivery.application, claim_turn(e.delivery.transition), e.request_commitment, i)
        for i, e in enumerate(entries)
        if isinstance(e, CertificateEntry) and e.delivery and e.delivery.transition and e.kind == EntryKind.FIRST
    ]


class Writer:
    """One stream's writer over a LedgerStore."""

    def __init__(self, store, centre, *, slot=0, node="node-1"):
        self.store = store
        self.centre = centre
        self.stream = Stream(id=os.urandom(16), role="inquiry", node=node, slot=slot)

    async def open(self, predecessor=None):
        await self.store.open_stream(self.stream, opened_us=T0_US, predecessor=predecessor)
        return self

    async def append(self, entries, *, turns=None, marks=None, riding=None):
        """Commit a block of entries; turns by index (0 otherwise), marks: index -> request id disclaimed.

        riding: what goes in with it.
        """
        claims = [
            Claim(e.party, e.request_id, (turns or {}).get(i, 0), e.request_commitment, i)
            for i, e in enumerate(entries)
        ]
        claims += moves(entries)
        claims += [Claim(entries[i].party, r, -1, entries[i].request_commitment, i) for i, r in (marks or {}).items()]
        draft = build_block(self.stream, [encode_entry(e) for e in entries], T0_US + self.stream.height_next)
        await self.store.commit(draft, self.centre.block.sign(draft.to_sign), "block-1", claims, riding)
        height = self.stream.height_next
        self.stream = advance(self.stream, draft.header)
        return height


@asynccontextmanager
async def ledger_of(dsn):
    """The store as the workers have it, and the database as ops has it."""
    async with (
        open_database(dsn.gateway, size=2, role="test") as gateway,
        open_database(dsn.ops, size=2, role="test") as ops,
    ):
        yield LedgerStore(gateway), ops


async def fill(store, centre):
    """A ledger with every kind of entry: two streams, one closed. Gives the writers."""
    one = await Writer(store, centre, slot=0).open()
    await one.append([entry(n) for n in range(1, 8)])
    await one.append([entry(n, party="ministry-2") for n in range(8, 11)])
    repeat = entry(3, kind=EntryKind.REPEAT, ref=EntryRef(one.stream.id, 0, 2, True), yen=0)
    disclaim = entry(20, kind=EntryKind.DISCLAIM, ref=EntryRef(one.stream.id, 0, 4, True), yen=-10)
    await one.append([repeat, entry(21), disclaim], turns={0: 1}, marks={2: request_id(5)})
    two = await Writer(store, centre, slot=1).open()
    for n in range(30, 34):
        await two.append([entry(n), entry(n + 10)])
    return one, two
