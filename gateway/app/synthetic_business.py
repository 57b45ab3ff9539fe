"""What the users of a past month did at the kiosks: a plan, the same for the same seed. Pure.

Each visit is one application from the card to the erasure, at a time at which the directory lets it pass and at the fee
of that time. Most go as they should; some are voided, some corrected, one has its day corrected into the next month.
Some are there for what a month's end finds: completions that the relay held, a copy too many that only the store's
report shows, and one that shows only after the freeze. Everything is synthetic (合成データ); nobody's card is in it.

Source: 000仕3, 000仕13, 000契9-1; DESIGN section 10.
"""

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.directory.hours import day_start_us, jst_date
from gateway.directory.policy import Refused
from protocol import issuance
from protocol.application import Transition
from protocol.certificates import CardType
from protocol.issuance import Complete, Correct, Erase, Ground, Issued, KioskSession, Statement, Void
from protocol.messages import Operation, encode
from protocol.request_id import make_request_id

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
MORNING_US: Final = 8 * HOUR_US
"""When a store corrects what it notified the day before: before a month is disclosed, whenever that is."""
DRAWS_MAX: Final = 1_000
"""So many times and offers are tried for one visit before the directory is taken to offer nothing."""
_WEIGHTS: Final = (70, 18, 8, 3, 1)
"""Of 1 to 5 copies."""

Body: TypeAlias = issuance.Authenticate | issuance.Apply | issuance.Fetch | Complete | Correct | Void | Erase


class Story(Enum):
    """How a visit goes."""

    PLAIN = "plain"
    VOIDED = "voided"  # not printed: refunded some minutes later (返金済・無効)
    FEWER = "fewer"  # one copy fewer than was notified, corrected the next morning
    OTHER_MONTH = "other-month"  # deposited on the first of the next month, corrected then
    LATE = "late"  # the relay held the completion, and delivers it after it was found missing
    FOUND = "found"  # one copy fewer than was notified, found against the store's report and corrected then
    AFTERWARDS = "afterwards"  # the same, but found after the freeze


