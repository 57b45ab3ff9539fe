"""Frames made ahead of the clock: inquiries about current residents, signed; sealing is left to the moment of sending.

A frame is valid while its session stands, in its order, within a minute of its issued-at; so a run signs at most
AHEAD_S_MAX worth of frames before it starts, and the rest as it goes.
"""

import random
import time
from typing import Final

from bench.plan import Plan, Subjects
from hsm.interface import KeyStore
from protocol.envelope import pack
from protocol.keys import Algorithm, Purpose, context
from protocol.messages import InquiryByCode, InquiryByName, Operation, Request, RequestBatch, encode
from protocol.request_id import make_request_id

AFFAIR: Final = "vehicle-12-1"
STEP: Final = 1
STAFF: Final = "staff-001"
CASE: Final = "2026-BENCH"
DEADLINE_MS: Final = 10_000
AHEAD_S_MAX: Final = 20.0
"""Far enough below the minute that a signed frame may be old."""
_CONTEXT: Final = context("request")


class Frame:
    """One frame's signed content with its request ids, and how it fares: when it was due, what it awaits."""

    __slots__ = ("content", "due", "ids", "left", "owner")

    def __init__(self, content: bytes, ids: list[bytes], owner: int) -> None:
        self.content = content
        self.ids = ids
        self.owner = owner
        self.left = len(ids)
        self.due = 0.0


class FrameMaker:
    """Makes the frames of one connection's session, numbered from 0."""

    def __init__(self, plan: Plan, subjects: Subjects, keystore: KeyStore, *, session: bytes, owner: int) -> None:
        self._size = plan.requests_per_frame
        self._session = session
        self._owner = owner
        self._sequence = 0
        self._keystore = keystore
        self._key = keystore.current(Purpose.LINE, time.time_ns() // 1000)
        self._draw = random.Random(f"{plan.seed}/{owner}")
        self._operation = Operation.INQUIRE_BY_NAME if plan.by_name else Operation.INQUIRE_BY_CODE
        self._names = subjects.names
        self._codes = subjects.codes
        self._by_name = plan.by_name

    def make(self) -> Frame:
        """The next frame: fresh ids, residents drawn at random, signed with the line's key."""
        now_us = time.time_ns() // 1000
        randomness = self._draw.randbytes(10 * self._size)
        ids = [make_request_id(now_us // 1000, randomness[at : at + 10]) for at in range(0, len(randomness), 10)]
        requests = [Request(each, int(self._operation), DEADLINE_MS, self._body()) for each in ids]
        body = encode(RequestBatch(self._session, self._sequence, now_us, requests))
        self._sequence += 1
        signature = self._keystore.sign(self._key.key_id, _CONTEXT + body)
        return Frame(pack(Algorithm(self._key.algorithm), self._key.key_id, signature, body), ids, self._owner)

    def _body(self) -> bytes:
        if self._by_name:
            name, address = self._draw.choice(self._names)
            return encode(InquiryByName(AFFAIR, STEP, STAFF, CASE, name, address))
        return encode(InquiryByCode(AFFAIR, STEP, STAFF, CASE, self._draw.choice(self._codes)))
