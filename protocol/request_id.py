"""Request ids: UUIDv7 (RFC 9562 section 5.7) as 16 bytes, so that age is in the id and claims sort by time."""


def make_request_id(now_ms: int, randomness: bytes) -> bytes:
    """A UUIDv7 from milliseconds since 1970 and 10 random bytes. Raises: ValueError for other sizes."""
    if len(randomness) != 10 or not 0 <= now_ms < 1 << 48:
        raise ValueError("a request id takes 48 bits of milliseconds and 10 random bytes")
    return (
        now_ms.to_bytes(6, "big")
        + bytes((0x70 | randomness[0] & 0x0F, randomness[1], 0x80 | randomness[2] & 0x3F))
        + randomness[3:]
    )


def is_request_id(data: bytes) -> bool:
    """Whether 16 bytes are a UUIDv7."""
    return len(data) == 16 and data[6] >> 4 == 7 and data[8] >> 6 == 2


def time_ms(request_id: bytes) -> int:
    """Milliseconds since 1970 inside the id."""
    return int.from_bytes(request_id[:6], "big")
