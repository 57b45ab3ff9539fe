"""Every example of docs/CLIENT.md runs against a real centre, and does what the page says."""

import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.app.setup import SEED
from gateway.inquiry.cases import known_cases
from protocol.ledger import EntryKind
from protocol.outcomes import Outcome
from tests.kit.centre import Made, made_centre

PAGE = Path(__file__).parents[1] / "docs" / "CLIENT.md"


def example(heading: str) -> Callable[..., Awaitable[Any]]:
    """`main` of the block under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    main: Callable[..., Awaitable[Any]] = names["main"]
    return main


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    """A centre whose port the ministry's line file can name."""
    with tempfile.TemporaryDirectory(prefix="sekisho-guide-") as directory, made_centre(Path(directory)) as centre:
        yield centre


@asynccontextmanager
async def standing(made: Made) -> Any:
    """The ministry's directory, with the running centre's port in its line file."""
    async with made.gateway() as running:
        file = made.data / "ministry" / "line.toml"
        file.write_text(re.sub(r"(?m)^port = .*$", f"port = {running.port}", file.read_text(encoding="utf-8")))
        yield made.data / "ministry"


def code_of(key: str) -> str:
    code = next(case.code for case in known_cases(SEED) if case.key == key)
    assert code is not None
    return code


@pytest.mark.trio
async def test_the_examples_do_what_the_page_says(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    code = code_of("exact-by-code")
    async with standing(made) as ministry:
        result = await example("One question")(ministry, code)
        assert (result.outcome, result.entry.yen) == (Outcome.EXACT, 10)
        assert "10 yen" in capsys.readouterr().out

        found = await example("Many questions")(ministry, [code, "00000000000"])
        assert [found[code].outcome, found["00000000000"].outcome] == [Outcome.EXACT, Outcome.NONE]

        first, again = await example("Asking again after a crash")(ministry, code)
        assert first.request.request_id == again.request.request_id
        assert (first.entry.yen, again.entry.yen, again.entry.kind) == (10, 0, EntryKind.REPEAT)
        assert first.body == again.body

        assert await example("Receipts")(ministry, code)
