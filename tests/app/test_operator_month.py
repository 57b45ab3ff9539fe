"""An operator's month over its dedicated line, as real processes: disclosed, fetched, reconciled, recorded as an act.

The relay asks one thing at a time here, so what a worker records has no other request to go with it.
"""

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from certs.authority import DevelopmentAuthority
from certs.names import LineName
from certs.profiles import HOST
from gateway.app.setup import ENVIRONMENT, make_centre
from gateway.app.setup_roles import issue
from gateway.peers.relay.setup import make_relay
from protocol.disclosure import decode_reconciliation
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.receipt import decode_receipt, verify_receipt
from protocol.trust import decode_trust
from tests.kit.centre import Made, standing
from tests.line.kit import now_us

OPERATOR = "cvs-dev"
FORCED = ("--by", "one", "--force", "合成の試験", "--with", "two")


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Made, Path]]:
    """A certificate centre and its operator's relay."""
    with tempfile.TemporaryDirectory(prefix="sekisho-month-") as directory:
        base = Path(directory)
        make_centre(
            base / "centre", port=0, ops_port=0, workers=1, residents=0, role="certificate",
            say=lambda _: None, progress=lambda _done, _of: None,
        )  # fmt: skip
        now = dt.datetime.now(dt.UTC)
        authority = DevelopmentAuthority.create(base / "pki", name="Operator", now=now)
        authority.write_crl(now=now, days=1)
        issue(authority, base / "tls", HOST, LineName(OPERATOR, "relay-1"), now, ("localhost", "127.0.0.1"))
        make_relay(
            base / "relay", operator=OPERATOR, line_file=base / "centre" / "operator", tls=base / "tls", port=0,
            page_port=0, environment=ENVIRONMENT, now_us=now_us(),
        )  # fmt: skip
        with standing(base / "centre") as centre:
            yield centre, base / "relay"


async def sekisho(*arguments: object) -> str:
    """One command as a person gives it, which must succeed. Returns: what it said."""
    done = await trio.run_process(
        [sys.executable, "-m", "gateway.cli", *map(str, arguments)],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    assert done.returncode == 0, (arguments[:2], done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode()


def _kept(said: dict[str, object]) -> tuple[bytes, bytes]:
    file = Path(str(said["file"]))
    return file.read_bytes(), file.with_suffix(".receipt").read_bytes()


@pytest.mark.trio
async def test_a_disclosed_month_is_fetched_reconciled_and_recorded_over_the_operators_line(
    made: tuple[Made, Path], tmp_path: Path
) -> None:
    centre, relay = made
    period = f"{dt.date.today().replace(day=1) - dt.timedelta(days=1):%Y-%m}"  # noqa: DTZ011 - any month that ended
    at_desk = ("--data", centre.data, "--dsn", centre.dsns.owner)
    async with centre.gateway() as gateway:
        line = ("--data", relay, "--line-port", gateway.port)
        await sekisho("settle", "disclose", period, *at_desk, *FORCED)
        fetched = await sekisho("relay", "papers", period, *line, "--out", tmp_path)
        assert f"disclosure-{period}-{OPERATOR}.rows" in fetched
        file = tmp_path / period / f"disclosure-{period}-{OPERATOR}.disclosure"
        said = json.loads(await sekisho("relay", "reconcile", file, *line, "--send", "--json", "--by", "合成 担当"))
        assert (said["agreed"], said["sent"], said["by"]) == (True, True, "合成 担当")
        result, receipt = _kept(said)
        entry = verify_receipt(decode_receipt(receipt), decode_trust((centre.data / "trust.bundle").read_bytes())).entry
        assert (entry.operation, entry.outcome, entry.party) == (Operation.RECONCILE, Outcome.RECONCILED, OPERATOR)
        assert decode_reconciliation(result).agreed
        status = json.loads(await sekisho("settle", "status", period, *at_desk, "--json"))
        assert [each["by"] for each in status["steps"] if each["detail"] == "agreed"] == ["合成 担当"]
