"""A real Prometheus scrapes a real gateway: one endpoint over all workers, current through a worker's death."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import trio

from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.kit.centre import Made, by_code
from tests.ops.test_scrape import CONFIG, free_port, value_of
from tests.ops.tools import tool

EXACT = 'sekisho_requests_total{operation="inquire_by_code",outcome="exact"}'


@pytest.mark.trio
@pytest.mark.prometheus
async def test_prometheus_scrapes_all_workers_of_a_gateway_through_a_restart(made: Made, tmp_path: Path) -> None:
    prometheus, port = tool("prometheus"), free_port()
    with trio.fail_after(60):
        async with made.gateway() as gateway, trio.open_nursery() as nursery:
            (tmp_path / "prometheus.yml").write_text(CONFIG.format(target=f"127.0.0.1:{gateway.ops_port}"))
            (tmp_path / "sekisho.rules.yml").write_text("groups: []\n")
            command = [
                prometheus,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ]
            process = await nursery.start(partial(trio.run_process, command, check=False))
            api = f"http://127.0.0.1:{port}/api/v1"
            try:
                async with made.line(gateway) as line:
                    for _ in range(20):
                        result = await line.ask(Operation.INQUIRE_BY_CODE, by_code())
                        assert result.outcome == Outcome.EXACT
                    await value_of(api, EXACT, 20)
                    await value_of(api, "sum(sekisho_lines_open)", 2)
                    await value_of(api, "sekisho_database_up", 1)
                    await value_of(api, "sekisho_hsm_up", 1)
                    os.kill(gateway.pids["worker-0"], signal.SIGKILL)
                    while gateway.restarts < 1:
                        await trio.sleep(0.02)
                    await line.wait_open(20, all_slots=True)
                    for _ in range(10):
                        await line.ask(Operation.INQUIRE_BY_CODE, by_code())
                    await value_of(api, EXACT, 30)
                    await value_of(api, "sum(sekisho_lines_open)", 2)
            finally:
                process.terminate()
