"""A relay between kiosks and a certificate centre that are real at their ends of the lines: TLS, signatures, proofs.

`Centre` is the brain of the centre's half: it answers the operations of an operator's line as the protocol says, keeps
what it recorded, answers a known id again as a REPEAT, and fails where a test says so. It speaks through `CentreGate`
over TLS, and through `MemoryLine` over the protocol's two halves in memory. All names are synthetic.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import trio
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from certs.contexts import LineFiles
from certs.names import LineName
from certs.profiles import CENTRE, HOST, LINE
from gateway.ledger.block import build_block
from gateway.ledger.stream import Stream, advance
from gateway.line.dial import LineClient, LineError, Target, open_line
from gateway.line.serving import LineServer  # noqa: F401 - what the relay listens with
from gateway.peers.relay import registry
from gateway.peers.relay.policy import Kiosk, spki_of
from gateway.peers.relay.setup import TRUST_NAME, add_kiosk, make_relay
from gateway.peers.relay.store import Store, create_store, open_store
from hsm.ceremony import create_standard_keys
from hsm.software import SoftwareKeystore
from protocol import issuance, limits
from protocol.commitment import commitment_key, request_commitment, response_commitment
from protocol.keys import Algorithm, PublicKey
from protocol.ledger import Entry, EntryKind, encode_entry
from protocol.messages import (
    PROOFLESS,
    BlockShare,
    Operation,
    ReceiptQuery,
    Refusal,
    Request,
    Response,
    Transient,
    decode_body,
    encode,
)
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import Result
from protocol.receipt import Proof, Receipt, encode_receipt
from protocol.request_id import make_request_id
from protocol.trust import decode_trust, encode_trust
from tests.kit import lines
from tests.line import kit as line_kit
from tests.line.kit import ENVIRONMENT, TRUST, FakeGate, Pki, now_us

OPERATOR = "operator-test"
RELAY = LineName(OPERATOR, "relay-1")
CENTRE_NAME = LineName("centre", "certificate")
KIOSKS = (LineName(OPERATOR, "kiosk-1"), LineName(OPERATOR, "kiosk-2"))
STORES = {"kiosk-1": "store-1", "kiosk-2": "store-2"}
CITY, KIND, FEE_YEN = "121011", "juminhyo", 300
DAY = "2026-11-20"
PASSPHRASE = "synthetic-passphrase"
NOW_US = lines.NOW_US


def new_application() -> bytes:
    """A fresh application id."""
    return make_request_id(now_us() // 1000, secrets.token_bytes(10))


class Centre:
    """What the certificate centre says. `fail` may answer a request otherwise: an outcome, or None for silence."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.recorded: dict[bytes, tuple[int, bytes, int]] = {}
        self.part = b"sealed part"
        self.money: dict[bytes, int] = {}
        self.receipts: dict[bytes, bytes] = {}
        self.kinds: list[tuple[bytes, int]] = []
        self.fail: Callable[[Request], Outcome | None] | None = None
        self._stream = Stream(id=lines.STREAM, role="certificate", node="node-1", slot=0)

    def say(self, request: Request) -> tuple[int, bytes, int]:
        """Outcome, body and yen of a request that is new."""
        body = decode_body(request.operation, request.body)
        match body:
            case issuance.Challenge():
                return Outcome.CHALLENGED, encode(issuance.Challenged(bytes(40), 60_000)), 0
            case issuance.Authenticate():
                begun = issuance.Authenticated(new_application(), now_us() + 600_000_000)
                return Outcome.AUTHENTICATED, encode(begun), 0
            case issuance.MenuQuery(municipality=code):
                return Outcome.MENU, encode(issuance.Menu(code, "合成市", "Synthetic", [], "", "")), 0
            case issuance.Apply(statement=statement):
                return Outcome.APPLIED, encode(issuance.Applied(FEE_YEN, statement.copies)), 0
            case issuance.Fetch():
                return Outcome.ISSUED, encode(issuance.Issued(b"manifest", "key", bytes(64), 20)), 0
            case issuance.Part():
                return Outcome.PART, self.part, 0
            case issuance.Complete(application=application, copies=copies):
                self.money[application] = copies * FEE_YEN
                return Outcome.COMPLETED, encode(Refusal()), copies * FEE_YEN
            case issuance.Void(application=application):
                return Outcome.VOIDED, encode(Refusal()), -self.money.pop(application, 0)
            case issuance.Correct(application=application, copies=copies):
                difference = copies * FEE_YEN - self.money[application]
                self.money[application] += difference
                return Outcome.CORRECTED, encode(Refusal()), difference
            case issuance.Erase():
                return Outcome.ERASED, encode(Refusal()), 0
            case ReceiptQuery(request_id=request_id):
                known = self.receipts.get(request_id)
                return (Outcome.RECEIPT_UNKNOWN, b"", 0) if known is None else (Outcome.RECEIPT, known, 0)
            case issuance.StatusQuery(applications=applications):
                return Outcome.STATUS, encode([issuance.Status(each, [1]) for each in applications]), 0
        raise AssertionError(body)

    def answer(self, requests: list[Request], party: str) -> tuple[list[Transient], list[BlockShare]]:
        """Everything to be said to requests of one frame."""
        transients, responses = [], []
        for request in requests:
            self.asked.append(request)
            kind = EntryKind.FIRST
            if self.fail is not None and (told := self.fail(request)) is not None:
                outcome, body, yen = int(told), encode(Refusal(retry_after_ms=1)), 0
            elif request.request_id in self.recorded:
                outcome, body, yen, kind = *self.recorded[request.request_id][:2], 0, EntryKind.REPEAT
            else:
                outcome, body, yen = self.say(request)
            if request.operation in PROOFLESS or not CATALOGUE[Outcome(outcome)].recorded:
                transients.append(Transient(request.request_id, outcome, body))
                continue
            self.recorded.setdefault(request.request_id, (outcome, body, yen))
            self.kinds.append((request.request_id, kind))
            key = commitment_key(lines.MONTH_KEY, party, request.request_id)
            entry = Entry(
                version=1, party=party, line="relay-1", request_id=request.request_id,
                request_commitment=request_commitment(key, request.operation, request.body),
                operation=request.operation, matter=KIND, step=0, counterparty="", outcome=outcome, kind=kind, yen=yen,
                commission=0, terms=1, response_commitment=response_commitment(key, outcome, body), at_us=now_us(),
            )  # fmt: skip
            responses.append(Response(request.request_id, outcome, body, key, encode_entry(entry)))
        shares = []
        if responses:
            draft = build_block(self._stream, [response.entry for response in responses], now_us())
            self._stream = advance(self._stream, draft.header)
            signature = lines.BLOCK.sign(draft.to_sign)
            for index, response in enumerate(responses):
                path = draft.tree.range_proof(index, index + 1)
                proved = Proof(response.entry, index, path, draft.header, lines.BLOCK.key_id, signature)
                self.receipts.setdefault(response.request_id, encode_receipt(Receipt(proved)))
            for lo in range(0, len(responses), limits.RESPONSES_PER_FRAME_MAX):
                part = responses[lo : lo + limits.RESPONSES_PER_FRAME_MAX]
                proof = draft.tree.range_proof(lo, lo + len(part))
                shares.append(BlockShare(draft.header, lines.BLOCK.key_id, signature, lo, part, proof))
        return transients, shares

    def operations(self) -> list[str]:
        """What was asked, in order."""
        return [Operation(request.operation).name for request in self.asked]


