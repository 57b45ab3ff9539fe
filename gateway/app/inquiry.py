"""The inquiry service over a worker's parts."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.app.configuration import TEST_ENVIRONMENT
from gateway.app.serving import Parts, Serving
from gateway.app.year_keys import YearKeys
from gateway.inquiry.keys import load_keys
from gateway.inquiry.provision import ProvisionRider, year_of
from gateway.inquiry.service import InquiryService
from gateway.inquiry.volume import VolumeControl
from gateway.ledger.checkpointing import CheckpointProofs
from gateway.store.provision import ProvisionStore
from gateway.store.volume import give_back, lease


@asynccontextmanager
async def open_inquiry(parts: Parts) -> AsyncIterator[Serving]:
    """The service with its register keys, and the rider of the provision history. Raises: StoreError, HsmError."""
    database = parts.database
    keys = await load_keys(database, parts.keystore)
    years = YearKeys(ProvisionStore(database), parts.keystore, parts.now_us)
    await years.load(year_of(parts.now_us()))  # so that the first record provided does not wait for it
    service = InquiryService(
        parts.ground,
        keys=keys,
        fast=parts.fast,
        slow=parts.slow,
        volume=VolumeControl(
            lease=lambda day, wanted: lease(database, day=day, wanted=wanted),
            give_back=lambda day, held: give_back(database, day=day, held=held),
        ),
        finalities=CheckpointProofs(parts.slow),
        synthetic_only=parts.configuration.centre.environment == TEST_ENVIRONMENT,
    )
    yield Serving(service, ProvisionRider(keys=years.load, random=os.urandom))
