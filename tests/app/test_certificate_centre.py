"""A certificate centre as real processes: made, started, asked by its operator's line, and its ledger verified."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from certs.authority import DevelopmentAuthority
from certs.contexts import LineFiles
from certs.material import TlsMaterial
from certs.names import LineName
from certs.profiles import HOST, LINE
from gateway.app.setup import ENVIRONMENT, make_centre
from gateway.app.setup_roles import issue
from gateway.app.supervisor import running_gateway
from gateway.line.dial import LineClient
from gateway.line.serving import LineServer
from gateway.peers.jpki.cards import SimulatedCard, issue_card
from gateway.peers.line_file import line_from, read_line_file
from protocol.application import Transition
from protocol.certificates import CardType
from protocol.issuance import (
    PART_BYTES,
    Apply,
    Authenticate,
    Authenticated,
    Challenge,
    Challenged,
    Complete,
    Erase,
    Fetch,
    Issued,
    KioskSession,
    MenuQuery,
    Part,
    Statement,
    Status,
    StatusQuery,
    erasure_to_sign,
    session_to_sign,
    statement_to_sign,
)
from protocol.keys import (
    Algorithm,
    KeyHistory,
    KeyRecord,
    PublicKey,
    Purpose,
    SignedKeyHistory,
    encode_signed_history,
    history_to_sign,
)
from protocol.messages import InquiryByCode, Operation, ReceiptQuery, Request, decode_body, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.receipt import encode_receipt
from protocol.trust import Trust, decode_trust, encode_trust
from tests.issuance.town import Town
from tests.kit.centre import Made, poll, standing
from tests.ledger.building import Signer

CHIBA = "121002"
KIOSK = "kiosk-1"
DIALLING = LineName("centre", "certificate")
HOURS = '"06:30-23:00", saturday = "06:30-23:00", holiday = "06:30-23:00"'
DAY_AND_NIGHT = '"00:00-24:00", saturday = "00:00-24:00", holiday = "00:00-24:00"'


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Kiosk:
    """A kiosk's certificate key and one sitting's keys; signs as ES256 raw r||s."""

    def __init__(self, authority: DevelopmentAuthority) -> None:
        issued = authority.issue(LINE, LineName("cvs-dev", KIOSK), now=datetime.now(UTC), hosts=())
        self.certificate = x509.load_pem_x509_certificate(issued.certificate_pem).public_bytes(Encoding.DER)
        self.key = load_pem_private_key(issued.key_pem, None)
        self.session_key = ec.generate_private_key(ec.SECP256R1())
        self.seal_key = x25519.X25519PrivateKey.generate()

    @property
    def session(self) -> KioskSession:
        point = self.session_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return KioskSession("cvs-dev", KIOSK, point, self.seal_key.public_key().public_bytes_raw())

    @staticmethod
    def sign(key: object, content: bytes) -> bytes:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class RealTown(Town):
    """The stand-in for a municipality, behind a real line: mutual TLS, the handshake, signed frames."""

    def __init__(self) -> None:
        super().__init__()
        self.line_key = Signer("town-line-1")
        self.clock = now_us

    @property
    def trust(self) -> bytes:
        """With a key for its line as well."""
        records = [
            KeyRecord(each.key_id, str(purpose), int(each.algorithm), each.spki, 0)
            for each, purpose in (
                (self.root, Purpose.HISTORY), (self.key, Purpose.MANIFEST), (self.line_key, Purpose.LINE),
            )
        ]  # fmt: skip
        history = KeyHistory(self.party, 1, 0, records).encode()
        signed = SignedKeyHistory(self.root.key_id, 1, self.root.sign(history_to_sign(history)), history)
        return encode_trust(
            Trust(
                centre=self.party,
                role="municipality",
                environment=ENVIRONMENT,
                root=self.root.spki,
                signed_history=encode_signed_history(signed),
            )
        )

    async def sign(self, content: bytes) -> tuple[Algorithm, str, bytes]:
        """As its line."""
        await trio.lowlevel.checkpoint()
        return Algorithm.ES256, self.line_key.key_id, self.line_key.sign(content)

    async def handle(self, _: LineName, request: Request) -> tuple[int, bytes]:
        """As LineServer asks."""
        await trio.lowlevel.checkpoint()
        self.asked.append(request.operation)
        outcome, body = self.answer(request.operation, decode_body(request.operation, request.body))
        return int(outcome), body


@pytest.fixture(scope="module")
def centre() -> Iterator[tuple[Made, Kiosk]]:
    """A certificate centre, and a kiosk whose authority its operator's entry will name."""
    with tempfile.TemporaryDirectory(prefix="sekisho-certificate-") as directory:
        data = Path(directory) / "centre"
        make_centre(
            data, port=0, ops_port=0, workers=2, residents=0, role="certificate",
            say=lambda _: None, progress=lambda _done, _of: None,
        )  # fmt: skip
        authority = DevelopmentAuthority.create(data.parent / "kiosks", name="Kiosks", now=datetime.now(UTC))
        (data / "kiosks.pem").write_bytes(authority.anchors_pem)
        with standing(data) as made:
            yield made, Kiosk(authority)


