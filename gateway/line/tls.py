"""How a TLS connection of Trio ended: for a fault that TLS names, or because the other end left."""

import ssl


def fault_in_tls(error: Exception) -> ssl.SSLError | None:
    """What TLS found fault with, at either end, behind a trio.BrokenResourceError; None when it only ended."""
    cause = error.__cause__
    ended = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return cause if isinstance(cause, ssl.SSLError) and not isinstance(cause, ended) else None
