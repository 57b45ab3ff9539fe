"""`sekisho relay papers | reconcile | report --stores | correct`: a month as the operator's people do it."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from gateway.cli.relay import command
from gateway.peers.relay import outbox
from gateway.peers.relay.store import open_store
from gateway.peers.relay.store_reports import ReportsRefused
from protocol.disclosure import (
    DisclosureError,
    SignedDisclosure,
    decode_reconciliation,
    encode_disclosure,
    encode_signed,
    to_sign,
)
from protocol.messages import Operation, decode_body
from protocol.outcomes import Outcome
from protocol.papers import Reconcile, ReconcilePart
from protocol.receipt import decode_receipt, verify_receipt
from tests.line.kit import ENVIRONMENT, INVOICE, ROLE, TRUST
from tests.peers.relay.kit import Centre, new_application
from tests.peers.relay.month_kit import Month
from tests.peers.relay.test_reconciling import on


def run(*arguments):
    return CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)


class Settling(Centre):
    """A centre that also takes reconciliations."""

    def say(self, request):
        match decode_body(request.operation, request.body):
            case Reconcile():
                return Outcome.RECONCILED, b"", 0
            case ReconcilePart():
                return Outcome.PART_HELD, b"", 0
        return super().say(request)

    def results(self):
        found = (decode_body(each.operation, each.body) for each in self.asked)
        return [decode_reconciliation(each.reconciliation) for each in found if isinstance(each, Reconcile)]


@pytest.fixture
def m(data):
    """Business of a month at a relay made by its commands."""
    with open_store(data) as store:
        made = Month(store)
        for name in ("kiosk-1", "kiosk-2"):
            made.sale(at_us=on(3), copies=2, name=name)
        yield made


def disclosed(m, directory: Path) -> Path:
    """The two files of a disclosure, as they are fetched."""
    made, rows = m.disclosure(issuer=TRUST.centre, role=ROLE, environment=ENVIRONMENT)
    packed = encode_disclosure(made)
    directory.mkdir(exist_ok=True)
    file = directory / "disclosure-2026-11-operator-test.disclosure"
    file.write_bytes(encode_signed(SignedDisclosure(packed, INVOICE.key_id, INVOICE.sign(to_sign(packed)))))
    file.with_suffix(".rows").write_bytes(rows.getvalue())
    return file


def test_a_month_that_agrees_from_the_stores_reports_to_the_result(m, data, tmp_path):
    written = run("report", "--data", data, "2026-11", "--stores", tmp_path / "reports")
    assert [Path(each).name for each in written.output.splitlines()] == ["2026-11-store-1.csv", "2026-11-store-2.csv"]
    file = disclosed(m, tmp_path / "papers")
    found = run("reconcile", file, "--reports", tmp_path / "reports", "--data", data, "--by", "合成 担当")
    assert found.exit_code == 0, found.output
    assert "一致 / agreed; 2 transactions" in found.output
    assert "4通 1,200円, commission 460円; 未送信" in found.output
    said = json.loads(run("reconcile", file, "--data", data, "--json").output)
    assert (said["agreed"], said["yen"], said["sent"], said["by"]) == (True, 1200, False, "合成 担当")
    assert decode_reconciliation(Path(said["file"]).read_bytes()).agreed


def test_differences_are_printed_and_end_with_status_1(m, data, tmp_path):
    stranger = m.stranger(at_us=on(4))
    file = disclosed(m, tmp_path / "papers")
    found = run("reconcile", file, "--data", data)
    assert found.exit_code == 1
    assert f"extra         {stranger.hex()}  ours -  theirs 121002 juminhyo store-1 1通 300円" in found.output
    assert "2026-11-04  -> void" in found.output
    assert "不一致 1件" in found.output
    difference, result = run("reconcile", file, "--data", data, "--json").output.splitlines()
    assert json.loads(difference)["theirs"]["copies"] == 1
    assert json.loads(result)["differences"] == 1


def test_reports_that_are_wrong_leave_nothing_behind(m, data, tmp_path):
    file = disclosed(m, tmp_path / "papers")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "store.csv").write_bytes("取扱店".encode("shift_jis"))
    with pytest.raises(ReportsRefused, match="not UTF-8"):
        run("reconcile", file, "--reports", tmp_path / "reports", "--data", data)
    assert not (data / "settlement").exists()


def test_a_disclosure_that_was_altered_or_has_no_rows_is_refused(m, data, tmp_path):
    file = disclosed(m, tmp_path / "papers")
    good = file.read_bytes()
    file.write_bytes(good.replace(b"juminhyo", b"juminhya"))
    with pytest.raises(DisclosureError, match="signature"):
        run("reconcile", file, "--data", data)
    file.write_bytes(good)
    shutil.move(file.with_suffix(".rows"), tmp_path / "elsewhere")
    assert "does not exist; fetch it" in run("reconcile", file, "--data", data).output
    assert run("reconcile", file, "--data", data, "--rows", tmp_path / "elsewhere").exit_code == 0


def _kept(sent):
    """The result that a command kept, and the proof beside it."""
    file = Path(json.loads(sent.output)["file"])
    return file.read_bytes(), verify_receipt(decode_receipt(file.with_suffix(".receipt").read_bytes()), TRUST).entry


@pytest.mark.trio
async def test_a_result_is_sent_once_with_the_centres_proof_and_a_new_finding_again(site, data, m, tmp_path):
    file, centre = disclosed(m, tmp_path / "papers"), Settling()
    async with site.centre_at(centre) as place:
        sending = ("reconcile", file, "--data", data, "--send", "--json", "--line-port", place.port)
        for _ in range(2):
            sent = await trio.to_thread.run_sync(partial(run, *sending))
            assert sent.exit_code == 0, sent.output
        (one,) = centre.results()
        kept, entry = _kept(sent)
        assert decode_reconciliation(kept) == one
        assert (entry.operation, entry.outcome) == (Operation.RECONCILE, Outcome.RECONCILED)
        m.sale(at_us=on(5), state=outbox.HELD, recorded=False)
        assert (await trio.to_thread.run_sync(partial(run, *sending))).exit_code == 1
        assert [each.agreed for each in centre.results()] == [True, False]


def test_an_agreed_correction_and_a_void_wait_in_the_outbox(m, data):
    fewer, refunded = (each.application for each in m.entries)
    done = run("correct", "--data", data, fewer.hex(), "--copies", "1")
    assert "correction 1 is registered" in done.output
    done = run("correct", "--data", data, refunded.hex(), "--void", "R-000123")
    assert "the void is registered" in done.output
    held = [json.loads(each) for each in run("outbox", "--data", data, "--state", "held", "--json").output.splitlines()]
    assert [(each["application"], each["operation"]) for each in held] == [(refunded.hex(), 27), (fewer.hex(), 28)]
    assert run("correct", "--data", data, fewer.hex(), "--void", "R-1", "--copies", "1").exit_code == 2
    assert run("correct", "--data", data, "0198", "--copies", "1").exit_code == 2
    assert run("correct", "--data", data, new_application().hex(), "--deposited", "yesterday").exit_code == 2


def test_stores_report_a_month_and_no_day(data):
    assert run("report", "--data", data, "2026-11-03", "--stores", data).exit_code == 2
