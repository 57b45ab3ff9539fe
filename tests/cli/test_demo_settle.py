"""`sekisho demo --once --settle` as a process: a past month and quarter, from business to proven invoices."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.synthetic_settlement import FILE_NAME, read_play
from gateway.cli.demo_settle import planned
from tests.cli.test_demo import processes_naming

WITHIN_S = 300


def sekisho(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *words], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


@pytest.fixture(scope="module")
def settled() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sekisho-tests-") as directory:
        data = Path(directory) / "demo"
        made = sekisho("demo", "--once", "--settle", "--data", str(data), "--residents", "100", "--workers", "1")
        assert made.returncode == 0, made.stdout + made.stderr
        (Path(directory) / "said").write_text(made.stdout)
        yield data


def test_the_demo_settles_a_month_and_a_quarter_and_the_payers_prove_their_invoices(settled: Path) -> None:
    said = (settled.parent / "said").read_text()
    for words in (
        "取扱い実績データの開示",
        "差異: 開示データにありません",
        "差異: 通数か金額が違います",
        "照合結果: 一致",
        "確定(データ凍結)",
        "市区町村へ支払",
        "documents fetched: sekisho relay papers",
        "documents fetched: sekisho ministry papers",
        "千葉市: 確定データが届き、自らの記録と一致し",
        "高岡市: 確定データが届き、自らの記録と一致し",
        "other-amount",
        "signed with the centre's own key, is found",
    ):
        assert words in said, words
    assert said.count("一致しました / everything fits") == 2
    assert said.count("一致しません / what does not fit") == 1
    assert said.count("ledger verified") == said.count("settlement verified") == 2
    assert "late" not in [step["stand"] for step in _steps(settled)]
    assert len(list(settled.glob("certificates/centre/settlement/*/*/certificate-*-fees.pdf"))) == 3
    assert len(list(settled.glob("settlement/*/*/inquiry-*.pdf"))) >= 1
    assert processes_naming(str(settled)) == []


def test_a_directory_that_is_settled_is_not_settled_again_and_one_cut_short_is_refused(
    settled: Path, tmp_path: Path
) -> None:
    done = read_play(settled)
    assert done is not None
    assert done.done
    assert planned(settled) == done
    assert [each.at_us for each in done.happened] == sorted(each.at_us for each in done.happened)
    cut = json.loads((settled / FILE_NAME).read_bytes()) | {"done": False}
    (tmp_path / FILE_NAME).write_text(json.dumps(cut))
    refused = sekisho("demo", "--once", "--settle", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "choose another --data directory" in refused.stderr
    assert not (tmp_path / "sekisho.toml").exists()
    assert sekisho("demo", "--settle", "--data", str(tmp_path)).returncode == 2


def test_a_fee_changed_in_a_copy_of_the_items_is_caught_by_the_payers_command(settled: Path, tmp_path: Path) -> None:
    relay = settled / "certificates" / "operator" / "relay"
    (invoice,) = relay.glob("papers/*/*.invoice")
    items = bytearray(invoice.with_suffix(".items").read_bytes())
    items[27] ^= 1  # of the first item's yen, the lowest bits
    copy = tmp_path / "copy.items"
    copy.write_bytes(items)
    trust = settled / "certificates" / "centre" / "trust.bundle"
    own = ("--receipts", str(relay), "--trust", str(trust))
    assert sekisho("invoice", "verify", str(invoice), *own).returncode == 0
    wrong = sekisho("invoice", "verify", str(invoice), *own, "--items", str(copy))
    assert wrong.returncode != 0
    assert "not the file" in wrong.stdout + wrong.stderr


def _steps(settled: Path) -> list[dict[str, str]]:
    play = json.loads((settled / FILE_NAME).read_bytes())
    centre = settled / "certificates" / "centre"
    said = sekisho("settle", "status", play["month"], "--data", str(centre), "--json")
    assert said.returncode == 0, said.stderr
    steps: list[dict[str, str]] = json.loads(said.stdout)["steps"]
    return steps
