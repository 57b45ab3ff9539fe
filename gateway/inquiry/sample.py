"""Synthetic notifications, to try loading with: the same for the same seed, every one marked synthetic.

Nine in ten enter somebody; the others move, correct or remove someone entered before, so that histories come about.
Each municipality's numbers and dates rise.
"""

import datetime as dt
import random
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.inquiry.changes import ChangeReason
from gateway.inquiry.notification import NotificationRow
from gateway.inquiry.record import ResidentRecord
from gateway.inquiry.synthetic import residents

_FIRST_DAY: Final = dt.date(2024, 4, 1)
_A_DAY: Final = 2_000
"""Notifications of one day, over all municipalities; so many days at most, then the last one lasts."""
_DAYS_MAX: Final = 700
_REMEMBERED: Final = 5_000


def notifications(seed: int, count: int) -> Iterator[NotificationRow]:
    """`count` notifications in order."""
    draw = random.Random(f"{seed}|notifications")  # noqa: S311  reproducible data, not a secret
    numbers: dict[str, int] = {}
    standing: list[ResidentRecord] = []
    people = residents(seed, count)
    for at in range(count):
        if len(standing) > 10 and draw.random() < 0.1:
            place = draw.randrange(len(standing))
            record = _changed(draw, standing[place])
            if ChangeReason(record.changed_reason) in (ChangeReason.DIED, ChangeReason.MOVED_ABROAD):
                standing[place] = standing[-1]
                standing.pop()
            else:
                standing[place] = record
        else:
            record = msgspec.structs.replace(next(people).record, changed_reason=int(ChangeReason.ENTERED_EX_OFFICIO))
            if len(standing) < _REMEMBERED:
                standing.append(record)
        numbers[record.municipality] = number = numbers.get(record.municipality, 0) + 1
        day = _FIRST_DAY + dt.timedelta(days=min(at // _A_DAY, _DAYS_MAX))
        yield as_row(record, number=number, notified_on=day)


def as_row(record: ResidentRecord, *, number: int, notified_on: dt.date, previous_code: str = "") -> NotificationRow:
    """A record as the row of a notification."""
    return NotificationRow(
        municipality=record.municipality,
        sequence=str(number),
        notified_on=notified_on.isoformat(),
        reason=str(record.changed_reason),
        changed_on=record.changed_on,
        code=record.code,
        name=record.name,
        kana=record.kana,
        birth=record.birth,
        sex=str(record.sex),
        address=record.address,
        previous_code=previous_code,
        former_surname=record.former_surname,
        alias=record.alias,
        my_number=record.my_number or "",
        synthetic="1" if record.synthetic else "",
    )


def _changed(draw: random.Random, record: ResidentRecord) -> ResidentRecord:
    reason = draw.choice(
        (
            ChangeReason.MOVED_WITHIN,
            ChangeReason.MOVED_WITHIN,
            ChangeReason.CORRECTED_LIGHTLY,
            ChangeReason.DIED,
            ChangeReason.MOVED_ABROAD,
        )
    )
    address = record.address
    if reason == ChangeReason.MOVED_WITHIN:
        town = address.rstrip("0123456789番地号丁目")
        address = f"{town}{draw.randrange(1, 9)}丁目{draw.randrange(1, 40)}番{draw.randrange(1, 30)}号"
    return msgspec.structs.replace(record, address=address, changed_reason=int(reason))
