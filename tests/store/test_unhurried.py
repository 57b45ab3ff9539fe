"""gateway.store.unhurried: the same rows in the same transaction, a few at a time, with rests between."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gateway.store.errors import UniqueViolated
from gateway.store.pool import open_database
from gateway.store.unhurried import BURST_S, REST, ROWS_A_COPY, UnhurriedConnection, UnhurriedDatabase, _Pace

STATEMENT_S = BURST_S * 0.4


class Slow:
    """Every statement takes STATEMENT_S of virtual time."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.copied: list[int] = []

    async def fetch(self, _sql: str, *_args: object, commit: bool = False) -> list[Any]:
        self.at.append(trio.current_time())
        await trio.sleep(STATEMENT_S)
        return [commit]

    execute = fetch

    async def copy_records(self, _table: str, *, records: Sequence[object], **_where: object) -> int:
        self.copied.append(len(records))
        await self.fetch("")
        return len(records)


@pytest.mark.trio
async def test_whoever_worked_for_a_burst_rests_from_all_of_it(autojump_clock: MockClock) -> None:
    slow = Slow()
    unhurried = UnhurriedConnection(slow, _Pace())  # type: ignore[arg-type]
    began = autojump_clock.current_time()
    for _ in range(7):
        assert await unhurried.fetch("select", commit=True) == [True]
    gaps = [round((after - before) / STATEMENT_S, 3) for before, after in zip(slow.at, slow.at[1:], strict=False)]
    rested = 1 + 3 * REST
    assert gaps == [1, 1, rested, 1, 1, rested]
    assert autojump_clock.current_time() - began == pytest.approx((7 + 6 * REST) * STATEMENT_S)


@pytest.mark.trio
async def test_rows_are_made_and_copied_a_few_at_a_time() -> None:
    slow, made = Slow(), []

    def rows() -> Any:
        for number in range(2 * ROWS_A_COPY + 1):
            made.append((number, len(slow.copied)))
            yield (number,)

    copied = await UnhurriedConnection(slow, _Pace()).copy_records("t", columns=["a"], records=rows())  # type: ignore[arg-type]
    assert copied == 2 * ROWS_A_COPY + 1
    assert slow.copied == [ROWS_A_COPY, ROWS_A_COPY, 1]
    assert [copies for _, copies in made] == [0] * ROWS_A_COPY + [1] * ROWS_A_COPY + [2]


@pytest.mark.guest
@pytest.mark.parametrize("fails", [False, True])
async def test_a_transaction_stands_or_falls_as_one(database_dsn: Any, fails: bool) -> None:
    rows = [(number,) for number in range(3 * ROWS_A_COPY)]
    async with open_database(database_dsn.owner, role="test", size=1) as database:
        await database.execute("CREATE TABLE t (a int UNIQUE)")
        unhurried = UnhurriedDatabase(database)

        async def copy(last: Callable[[], tuple[int]]) -> None:
            async with unhurried.transaction() as connection:
                assert await connection.copy_records("t", columns=["a"], records=rows) == len(rows)
                assert await connection.execute("insert into t values ($1)", *last()) == "INSERT 0 1"

        if fails:
            with pytest.raises(UniqueViolated):
                await copy(lambda: (0,))
        else:
            await copy(lambda: (-1,))
        assert (await unhurried.fetch("select count(*) from t"))[0][0] == (0 if fails else len(rows) + 1)
        assert await unhurried.execute("delete from t where a = -1") == ("DELETE 0" if fails else "DELETE 1")