async def sekisho(*arguments: str) -> str:
    """One command as a person gives it, which must succeed. Returns: what it said."""
    done = await trio.run_process(
        [sys.executable, "-m", "gateway.cli", *arguments], capture_stdout=True, capture_stderr=True, check=False
    )
    assert done.returncode == 0, (arguments[:2], done.stdout, done.stderr)
    return done.stdout.decode()


async def _apply(made: Made, town: RealTown, port: int) -> None:
    """The directory with the kiosks of the operator, the municipality where it listens, and no closing time."""
    directory = made.data / "directory.toml"
    (made.data / "town.bundle").write_bytes(town.trust)
    text = directory.read_text()
    for before, after in (
        ('# kiosk_anchor_files = ["cvs-dev-kiosks.pem"]', 'kiosk_anchor_files = ["kiosks.pem"]'),
        ('# trust_file = "121002.bundle"', 'trust_file = "town.bundle"'),
        ("port = 8631", f"port = {port}"),
        (HOURS, DAY_AND_NIGHT),
    ):
        assert before in text
        text = text.replace(before, after)
    altered = made.data / "altered.toml"
    altered.write_text(text)
    people = ["--asked-by", "one", "--approved-by", "two", "--reference", "test"]
    await sekisho("directory", "apply", str(altered), "--dsn", made.dsns.owner, *people)


@asynccontextmanager
async def municipality(made: Made) -> AsyncIterator[RealTown]:
    """Chiba's stand-in, listening, and known to the centre."""
    town = RealTown()
    tls = made.data.parent / "town-tls"
    authority = DevelopmentAuthority.open(made.data / "pki")
    issue(authority, tls, HOST, LineName(town.party, "issue"), datetime.now(UTC), ("127.0.0.1",))
    centre = decode_trust((made.data / "trust.bundle").read_bytes())

    def key_of(name: LineName, key_id: str) -> PublicKey | None:
        return centre.key(key_id, purpose=Purpose.LINE, at_us=now_us()) if name == DIALLING else None

    server = LineServer(
        role="municipality",
        environment=ENVIRONMENT,
        material=TlsMaterial(LineFiles.in_directory(tls), now=datetime.now(UTC)),
        sign=town.sign,
        key_of=key_of,
        handle=town.handle,
        knows=lambda name: name == DIALLING,
    )
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    stop = trio.Event()
    async with listener, trio.open_nursery() as nursery:
        await _apply(made, town, listener.socket.getsockname()[1])
        nursery.start_soon(partial(server.serve, [listener], stop=stop))
        yield town
        stop.set()


@asynccontextmanager
async def asked(made: Made) -> AsyncIterator[tuple[LineClient, Callable[[], Awaitable[str]]]]:
    """The running centre's line of its operator, and what it shows of itself."""
    async with (
        running_gateway(made.configuration, made.dsns) as running,
        line_from(read_line_file(made.data / "operator", port=running.port)) as line,
    ):
        await line.wait_open(20)

        async def metrics() -> str:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{running.ops_port}/metrics")).text

        yield line, metrics


async def sitting(made: Made, kiosk: Kiosk, line: LineClient, *, holder: str) -> Authenticate:
    """What AUTHENTICATE carries of a fresh card at this kiosk."""
    path = issue_card(
        made.data / "jpki", holder=holder, algorithm="p384", pin="1234", now=datetime.now(UTC), days=30
    )  # fmt: skip
    card = SimulatedCard.load(path)
    challenged = await line.ask(Operation.CHALLENGE, encode(Challenge(KIOSK)))
    assert challenged.outcome == Outcome.CHALLENGED
    nonce = msgspec.msgpack.decode(challenged.body, type=Challenged).nonce
    signed = session_to_sign(kiosk.session, nonce)
    return Authenticate(
        kiosk.session, nonce, kiosk.certificate, kiosk.sign(kiosk.key, signed), int(CardType.MY_NUMBER_CARD),
        card.certificate, card.sign("1234", signed), CHIBA,
    )  # fmt: skip


async def shows(metrics: Callable[[], Awaitable[str]], sample: str) -> bool:
    """Whether a sample is among them."""
    return sample in (await metrics()).splitlines()


async def told(line: LineClient, operation: Operation, body: object, expected: Outcome) -> Result:
    """Ask, and have this outcome."""
    result = await line.ask(operation, encode(body), deadline_ms=10_000)
    assert Outcome(result.outcome) is expected
    return result


