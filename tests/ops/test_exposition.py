"""One scrape over several processes, each in its slot."""

import subprocess
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from gateway.ops.errors import MetricsMisusedError
from gateway.ops.exposition import Exposition, clear_directory, forget_slot, prepare_multiprocess
from tests.ops.tools import tool, write_slot

EXACT = 'sekisho_requests_total{operation="inquire_by_code",outcome="exact"}'


def scraped(directory: Path, *, now_s: float = 0.0) -> dict[str, float]:
    text = Exposition(directory, now_s=lambda: now_s).render()[0].decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {
        s.name + ("{" + ",".join(f'{k}="{v}"' for k, v in sorted(s.labels.items())) + "}" if s.labels else ""): s.value
        for s in samples
    }


def test_slots_are_summed_and_a_restarted_slot_continues(tmp_path: Path) -> None:
    write_slot(tmp_path, "0", answered=3, lines=2)
    write_slot(tmp_path, "1", answered=4, lines=5)
    both = scraped(tmp_path)
    assert both[EXACT] == 7
    assert both["sekisho_lines_open"] == 7
    files = sorted(file.name for file in tmp_path.iterdir())
    write_slot(tmp_path, "0", answered=10, lines=0)
    again = scraped(tmp_path)
    assert again[EXACT] == 17
    assert again["sekisho_block_entries_count"] == 3
    assert (
        again['sekisho_request_duration_seconds_bucket{le="0.006",operation="inquire_by_code",result="answered"}'] == 17
    )
    assert (
        again['sekisho_request_duration_seconds_bucket{le="0.004",operation="inquire_by_code",result="answered"}'] == 0
    )
    assert again["sekisho_lines_open"] == 5, "what the dead process held is not held by its successor"
    assert sorted(file.name for file in tmp_path.iterdir()) == files, "no file is left behind by a restart"


def test_a_dead_slots_gauges_go_and_its_counters_stay(tmp_path: Path) -> None:
    write_slot(tmp_path, "0", answered=3, lines=2)
    write_slot(tmp_path, "cut-off", answered=4, lines=5)
    before = scraped(tmp_path)
    assert before["sekisho_database_up"] == 0, "the worst of all processes is shown"
    assert before['sekisho_process_up{slot="cut-off"}'] == 1
    forget_slot(tmp_path, "cut-off")
    after = scraped(tmp_path)
    assert after[EXACT] == 7
    assert after["sekisho_lines_open"] == 2
    assert after["sekisho_database_up"] == 1
    assert 'sekisho_process_up{slot="cut-off"}' not in after


def test_a_new_run_starts_from_nothing(tmp_path: Path) -> None:
    write_slot(tmp_path, "0", answered=3, lines=2)
    clear_directory(tmp_path)
    assert scraped(tmp_path) == {}


def test_a_file_without_its_header_is_passed_over(tmp_path: Path) -> None:
    write_slot(tmp_path, "0", answered=3, lines=2)
    (tmp_path / "counter_1.db").touch()
    assert scraped(tmp_path)[EXACT] == 3


def test_the_age_of_the_latest_checkpoint_is_shown(tmp_path: Path) -> None:
    name = "sekisho_checkpoint_timestamp_seconds"
    file = MmapedDict(str(tmp_path / "gauge_livemax_ops.db"))
    file.write_value(mmap_key(name, name, [], [], "text"), 0.0, 0.0)
    assert "sekisho_checkpoint_age_seconds" not in scraped(tmp_path, now_s=50.0)
    file.write_value(mmap_key(name, name, [], [], "text"), 1000.0, 0.0)
    file.close()
    assert scraped(tmp_path, now_s=1012.5)["sekisho_checkpoint_age_seconds"] == 12.5
    assert scraped(tmp_path, now_s=900.0)["sekisho_checkpoint_age_seconds"] == 0


@pytest.mark.parametrize("slot", ["", "a_b", "../x", "Ä", "x" * 33])
def test_a_slot_that_a_files_name_cannot_hold_is_refused(tmp_path: Path, slot: str) -> None:
    with pytest.raises(MetricsMisusedError) as refused:
        prepare_multiprocess(tmp_path, slot)
    assert refused.value.slot == slot
    with pytest.raises(MetricsMisusedError):
        forget_slot(tmp_path, slot)


def test_openmetrics_is_given_where_it_is_asked_for(tmp_path: Path) -> None:
    write_slot(tmp_path, "0", answered=1, lines=1)
    body, content_type = Exposition(tmp_path, now_s=lambda: 0.0).render("application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.prometheus
def test_promtool_finds_nothing_to_blame_in_the_scrape(tmp_path: Path) -> None:
    write_slot(tmp_path, "0", answered=1, lines=1)
    body, _ = Exposition(tmp_path, now_s=lambda: 0.0).render()
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=body, capture_output=True, timeout=30, check=False
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")
