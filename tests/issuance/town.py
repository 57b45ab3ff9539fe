"""A municipality behind the dial port, in this process: it makes documents well, or as a test spoils them."""

from contextlib import asynccontextmanager

import trio
from cryptography.hazmat.primitives import hashes

from protocol.document import (
    Document,
    Manifest,
    encode_manifest,
    manifest_to_sign,
    salted,
    seal_document,
    session_digest,
    statement_digest,
)
from protocol.issuance import PART_BYTES, Issued, Report, Reported
from protocol.keys import KeyHistory, KeyRecord, Purpose, SignedKeyHistory, encode_signed_history, history_to_sign
from protocol.messages import Operation, Refusal, Request, decode_body, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.trust import Trust, encode_trust
from tests.ledger.building import Signer

KIT = "kit-2026.1"
SALT = bytes(32)


class Away(Exception):  # noqa: N818  named after the fact
    """As a LineClient raises when there is no answer."""


class Town:
    """An issuing server. spoil: of a manifest; swap: of the sealed bytes; part: of a part; gate: ISSUE waits for it."""

    def __init__(self, code="121002", party="chiba"):
        self.code, self.party = code, party
        self.root, self.key = Signer("root-town"), Signer("manifest-1")
        self.signing = self.key
        self.documents = {}
        self.reports = []
        self.asked = []
        self.dialled, self.hung_up = [], []
        self.refuses = None
        self.outcome = None
        self.spoil = lambda manifest: manifest
        self.swap = lambda sealed: sealed
        self.part = lambda index, data: (Outcome.MADE_PART, data)
        self.gate = None
        self.away = False
        self.clock = None
        self.pages = 2
        self.known_less = 0
        self.under_way = 0
        self.again = False

    @property
    def trust(self):
        """Its trust bundle."""
        records = [
            KeyRecord(s.key_id, str(p), int(s.algorithm), s.spki, 0)
            for s, p in ((self.root, Purpose.HISTORY), (self.key, Purpose.MANIFEST))
        ]
        history = KeyHistory(self.party, 1, 0, records).encode()
        signed = SignedKeyHistory(self.root.key_id, 1, self.root.sign(history_to_sign(history)), history)
        return encode_trust(
            Trust(
                centre=self.party,
                role="municipality",
                environment="test",
                root=self.root.spki,
                signed_history=encode_signed_history(signed),
            )
        )

    @asynccontextmanager
    async def dial(self, place):
        """The dial port."""
        self.dialled.append(place.port)
        try:
            yield self
        finally:
            self.hung_up.append(place.port)

    async def wait_open(self, timeout_s=10.0):
        """As LineClient.wait_open."""
        del timeout_s
        await trio.lowlevel.checkpoint()
        if self.away:
            raise Away

    async def ask(self, operation, body, *, request_id=None, deadline_ms=2_000, timeout_s=30.0, retry=True):
        """As LineClient.ask."""
        del deadline_ms, timeout_s, retry
        await trio.lowlevel.checkpoint()
        self.asked.append(operation)
        if self.away:
            raise Away
        request = Request(request_id or bytes(16), operation, 1000, body)
        self.under_way += 1
        try:
            if operation == Operation.ISSUE and self.gate is not None:
                await self.gate.wait()
            outcome, answer = self.answer(operation, decode_body(operation, body))
        finally:
            self.under_way -= 1
        return Result(request, int(outcome), answer, None)

    def answer(self, operation, body):
        """Outcome and body."""
        if operation == Operation.ISSUE:
            if self.outcome is not None:
                return self.outcome, encode(Refusal())
            if self.refuses is not None:
                return Outcome.MAKING_REFUSED, encode(int(self.refuses))
            return Outcome.MADE, encode(self.make(body))
        if operation == Operation.MADE_PART:
            sealed = self.swap(self.documents[body.application][1])
            return self.part(body.index, sealed[body.index * PART_BYTES : (body.index + 1) * PART_BYTES])
        if operation == Operation.REPORTED:
            return Outcome.NOTED, encode(Reported(len(self.reports) - self.known_less))
        return self.note(body)

    def note(self, report: Report):
        """REPORT."""
        if report.number == len(self.reports) + 1:
            self.reports.append(report)
        self.known_less = 0
        return Outcome.NOTED, encode(Reported(report.number))

    def make(self, issue):
        """A document of two parts; the same again for the same application, unless `again` says to make it anew."""
        statement, session = issue.application.statement, issue.authentication.session
        held = self.documents.get(statement.application)
        if held is not None and not self.again:
            return held[0]
        pdf = b"%PDF synthetic " + statement.application + bytes(PART_BYTES)
        sealed = seal_document(Document(SALT, pdf), application=statement.application, session=session)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(sealed)
        manifest = self.spoil(
            Manifest(
                1,
                self.code,
                statement.application,
                session_digest(session),
                statement_digest(statement),
                issue.pseudonym,
                statement.kind,
                statement.options,
                statement.copies,
                "A-1",
                issue.kit,
                self.clock(),
                [salted(SALT, n, b"code") for n in range(1, self.pages + 1)],
                salted(SALT, 0, pdf),
                digest.finalize(),
            )
        )
        data = encode_manifest(manifest)
        issued = Issued(data, "manifest-1", self.signing.sign(manifest_to_sign(data)), len(sealed))
        self.documents[statement.application] = (issued, sealed)
        return issued
