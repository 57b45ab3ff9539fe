"""The directory as a worker holds it: whole, and never older than what its look-ups saw.

Every look-up brings the version that held when the database answered. The same version as is held: decide. A later one:
reload first. What cannot be confirmed within a second is refused, never guessed (DESIGN 8). NOTIFY only makes reloading
early; without it nothing is decided wrongly, only later.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from gateway.directory.apply import load
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryError, DirectoryStale
from gateway.store.directory import listen
from gateway.store.errors import StoreError
from gateway.store.pool import Database

CONFIRM_S_MAX: Final = 1.0
LISTEN_AGAIN_S: Final = 1.0


class DirectoryHolder:
    """The current directory of one process.

    Make it with `await DirectoryHolder.open(database)`; run `listen` in a nursery where hints are wanted.
    """

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._current = directory
        self._reloading = trio.Lock()
        self._changed: Callable[[], object] = lambda: None

    @classmethod
    async def open(cls, database: Database) -> "DirectoryHolder":
        """Load the directory whole. Raises: DirectoryEmpty; DirectoryInvalid; StoreError."""
        return cls(database, await load(database))

    def on_change(self, changed: Callable[[], object]) -> None:
        """Have `changed` called whenever a new directory was taken; it must return at once and not raise."""
        self._changed = changed

    @property
    def current(self) -> Directory:
        """The directory held now."""
        return self._current

    async def refresh(self) -> Directory:
        """Read the current revision; an older one (a standby's) never replaces a newer. Raises: as `open`."""
        async with self._reloading:
            return await self._reload()

    async def confirm(self, version_seen: int) -> Directory:
        """A directory not older than the version a look-up saw; at once when it is held.

        Raises: DirectoryStale if it cannot be had within CONFIRM_S_MAX; what asked is then answered "not now".
        """
        if version_seen <= self._current.version:
            return self._current
        failure: Exception | None = None
        with trio.move_on_after(CONFIRM_S_MAX):
            try:
                async with self._reloading:
                    if self._current.version < version_seen:  # unless another task has just reloaded it
                        await self._reload()
            except (StoreError, DirectoryError) as error:
                failure = error
        if self._current.version < version_seen:
            raise DirectoryStale(held=self._current.version, seen=version_seen) from failure
        return self._current

    async def listen(self, dsn: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Reload on every hint, for ever; connect again a second after the connection was lost.

        Started once hints can arrive for the first time. What cannot be loaded is left to the next look-up, which fails
        closed.
        """
        hint = trio.Event()
        started = False

        def heard() -> None:
            hint.set()

        def connected() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()
            hint.set()  # what changed while nobody listened

        async def reload_on_hints() -> None:
            nonlocal hint
            while True:
                await hint.wait()
                hint = trio.Event()
                await self._try_refresh()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reload_on_hints)
            while True:
                try:
                    await listen(dsn, heard, connected=connected)
                except StoreError:
                    await trio.sleep(LISTEN_AGAIN_S)

    async def _try_refresh(self) -> None:
        with suppress(StoreError, DirectoryError):
            await self.refresh()

    async def _reload(self) -> Directory:
        loaded = await load(self._database)
        if loaded.version > self._current.version:
            self._current = loaded
            self._changed()
        return self._current