class CentreGate(FakeGate):
    """A centre on a port."""

    def __init__(self, material, centre: Centre, keys: dict[str, PublicKey]) -> None:
        super().__init__(material)
        self.role = "certificate"
        self.centre = centre
        self.keys = {RELAY: keys}
        self.frames: list[int] = []
        self.silent = False

    def requests(self, connection, received) -> None:
        requests = received.batch.requests
        self.frames.append(len(requests))
        self.asked += [(connection.name, request) for request in requests]
        transients, shares = self.centre.answer(requests, connection.name.party)
        if self.silent:  # it has recorded, and the answer is lost
            self._tell()
            return
        for share in shares:
            connection.respond(share)
        connection.refuse(transients)
        self._tell()


class MemoryLine:
    """A line without sockets: every answer is verified by the protocol's own peer half. `down` raises LineError."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.down = False
        self.lose_answers = False
        self._pair = lines.Pair(now_us=now_us(), trust=TRUST).greet()

    async def ask_once(self, request: Request) -> Result:
        await trio.lowlevel.checkpoint()
        if self.down:
            raise LineError("the line is down")
        self._pair.deliver([request])
        transients, shares = self.centre.answer([request], lines.PARTY)
        results = []
        for share in shares:
            results += self._pair.answer(share)
        if transients:
            (received,) = self._pair.peer.receive_data(self._pair.centre.send_transients(transients))
            results += received.results
        if self.lose_answers:
            raise LineError("lost while it was answered")
        (result,) = results
        return result


# --- a relay's store alone


@contextmanager
def made_store(directory: Path):
    """A store with both kiosks."""
    create_store(directory)
    with open_store(directory) as store:
        for name in KIOSKS:
            registry.add(store, kiosk(name.line), certificate=b"-", now_us=NOW_US)
        yield store


def kiosk(name: str = "kiosk-1") -> Kiosk:
    """A registered kiosk with a key computed from its name."""
    return Kiosk(kiosk=name, store=STORES[name], store_name=f"合成店 {name}", spki=lines.Signer(name).der)


def begun(store: Store, application: bytes, *, name: str = "kiosk-1", copies: int = 2) -> bytes:
    """An application that was authenticated and applied for."""
    registry.own(store, application, kiosk=name, now_us=NOW_US)
    registry.applied(store, application, municipality=CITY, kind=KIND, copies=copies, fee_yen=FEE_YEN)
    return application


def complete(application: bytes, *, copies: int = 2, day: str = DAY, name: str = "kiosk-1") -> issuance.Complete:
    return issuance.Complete(application, copies, NOW_US, day, STORES[name], "slip-1")


def void(application: bytes, *, day: str = DAY, name: str = "kiosk-1") -> issuance.Void:
    return issuance.Void(application, issuance.Ground.MISPRINT, NOW_US, day, STORES[name], "slip-9")


def erase(application: bytes) -> issuance.Erase:
    return issuance.Erase(application, NOW_US, 0, bytes(64))


def event(fact: issuance.KioskFact, application: bytes = b"", *, yen: int = 0, detail: str = "") -> issuance.KioskEvent:
    return issuance.KioskEvent(fact, NOW_US, application, yen, detail)


# --- a whole relay


class Site:
    """An operator: its authority, the directory of its dedicated line, its kiosks' certificates."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.centres = Pki(_made(directory / "centres"))
        self.own = Pki(_made(directory / "own"))
        line = _made(directory / "line")
        (line / "passphrase").write_text(PASSPHRASE)
        (line / "passphrase").chmod(0o600)
        keystore = SoftwareKeystore.create(line / "keystore.sekisho", PASSPHRASE, owner=OPERATOR)
        records = create_standard_keys(keystore, "line", label=OPERATOR, now_us=now_us() - 1)
        self.keys = {record.key_id: PublicKey(Algorithm.ES256, record.public_key) for record in records}
        tls, _ = self.centres.issue(LINE, RELAY)
        (line / "trust.bundle").write_bytes(encode_trust(TRUST))
        (line / "line.toml").write_text(
            f'own = "{RELAY}"\ncentre = "{CENTRE_NAME}"\nhost = "127.0.0.1"\nport = 1\nrole = "certificate"\n'
            f'environment = "{ENVIRONMENT}"\ntls = "{tls.certificate.parent}"\ntrust = "trust.bundle"\n'
            'keystore = "software:keystore.sekisho"\npassphrase_file = "passphrase"\n'
        )
        self.line = line
        self.centre = self.centres.material(CENTRE, CENTRE_NAME)
        self.host_files, _ = self.own.issue(HOST, RELAY)
        self.kiosks: dict[str, LineFiles] = {name.line: self.own.issue(LINE, name)[0] for name in KIOSKS}

    def relay(self, data: Path) -> Path:
        """A relay with both kiosks registered."""
        make_relay(
            data, operator=OPERATOR, line_file=self.line, tls=self.host_files.certificate.parent, port=0, page_port=0,
            environment=ENVIRONMENT, now_us=now_us(),
        )  # fmt: skip
        for name, files in self.kiosks.items():
            add_kiosk(data, name, STORES[name], f"合成店 {name}", files.certificate.read_bytes())
        return data

    @asynccontextmanager
    async def centre_at(self, centre: Centre, *, port: int = 0) -> AsyncIterator[line_kit.Centre]:
        """The centre, serving."""
        async with line_kit.serving(CentreGate(self.centre, centre, self.keys), port=port) as serving:
            yield serving

    @asynccontextmanager
    async def kiosk(
        self, data: Path, port: int, name: str = "kiosk-1", *, wait_s: float = 10.0
    ) -> AsyncIterator[LineClient]:
        """A kiosk's line to its relay; its frames are signed by its certificate's key."""
        files = self.kiosks[name]
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)

        async def sign(content: bytes) -> tuple[Algorithm, str, bytes]:
            await trio.lowlevel.checkpoint()
            r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
            return Algorithm.ES256, name, r.to_bytes(32, "big") + s.to_bytes(32, "big")

        target = Target(
            host="127.0.0.1", port=port, centre=RELAY, role="relay", environment=ENVIRONMENT,
            own=LineName(OPERATOR, name),
        )  # fmt: skip
        material = line_kit.TlsMaterial(files, now=datetime.now(UTC))
        trust = decode_trust((data / TRUST_NAME).read_bytes())
        async with open_line(target, material=material, trust=trust, sign=sign) as client:
            if wait_s:
                await client.wait_open(wait_s)
            yield client

    def certificate(self, name: str = "kiosk-1") -> bytes:
        """A kiosk's certificate, DER."""
        from cryptography import x509

        found = x509.load_pem_x509_certificate(self.kiosks[name].certificate.read_bytes())
        der = found.public_bytes(serialization.Encoding.DER)
        assert spki_of(der)
        return der


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def authenticate(site: Site, name: str = "kiosk-1") -> issuance.Authenticate:
    """A synthetic authentication; its signatures are the centre's to judge."""
    session = issuance.KioskSession(OPERATOR, name, bytes(65), bytes(32))
    return issuance.Authenticate(
        session, bytes(40), site.certificate(name), bytes(64), 1, b"synthetic card", bytes(64), CITY
    )


def statement(application: bytes, *, copies: int = 2) -> issuance.Apply:
    """A synthetic application."""
    return issuance.Apply(issuance.Statement(application, CITY, KIND, 0, copies, NOW_US), bytes(64))


async def call(client: LineClient, operation: Operation, body: object, *, request_id: bytes | None = None) -> Result:
    """One KIOSK_CALL."""
    inner = encode(issuance.KioskCall(operation, body if isinstance(body, bytes) else encode(body)))
    return await client.ask(
        Operation.KIOSK_CALL, inner, request_id=request_id, deadline_ms=5_000, timeout_s=10, retry=False
    )


async def tell(client: LineClient, fact: issuance.KioskEvent) -> int:
    """One KIOSK_EVENT."""
    result = await client.ask(Operation.KIOSK_EVENT, encode(fact), deadline_ms=5_000, timeout_s=10, retry=False)
    return result.outcome


async def until(fact: Callable[[], object], within_s: float = 10.0) -> None:
    """Poll until a fact holds."""
    with trio.fail_after(within_s):
        while not fact():
            await trio.sleep(0.01)