@pytest.mark.trio
async def test_from_the_card_to_the_erasure_over_real_lines_to_both_sides(centre: tuple[Made, Kiosk]) -> None:
    made, kiosk = centre
    async with municipality(made) as town, asked(made) as (line, metrics):
        await told(line, Operation.MENU, MenuQuery(CHIBA, int(CardType.MY_NUMBER_CARD)), Outcome.MENU)
        await poll(lambda: shows(metrics, "sekisho_card_responder_up 1.0"))
        authentication = await sitting(made, kiosk, line, holder="resident-0")
        entered = await told(line, Operation.AUTHENTICATE, authentication, Outcome.AUTHENTICATED)
        await poll(lambda: shows(metrics, "sekisho_card_responder_up 0.0"))  # nobody answers there: the list decided
        await told(line, Operation.AUTHENTICATE, authentication, Outcome.NONCE_INVALID)
        application = msgspec.msgpack.decode(entered.body, type=Authenticated).application
        statement = Statement(application, CHIBA, "juminhyo", 0, 2, now_us())
        signature = kiosk.sign(kiosk.session_key, statement_to_sign(statement))
        applied = await told(line, Operation.APPLY, Apply(statement, signature), Outcome.APPLIED)
        document = await told(line, Operation.DOCUMENT, Fetch(application), Outcome.ISSUED)
        issued = msgspec.msgpack.decode(document.body, type=Issued)
        sealed = b""
        for index in range(-(-issued.size // PART_BYTES)):
            sealed += (await told(line, Operation.PART, Part(application, index), Outcome.PART)).body
        complete = Complete(application, 2, now_us(), "2026-11-21", "0042", "slip-1")
        completed = await told(line, Operation.COMPLETE, complete, Outcome.COMPLETED)
        again = await told(line, Operation.COMPLETE, complete, Outcome.COMPLETED)
        at_us = now_us()
        attestation = kiosk.sign(kiosk.key, erasure_to_sign(application, at_us))
        await told(line, Operation.ERASE, Erase(application, at_us, at_us, attestation), Outcome.ERASED)
        status = await told(line, Operation.STATUS, StatusQuery([application]), Outcome.STATUS)
        await told(line, Operation.RECEIPT, ReceiptQuery(applied.request.request_id), Outcome.RECEIPT)
        question = InquiryByCode("vehicle-12-1", 1, "staff-001", "2026-0001", "1" * 11)
        await told(line, Operation.INQUIRE_BY_CODE, question, Outcome.UNKNOWN_OPERATION)

        async def reported() -> bool:
            return len(town.reports) == 1

        async def projected() -> bool:
            rows = await made.owner("select count(*) from ledger.entry where outcome = $1", int(Outcome.ERASED))
            return bool(rows[0][0])

        await poll(reported)
        await poll(projected)
    assert sealed == town.documents[application][1]
    (stands,) = msgspec.msgpack.decode(status.body, type=list[Status])
    assert sorted(stands.transitions) == [1, 2, 3, 4, 6]
    assert completed.entry is not None
    assert (completed.entry.yen, completed.entry.commission, completed.entry.matter) == (600, 230, "juminhyo")
    assert again.entry is not None
    assert again.entry.yen == 0
    rows = await made.owner(
        "select transition, copies, yen, store_day, store, kiosk from ledger.entry where application is not null"
        " and outcome = $1", int(Outcome.COMPLETED),
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [(int(Transition.COMPLETED), 2, 600, "2026-11-21", "0042", KIOSK)]
    claims = await made.owner("select turn from ledger.claim where request_id = $1 order by turn", application)
    assert [row[0] for row in claims] == [101, 102, 103, 104, 106]
    await _proven(made, completed)


async def _proven(made: Made, completed: Result) -> None:
    """The ledger as a whole, and the receipt that the operator keeps, by the commands for both."""
    receipt = completed.receipt()
    assert receipt is not None
    file = made.data / "completed.receipt"
    file.write_bytes(encode_receipt(receipt))
    trust = str(made.data / "trust.bundle")
    await sekisho("ledger", "verify", "--dsn", made.dsns.ops, "--trust", trust)
    told = await sekisho("receipt", "verify", str(file), "--trust", trust)
    assert "COMPLETED" in told
    assert "2026-11-21" in told
    told = await sekisho("receipt", "verify", str(file), "--trust", trust, "--json")
    assert json.loads(told)["delivery"]["copies"] == 2
    assert "cvs-dev" in await sekisho("directory", "show", "--dsn", made.dsns.owner)


@pytest.mark.parametrize(
    ("modules", "never"),
    [
        (("work", "issuance", "ops", "issuance_ops"), "gateway.inquiry"),
        (("work", "inquiry", "ops", "inquiry_ops"), "gateway.issuance"),
    ],
)
def test_a_process_loads_the_modules_of_its_own_role_alone(modules: tuple[str, ...], never: str) -> None:
    names = ", ".join(f"gateway.app.{module}" for module in modules)
    program = f"import sys, {names}; print([each for each in sys.modules if each.startswith({never!r})])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
