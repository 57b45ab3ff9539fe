"""What a development centre of each role has beside what every centre has: its far end, directory and configuration.

role          far end                        beside
inquiry       ministry/: mlit, line-1        synthetic residents
certificate   operator/: cvs-dev, relay-1    tls/dial/: the certificate it dials municipalities with
                                             jpki/: a card authority for tests
both                                         contracts/: the money terms of each party
                                             letterheads.toml: how parties appear on documents
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from certs.authority import DevelopmentAuthority
from certs.files import PRIVATE, PUBLIC, write_whole
from certs.names import CENTRE_PARTY, LineName
from certs.profiles import DIAL, Profile
from gateway.app.configuration import Role
from gateway.app.development_contracts import write_contracts
from gateway.store.pool import Database
from hsm.interface import KeyStore
from protocol.keys import Purpose

Progress = Callable[[int, int], None]
"""(done, of) residents."""


class RoleSetup(msgspec.Struct, frozen=True, kw_only=True):
    """One role's own: the far end's line, its directory's name, the agreement, and the example directory beside this
    file with the id of the key in it that is replaced by the far end's real one."""

    far_end: LineName
    far_directory: str
    reference: str
    example: str
    example_key: str
    what: str
    tables: str


ROLES: Final[dict[Role, RoleSetup]] = {
    "inquiry": RoleSetup(
        far_end=LineName("mlit", "line-1"),
        far_directory="ministry",
        reference="dev-agreement-mlit",
        example="directory.example.toml",
        example_key="mlit-line-1-2026",
        what="A dedicated line of the development ministry, for `sekisho inquire`.",
        tables="""
# Latency objectives; `sekisho slo rules` writes Prometheus rules from them.
[[slo]]
name = "inquiry"
operations = ["inquire_by_code", "inquire_by_name"]
objective = 0.999
threshold_ms = 100
window_days = 28
""",
    ),
    "certificate": RoleSetup(
        far_end=LineName("cvs-dev", "relay-1"),
        far_directory="operator",
        reference="dev-agreement-cvs",
        example="directory.certificate.example.toml",
        example_key="cvs-dev-relay-1-2026",
        what="A dedicated line of the development operator's relay.",
        tables="""
[certificate]
card_anchors = "jpki/anchors.pem" # the certification authorities of the cards, PEM
card_crl = "jpki/crl.der" # their revocation list, DER; read anew when it changes
ocsp_responder = "" # where the state of a card is asked; empty: where its certificate says

# Latency objectives; `sekisho slo rules` writes Prometheus rules from them. A document is made by its municipality.
[[slo]]
name = "counter"
operations = ["challenge", "menu", "apply", "part", "complete", "void", "correct", "erase", "status"]
objective = 0.999
threshold_ms = 100
window_days = 28

[[slo]]
name = "authentication"
operations = ["authenticate"]
objective = 0.999
threshold_ms = 2500
window_days = 28

[[slo]]
name = "document"
operations = ["document"]
objective = 0.99
threshold_ms = 10000
window_days = 28
""",
    ),
}


def issue(
    authority: DevelopmentAuthority, out: Path, profile: Profile, name: LineName, now: datetime, hosts: tuple[str, ...]
) -> None:
    """A certificate of the development CA with its key, anchors and revocation list, in a directory of its own."""
    out.mkdir(mode=0o700)
    issued = authority.issue(profile, name, now=now, hosts=hosts)
    write_whole(out / "certificate.pem", issued.certificate_pem, mode=PUBLIC)
    write_whole(out / "key.pem", issued.key_pem, mode=PRIVATE)
    write_whole(out / "anchors.pem", authority.anchors_pem, mode=PUBLIC)
    write_whole(out / "crl.pem", (authority.directory / "crl.pem").read_bytes(), mode=PUBLIC)


def add_files(data: Path, role: Role, authority: DevelopmentAuthority, now: datetime) -> None:
    """The files that the role alone has. Raises: CertsError, JpkiError."""
    write_contracts(data, role)
    if role == "certificate":
        from gateway.peers.jpki.authority import make_jpki

        issue(authority, data / "tls" / "dial", DIAL, LineName(CENTRE_PARTY, role), now, ())
        make_jpki(data / "jpki", now=now)


async def add_content(
    role: Role,
    database: Database,
    keystore: KeyStore,
    *,
    residents: int,
    seed: int,
    now_us: Callable[[], int],
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    """What the role's tables begin with; seed: of the synthetic residents. Raises: StoreError, HsmError."""
    if role == "inquiry":
        await _add_residents(database, keystore, residents, seed, now_us(), say, progress)
    else:
        from gateway.app.issuance import shared_secret
        from gateway.store.issuance import IssuanceStore

        for name in ("nonce", "pseudonym"):
            await shared_secret(IssuanceStore(database), keystore, name, now_us)


async def _add_residents(
    database: Database,
    keystore: KeyStore,
    residents: int,
    seed: int,
    now_us: int,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    from gateway.inquiry.keys import make_keys
    from gateway.inquiry.loading import load_synthetic
    from gateway.store.register import refresh_statistics

    seal = keystore.current(Purpose.SEAL, now_us).key_id
    keys = await make_keys(database, keystore, seal, random=secrets.token_bytes)
    say(f"{residents:,} synthetic residents (合成データ)")
    await load_synthetic(database, keys, residents, seed, lambda done: progress(done, residents))
    await refresh_statistics(database)
