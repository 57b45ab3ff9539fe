"""The [history] table of an inquiry centre's configuration."""

import msgspec

from gateway.inquiry.oversight import Thresholds
from gateway.inquiry.retirement import RETENTION_DEFAULT, RetentionRule


class HistoryTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[history]: how long the provision history is kept, by date, and from which counts on somebody looks."""

    retention: tuple[RetentionRule, ...] = RETENTION_DEFAULT
    candidates: Thresholds = Thresholds()
