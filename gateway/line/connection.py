"""One session of one line, as the rest of a worker sees it: what may be told to it, and how it ends.

Everything here is synchronous: frames are sealed and put into the outbox, whose writer task (gateway.line.accept) does
the waiting. Who calls is known by the certificate shown, which is kept, because what is good today may be revoked
tomorrow.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import structlog
import trio

from certs.material import Material
from certs.names import LineName
from gateway.line.outbox import Outbox, OutboxFull
from protocol.centre import CentreLine
from protocol.errors import FaultCode, LocalProtocolError, RemoteProtocolError
from protocol.messages import BlockShare, Notice, Transient
from protocol.states import State

log = structlog.get_logger()

FAULT_WRITE_S = 1.0
"""A FAULT is written within this time, whether the peer reads or not."""


class Shown(NamedTuple):
    """Who a peer is by the certificate it showed (DER), until when that is good, and the material that judged it."""

    name: LineName
    certificate: bytes
    fingerprint: bytes
    good_until: datetime
    judged_by: Material


class Connection:
    """One session of one line. All methods are synchronous; the writer task does the waiting."""

    __slots__ = (
        "_unsealed",
        "certificate",
        "closing",
        "good_until",
        "heard_at",
        "judged_by",
        "line",
        "name",
        "outbox",
        "pinged",
        "reason",
        "scope",
    )

    def __init__(self, shown: Shown, line: CentreLine, now: float) -> None:
        self.name = shown.name
        self.certificate = shown.certificate
        self.good_until = shown.good_until
        self.judged_by = shown.judged_by
        self.line = line
        self.outbox = Outbox(self._put)
        self._unsealed: list[Transient] = []
        self.heard_at = now
        self.pinged = False
        self.reason = "peer"
        self.scope = trio.CancelScope()
        self.closing = False

    def _put(self, make: Callable[[], bytes] | None = None) -> None:
        """What waits to be sealed, then what `make` seals."""
        if self.closing:
            return
        try:
            if self._unsealed:
                self.outbox.put(self._sealed())
            if make is not None:
                self.outbox.put(make())
        except OutboxFull:
            self.fail(FaultCode.NOT_READING, "the peer does not read its answers")
        except LocalProtocolError as error:
            log.error("line_misused", code=type(error).__name__)
            self.fail(FaultCode.INTERNAL, "internal error")

    def _sealed(self) -> bytes:
        transients, self._unsealed = self._unsealed, []
        return self.line.send_transients(transients)

    def put_sealed(self, frames: bytes) -> None:
        """Send frames the line has sealed already."""
        self._put(lambda: frames)

    def respond(self, share: BlockShare) -> None:
        """Send a share of a block."""
        self._put(lambda: self.line.send_share(share))

    def refuse(self, transients: list[Transient]) -> None:
        """Send unrecorded responses; those of the same moment share a frame. Their credit is out until it is sealed."""
        if transients and not self.closing:
            self._unsealed += transients
            self.outbox.look()

    def notify(self, notice: Notice) -> None:
        """Send a NOTICE."""
        self._put(lambda: self.line.send_notice(notice))

    def drain(self, within_ms: int) -> None:
        """Ask the peer to go elsewhere; asking again changes nothing."""
        if self.line.state is State.DRAINING:
            return
        self._put(lambda: self.line.send_drain(within_ms))

    def finish(self) -> None:
        """Close once everything is written."""
        self._put()
        self.reason = "drained"
        self.closing = True
        self.outbox.close()

    def fail(self, code: FaultCode, detail: str) -> None:
        """Close now: tell the peer why if it still reads."""
        if self.closing:
            return
        self.reason = code.name
        with contextlib.suppress(OutboxFull, LocalProtocolError):
            self.outbox.put(self._sealed())
            self.outbox.put(self.line.fault(RemoteProtocolError(code, detail)))
        self.closing = True
        self.outbox.close()
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + FAULT_WRITE_S)
