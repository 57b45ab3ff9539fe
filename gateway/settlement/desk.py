"""The desk at which a step of settlement is done: what it needs at hand, and the common moves of all steps.

Commands and the console make a Desk and call the functions of gateway.settlement.conduct. Nothing here reads a clock:
`now_us` is when the step is done, and its day in Japan decides about dates.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import msgspec

from gateway.ledger.projection import project_all
from gateway.settlement.calendars import Calendars
from gateway.settlement.errors import SettlementError
from gateway.settlement.journal import Journal
from gateway.settlement.paper import Names
from gateway.settlement.periods import Period, period
from gateway.settlement.sides import Side, kind_of, sides
from gateway.settlement.states import Acts
from gateway.settlement.terms import Contract
from gateway.settlement.windows import Cut, Window, in_japan
from gateway.store.pool import Database
from gateway.store.settlement import SettlementReader, open_settlement
from gateway.store.settlement_acts import ActStore
from protocol.act import Act

ACTS_A_BLOCK = 512
"""Of one write; the acts of a step may be thousands, one for each municipality."""


class WrongPeriod(SettlementError):  # noqa: N818  named after the fact
    """A month at a centre that settles quarters, or the other way round. Fields: period, wanted."""

    code: ClassVar[str] = "wrong-period"

    def __init__(self, of: Period, wanted: str) -> None:
        super().__init__(f"{of.text} is no {wanted} / 対象期間の種類が違います; this centre settles by {wanted}")
        self.period = of.text
        self.wanted = wanted


class NoContracts(SettlementError):  # noqa: N818  named after the fact
    """No contract file has a claim of the centre for such a period. Fields: period."""

    code: ClassVar[str] = "no-contracts"

    def __init__(self, of: Period) -> None:
        super().__init__(
            f"no contract file has a claim for {of.text} / {of.text}を請求する契約ファイルがありません; put the"
            " contracts into the directory contracts of the centre (sekisho settle check)"
        )
        self.period = of.text


class Overtaken(SettlementError):  # noqa: N818  named after the fact
    """Another step of the period was done while this one was reckoned: nothing was written."""

    code: ClassVar[str] = "overtaken"

    def __init__(self, of: str) -> None:
        super().__init__(
            f"{of}: another step was done meanwhile, nothing was written / 他の処理が先に行われました; look at"
            " sekisho settle status and do it again"
        )
        self.period = of


async def _nothing() -> None:
    pass


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps work with.

    database: with four connections or more. journal: opens the one journal of acts. sign_invoice: with the INVOICE key,
    content -> key id, signature. contracts: of this centre. centre: its own party id. names: of parties and matters, as
    documents print them. out: the directory for files. now_us: when it is done. cover: makes the checkpoint that
    documents rest on, where nothing else does.
    """

    database: Database
    journal: Callable[[], AbstractAsyncContextManager[Journal]]
    sign_invoice: Callable[[bytes], Awaitable[tuple[str, bytes]]]
    contracts: tuple[Contract, ...]
    calendars: Calendars
    centre: str
    role: str
    environment: str
    names: Names
    out: Path
    now_us: int
    cover: Callable[[], Awaitable[object]] = _nothing

    @property
    def today(self) -> date:
        """The day in Japan."""
        return in_japan(self.now_us).date()

    @property
    def by_deposit(self) -> bool:
        """Whether entries are settled by the day of the deposit."""
        return self.role == "certificate"

    def period(self, text: str) -> Period:
        """A period of this centre's kind. Raises: PeriodInvalid, WrongPeriod."""
        of = period(text)
        wanted = kind_of(self.role)
        if of.kind is not wanted:
            raise WrongPeriod(of, wanted.value)
        return of

    def sides(self, of: Period, *, incoming: bool) -> tuple[Side, ...]:
        """The claims of a period, the centre's own or those on it. Raises: TwoContracts."""
        return tuple(each for each in sides(self.contracts, of) if each.incoming is incoming)

    def claiming(self, of: Period) -> tuple[Side, ...]:
        """The centre's own claims of a period. Raises: NoContracts, TwoContracts."""
        found = self.sides(of, incoming=True)
        if not found:
            raise NoContracts(of)
        return found

    async def acts(self, *, of: str | None = None) -> list[Act]:
        """What was done, of one period or in all. Raises: StoreError, ActError."""
        return [row.act for row in await ActStore(self.database).acts(period=of)]

    async def write(self, acts: Sequence[Act], *, seen: Acts, of: str | None) -> None:
        """Write acts, if nothing was done since `seen`, all acts of that period (None: of all), was read.

        A block is written whole or not at all; of thousands of acts a killed command may leave some, and done again it
        writes the others. Raises: Overtaken, ActStands, NotWritten, StoreError.
        """
        async with self.journal() as journal:
            if len(await self.acts(of=of)) != len(seen):
                raise Overtaken(of or "settlement")
            for at in range(0, len(acts), ACTS_A_BLOCK):
                await journal.write(acts[at : at + ACTS_A_BLOCK])

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SettlementReader]:
        """A snapshot of the ledger with all its blocks projected. Raises: StoreError, LedgerError."""
        await project_all(self.database)
        async with open_settlement(self.database) as reader:
            yield reader

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory for files in the making, beside where they go; gone afterwards. Raises: OSError."""
        self.out.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".making-", dir=self.out) as directory:
            yield Path(directory)

    def window(self, of: Period, *, cut: Cut | None, previous: Cut | None) -> Window:
        """A period as this centre looks at it. Raises: CutLower."""
        return Window(of, cut, previous, self.by_deposit)


def of_period(acts: Iterable[Act], of: str) -> list[Act]:
    """The acts of one period."""
    return [act for act in acts if act.period == of]
