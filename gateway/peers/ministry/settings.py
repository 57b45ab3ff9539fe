"""What the ministry may set about its terminals: times, limits and retention, each within bounds.

A change takes effect at once and is written into the operation history. Source: 002 別2-2(4), (9)ウ.
"""

from typing import Final, NamedTuple

import msgspec

from gateway.peers.ministry.errors import MinistryError


class SettingRefused(MinistryError):  # noqa: N818 - named after the fact
    """Not a setting, or a value outside its bounds; the sentence names both."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings with their defaults; BOUNDS has the bounds, MEANINGS the words."""

    idle_lock_minutes: int = 5
    session_hours: int = 9
    shown_minutes: int = 10
    failures_max: int = 5
    lock_minutes: int = 30
    answer_seconds: int = 15
    approval_hours: int = 8
    opening_days: int = 30
    proof_years: int = 7
    history_years: int = 7


class _Setting(NamedTuple):
    low: int
    high: int
    meaning: str


ALL: Final[dict[str, _Setting]] = {
    "idle_lock_minutes": _Setting(1, 30, "without use until a screen locks"),
    "session_hours": _Setting(1, 16, "from sign-in until a session ends whatever is done"),
    "shown_minutes": _Setting(1, 60, "until an answer is erased from memory"),
    "failures_max": _Setting(3, 10, "failed attempts in a row that lock a user"),
    "lock_minutes": _Setting(5, 1440, "that such a lock lasts, unless a manager ends it"),
    "answer_seconds": _Setting(5, 60, "to wait for the centre's answer"),
    "approval_hours": _Setting(1, 72, "until an approval request expires"),
    "opening_days": _Setting(0, 1095, "that question and answer are kept, sealed, beside a receipt"),
    "proof_years": _Setting(1, 30, "that receipts are kept"),
    "history_years": _Setting(5, 30, "that histories, approvals and the register of disposed forms are kept"),
}


def changed(settings: Settings, name: str, value: int) -> Settings:
    """The settings with one changed. Raises: SettingRefused."""
    bounds = ALL.get(name)
    if bounds is None:
        raise SettingRefused(f"{name} is not a setting; choose one of {', '.join(ALL)}")
    if not bounds.low <= value <= bounds.high:
        raise SettingRefused(f"{name} takes {bounds.low} to {bounds.high}, not {value}")
    return msgspec.structs.replace(settings, **{name: value})
