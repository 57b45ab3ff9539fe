"""A real Prometheus scrapes the ops endpoint, which runs in Trio as guest, and evaluates the deployed rules."""

import json
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.ops.exposition import Exposition
from gateway.ops.web import ops_app, serve_ops
from tests.ops.tools import tool, write_slot

DEPLOYED = Path(__file__).parents[2] / "deploy" / "prometheus"
CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [sekisho.rules.yml]
scrape_configs: [{{job_name: sekisho, static_configs: [{{targets: ["{target}"]}}]}}]
"""
WAIT_S_MAX = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(url: str) -> dict[str, Any] | None:
    """What its HTTP API answers; None while it does not listen or is not ready."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 (loopback, made here)
            data: dict[str, Any] = json.load(response)["data"]
            return data
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except OSError:
        return None


async def value_of(api: str, query: str, expected: float) -> None:
    """Return when the query gives the expected value; the caller bounds the wait."""
    url = f"{api}/query?" + urllib.parse.urlencode({"query": query})
    while True:
        data = await trio.to_thread.run_sync(asked, url)
        if data is not None and data["result"] and float(data["result"][0]["value"][1]) == expected:
            return
        await trio.sleep(0.1)


@pytest.mark.guest
@pytest.mark.prometheus
@pytest.mark.slow
async def test_prometheus_scrapes_a_running_gateway_and_evaluates_its_rules(tmp_path: Path) -> None:
    prometheus = tool("prometheus")
    metrics = tmp_path / "metrics"
    write = partial(write_slot, metrics, answered=3, lines=2)
    for slot in ("0", "1"):
        await trio.to_thread.run_sync(write, slot)
    app = ops_app(render=Exposition(metrics, now_s=lambda: 0.0).render, live=lambda: True, ready=list)
    shutdown, port = trio.Event(), free_port()
    with trio.fail_after(WAIT_S_MAX):
        async with trio.open_nursery() as nursery:
            (base,) = await nursery.start(partial(serve_ops, app, bind="127.0.0.1:0", shutdown=shutdown))
            (tmp_path / "prometheus.yml").write_text(CONFIG.format(target=base.removeprefix("http://")))
            shutil.copy(DEPLOYED / "sekisho.rules.yml", tmp_path)
            process = await nursery.start(
                partial(
                    trio.run_process,
                    [
                        prometheus,
                        f"--config.file={tmp_path / 'prometheus.yml'}",
                        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                        f"--web.listen-address=127.0.0.1:{port}",
                        "--log.level=error",
                    ],
                    check=False,
                )
            )
            api = f"http://127.0.0.1:{port}/api/v1"
            try:
                await value_of(api, 'sekisho_requests_total{operation="inquire_by_code",outcome="exact"}', 6)
                await value_of(api, "sum(sekisho_lines_open)", 4)
                await trio.to_thread.run_sync(write, "0")
                await value_of(api, 'sekisho_requests_total{operation="inquire_by_code",outcome="exact"}', 9)
                # The indicator's own selectors find the series as Prometheus stored them.
                le = 'sekisho_request_duration_seconds_bucket{operation=~"inquire_by_code",result="answered",le="0.1"}'
                await value_of(api, le, 9)
                await value_of(api, 'up{job="sekisho"}', 1)
                rules = await trio.to_thread.run_sync(asked, f"{api}/rules")
                assert rules is not None
                found = [rule for group in rules["groups"] for rule in group["rules"]]
                deployed = (DEPLOYED / "sekisho.rules.yml").read_text(encoding="utf-8")
                assert len(found) == deployed.count("- alert:") + deployed.count("- record:") > 10
                assert [rule["name"] for rule in found if rule["health"] == "err"] == []
            finally:
                process.terminate()
                shutdown.set()