FEWER: Final = frozenset({Story.FEWER, Story.FOUND, Story.AFTERWARDS})
"""Of these a copy fewer was printed than was notified."""


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """How many visits are not plain: in all; of those voided or corrected the next morning, one in so many."""

    late: int = 2
    found: int = 1
    afterwards: int = 1
    other_month: int = 1
    voided_one_in: int = 50
    fewer_one_in: int = 70


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """When what a month's end finds is put right: what the relay held, what a report showed, and what came after."""

    late_us: int
    found_us: int
    afterwards_us: int


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """A kiosk: its operator with the line it is reached by, its store, and the SPKI (DER) of its certificate's key."""

    operator: str
    line: str
    kiosk: str
    store: str
    store_name: str
    spki: bytes


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One application: where, for what, at what fee a copy, and how it goes. pseudonym and nonce are random."""

    number: int
    shop: Shop
    municipality: str
    kind: str
    options: int
    copies: int
    fee_yen: int
    began_us: int
    story: Story
    application: bytes
    pseudonym: bytes
    nonce: bytes


class Step(NamedTuple):
    """One request of a visit: at_us, when the centre records it; taken_us, when the relay took it over."""

    at_us: int
    number: int
    visit: Visit
    transition: int
    operation: Operation
    request_id: bytes
    body: Body
    taken_us: int


def plan(
    directory: Directory,
    shops: Sequence[Shop],
    *,
    first: dt.date,
    last: dt.date,
    visits: int,
    seed: int,
    times: Times,
    shares: Shares | None = None,
) -> list[Step]:
    """All requests of all visits of a span of days, in the order in which the centre records them.

    Raises: ValueError when the directory offers nothing in that time.
    """
    draw = random.Random(seed)  # noqa: S311 - synthetic data, reproducible by its seed
    steps: list[Step] = []
    for number, story in enumerate(_stories(visits, shares or Shares())):
        visit = _visit(directory, shops, number, story, first, last, draw)
        if visit is None and story is Story.OTHER_MONTH:  # nothing is open on the last day
            visit = _visit(directory, shops, number, Story.PLAIN, first, last, draw)
        if visit is None:
            raise ValueError(f"the directory offers nothing from {first} to {last}; give it open hours")
        steps += _steps(visit, draw, last=last, times=times)
    steps.sort(key=lambda step: (step.at_us, step.visit.number, step.number))
    return steps


def _stories(visits: int, shares: Shares) -> list[Story]:
    """The story of each visit by its number; of a month with visits at all, each story is there."""
    told = [Story.LATE] * shares.late + [Story.FOUND] * shares.found
    told += [Story.AFTERWARDS] * shares.afterwards + [Story.OTHER_MONTH] * shares.other_month
    told += [Story.VOIDED] * -(-visits // shares.voided_one_in) + [Story.FEWER] * -(-visits // shares.fewer_one_in)
    return (told + [Story.PLAIN] * visits)[:visits]


def _visit(
    directory: Directory,
    shops: Sequence[Shop],
    number: int,
    story: Story,
    first: dt.date,
    last: dt.date,
    draw: random.Random,
) -> Visit | None:
    """None when the directory lets nothing of the kind pass."""
    days = (last - first).days + 1
    for _ in range(DRAWS_MAX):
        shop = draw.choice(shops)
        place = draw.choice(directory.document.municipalities)
        offer = draw.choice(place.offers)
        day = last if story is Story.OTHER_MONTH else first + dt.timedelta(days=draw.randrange(days))
        began_us = day_start_us(day) + draw.randrange(24 * HOUR_US)
        copies = min(draw.choices(range(1, 6), _WEIGHTS)[0] + (story in FEWER), offer.copies_max)
        application = make_request_id(began_us // 1000, draw.randbytes(10))
        statement = Statement(application, place.code, offer.kind, 0, copies, began_us)
        found, opened = (
            offers.price(
                directory,
                operator=shop.operator,
                statement=statement,
                card_type=CardType.MY_NUMBER_CARD,
                at_us=at_us,
            )
            for at_us in (began_us + MINUTE_US, began_us)
        )
        if isinstance(found, Refused) or isinstance(opened, Refused) or jst_date(began_us + HOUR_US) != day:
            continue
        if story in FEWER and copies < 2:
            continue
        return Visit(
            number=number,
            shop=shop,
            municipality=place.code,
            kind=offer.kind,
            options=0,
            copies=copies,
            fee_yen=found.fee_yen,
            began_us=began_us,
            story=story,
            application=application,
            pseudonym=draw.randbytes(16),
            nonce=draw.randbytes(40),
        )
    return None


class _Writer:
    """Writes down the requests of one visit, one after another."""

    def __init__(self, visit: Visit, draw: random.Random) -> None:
        self._visit = visit
        self._draw = draw
        self.steps: list[Step] = []

    def add(self, transition: int, operation: Operation, body: Body, taken_us: int, at_us: int | None = None) -> None:
        """One more. at_us: when it is recorded, if not a moment later."""
        recorded_us = taken_us + 200_000 if at_us is None else at_us
        request_id = make_request_id(taken_us // 1000, self._draw.randbytes(10))
        self.steps.append(
            Step(recorded_us, len(self.steps), self._visit, transition, operation, request_id, body, taken_us)
        )


def _steps(visit: Visit, draw: random.Random, *, last: dt.date, times: Times) -> Iterator[Step]:
    writer = _Writer(visit, draw)
    at_us, application = visit.began_us, visit.application
    statement = Statement(application, visit.municipality, visit.kind, visit.options, visit.copies, at_us + MINUTE_US)
    writer.add(Transition.AUTHENTICATED, Operation.AUTHENTICATE, _authenticate(visit, draw), at_us)
    writer.add(
        Transition.APPLIED,
        Operation.APPLY,
        issuance.Apply(statement, draw.randbytes(64)),
        at_us + MINUTE_US,
    )
    writer.add(Transition.ISSUED, Operation.DOCUMENT, issuance.Fetch(application), at_us + MINUTE_US + 2 * SECOND_US)
    deposited_us = at_us + 2 * MINUTE_US
    day = str(jst_date(deposited_us))
    slip = f"{visit.number:06d}"
    done_us = at_us + 3 * MINUTE_US
    late = times.late_us + visit.number * SECOND_US if visit.story is Story.LATE else None
    store = visit.shop.store
    if visit.story is Story.VOIDED:
        voided_us = at_us + 10 * MINUTE_US
        writer.add(
            Transition.COMPLETED,
            Operation.COMPLETE,
            Complete(application, visit.copies, deposited_us, day, store, slip),
            done_us,
        )
        void = Void(application, int(Ground.MISPRINT), voided_us, day, store, f"v{slip}")
        writer.add(Transition.VOIDED, Operation.VOID, void, voided_us)
    else:
        writer.add(
            Transition.COMPLETED,
            Operation.COMPLETE,
            Complete(application, visit.copies, deposited_us, day, store, slip),
            done_us,
            late,
        )
    erased_us = at_us + HOUR_US
    erase = Erase(application, erased_us, erased_us, draw.randbytes(64))
    writer.add(Transition.ERASED, Operation.ERASE, erase, erased_us, None if late is None else late + 500_000)
    next_us = day_start_us(jst_date(at_us) + dt.timedelta(days=1))
    ground = int(Ground.ENTRY_ERROR)
    corrected_us = {
        Story.FEWER: next_us + MORNING_US,
        Story.FOUND: times.found_us,
        Story.AFTERWARDS: times.afterwards_us,
    }
    if visit.story in FEWER:
        correct = Correct(application, 1, visit.copies - 1, deposited_us, day, ground)
        writer.add(Transition.CORRECTED_1, Operation.CORRECT, correct, corrected_us[visit.story])
    elif visit.story is Story.OTHER_MONTH:
        first = last + dt.timedelta(days=1)
        correct = Correct(application, 1, visit.copies, next_us + MINUTE_US, str(first), ground)
        writer.add(Transition.CORRECTED_1, Operation.CORRECT, correct, next_us + MORNING_US)
    yield from writer.steps


def _authenticate(visit: Visit, draw: random.Random) -> issuance.Authenticate:
    """A body of the right shape with random bytes in the place of keys, certificates and signatures."""
    session = KioskSession(visit.shop.operator, visit.shop.kiosk, b"\x04" + draw.randbytes(64), draw.randbytes(32))
    return issuance.Authenticate(
        session,
        visit.nonce,
        draw.randbytes(400),
        draw.randbytes(64),
        int(CardType.MY_NUMBER_CARD),
        draw.randbytes(900),
        draw.randbytes(96),
        visit.municipality,
    )


def issued_answer(visit: Visit) -> bytes:
    """ISSUED's body, with the application's id in the place of a manifest: no document was made."""
    return encode(Issued(visit.application, "synthetic", bytes(64), 0))
