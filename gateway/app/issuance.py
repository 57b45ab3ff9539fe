"""The certificate service over a worker's parts: shared keys, what judges cards, and the lines it dials."""

import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import httpx
import structlog
from cryptography import x509

from certs.crl_file import CrlFile
from certs.material import TlsMaterial
from certs.names import CENTRE_PARTY, LineName
from certs.ocsp import CardStatus
from gateway.app.configuration import Configuration, ConfigurationError
from gateway.app.keys import line_signer, unwrap
from gateway.app.serving import Parts, Serving
from gateway.directory.participants import Municipality
from gateway.issuance.rider import issuance_rider
from gateway.issuance.service import IssuanceService
from gateway.ledger.checkpointing import CheckpointProofs
from gateway.line.dial import LineClient, Sign, Target, open_line
from gateway.settlement.calendars import STANDARD
from gateway.settlement.cycle import MODEL_CYCLE, Step, cycle
from gateway.settlement.errors import SettlementError
from gateway.settlement.periods import period
from gateway.settlement.windows import midnight_us
from gateway.store.issuance import IssuanceStore
from hsm import calls
from hsm.interface import KeyStore
from protocol.keys import Purpose
from protocol.trust import decode_trust

log = structlog.get_logger()

SECRET_BYTES: Final = 32
ISSUE_LINE: Final = "issue"
"""The line's name in a municipality's certificate."""
ISSUE_ROLE: Final = "municipality"
_AAD: Final = b"sekisho issuance secret "


@asynccontextmanager
async def open_issuance(parts: Parts) -> AsyncIterator[Serving]:
    """The service, with its lines to municipalities and the revocation service closed at the end.

    Raises: StoreError, HsmError, CertsError, ConfigurationError.
    """
    configuration = parts.configuration
    material = TlsMaterial(configuration.dial_tls, now=datetime.now(UTC))
    store = IssuanceStore(parts.database)
    cards = configuration.certificate
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
        status = CardStatus(
            responder=cards.ocsp_responder or None,
            crl=CrlFile(configuration.base / cards.card_crl, unread=_list_unread).read
            if cards.card_crl
            else lambda: None,
            transport=transport,
            now=lambda: datetime.now(UTC),
        )
        service = IssuanceService(
            parts.ground,
            database=parts.database,
            finalities=CheckpointProofs(parts.database),
            directory=parts.directory,
            status=status,
            card_anchors=card_anchors(configuration),
            dial=_dialling(configuration, material, line_signer(parts.keystore, parts.now_us)),
            nonce_key=await shared_secret(store, parts.keystore, "nonce", parts.now_us),
            pseudonym_key=await shared_secret(store, parts.keystore, "pseudonym", parts.now_us),
            random=os.urandom,
            fetch_from=fetch_from,
        )
        yield Serving(service, issuance_rider, (material,), lambda: status.answering)


def fetch_from(text: str) -> int:
    """From when municipalities are brought what is of a period, in microseconds (001-4-4); of no month, at once."""
    try:
        dates = cycle(MODEL_CYCLE, period(text), calendars=STANDARD)
    except SettlementError:
        return 0
    due = dates.of(Step.FETCH)
    return 0 if due is None else midnight_us(due.day)


async def shared_secret(store: IssuanceStore, keystore: KeyStore, name: str, now_us: Callable[[], int]) -> bytes:
    """A key that all workers share, unwrapped; made where there is none. Raises: StoreError, HsmError."""
    aad = _AAD + name.encode()

    async def create() -> tuple[bytes, str]:
        key_id = keystore.current(Purpose.SEAL, now_us()).key_id
        return await calls.wrap(keystore, key_id, secrets.token_bytes(SECRET_BYTES), aad), key_id

    sealed, key_id = await store.secret(name, create)
    return await unwrap(keystore, key_id, sealed, aad)


def card_anchors(configuration: Configuration) -> tuple[x509.Certificate, ...]:
    """The certification authorities of the cards. Raises: ConfigurationError."""
    path = configuration.base / configuration.certificate.card_anchors
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{configuration.path}: [certificate] card_anchors: {path} cannot be read ({error}); put the certificates"
            " of the cards' authorities there, PEM"
        ) from error


def _list_unread(error: Exception) -> None:
    log.warning("card_list_unread", code=type(error).__name__)


def _dialling(
    configuration: Configuration, material: TlsMaterial, sign: Sign
) -> Callable[[Municipality], AbstractAsyncContextManager[LineClient]]:
    """Dial's port: a line to a municipality's issuing server, as the directory says where and whom to believe."""

    def dial(place: Municipality) -> AbstractAsyncContextManager[LineClient]:
        target = Target(
            host=place.host,
            port=place.port,
            centre=LineName(place.party, ISSUE_LINE),
            role=ISSUE_ROLE,
            environment=configuration.centre.environment,
            own=LineName(CENTRE_PARTY, configuration.centre.role),
        )
        return open_line(target, material=material, trust=decode_trust(place.trust), sign=sign)

    return dial
