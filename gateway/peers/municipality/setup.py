"""An issuing server's directory: made once, opened by servers and by each command.

    municipality.toml   settings                  municipality.sqlite3   residents, issues, reports (store), sealed
    keystore            the municipality's keys   passphrase             that opens it, for its owner's eyes only
    trust.bundle        what centre and kiosks are given: its root and key history

The residents it is filled with are synthetic (合成データ).
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from certs.files import PRIVATE, PUBLIC, write_new, write_whole
from gateway.peers.municipality import records, synthetic
from gateway.peers.municipality.errors import SetupIncomplete
from gateway.peers.municipality.making import JAPAN
from gateway.peers.municipality.settings import FILE_NAME, Settings, checked, default_kinds, read_settings, written
from gateway.peers.municipality.store import Store, create_store, open_store
from hsm.ceremony import create_standard_keys, trust_of
from hsm.interface import KeyStore
from hsm.opening import create_keystore, open_keystore, passphrase_from_file
from protocol.keys import Algorithm, Purpose
from protocol.trust import Trust, encode_trust

TRUST: Final = "trust.bundle"
KEYSTORE: Final = "keystore"
UNLOCK_FILE: Final = "passphrase"
ROLE: Final = "municipality"
MAYOR: Final = "合成 太郎"
HOST_DEFAULT: Final = "127.0.0.1"


class Municipality(msgspec.Struct, frozen=True, kw_only=True):
    """A directory opened."""

    directory: Path
    settings: Settings
    keystore: KeyStore
    store: Store


def now_us() -> int:
    """The clock of the issuing server."""
    return time.time_ns() // 1000


def make_municipality(
    data: Path,
    *,
    code: str,
    party: str,
    name_ja: str,
    name_en: str,
    tls: Path,
    centre_trust: Path,
    kiosk_anchors: Path,
    card_anchors: Path,
    environment: str,
    port: int,
    residents: int,
    seed: int,
    now_us: int,
    ocsp: str = "",
    card_crl: Path | None = None,
) -> Trust:
    """Make the directory with synthetic residents, and its keys; its trust bundle is written beside and returned.

    tls: a directory as `sekisho pki issue` writes it, profile host. kiosk_anchors: a PEM file, or a folder with one
    an operator. ocsp: the responder's URL, "" for the one each card names. `municipality.toml` is written last.
    Raises: SetupIncomplete, HsmError; ValueError below synthetic.RESIDENTS_MIN residents.
    """
    if data.exists() and any(data.iterdir()):
        raise SetupIncomplete(f"{data} is not empty; choose another --data directory, or empty it and begin again")
    today = datetime.fromtimestamp(now_us / 1_000_000, UTC).astimezone(JAPAN).date()
    people, registers = synthetic.make(place=name_ja, count=residents, seed=seed, today=today)
    settings = checked(
        Settings(
            code=code,
            party=party,
            name_ja=name_ja,
            name_en=name_en,
            mayor_ja=MAYOR,
            environment=environment,
            host=HOST_DEFAULT,
            port=port,
            tls=_relative(tls, data),
            centre_trust=_relative(centre_trust, data),
            kiosk_anchors=_relative(kiosk_anchors, data),
            card_anchors=_relative(card_anchors, data),
            keystore=f"software:{KEYSTORE}",
            passphrase_file=UNLOCK_FILE,
            ocsp=ocsp,
            card_crl="" if card_crl is None else _relative(card_crl, data),
            kinds=default_kinds(),
        )
    )
    made = not data.exists()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        trust = _made_keys(data, party=party, environment=environment, now_us=now_us)
        with _opened(data, settings, clock=lambda: now_us) as municipality, municipality.store.transaction():
            for register in registers:
                records.add_register(municipality.store, register)
            for resident in people:
                records.add_resident(municipality.store, resident)
            records.enter_change(municipality.store, synthetic.waiting_change(people[synthetic.WAITING]))
        write_whole(data / FILE_NAME, written(settings), mode=PUBLIC)
    except BaseException:
        if made:
            shutil.rmtree(data, ignore_errors=True)
        raise
    return trust


@contextmanager
def opened_municipality(data: Path, *, clock: Callable[[], int] = now_us) -> Iterator[Municipality]:
    """Open a directory. Raises: SetupIncomplete, HsmError."""
    with _opened(data, read_settings(data), clock=clock) as municipality:
        yield municipality


def register_card(data: Path, card_key: bytes, resident: int) -> None:
    """Map a card (certs.authentication.Card.key) to a resident. Raises: SetupIncomplete, ResidentUnknown, HsmError."""
    register_cards(data, {card_key: resident})


def register_cards(data: Path, cards: Mapping[bytes, int]) -> None:
    """Map many cards at once; all or none. Raises: as register_card."""
    with opened_municipality(data) as municipality, municipality.store.transaction():
        for card_key, resident in cards.items():
            records.bind_card(municipality.store, card_key, resident, by="setup")


@contextmanager
def _opened(data: Path, settings: Settings, *, clock: Callable[[], int]) -> Iterator[Municipality]:
    keystore = open_keystore(_uri(data, settings), lambda: passphrase_from_file(data / settings.passphrase_file))
    try:
        with open_store(data, keystore, now_us=clock) as store:
            yield Municipality(directory=data, settings=settings, keystore=keystore, store=store)
    finally:
        keystore.close()


def _made_keys(data: Path, *, party: str, environment: str, now_us: int) -> Trust:
    """Keystore, its standard keys, the key under which the store's data key is wrapped, and the trust bundle."""
    write_new(data / UNLOCK_FILE, f"{secrets.token_urlsafe(24)}\n".encode(), mode=PRIVATE)
    keystore = create_keystore(
        f"software:{data / KEYSTORE}", lambda: passphrase_from_file(data / UNLOCK_FILE), owner=party
    )
    create_standard_keys(keystore, "municipality", label=f"{party}-1", now_us=now_us)
    seal = f"{Purpose.SEAL.value}-{party}-1"
    keystore.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id=seal, now_us=now_us)
    trust = trust_of(keystore, role=ROLE, environment=environment)
    write_new(data / TRUST, encode_trust(trust), mode=PUBLIC)
    create_store(data, keystore, seal)
    keystore.close()
    return trust


def _uri(data: Path, settings: Settings) -> str:
    kind, _, rest = settings.keystore.partition(":")
    return f"software:{data / rest}" if kind == "software" else settings.keystore


def _relative(path: Path, data: Path) -> str:
    return os.path.relpath(path.resolve(), data.resolve())
