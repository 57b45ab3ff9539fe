"""Every bound of the line protocol, in one place, with the relations between them asserted.

Units are the last word of each name. A bound that an operator may change is a default here and a setting in the
configuration; the configuration may lower it, never raise it above what is written here.
"""

from typing import Final

PROTOCOL_VERSION: Final = 1
ALPN: Final = "sekisho/1"

# Frames: u32 length | u8 type | payload.
FRAME_HEADER_BYTES: Final = 5
FRAME_BYTES_MAX: Final = 1 << 20
"""Length field of a frame after the handshake (type and sealed payload)."""
HANDSHAKE_FRAME_BYTES_MAX: Final = 8 << 10
"""Length field of a frame before the session stands: strangers get little memory."""
SEAL_OVERHEAD_BYTES: Final = 16

# Requests.
REQUESTS_PER_FRAME_MAX: Final = 256
REQUEST_BODY_BYTES_MAX: Final = 3_840
"""ISSUE with an RSA card, a kiosk's certificate and three signatures is the largest."""
RESPONSE_BODY_BYTES_MAX: Final = 9 << 10
"""What RECEIPT may bring at its largest: an entry with its path, and a note that ML-DSA-65 signed too with a path of 63
hashes. The note bears the centre's two signatures only: countersignatures are kept by whoever gave or gathered them."""
TRANSIENT_BODY_BYTES_MAX: Final = 100 << 10
"""Of an answer that is not recorded: a part of a sealed document, as a relay passes it on, is the largest."""
CREDIT_REQUESTS_DEFAULT: Final = 1024
"""Requests one connection may have unanswered."""
CREDIT_REQUESTS_MAX: Final = 4096
DEADLINE_MS_DEFAULT: Final = 2_000
DEADLINE_MS_MAX: Final = 30_000
REQUEST_ID_AGE_MS_MAX: Final = 600_000
"""An unknown request id may be this far off the clock, either way (DESIGN 7: 10 minutes)."""
ISSUED_AT_SKEW_MS_MAX: Final = 60_000
"""A frame's issued-at may be this far off the receiver's clock."""
REPEATS_MAX: Final = 8

# Approvals by a second person.
APPROVAL_DIGESTS_MAX: Final = 64
"""Questions one approval covers."""
APPROVAL_LIFETIME_MS_MAX: Final = 1_800_000
"""An approval is for what is being worked on now: it expires within 30 minutes of being given."""

# Blocks.
BLOCK_ENTRIES_MAX: Final = 1024
ENTRY_BYTES_MAX: Final = 1 << 10
RESPONSES_PER_FRAME_MAX: Final = 96
"""Responses of one frame; a session's share of a block that is larger travels in several."""
SIGNATURE_BYTES_MAX: Final = 3_309  # ML-DSA-65
KEY_ID_BYTES_MAX: Final = 64

# Time on a line.
HANDSHAKE_MS_MAX: Final = 5_000
HEARTBEAT_MS: Final = 10_000
"""Silence after which a PING is sent; as much again without any frame closes the line."""
WRITE_STALL_MS_MAX: Final = 10_000
"""A peer that takes no bytes for so long loses its line."""
OUTPUT_BYTES_MAX: Final = 32 << 20
"""Bytes waiting to be written to one connection; more closes that line only."""

# Text.
NAME_CHARS_MAX: Final = 100
ADDRESS_CHARS_MAX: Final = 200
CASE_CHARS_MAX: Final = 40
IDENT_CHARS_MAX: Final = 40

_RESPONSE_OVERHEAD_BYTES: Final = 256
_DIGEST_BYTES: Final = 34  # as MessagePack


def check_relations() -> None:
    """Raise ValueError if the bounds contradict one another; called at every start, before a port is bound."""
    facts = {
        "a full request frame fits": REQUESTS_PER_FRAME_MAX * (REQUEST_BODY_BYTES_MAX + 64) < FRAME_BYTES_MAX,
        "a full response frame fits": RESPONSES_PER_FRAME_MAX
        * (RESPONSE_BODY_BYTES_MAX + ENTRY_BYTES_MAX + _RESPONSE_OVERHEAD_BYTES)
        < FRAME_BYTES_MAX,
        "the largest unrecorded answer fits half a frame": TRANSIENT_BODY_BYTES_MAX + _RESPONSE_OVERHEAD_BYTES
        < FRAME_BYTES_MAX // 2,
        "what is recorded is no larger than what is not": RESPONSE_BODY_BYTES_MAX <= TRANSIENT_BODY_BYTES_MAX,
        "a full approval fits in a body": APPROVAL_DIGESTS_MAX * _DIGEST_BYTES + 4 * (IDENT_CHARS_MAX + 3) + 32
        <= REQUEST_BODY_BYTES_MAX,
        "an approval outlives a deadline": DEADLINE_MS_MAX < APPROVAL_LIFETIME_MS_MAX,
        "one frame fits in a block": REQUESTS_PER_FRAME_MAX <= BLOCK_ENTRIES_MAX,
        "one frame fits in the credit": REQUESTS_PER_FRAME_MAX <= CREDIT_REQUESTS_DEFAULT <= CREDIT_REQUESTS_MAX,
        "a handshake frame is smaller": HANDSHAKE_FRAME_BYTES_MAX < FRAME_BYTES_MAX,
        "a signature fits the handshake": SIGNATURE_BYTES_MAX + 1024 < HANDSHAKE_FRAME_BYTES_MAX,
        "output holds a window of frames": FRAME_BYTES_MAX * 2 < OUTPUT_BYTES_MAX,
        "a deadline is shorter than the id's age": DEADLINE_MS_MAX < REQUEST_ID_AGE_MS_MAX,
    }
    broken = [fact for fact, holds in facts.items() if not holds]
    if broken:
        raise ValueError("limits contradict each other: " + ", ".join(broken))
