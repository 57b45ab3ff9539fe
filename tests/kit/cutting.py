"""A wire between workers and PostgreSQL that is cut at a chosen moment of a block's COMMIT.

Theory. asyncpg sends Parse once a statement and then Bind, Execute and Sync in one piece. The wire remembers under
which names a statement with `insert into ledger.block` was parsed; the next Bind of one is the COMMIT. It is cut

    before   before the server has seen it: the block cannot stand
    sent     right after forwarding it: the server may finish or find its client gone
    reply    once the server has answered in full and nobody was told: the block stands

Source: PostgreSQL documentation, Message Formats.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import trio

_COMMIT = b"insert into ledger.block"


class Moment(StrEnum):
    """When the wire is cut."""

    BEFORE = "before"
    SENT = "sent"
    REPLY = "reply"


class CuttingWire:
    """Listens on a socket directory of its own. `cuts` holds the moments to come, one a COMMIT; `made` counts."""

    def __init__(self, server_socket: Path, directory: Path) -> None:
        self.cuts: deque[Moment] = deque()
        self.made = 0
        self._server_socket = server_socket
        self._directory = directory

    def through(self, dsn: str) -> str:
        """The DSN with this wire in between."""
        parts = urlsplit(dsn)
        port = parse_qs(parts.query)["port"][0]
        return urlunsplit(parts._replace(query=f"host={quote(str(self._directory), safe='')}&port={port}"))

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry connections until cancelled."""
        listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        with listening:
            await listening.bind(str(self._directory / self._server_socket.name))
            listening.listen(64)
            async with trio.open_nursery() as nursery:
                task_status.started()
                while True:
                    client, _ = await listening.accept()
                    nursery.start_soon(self._carry, trio.SocketStream(client))

    async def _carry(self, client: trio.SocketStream) -> None:
        try:
            server = await trio.open_unix_socket(str(self._server_socket))
        except OSError:
            await client.aclose()
            return
        async with client, server:
            conversation = _Conversation(self, client, server)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(conversation.forth, nursery.cancel_scope)
                    nursery.start_soon(conversation.back, nursery.cancel_scope)
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass


class _Conversation:
    def __init__(self, wire: CuttingWire, client: trio.SocketStream, server: trio.SocketStream) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._commits: set[bytes] = set()
        self._started = False
        self._cutting = False

    async def forth(self, end: trio.CancelScope) -> None:
        buffer = b""
        async for data in self._client:
            buffer += data
            whole = self._whole(buffer)
            ready, buffer = buffer[:whole], buffer[whole:]
            if not ready:
                continue
            moment = self._moment(ready)
            if moment is None:
                await self._server.send_all(ready)
                continue
            self._wire.made += 1
            if moment is Moment.BEFORE:
                break
            self._cutting = True
            await self._server.send_all(ready)
            if moment is Moment.SENT:
                break
        else:
            end.cancel()
            return
        end.cancel()

    async def back(self, end: trio.CancelScope) -> None:
        said = b""
        async for data in self._server:
            if self._cutting:
                said += data
                if said[-6:-1] == b"Z\x00\x00\x00\x05":  # ReadyForQuery: the transaction is over
                    break
                continue
            await self._client.send_all(data)
        end.cancel()

    def _whole(self, buffer: bytes) -> int:
        """Bytes that make whole messages; the first of a conversation has no type."""
        at = 0
        while True:
            head = 1 if self._started else 0
            if len(buffer) < at + head + 4:
                return at
            end = at + head + int.from_bytes(buffer[at + head : at + head + 4], "big")
            if len(buffer) < end:
                return at
            self._started = True
            at = end

    def _moment(self, messages: bytes) -> Moment | None:
        at = 0
        found: Moment | None = None
        while at + 5 <= len(messages):
            end = at + 1 + int.from_bytes(messages[at + 1 : at + 5], "big")
            body = messages[at + 5 : end]
            if messages[at : at + 1] == b"P" and _COMMIT in body:
                self._commits.add(body.partition(b"\x00")[0])
            elif messages[at : at + 1] == b"B" and self._wire.cuts and body.split(b"\x00", 2)[1] in self._commits:
                found = self._wire.cuts.popleft()
            at = end
        return found


@asynccontextmanager
async def cutting_wire(dsn: str, directory: Path) -> AsyncIterator[CuttingWire]:
    """A wire to the server of `dsn`, listening in `directory` (a short path)."""
    query = parse_qs(urlsplit(dsn).query)
    wire = CuttingWire(Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}", directory)
    async with trio.open_nursery() as nursery:
        await nursery.start(wire.serve)
        try:
            yield wire
        finally:
            nursery.cancel_scope.cancel()
