"""Both centres of a development directory settled for a past month and quarter, once, and what came of it.

`synthetic.json` in the directory says which month and quarter, and whether all of it was done: what is recorded cannot
be taken back, so a play that was cut short is not begun again in the same place.
"""

import datetime as dt
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from certs.authority import DevelopmentAuthority
from certs.files import PUBLIC, write_whole
from gateway.app.configuration import read_configuration
from gateway.app.development import OPERATOR, RELAY, TOWNS
from gateway.app.settling import desk_of
from gateway.app.supervisor import Dsns
from gateway.app.synthetic_centre import PastCentre, opened_centre
from gateway.app.synthetic_cycle import VISITS, Happened, MonthCycle, Tell
from gateway.app.synthetic_forgery import Forged, forge
from gateway.app.synthetic_ledger import make_partitions
from gateway.app.synthetic_parties import make_shops, tell_town
from gateway.app.synthetic_quarter_cycle import QUESTIONS, settle_quarter
from gateway.app.synthetic_reports import report
from gateway.app.synthetic_times import MonthTimes, QuarterTimes, month_times, quarter_times
from gateway.directory.directory import Directory
from gateway.host import run_guest
from gateway.issuance.rider import issuance_rider
from gateway.ledger.recording import Final as Recorded
from gateway.settlement import conduct
from gateway.settlement.calendars import STANDARD
from gateway.settlement.conduct_status import Status
from gateway.settlement.periods import period
from gateway.settlement.windows import midnight_us
from gateway.store.embedded import OWNER, EmbeddedPostgres
from gateway.store.errors import ClusterBusy
from gateway.store.ledger import Riding

T = TypeVar("T")
FILE_NAME: Final = "synthetic.json"
MINISTRY: Final = "mlit"
MINISTRY_LINE: Final = "line-1"
STAFF: Final = "staff-001"
TARIFF: Final = "tariff.toml"
_DAY: Final = dt.timedelta(days=1)


class PlayError(Exception):
    """The settlement cannot be played there; the sentence names the remedy."""


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """Which month and quarter were settled, what happened in what order, and whether it was done to the end."""

    month: str
    quarter: str
    done: bool = False
    happened: tuple[Happened, ...] = ()

    @property
    def month_times(self) -> MonthTimes:
        """When the month's steps were done."""
        return month_times(period(self.month), calendars=STANDARD)

    @property
    def quarter_times(self) -> QuarterTimes:
        """When the quarter's were."""
        return quarter_times(period(self.quarter), calendars=STANDARD)

    @property
    def since_us(self) -> int:
        """From when the centres' keys have to be valid."""
        return midnight_us(min(period(self.month).first, period(self.quarter).first) - _DAY)


def read_play(data: Path) -> Play | None:
    """What was played there, to the end. Raises: PlayError when it was cut short."""
    path = data / FILE_NAME
    if not path.exists():
        return None
    found = msgspec.json.decode(path.read_bytes(), type=Play)
    if not found.done:
        raise PlayError(f"{data}: a settlement was begun there and not ended; choose another --data directory")
    return found


def play_settlement(
    play: Play, *, inquiry: Path, service: Path, ministry: Path, visits: int = VISITS, asked: int = QUESTIONS
) -> Play:
    """Record and settle the month in `service` (gateway.app.development) and the quarter in `inquiry`.

    ministry: the directory of the ministry server that keeps its proofs.

    Nothing of either may run. Returns: what was played. Raises: PlayError; errors of the parts.
    """
    write_whole(inquiry / FILE_NAME, msgspec.json.encode(play), mode=PUBLIC)
    happened: list[Happened] = []
    tell = happened.append
    _at(inquiry, lambda centre: _quarter(centre, play, ministry, asked, tell))
    _at(service / "centre", lambda centre: _month(centre, play, service, visits, tell))
    happened.sort(key=lambda each: each.at_us)
    played = msgspec.structs.replace(play, done=True, happened=tuple(happened))
    write_whole(inquiry / FILE_NAME, msgspec.json.encode(played), mode=PUBLIC)
    return played


def status_of(play: Play, *, inquiry: Path, service: Path) -> tuple[Status, Status]:
    """How both stood when all was done. Raises: errors of the parts."""

    month, quarter = play.month_times, play.quarter_times
    return (
        _at(service / "centre", lambda centre: _stands(centre, month.period.text, month.pass_on_us)),
        _at(inquiry, lambda centre: _stands(centre, quarter.period.text, quarter.pay_us)),
    )


