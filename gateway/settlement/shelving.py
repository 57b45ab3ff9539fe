"""Putting documents where they are fetched: once into the database, for the party that may, and as files beside it.

What was put stands; the files are written again from it, so a step done again leaves the same bytes even after a newer
version would print a page otherwise. The paper that completes a set is put last: while it is missing, the set is made
again. Cost: one part of a document at a time.
"""

import secrets
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from certs.files import PRIVATE
from gateway.settlement.desk import Desk
from gateway.settlement.paper import Paper
from gateway.store.settlement_acts import PART_BYTES, DocumentRow, DocumentStore

MEDIA: Final = "application/vnd.sekisho"
"""Of files that our own programs read."""


class Shelf:
    """The documents of one party in one period. Made by `open_shelf`."""

    def __init__(self, desk: Desk, of: str, party: str, rows: Iterable[DocumentRow]) -> None:
        self._store = DocumentStore(desk.database)
        self._rows = {row.name: row for row in rows}
        self._of = of
        self._party = party
        self.directory = desk.out.joinpath(of.replace("/", "_"), party)

    def has(self, name: str) -> bool:
        """Whether a document of this name stands."""
        return name in self._rows

    async def read(self, name: str) -> bytes | None:
        """A document whole; None where none stands. Raises: StoreError."""
        row = self._rows.get(name)
        return None if row is None else b"".join([part async for part in self._store.read(row)])

    async def put(self, paper: Paper, *, made_us: int) -> None:
        """Put a document, unless it stands. Raises: StoreError."""
        await self._put(paper.name, paper.media, _pieces(paper.data), made_us)

    async def put_file(self, name: str, media: str, file: Path, *, made_us: int) -> None:
        """The same from a file. Raises: StoreError, OSError."""
        await self._put(name, media, _parts(file), made_us)

    async def _put(self, name: str, media: str, data: AsyncIterator[bytes], made_us: int) -> None:
        if name not in self._rows:
            row = DocumentRow(secrets.token_bytes(16), self._party, self._of, name, media, 0, b"", made_us)
            self._rows[name] = await self._store.put(row, data)

    async def write_files(self) -> list[Path]:
        """Write all of them as files, each whole or not at all.

        Raises: StoreError, OSError.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = []
        for name, row in sorted(self._rows.items()):
            path = self.directory.joinpath(name)
            draft = path.with_name(f".{name}.{secrets.token_hex(4)}")
            try:
                with draft.open("xb") as file:
                    draft.chmod(PRIVATE)
                    async for part in self._store.read(row):
                        file.write(part)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            paths.append(path)
        return paths


async def open_shelf(desk: Desk, of: str, party: str) -> Shelf:
    """What stands there. Raises: StoreError."""
    return Shelf(desk, of, party, await DocumentStore(desk.database).listed(party=party, period=of))


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _parts(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while data := opened.read(PART_BYTES):
            yield data
