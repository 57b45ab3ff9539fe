"""What lies beyond a month from the outside: a line's charges from claim to payment, and the contract's end.

All days are past, so that no clock decides: the operator's contract is dated back to 2020, and ended in September.
"""

import json
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.app.setup import make_centre
from gateway.cli import is_known
from gateway.cli.settle import command
from gateway.cli.settle_contract import late_json, late_lines
from gateway.settlement.calendars import STANDARD
from gateway.settlement.conduct_contract import Overdue
from gateway.settlement.interest import Waiver
from gateway.settlement.overdue import delays, interest_act, waiver_act
from gateway.settlement.owing import debts
from tests.kit.centre import standing
from tests.settlement.acting import AT_US, MAY_NET, OPERATOR, invoiced, on, paid

TERM = "2020-04-01/2020-09-30"
CLERK = ("--party", "cvs-dev", "--by", "clerk-1")


@pytest.fixture(scope="module")
def data():
    with tempfile.TemporaryDirectory(prefix="sekisho-settle-") as directory:
        made = Path(directory) / "centre"
        make_centre(
            made, port=0, ops_port=0, workers=1, residents=0, role="certificate",
            say=lambda _: None, progress=lambda _done, _of: None,
        )  # fmt: skip
        file = made / "contracts" / "cvs-dev.toml"
        file.write_text(file.read_text().replace("2026-04-01", "2020-04-01"))
        with standing(made):
            yield made


def _run(*arguments):
    return CliRunner().invoke(command, [str(each) for each in arguments])


