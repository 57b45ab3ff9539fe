"""The signed envelope: u8 algorithm | u8 n | key id (n bytes of ASCII) | u16 m | signature (m bytes) | body.

What is signed is context(label) | binding | body, where the context is 32 fixed bytes that name the project, version
and direction, and the binding is whatever both ends know already (certificate fingerprints in the handshake, nothing
in a REQUEST, whose body names the session). Neither is transmitted, so neither can be chosen by the sender.
"""

import msgspec

from protocol import limits
from protocol.errors import FaultCode, RemoteProtocolError
from protocol.keys import Algorithm


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A parsed envelope; nothing in it is believed until its signature was verified."""

    algorithm: Algorithm
    key_id: str
    signature: bytes
    body: bytes


_ALGORITHMS = {int(member): member for member in (Algorithm.ES256, Algorithm.ML_DSA_65)}


def pack(algorithm: Algorithm, key_id: str, signature: bytes, body: bytes) -> bytes:
    """The envelope's bytes."""
    name = key_id.encode("ascii")
    return bytes((algorithm, len(name))) + name + len(signature).to_bytes(2, "big") + signature + body


def unpack(data: bytes) -> Envelope:
    """Read an envelope.

    Raises: RemoteProtocolError(ALGORITHM_UNKNOWN | MALFORMED).
    """
    try:
        algorithm = _ALGORITHMS.get(data[0])
        name_end = 2 + data[1]
        key_id = data[2:name_end].decode("ascii")
        signature_end = name_end + 2 + int.from_bytes(data[name_end : name_end + 2], "big")
    except (IndexError, UnicodeDecodeError):
        raise RemoteProtocolError(FaultCode.MALFORMED, "the signed envelope is cut short") from None
    if algorithm is None:
        raise RemoteProtocolError(FaultCode.ALGORITHM_UNKNOWN, f"algorithm {data[0]} is not known")
    if (
        not 0 < data[1] <= limits.KEY_ID_BYTES_MAX
        or signature_end > len(data)
        or signature_end - name_end - 2 > limits.SIGNATURE_BYTES_MAX
    ):
        raise RemoteProtocolError(FaultCode.MALFORMED, "the signed envelope is cut short or over its bounds")
    return Envelope(algorithm, key_id, data[name_end + 2 : signature_end], data[signature_end:])
