"""The provision history's keys by year: wrapped in the database, made by whoever needs one first."""

import secrets
from collections.abc import Callable

from gateway.app.keys import unwrap
from gateway.inquiry.provision import SECRET_BYTES, HistoryKeys, YearGone
from gateway.store.provision import ProvisionStore
from hsm import calls
from hsm.interface import KeyStore
from protocol.keys import Purpose

YEAR_AAD = b"sekisho history key "


class YearKeys:
    """The provision history's keys by year in Japan, loaded as they are needed."""

    def __init__(self, store: ProvisionStore, keystore: KeyStore, now_us: Callable[[], int]) -> None:
        self._store = store
        self._keystore = keystore
        self._now_us = now_us
        self._years: dict[int, HistoryKeys] = {}

    async def load(self, year: int) -> HistoryKeys:
        """The keys of a year, made if it has none. Raises: StoreError, HsmError."""
        keys = self._years.get(year)
        if keys is None:
            sealed, key_id = await self._store.year_key(year, lambda: self._create(year))
            keys = self._years[year] = await self._unwrapped(year, sealed, key_id)
        return keys

    async def existing(self, year: int) -> HistoryKeys:
        """The keys of a year that has some. Raises: YearGone, StoreError, HsmError."""
        if year not in self._years:
            found = await self._store.known_key(year)
            if found is None:
                raise YearGone(year)
            self._years[year] = await self._unwrapped(year, *found)
        return self._years[year]

    async def known(self) -> list[HistoryKeys]:
        """The keys of every year that has some, oldest first. Raises: StoreError, HsmError."""
        return [await self.existing(year) for year in await self._store.years()]

    async def _create(self, year: int) -> tuple[bytes, str]:
        key_id = self._keystore.current(Purpose.SEAL, self._now_us()).key_id
        return await calls.wrap(self._keystore, key_id, secrets.token_bytes(SECRET_BYTES), _year_aad(year)), key_id

    async def _unwrapped(self, year: int, sealed: bytes, key_id: str) -> HistoryKeys:
        return HistoryKeys(year, await unwrap(self._keystore, key_id, sealed, _year_aad(year)))


def _year_aad(year: int) -> bytes:
    return YEAR_AAD + b"%d" % year
