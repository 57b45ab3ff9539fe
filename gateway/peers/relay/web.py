"""The relay team's page."""

import trio

from gateway.peers.relay.serving import Running


async def serve_page(
    running: Running, host: str, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Placeholder."""
    task_status.started(port)