def forge_invoice(centre: Path, file: Path, out: Path, *, at_us: int) -> Forged:
    """A copy of an invoice with one fee changed, signed by the centre itself. Raises: errors of the parts."""

    async def run(opened: PastCentre) -> Forged:
        return await forge(
            file,
            file.with_suffix(".items"),
            out,
            trust=opened.trust,
            sign=lambda content: opened.sign_invoice(content, at_us=at_us),
        )

    return _at(centre, run)


def payers_tariff(directory: Directory, *, role: str) -> str:
    """What was agreed, as the payer keeps it: the directory's prices, in the form of gateway.settlement.tariff."""
    if role == "inquiry":
        contracts = [each for each in directory.document.contracts if each.party == MINISTRY]
        prices = [{"from": str(t.valid_from), "fee": t.yen_per_record} for each in contracts for t in each.terms]
    else:
        commission = max(
            (terms.valid_from, terms.commission)
            for each in directory.document.contracts
            if each.party == OPERATOR
            for terms in each.terms
        )[1]
        prices = [
            {"counterparty": town.party, "matter": offer.kind, "from": str(fee.valid_from), "fee": fee.yen,
             "commission": commission}
            for town in directory.document.municipalities
            for offer in town.offers
            for fee in offer.fees
        ]  # fmt: skip
    text = "\n".join(
        "[[price]]\n" + "\n".join(f"{name} = {value if name == 'from' else msgspec.json.encode(value).decode()}"
                                  for name, value in price.items()) + "\n"
        for price in prices
    )  # fmt: skip
    tomllib.loads(text)  # it is read back by the payer's check
    return text


async def _month(centre: PastCentre, play: Play, service: Path, visits: int, tell: Tell) -> None:
    times, relay = play.month_times, service / "operator" / "relay"
    await make_partitions(centre.ops, times.period.first, times.period.last + 31 * _DAY)
    shops = make_shops(
        relay,
        DevelopmentAuthority.open(service / "operator" / "pki"),
        operator=OPERATOR,
        line=RELAY.line,
        at_us=midnight_us(times.period.first),
    )
    write_whole(relay / TARIFF, payers_tariff(centre.directory, role="certificate").encode(), mode=PUBLIC)
    async with centre.ledger(issuance_rider, at_us=midnight_us(times.period.first)) as ledger:
        cycle = MonthCycle(centre, ledger, times, relay=relay, shops=shops, visits=visits, tell=tell)
        for town in TOWNS:
            tell_town(service / "municipalities" / town.code, cycle.steps, code=town.code)
        await cycle.run()
        for town in TOWNS:
            place = service / "municipalities" / town.code
            await report(centre.gateway, place, code=town.code, at_us=ledger.clock())


async def _quarter(centre: PastCentre, play: Play, ministry: Path, asked: int, tell: Tell) -> None:
    times = play.quarter_times
    await make_partitions(centre.ops, times.period.first, times.period.last + 62 * _DAY)
    write_whole(ministry / TARIFF, payers_tariff(centre.directory, role="inquiry").encode(), mode=PUBLIC)
    async with centre.ledger(_nothing_rides, at_us=midnight_us(times.period.first)) as ledger:
        await settle_quarter(
            centre,
            ledger,
            times,
            party=MINISTRY,
            line=MINISTRY_LINE,
            staff=STAFF,
            ministry=ministry,
            count=asked,
            tell=tell,
        )


async def _stands(centre: PastCentre, of: str, at_us: int) -> Status:
    desk = await desk_of(centre.configuration, centre.owner, centre.keystore, lambda: at_us)
    return await conduct.status(desk, of)


async def _nothing_rides(finals: Sequence[Recorded], *, stream: bytes, height: int, at_us: int) -> Riding | None:  # noqa: ARG001
    """The provision history has nothing of synthetic questions: no record was shown."""
    return None


def _at(data: Path, work: Callable[[PastCentre], Awaitable[T]]) -> T:
    """Do something at a centre whose database is started for it, or runs. Raises: PlayError; what the work raises."""
    configuration = read_configuration(data)
    if configuration.embedded is None:
        raise PlayError(f"{configuration.path}: a play needs a centre with a database of its own")

    async def run(dsns: Dsns) -> list[T]:
        async with opened_centre(configuration, dsns) as centre:
            return [await work(centre)]

    with _server(configuration.embedded) as dsn:
        found = run_guest(run, Dsns(gateway=dsn("sekisho_gateway"), ops=dsn("sekisho_ops"), owner=dsn(OWNER)))
    if found is None:
        raise KeyboardInterrupt
    return found[0]


@contextmanager
def _server(directory: Path) -> Iterator[Callable[[str], str]]:
    server = EmbeddedPostgres(directory)
    try:
        server.start()
    except ClusterBusy:
        yield server.running_dsn
        return
    try:
        yield server.dsn
    finally:
        server.stop()
