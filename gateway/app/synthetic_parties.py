"""What the far ends keep of synthetic business: the relay's notices and proofs, a municipality's issues, a ministry's
proofs.

The relay's own functions take each notice over and settle it with the centre's proven answer, so that its totals, its
store reports and its reconciliation have what they would have had. None of their
servers may run meanwhile. Source: DESIGN sections 10 and 11; 000仕13.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.authority import DevelopmentAuthority
from certs.names import LineName
from certs.profiles import LINE
from gateway.app.synthetic_business import Shop, Step
from gateway.app.synthetic_ledger import PastNotRecorded, Told, opening_of
from gateway.peers.municipality.setup import opened_municipality
from gateway.peers.proof_book import DIRECTORY as PROOFS
from gateway.peers.proof_book import open_proof_book
from gateway.peers.relay import filing, outbox, registry
from gateway.peers.relay.policy import Kiosk, spki_of
from gateway.peers.relay.store import Store, open_store
from protocol.application import Transition
from protocol.issuance import Apply, Complete, Correct, Erase, Void
from protocol.messages import encode
from protocol.receipt import Receipt, encode_receipt

NOBODY: Final = b"-1"
"""In the place of a resident's number."""
SHOPS: Final = 4


def make_shops(
    relay: Path, authority: DevelopmentAuthority, *, operator: str, line: str, at_us: int, shops: int = SHOPS
) -> list[Shop]:
    """Stores with a kiosk each, known to the relay since a time; certificates of the operator's authority.

    The kiosks stand nowhere: nobody holds their keys. Raises: SetupIncomplete, StoreFailed.
    """
    made = []
    with open_store(relay) as store:
        for number in range(1, shops + 1):
            kiosk, name = f"past-{number}", f"{number:04d}"
            issued = authority.issue(LINE, LineName(operator, kiosk), now=datetime.now(UTC))
            certificate = x509.load_pem_x509_certificate(issued.certificate_pem).public_bytes(Encoding.DER)
            shop = Shop(
                operator=operator,
                line=line,
                kiosk=kiosk,
                store=name,
                store_name=f"関所ストア {name}号店(開発用)",
                spki=spki_of(certificate) or b"",
            )
            registry.add(store, _kiosk(shop), certificate=certificate, now_us=at_us)
            made.append(shop)
    return made


def tell_relay(relay: Path, *, taken: Iterable[Step], told: Iterable[Told]) -> None:
    """Let a relay take notices over, then hear the centre's answers to some of them, and keep their proofs.

    taken: in the order of their time; what was taken over before may come again. Raises: StoreFailed, ProofBookError.
    """
    heard = list(told)
    steps: dict[bytes, Step] = {}
    with open_store(relay) as store, store.transaction():
        for step in taken:
            steps[step.request_id] = step
            _take(store, step)
        for each in heard:
            if isinstance(steps[each.request.request_id].body, Complete | Void | Correct | Erase):
                _settle(store, steps[each.request.request_id], each)
    with open_store(relay) as store, open_proof_book(relay / PROOFS) as book:
        while filing.waits(store):
            with store.transaction():
                filing.file_proofs(store, book)
        book.seal()


def tell_ministry(ministry: Path, told: Iterable[Told]) -> None:
    """Let a ministry server keep the proofs of answers. Raises: ProofBookError."""
    with open_proof_book(ministry / PROOFS) as book:
        book.add(each.answered.proof for each in told)
        book.seal()


def tell_town(town: Path, steps: Iterable[Step], *, code: str) -> int:
    """Let a municipality know the visits' documents as its own issues, so that the reports of them match. Their subject
    is nobody's number. Returns: how many. Raises: SetupIncomplete, HsmError, sqlite3.Error.
    """
    issued = [step for step in steps if step.transition == Transition.ISSUED and step.visit.municipality == code]
    with opened_municipality(town) as municipality, municipality.store.transaction():
        store = municipality.store
        for step in issued:
            visit = step.visit
            subject = store.sealer.seal("subject", visit.application.hex(), NOBODY)
            digest = hashlib.sha256(visit.application).digest()
            store.run(
                "INSERT INTO issues VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(visit.application, f"past-{visit.application.hex()}", visit.nonce, digest, digest, visit.kind),
                *(visit.copies, visit.application, "synthetic", bytes(64), 0, step.at_us, subject),
            )
    return len(issued)


def _take(store: Store, step: Step) -> None:
    visit, body = step.visit, step.body
    if step.transition == Transition.AUTHENTICATED:
        registry.own(store, visit.application, kiosk=visit.shop.kiosk, now_us=step.taken_us)
    elif isinstance(body, Apply):
        registry.applied(
            store,
            visit.application,
            municipality=visit.municipality,
            kind=visit.kind,
            copies=visit.copies,
            fee_yen=visit.fee_yen,
        )
    elif isinstance(body, Complete | Void | Correct | Erase):
        outbox.take_over(
            store,
            body,
            asked=encode(body),
            request_id=step.request_id,
            caller=_kiosk(visit.shop),
            now_us=step.taken_us,
        )


def _settle(store: Store, step: Step, told: Told) -> None:
    sent = outbox.next_of(store, step.visit.application)
    held = next((each for each in sent if each.request.request_id == told.request.request_id), None)
    if held is None:
        raise PastNotRecorded(f"the relay does not hold notice {told.request.request_id.hex()} of the centre's answer")
    answered = told.answered
    opening = opening_of(answered, operation=told.request.operation, request=told.request.body)
    said = outbox.Settled(
        outcome=answered.outcome,
        entry=answered.entry,
        proof=encode_receipt(Receipt(answered.proof)),
        opening=encode(opening),
    )
    if outbox.settle(store, held, said, now_us=answered.entry.at_us) != outbox.DELIVERED:
        raise PastNotRecorded(f"the relay took the answer to {told.request.request_id.hex()} for a refusal")


def _kiosk(shop: Shop) -> Kiosk:
    return Kiosk(kiosk=shop.kiosk, store=shop.store, store_name=shop.store_name, spki=shop.spki)
