"""A member's accepting end: what it answers, whom it lets in, and how it ends. Real TLS on loopback."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from certs.material import TlsMaterial
from certs.names import LineName
from certs.profiles import DIAL, HOST, LINE, Profile
from gateway.line.dial import LineClient, Sign, Target, open_line
from gateway.line.serving import LineServer
from protocol.keys import Algorithm, PublicKey
from protocol.messages import Operation, Request
from protocol.outcomes import Outcome
from protocol.trust import Trust
from tests.kit import lines
from tests.line.kit import ENVIRONMENT, Pki, make_trust
from tests.line.kit import HOST as ADDRESS

pytestmark = pytest.mark.trio

ROLE = lines.ROLE
CENTRE = LineName("centre", "certificate")
CITY = LineName("city-test", "issue")
RELAY = LineName("operator-test", "relay-1")
KIOSK = LineName("operator-test", "kiosk-1")
UNLISTED = LineName("operator-test", "kiosk-9")
SIGNERS = {name: lines.Signer(f"{name.party}-{name.line}") for name in (CENTRE, KIOSK, UNLISTED)}
KNOWN = (CENTRE, KIOSK)
SERVER = lines.Signer("server-line")
TRUST = make_trust(line=SERVER)
Handle = Callable[[LineName, Request], Awaitable[tuple[int, bytes]]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """The authority of these tests."""
    return Pki(tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="module")
def materials(pki: Pki) -> dict[LineName, TlsMaterial]:
    """Every end's certificate."""
    profiles: dict[LineName, Profile] = {CITY: HOST, RELAY: HOST, CENTRE: DIAL, KIOSK: LINE, UNLISTED: LINE}
    return {name: pki.material(profile, name) for name, profile in profiles.items()}


def signing(signer: lines.Signer) -> Sign:
    """A line key in memory."""

    async def sign(content: bytes) -> tuple[Algorithm, str, bytes]:
        await trio.lowlevel.checkpoint()
        return Algorithm.ES256, signer.key_id, signer.sign(content)

    return sign


def key_of(name: LineName, key_id: str) -> PublicKey | None:
    """The registry: every line but UNLISTED."""
    signer = SIGNERS[name]
    return signer.public if name in KNOWN and signer.key_id == key_id else None


async def echo(name: LineName, request: Request) -> tuple[int, bytes]:
    """Answer with the line's name and the body."""
    await trio.lowlevel.checkpoint()
    return Outcome.MADE_PART, f"{name} ".encode() + request.body


class Serving:
    """A server that serves, and where."""

    def __init__(self, server: LineServer, name: LineName, port: int, stop: trio.Event, done: trio.Event) -> None:
        self.server, self.name, self.port, self.stop, self.done = server, name, port, stop, done

    def target(self, own: LineName, expected: LineName | None = None) -> Target:
        """Where a client dials."""
        return Target(
            host=ADDRESS, port=self.port, centre=expected or self.name, role=ROLE, environment=ENVIRONMENT, own=own
        )


@asynccontextmanager
async def serving(
    materials: dict[LineName, TlsMaterial], handle: Handle, *, name: LineName = CITY, **options: object
) -> AsyncIterator[Serving]:
    """Serve while the block runs."""
    (listener,) = await trio.open_tcp_listeners(0, host=ADDRESS)
    server = LineServer(
        role=ROLE, environment=ENVIRONMENT, material=materials[name], sign=signing(SERVER), key_of=key_of,
        handle=handle, **options,  # type: ignore[arg-type]
    )  # fmt: skip
    stop, done = trio.Event(), trio.Event()

    async def serve() -> None:
        await server.serve([listener], stop=stop)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield Serving(server, name, listener.socket.getsockname()[1], stop, done)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialling(
    where: Serving,
    materials: dict[LineName, TlsMaterial],
    own: LineName = CENTRE,
    *,
    expected: LineName | None = None,
    material: TlsMaterial | None = None,
    trust: Trust = TRUST,
) -> AsyncIterator[LineClient]:
    """A client of the server."""
    target = where.target(own, expected)
    async with open_line(
        target, material=material or materials[own], trust=trust, sign=signing(SIGNERS[own])
    ) as client:
        yield client


async def test_a_municipality_answers_the_centre_that_dials(materials: dict[LineName, TlsMaterial]) -> None:
    async with serving(materials, echo) as city, dialling(city, materials) as centre:
        result = await centre.ask(Operation.ISSUE, b"\x91\x01", timeout_s=5)
    assert (result.outcome, result.body) == (Outcome.MADE_PART, b"centre/certificate \x91\x01")
    assert result.entry is None


async def test_a_relay_answers_a_kiosk_of_its_operator(materials: dict[LineName, TlsMaterial]) -> None:
    async with serving(materials, echo, name=RELAY) as relay, dialling(relay, materials, KIOSK) as kiosk:
        result = await kiosk.ask(Operation.KIOSK_EVENT, b"x", timeout_s=5)
    assert result.body == b"operator-test/kiosk-1 x"
