"""The browser's kiosk: the machine with its screens on loopback (Quart-Trio on Hypercorn)."""

import logging
from pathlib import Path
from typing import Final

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from gateway.peers.kiosk.errors import SetupIncomplete
from gateway.peers.kiosk.faults import PowerSwitch
from gateway.peers.kiosk.playing import play
from gateway.peers.kiosk.running import Running, running_kiosk
from gateway.peers.kiosk.setup import open_kiosk
from gateway.peers.kiosk.web import Names, make_app

PAGE_S: Final = 0.6
"""How long a page takes to come out, so that a person sees it print."""
GRACEFUL_TIMEOUT_S: Final = 2.0
HEADERS_BYTES_MAX: Final = 16 << 10


async def serve_kiosk(
    data: Path,
    *,
    page_port: int | None = None,
    relay_port: int | None = None,
    show_tray: bool = False,
    faults: tuple[str, ...] = (),
    page_s: float = PAGE_S,
    stop: trio.Event,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`; task_status.started gets the address of the screens.

    Ports override the file's, 0 for any. show_tray: the test controls and the tray's links, for whoever shows the
    kiosk. faults: played from the start (faults.parse_fault). Raises: SetupIncomplete, ChoiceInvalid, CertsError.
    """
    opened = open_kiosk(data)
    power = PowerSwitch()

    async def pace() -> None:
        await trio.sleep(page_s)

    async with running_kiosk(opened, relay_port=relay_port, power=power, pace=pace) as running:
        for fault in faults:
            play(running, power, fault)
        await serve_screens(
            running,
            names=dict(opened.names),
            hours=(opened.settings.hours_ja, opened.settings.hours_en),
            port=opened.settings.page_port if page_port is None else page_port,
            operator=power if show_tray else None,
            stop=stop,
            task_status=task_status,
        )


async def serve_screens(
    running: Running,
    *,
    names: Names,
    hours: tuple[str, str],
    port: int,
    operator: PowerSwitch | None = None,
    stop: trio.Event,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The screens over a machine that runs. Raises: SetupIncomplete when the address cannot be bound."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = GRACEFUL_TIMEOUT_S
    config.h11_max_incomplete_size = HEADERS_BYTES_MAX
    config.include_server_header = False
    async with trio.open_nursery() as steps:
        app = make_app(running, steps, names=names, hours=hours, operator=operator)
        async with trio.open_nursery() as nursery:

            async def listen(task_status: trio.TaskStatus[list[str]]) -> None:
                try:
                    await serve(app, config, shutdown_trigger=stop.wait, task_status=task_status)
                except* OSError as errors:
                    raise SetupIncomplete(f"cannot listen at port {port}; choose another --port") from errors

            [address] = await nursery.start(listen)
            task_status.started(address)
        steps.cancel_scope.cancel()
