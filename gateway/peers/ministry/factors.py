"""The two factors of signing in: the PIN (暗証番号) and the code of an authenticator (RFC 6238), as pure decisions.

A code counts for the 30 seconds it is shown and one step to either side, once: the step of the last code used is kept
and nothing at or before it is taken again (RFC 6238, 5.2). A code that is right for a time up to ten steps off is
refused too, but the refusal says by how much the clock is off.
Source: 002 別2-2(4).
"""

import hmac
import itertools
import secrets
from datetime import UTC, datetime
from typing import Final

import argon2
import msgspec
import pyotp

from gateway.peers.ministry.errors import MinistryError

PIN_CHARS_MIN: Final = 6
PIN_CHARS_MAX: Final = 64
STEP_S: Final = 30
STEPS_TAKEN: Final = 1
STEPS_TOLD: Final = 10
ISSUER: Final = "Sekisho"

_hasher: Final = argon2.PasswordHasher(time_cost=3, memory_cost=64 << 10, parallelism=1)
UNKNOWN_HASH: Final = _hasher.hash(secrets.token_urlsafe(16))
"""Verified for users that do not exist, so that the time taken does not tell."""


class PinRefused(MinistryError):  # noqa: N818 - named after the fact
    """A new PIN that is too easy; the sentence says what one must be."""


def hash_pin(pin: str) -> str:
    """The argon2id hash to keep. Raises: PinRefused."""
    if not PIN_CHARS_MIN <= len(pin) <= PIN_CHARS_MAX:
        raise PinRefused(f"a PIN has {PIN_CHARS_MIN} to {PIN_CHARS_MAX} characters")
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(pin)}
    if steps <= {0} or steps in ({1}, {-1}):
        raise PinRefused("a PIN is not one character repeated, nor characters in a row")
    return _hasher.hash(pin)


def pin_is_right(pin_hash: str, pin: str) -> bool:
    """Whether a PIN is that of a hash. Takes tens of milliseconds and 64 MiB: call it in a thread."""
    try:
        return _hasher.verify(pin_hash, pin[: PIN_CHARS_MAX + 1])
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def new_secret() -> str:
    """A TOTP secret, base32, 160 bits (RFC 4226, 4)."""
    return pyotp.random_base32(32)


def enrolment_uri(secret: str, user: str) -> str:
    """The otpauth URI that an authenticator takes."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=user, issuer_name=ISSUER)


class CodeRight(msgspec.Struct, frozen=True):
    """The code is right and new; `step` is to be kept as the last one used."""

    step: int


class CodeUsed(msgspec.Struct, frozen=True):
    """The code was right but is used up."""


class CodeDrifted(msgspec.Struct, frozen=True):
    """The code is right for a clock so many seconds fast (or slow, negative)."""

    drift_s: int


class CodeWrong(msgspec.Struct, frozen=True):
    """Not a code of this secret."""


def judge_code(
    secret: str, code: str, *, now_us: int, last_step: int
) -> CodeRight | CodeUsed | CodeDrifted | CodeWrong:
    """What a code is worth now. All steps are compared, so that the time taken tells nothing."""
    totp = pyotp.TOTP(secret, interval=STEP_S)
    step_now = now_us // 1_000_000 // STEP_S
    matching = [
        offset
        for offset in range(-STEPS_TOLD, STEPS_TOLD + 1)
        if hmac.compare_digest(_code_at(totp, step_now + offset).encode(), code.encode("utf-8", "replace"))
    ]
    if not matching:
        return CodeWrong()
    nearest = min(matching, key=abs)
    if abs(nearest) > STEPS_TAKEN:
        return CodeDrifted(nearest * STEP_S)
    if step_now + nearest <= last_step:
        return CodeUsed()
    return CodeRight(step_now + nearest)


def _code_at(totp: pyotp.TOTP, step: int) -> str:
    return totp.at(datetime.fromtimestamp(step * STEP_S, UTC))
