"""The TLS connection of a line, on Trio: what `ssl.SSLSocket` does on a socket that does not block.

Not trio.SSLStream, which any transport can carry and which pays for that with every frame: two buffers between it and
the socket, and a lock with its pass through Trio's scheduler for each read and each write. Here OpenSSL reads and
writes the socket itself, and what the socket takes at once can be sent without waiting (`send_nowait`), from code that
is no task. An inquiry alone is answered a tenth sooner (docs/decisions/0021-a-lone-inquiry.md).

OpenSSL is given one record at a time: where the socket takes only a part of it, the same bytes must come again, and of
a longer write it would want all that it had already sent, too.
"""

import socket
import ssl

import trio

RECORD_BYTES = 16 << 10
"""A TLS record holds no more."""


class TlsStream(trio.abc.Stream):
    """One end of a TLS connection. One task may read and one may write at a time.

    Nothing is said in TLS when it is closed, as a line says all it has to say in frames, and a connection that ends
    without a word of TLS has only ended (b"" from receive_some).

    Errors: trio.BrokenResourceError, whose cause fault_in_tls can name; trio.ClosedResourceError after aclose.
    Cancellation: a write that was cancelled may have sent a part, and the stream is then of no use but to be closed.
    """

    def __init__(
        self,
        stream: trio.SocketStream,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Takes the socket out of `stream`, which can then only be closed. Raises: trio.BrokenResourceError."""
        plain = socket.socket(fileno=stream.socket.detach())
        plain.setblocking(False)
        try:
            plain.getpeername()
            self._socket = context.wrap_socket(
                plain, server_side=server_side, server_hostname=server_hostname, do_handshake_on_connect=False
            )
        except OSError as error:  # the peer is gone already
            plain.close()
            raise trio.BrokenResourceError("the connection ended before it began") from error

    async def do_handshake(self) -> None:
        """To be done first."""
        await trio.lowlevel.checkpoint()
        while True:
            try:
                self._socket.do_handshake()
            except OSError as error:
                await self._wait(error)
            else:
                return

    @property
    def peer_certificate(self) -> bytes:
        """What the peer showed, DER; b"" for none."""
        return self._socket.getpeercert(binary_form=True) or b""

    @property
    def alpn(self) -> str | None:
        """The protocol agreed."""
        return self._socket.selected_alpn_protocol()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Up to so many bytes, at most one record's; b"" when the peer has ended the connection."""
        self._check_open()
        if self._socket.pending():
            await trio.lowlevel.checkpoint()
        else:  # the next record is seldom there already
            await trio.lowlevel.wait_readable(self._socket)
        while True:
            try:
                return self._socket.recv(RECORD_BYTES if max_bytes is None else max_bytes)
            except OSError as error:
                await self._wait(error)

    def send_nowait(self, data: bytes) -> int:
        """Send what the socket takes at once. Returns: how many bytes.

        What is sent next must be what follows, and no less of it than a record where there is so much.
        Raises: trio.BrokenResourceError, trio.ClosedResourceError.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._socket.send(rest[:RECORD_BYTES]) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise self._failed(error) from error
        return len(data) - len(rest)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything, however slowly the peer takes it."""
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest[:RECORD_BYTES]) :]
            except OSError as error:
                await self._wait(error)

    async def wait_send_all_might_not_block(self) -> None:
        """As of trio.abc.SendStream."""
        self._check_open()
        await trio.lowlevel.wait_writable(self._socket)

    async def aclose(self) -> None:
        """Close the socket; whoever waits for it is told. May be called again."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("this end closed the connection")

    async def _wait(self, error: OSError) -> None:
        """For what OpenSSL wants of the socket. Raises what any other error means."""
        if isinstance(error, ssl.SSLWantReadError):
            await trio.lowlevel.wait_readable(self._socket)
        elif isinstance(error, ssl.SSLWantWriteError):
            await trio.lowlevel.wait_writable(self._socket)
        else:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> trio.BrokenResourceError:
        self._check_open()
        return trio.BrokenResourceError(f"the connection failed ({type(error).__name__})")


def fault_in_tls(error: Exception) -> ssl.SSLError | None:
    """What TLS found fault with, at either end, behind a trio.BrokenResourceError; None when it only ended."""
    cause = error.__cause__
    ended = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return cause if isinstance(cause, ssl.SSLError) and not isinstance(cause, ended) else None
