"""What a worker process hands to whoever makes its service, and what it gets back. One module a role makes it.

A process loads the modules of its own role alone: the two services hold different data and different keys, and share
no process (002 別2-2(6)).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from certs.material import TlsMaterial
from gateway.app.configuration import Configuration
from gateway.directory.directory import Directory
from gateway.ledger.recording import Rider
from gateway.service.ground import Ground
from gateway.service.service import Service
from gateway.store.pool import Database, PinnedConnection
from hsm.interface import KeyStore


class Parts(NamedTuple):
    """The opened parts of a worker. fast and slow are a connection each for the two lanes' own use."""

    configuration: Configuration
    keystore: KeyStore
    database: Database
    fast: PinnedConnection
    slow: PinnedConnection
    ground: Ground
    directory: Callable[[], Directory]
    now_us: Callable[[], int]


class Serving(NamedTuple):
    """A service, what makes the part of its blocks' statements that is its own, and what it dials with, if anything.

    responder_up: whether the cards' responder answers, as far as this process knows; of a certificate centre.
    """

    service: Service
    rider: Rider
    materials: tuple[TlsMaterial, ...] = ()
    responder_up: Callable[[], bool] = lambda: True


def opened(parts: Parts) -> AbstractAsyncContextManager[Serving]:
    """The service of the configuration's role; what it holds open is closed at the end.

    Raises: StoreError, HsmError, CertsError, ConfigurationError.
    """
    if parts.configuration.centre.role == "inquiry":
        from gateway.app.inquiry import open_inquiry

        return open_inquiry(parts)
    from gateway.app.issuance import open_issuance

    return open_issuance(parts)