def _json(*arguments):
    done = _run(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_a_line_is_claimed_and_paid_and_its_contract_ended_and_handed_over(data, tmp_path):
    receive = ("receive", TERM, "--data", data, *CLERK, "--claim", "line")
    wrong = _run(*receive, "--number", "L-1", "--yen", 300_000, "--on", "2020-10-02")
    assert wrong.exit_code == 1
    assert "it claims 300,000 yen, -30,000 yen against our 330,000" in wrong.output
    assert "it is dated 2020-10-02, and has to be dated 2020-09-30" in wrong.output
    unpaid = _run("pay", TERM, "--data", data, *CLERK, "--claim", "line", "--on", "2020-10-30")
    assert is_known(unpaid.exception)

    right = (*receive, "--number", "L-2", "--yen", 330_000, "--dated", "2020-09-30", "--on", "2020-10-05")
    said = _json(*right)
    assert (said["proper"], said["turn"], said["ours_yen"], said["differences"]) == (True, 1, 330_000, [])
    assert _json(*right) == said
    pay = ("pay", TERM, "--data", data, *CLERK, "--claim", "line", "--on", "2020-10-30")
    assert [act["yen"] for act in _json(*pay)] == [330_000]
    shown = _run("late", TERM, "--data", data, "--party", "cvs-dev", "--claim", "line")
    assert "期限 / due 2020-11-03  未払 / open 0円" in shown.output
    assert "nothing is late" in shown.output

    account = ("final-account", "--data", data, "--party", "cvs-dev", "--ended", "2020-09-30")
    assert "完済 / settled" in _run(*account).output
    early = _run("hand-over", tmp_path / "early", "--data", data, *CLERK)
    assert is_known(early.exception)
    assert "has no final account" in str(early.exception)
    recorded = _json(*account, "--by", "clerk-1", "--record")
    assert (recorded["act"]["kind"], recorded["account"]["from_centre_yen"]) == ("final_account", 0)
    (act,) = _json("hand-over", tmp_path / "out", "--data", data, *CLERK)
    assert act["kind"] == "handed_over"
    found = _json("check-package", tmp_path / "out", "--trust", data / "trust.bundle")
    assert [each["kind"] for each in found["acts"]] == ["claimed", "claimed", "paid", "final_account"]
    nothing = _run("check-package", tmp_path, "--trust", data / "trust.bundle")
    assert "manifest.json: is missing" in str(nothing.exception)
    (tmp_path / "file").write_text("")
    no_place = _run("hand-over", tmp_path / "file" / "out", "--data", data, *CLERK)
    assert (no_place.exit_code, "Not a directory" in no_place.output) == (1, True)
    (tmp_path / "out" / "ledger.csv").write_bytes(b"")
    spoiled = _run("check-package", tmp_path / "out", "--trust", data / "trust.bundle")
    assert is_known(spoiled.exception)
    assert "ledger.csv: is another file" in str(spoiled.exception)


def test_inspections_and_accelerations_are_recorded_once(data):
    inspect = ("inspect", "--data", data, *CLERK, "--from", "2020-06-01", "--notice", "2020-05-20")
    inspect = (*inspect, "--reference", "1号", "--place", "Tokyo")
    (held,) = _json(*inspect)
    assert (held["period"], held["kind"]) == ("2020-06-01/2020-06-01", "inspected")
    assert _json(*inspect) == [held]
    late_notice = _run(*inspect, "--notice", "2020-06-01")
    assert "did not come before" in str(late_notice.exception)
    event = ("accelerate", "--data", data, *CLERK, "--event", 2, "--on", "2020-08-03", "--ground", "不渡り")
    fell = _json(*event, "--reference", "7号")
    assert (fell["kind"], fell["ground"], fell["day"]) == ("accelerated", "不渡り", "2020-08-03")
    assert "events 1 to 6" in str(_run(*event, "--reference", "7号", "--event", 7).exception)


def test_options_that_contradict_one_another_and_claims_that_did_not_come_are_refused(data):
    receive = ("receive", "2020-05", "--data", data, "--party", "chiba")
    assert "give --number, --yen and --on" in _run(*receive, "--yen", 5).output
    assert is_known(_run(*receive).exception)
    late = ("late", "2020-05", "--data", data, *CLERK)
    both = _run(*late, "--payable-by", "2020-12-01", "--paid", "2020-11-01")
    assert "give one of --payable-by, --waive, --paid" in both.output
    assert "nothing was asked of cvs-dev for 2020-05" in str(_run(*late).exception)


def test_a_delay_is_shown_with_how_it_was_reckoned_and_what_became_of_it():
    """12,345,678 yen received, a part of the net paid on time, the rest ten days late, and 1,000 yen still unpaid."""
    acts = [paid(7_000_000, "2026-06-22"), paid(MAY_NET - 7_001_000, "2026-07-02", turn=1)]
    (debt,) = debts(acts, [OPERATOR], calendars=STANDARD, invoiced=[invoiced()])
    today = on("2026-07-10")
    late, running = delays(debt, acts, today=today)
    given = {"day": today, "by": "clerk-1", "at_us": AT_US}
    asked = interest_act(debt, late, payable_by=on("2026-07-31"), acts=acts, **given)
    waived = waiver_act(debt, late, Waiver(ground="g", reference="r"), acts=[*acts, asked], **given)
    found = Overdue(debt=debt, delays=tuple(delays(debt, [*acts, asked, waived], today=today)), interest_paid_yen=300)
    text = "\n".join(late_lines(found))
    assert late.late.interest_yen == 700
    for told in (
        "certificate-2026-05  7,654,321円  期限 / due 2026-06-22  未払 / open 1,000円",
        "2026-07-02 支払 / paid 653,321円: 10日遅延、算入10日",
        "1,053,744円 x 2.50% -> 700円 (差引後なら / on the net 400円) [000契17]",
        "請求 / asked for: 700円, 2026-07-31まで",
        "免除 / waived: 2026-07-10 clerk-1",
        "未払 / unpaid 1,000円: 18日遅延",
        "interest paid: 300円",
    ):
        assert told in text
    assert running.late.interest_yen == 0
    said = late_json(found)
    assert [(each["turn"], each["asked"], each["waived"]) for each in said["delays"]] == [
        (1, True, True),
        (None, False, False),
    ]
