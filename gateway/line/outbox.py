"""What waits to be written to one connection: appended without waiting, written by one task, bounded.

A peer that does not read fills only its own outbox; past OUTPUT_BYTES_MAX or after WRITE_STALL_MS_MAX without progress
its line is closed and no other notices. Frames are sealed before they come here, so their order is the order of put();
what may still be put together with others is asked for when the writer is free (`more`). While nothing waits, what is
put is sent at once, as far as the socket takes it: no task is woken for a lone answer.
"""

from collections.abc import Callable

import trio

from gateway.line.tls import TlsStream
from protocol import limits

WRITE_BYTES = 256 << 10
"""One write; what a peer must take within WRITE_STALL_MS_MAX to count as reading."""


class OutboxFull(Exception):  # noqa: N818 - named after the fact
    """The peer takes too little; its line is to be closed."""


class Outbox:
    """Bytes for one connection. more: puts what is not sealed yet, before each write. Not safe between threads."""

    __slots__ = ("_closed", "_more", "_parts", "_size", "_stream", "_wake", "_writing_since")

    def __init__(self, more: Callable[[], object] = lambda: None) -> None:
        self._more = more
        self._parts: list[bytes] = []
        self._size = 0
        self._stream: TlsStream | None = None
        """Where to send at once: the stream of write_to, while nothing waits to be written to it."""
        self._wake = trio.Event()
        self._closed = False
        self._writing_since: float | None = None

    def put(self, data: bytes) -> None:
        """Send frames, or keep them to be sent. Raises: OutboxFull. After close() it drops them: the line is gone."""
        if self._closed or not data:
            return
        if self._stream is not None:
            sent = self._send_at_once(self._stream, data)
            if sent == len(data):
                return
            data = data[sent:]
        if self._size + len(data) > limits.OUTPUT_BYTES_MAX:
            raise OutboxFull(f"{self._size} bytes wait to be written")
        self._parts.append(data)
        self._size += len(data)
        self._stream = None
        self._wake.set()

    @staticmethod
    def _send_at_once(stream: TlsStream, data: bytes) -> int:
        try:
            return stream.send_nowait(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return 0  # the writer will meet the same and end the line

    def look(self) -> None:
        """There is more to ask for."""
        self._wake.set()

    def close(self) -> None:
        """Write what is there, then end write_to."""
        self._closed = True
        self._wake.set()

    def stalled_s(self, now: float) -> float:
        """Seconds the write under way has been waiting for the peer, 0 when none is."""
        return 0.0 if self._writing_since is None else now - self._writing_since

    async def write_to(self, stream: TlsStream, clock: Callable[[], float] = trio.current_time) -> None:
        """Write until closed and empty. Cancellation may leave a frame half written: the stream is then of no use.

        Raises: trio.BrokenResourceError, trio.ClosedResourceError from the stream.
        """
        try:
            while True:
                if not self._parts:
                    self._stream = stream
                    self._more()
                if not self._parts:
                    if self._closed:
                        return
                    self._wake = trio.Event()
                    await self._wake.wait()
                    continue
                await self._write_parts(stream, clock)
        finally:
            self._stream = None

    async def _write_parts(self, stream: TlsStream, clock: Callable[[], float]) -> None:
        parts = self._parts
        self._parts = []
        data = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        for at in range(0, len(data), WRITE_BYTES):
            part = data[at : at + WRITE_BYTES]
            self._writing_since = clock()
            await stream.send_all(part)
            self._size -= len(part)
        self._writing_since = None
