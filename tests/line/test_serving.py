"""A member's accepting end: what it answers, whom it lets in, and how it ends. Real TLS on loopback."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from certs.material import TlsMaterial
from certs.names import LineName
from certs.profiles import DIAL, HOST, LINE, Profile
from gateway.line import serving as module
from gateway.line.dial import LineClient, Sign, Target, open_line
from gateway.line.serving import LineServer
from protocol import limits
from protocol.envelope import pack
from protocol.keys import Algorithm, PublicKey
from protocol.messages import Operation, Request, RequestBatch, encode
from protocol.outcomes import Outcome
from protocol.peer import PeerLine, ResultsReceived
from protocol.trust import Trust
from tests.kit import lines
from tests.line.kit import ENVIRONMENT, Pki, make_trust, now_us
from tests.line.kit import HOST as ADDRESS
from tests.line.raw import RawPeer

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
TURNED_AWAY_IN_TLS = ("TLS failed", "the centre closed the connection during the handshake")
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


class Answered(dict[bytes, Request]):
    """What a peer asked, of which nothing is forgotten when it is answered."""

    def pop(self, key: bytes, _: object = None) -> Request:
        """What a response is looked up by."""
        return self[key]


class Peer(RawPeer):
    """A connection driven by hand."""

    def __init__(self, tls: "trio.SSLStream[trio.SocketStream]", binding: bytes, name: LineName) -> None:
        self.tls, self.binding, self.name, self.signer = tls, binding, name, SIGNERS[name]
        self.line = PeerLine(
            role=ROLE, environment=ENVIRONMENT, party=name.party, line=name.line, binding=binding, trust=TRUST,
            now_us=now_us,
        )  # fmt: skip

    def repeat(self, requests: Sequence[Request]) -> bytes:
        """A REQUEST frame that the peer's half would not make."""
        line = self.line
        line.pending = Answered({request.request_id: request for request in requests})
        body = encode(RequestBatch(line.session, line._sequence, now_us(), list(requests)))
        return self.seal(pack(Algorithm.ES256, self.signer.key_id, self.sign(body), body))

    async def outcomes(self, count: int) -> list[int]:
        """So many outcomes, whatever else comes."""
        found: list[int] = []
        while len(found) < count:
            events = await self.events()
            assert events, "the line was closed"
            found += [
                result.outcome for event in events if isinstance(event, ResultsReceived) for result in event.results
            ]
        return found


@asynccontextmanager
async def raw_peer(
    where: Serving, materials: dict[LineName, TlsMaterial], name: LineName = CENTRE
) -> AsyncIterator[Peer]:
    """A session driven by hand."""
    own = materials[name].current
    stream = await trio.open_tcp_stream(ADDRESS, where.port)
    tls = trio.SSLStream(stream, own.client, server_hostname=ADDRESS, https_compatible=True)
    try:
        await tls.do_handshake()
        peer = Peer(tls, own.own.fingerprint + materials[where.name].current.own.fingerprint, name)
        await peer.greet()
        yield peer
    finally:
        await trio.aclose_forcefully(stream)


async def test_a_municipality_answers_the_centre_that_dials(materials: dict[LineName, TlsMaterial]) -> None:
    async with serving(materials, echo) as city, dialling(city, materials) as centre:
        result = await centre.ask(Operation.ISSUE, b"\x91\x01", timeout_s=5)
    assert (result.outcome, result.body) == (Outcome.MADE_PART, b"centre/certificate \x91\x01")
    assert result.entry is None


async def test_a_relay_answers_a_kiosk_of_its_operator(materials: dict[LineName, TlsMaterial]) -> None:
    async with serving(materials, echo, name=RELAY) as relay, dialling(relay, materials, KIOSK) as kiosk:
        result = await kiosk.ask(Operation.KIOSK_EVENT, b"x", timeout_s=5)
    assert result.body == b"operator-test/kiosk-1 x"


# --- answers


async def _wait(until: Callable[[], bool], within_s: float = 5.0) -> None:
    """Poll a fact."""
    with trio.fail_after(within_s):
        while not until():
            await trio.sleep(0.005)


async def refusal(client: LineClient) -> str:
    """Why a client has no connection."""
    await _wait(lambda: client.refused is not None)
    assert client.refused is not None
    assert client.open_slots == []
    return client.refused


async def test_a_frame_of_many_requests_is_answered_each_with_its_own(materials: dict[LineName, TlsMaterial]) -> None:
    at_once, most = 0, 0

    async def slowly(name: LineName, request: Request) -> tuple[int, bytes]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(0.001)
        at_once -= 1
        return await echo(name, request)

    answers: dict[int, bytes] = {}
    async with serving(materials, slowly, requests_at_once=20) as city, dialling(city, materials) as centre:

        async def ask(index: int) -> None:
            answers[index] = (await centre.ask(Operation.MADE_PART, b"%d" % index, timeout_s=10)).body

        async with trio.open_nursery() as nursery:
            for index in range(256):
                nursery.start_soon(ask, index)
        assert city.server.in_hand == 0
    assert answers == {index: b"centre/certificate %d" % index for index in range(256)}
    assert most == 20


async def test_the_largest_answers_fit(materials: dict[LineName, TlsMaterial]) -> None:
    async def large(_: LineName, request: Request) -> tuple[int, bytes]:
        return Outcome.MADE_PART, request.body * limits.TRANSIENT_BODY_BYTES_MAX

    async with serving(materials, large) as city, dialling(city, materials) as centre:
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(partial(centre.ask, Operation.MADE_PART, b"x", timeout_s=10))
        assert city.server.connections == [CENTRE], "the line stood all the while"


async def _outcome(materials: dict[LineName, TlsMaterial], handle: Handle, deadline_ms: int = 2_000) -> int:
    async with serving(materials, handle) as city, dialling(city, materials) as centre:
        asked = await centre.ask(Operation.ISSUE, b"", retry=False, timeout_s=10, deadline_ms=deadline_ms)
        again = await centre.ask(Operation.REPORTED, b"", retry=False, timeout_s=10, deadline_ms=deadline_ms)
        assert again.outcome == asked.outcome, "the line stands, and the next request is met alike"
    return asked.outcome


async def _raise(_: LineName, request: Request) -> tuple[int, bytes]:
    await trio.lowlevel.checkpoint()
    raise ExceptionGroup("defects", [KeyError(request.operation)])


async def _record(_: LineName, __: Request) -> tuple[int, bytes]:
    return Outcome.ISSUED, b""  # only an entry proves it


async def _flood(_: LineName, __: Request) -> tuple[int, bytes]:
    return Outcome.MADE, bytes(limits.TRANSIENT_BODY_BYTES_MAX + 1)


async def _unheard_of(_: LineName, __: Request) -> tuple[int, bytes]:
    return 999, b""


@pytest.mark.parametrize("handle", [_raise, _record, _flood, _unheard_of])
async def test_what_a_handler_must_not_do_becomes_unavailable(
    materials: dict[LineName, TlsMaterial], handle: Handle
) -> None:
    assert await _outcome(materials, handle) == Outcome.UNAVAILABLE


async def _forever(_: LineName, __: Request) -> tuple[int, bytes]:
    await trio.sleep_forever()
    raise AssertionError("unreachable")


@pytest.mark.parametrize("deadline_ms", [0, 20])
async def test_the_deadline_of_a_request_bounds_its_handling(
    materials: dict[LineName, TlsMaterial], deadline_ms: int
) -> None:
    assert await _outcome(materials, _forever, deadline_ms) == Outcome.DEADLINE_EXCEEDED


async def test_waiting_for_a_turn_counts_against_the_deadline(materials: dict[LineName, TlsMaterial]) -> None:
    async with (
        serving(materials, _forever, requests_at_once=1) as city,
        dialling(city, materials) as centre,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(partial(centre.ask, Operation.ISSUE, b"", timeout_s=20, deadline_ms=limits.DEADLINE_MS_MAX))
        await _wait(lambda: city.server.in_hand == 1)
        late = await centre.ask(Operation.ISSUE, b"", retry=False, timeout_s=10, deadline_ms=20)
        assert late.outcome == Outcome.DEADLINE_EXCEEDED
        nursery.cancel_scope.cancel()


# --- one id, more than once


class Gated:
    """A handler that waits to be let through, and counts."""

    def __init__(self) -> None:
        self.through = trio.Event()
        self.calls: Counter[bytes] = Counter()

    async def __call__(self, name: LineName, request: Request) -> tuple[int, bytes]:
        self.calls[request.body] += 1
        await self.through.wait()
        return await echo(name, request)


async def test_a_copy_of_what_is_in_hand_gets_the_first_ones_answer(materials: dict[LineName, TlsMaterial]) -> None:
    gated = Gated()
    request_id = LineClient.new_id()
    answers = []
    async with (
        serving(materials, gated) as city,
        dialling(city, materials) as one,
        dialling(city, materials) as other,
        trio.open_nursery() as nursery,
    ):

        async def ask(client: LineClient, body: bytes = b"x") -> None:
            answers.append(await client.ask(Operation.ISSUE, body, request_id=request_id, timeout_s=10))

        nursery.start_soon(ask, one)
        await _wait(lambda: city.server.in_hand == 1)
        nursery.start_soon(ask, other)
        different = await other.ask(Operation.ISSUE, b"y", request_id=LineClient.new_id(), timeout_s=10, retry=False,
                                    deadline_ms=1)  # fmt: skip
        assert different.outcome == Outcome.DEADLINE_EXCEEDED  # it came after the copy, which is therefore there
        gated.through.set()
    assert gated.calls[b"x"] == 1
    assert [answer.body for answer in answers] == [b"centre/certificate x"] * 2


async def test_another_question_under_an_id_in_hand_is_refused(materials: dict[LineName, TlsMaterial]) -> None:
    gated = Gated()
    request_id = LineClient.new_id()
    async with (
        serving(materials, gated) as city,
        dialling(city, materials) as one,
        dialling(city, materials) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(partial(one.ask, Operation.ISSUE, b"x", request_id=request_id, timeout_s=10))
        await _wait(lambda: city.server.in_hand == 1)
        result = await other.ask(Operation.ISSUE, b"y", request_id=request_id, timeout_s=10)
        assert result.outcome == Outcome.ID_REUSED
        gated.through.set()
    assert gated.calls == {b"x": 1}


async def test_two_lines_may_use_the_same_id(materials: dict[LineName, TlsMaterial]) -> None:
    request_id = LineClient.new_id()
    async with (
        serving(materials, echo, name=RELAY) as relay,
        dialling(relay, materials, KIOSK) as kiosk,
        dialling(relay, materials, CENTRE) as centre,
    ):
        for client, name in ((kiosk, KIOSK), (centre, CENTRE)):
            result = await client.ask(Operation.KIOSK_CALL, b"", request_id=request_id, timeout_s=10)
            assert result.body.startswith(str(name).encode())


async def test_an_id_twice_in_a_frame_is_answered_once_and_refused_once(
    materials: dict[LineName, TlsMaterial],
) -> None:
    requests = [Request(LineClient.new_id(), Operation.ISSUE, 2_000, b"x")] * 2
    async with serving(materials, echo) as city, raw_peer(city, materials) as peer:
        await peer.tls.send_all(peer.ask(requests[:1]))
        (first,) = await peer.results(1)
        # The peer's half refuses to ask so, hence under its layer: one frame with two copies.
        twice = peer.repeat(requests)
        await peer.tls.send_all(twice)
        outcomes = await peer.outcomes(2)
    assert first.outcome == Outcome.MADE_PART
    assert sorted(outcomes) == [Outcome.DUPLICATE_IN_FRAME, Outcome.MADE_PART]


async def test_a_lost_connection_cancels_nothing_and_the_answer_waits_for_the_next(
    materials: dict[LineName, TlsMaterial],
) -> None:
    gated = Gated()
    async with (
        serving(materials, gated) as city,
        dialling(city, materials) as centre,
        trio.open_nursery() as nursery,
    ):
        answers = []

        async def ask() -> None:
            answers.append(await centre.ask(Operation.ISSUE, b"x", timeout_s=20, deadline_ms=20_000))

        nursery.start_soon(ask)
        await _wait(lambda: city.server.in_hand == 1)
        (connection,) = city.server._acceptor.connections
        connection.scope.cancel()  # as when the network goes
        await _wait(lambda: city.server.connections == [])
        await centre.wait_open()
        await centre.ask(Operation.ISSUE, b"after", retry=False, timeout_s=10, deadline_ms=1)  # the copy came before
        gated.through.set()
    assert gated.calls[b"x"] == 1
    assert answers[0].body == b"centre/certificate x"


# --- who may come


async def test_a_kiosk_that_is_not_in_the_registry_is_turned_away(materials: dict[LineName, TlsMaterial]) -> None:
    async with serving(materials, echo, name=RELAY) as relay, dialling(relay, materials, UNLISTED) as kiosk:
        assert "KEY_UNKNOWN" in await refusal(kiosk)
        assert relay.server.connections == []


async def test_a_line_that_may_not_come_is_unknown(materials: dict[LineName, TlsMaterial]) -> None:
    async with (
        serving(materials, echo, knows=lambda name: name == CENTRE) as city,
        dialling(city, materials, KIOSK) as kiosk,
        dialling(city, materials) as centre,
    ):
        assert "LINE_UNKNOWN" in await refusal(kiosk)
        assert (await centre.ask(Operation.ISSUE, b"", timeout_s=5)).outcome == Outcome.MADE_PART


async def test_a_stranger_with_the_right_name_is_turned_away(
    materials: dict[LineName, TlsMaterial], pki: Pki, tmp_path: Path
) -> None:
    """By its own operator's authority it is that very kiosk; the relay knows another authority."""
    files, _ = Pki(tmp_path).issue(LINE, KIOSK)
    files.anchors.write_bytes(files.anchors.read_bytes() + pki.authority.anchors_pem)  # it believes the relay
    files.crls.write_bytes(files.crls.read_bytes() + (pki.authority.directory / "crl.pem").read_bytes())
    stranger = TlsMaterial(files, now=datetime.now(UTC))
    async with (
        serving(materials, echo, name=RELAY) as relay,
        dialling(relay, materials, KIOSK, material=stranger) as kiosk,
    ):
        assert (await refusal(kiosk)).startswith(TURNED_AWAY_IN_TLS)
        assert relay.server.connections == []


async def test_a_certificate_for_accepting_cannot_dial(materials: dict[LineName, TlsMaterial], pki: Pki) -> None:
    wrong = pki.material(HOST, KIOSK)
    async with (
        serving(materials, echo, name=RELAY) as relay,
        dialling(relay, materials, KIOSK, material=wrong) as kiosk,
    ):
        assert (await refusal(kiosk)).startswith(TURNED_AWAY_IN_TLS)
        assert relay.server.connections == []


async def test_the_centre_does_not_take_another_member_for_a_municipality(
    materials: dict[LineName, TlsMaterial],
) -> None:
    async with (
        serving(materials, echo, name=RELAY) as relay,
        dialling(relay, materials, CENTRE, expected=CITY) as centre,
    ):
        assert "not city-test/issue" in await refusal(centre)


async def test_a_server_whose_line_key_the_bundle_does_not_have_is_not_believed(
    materials: dict[LineName, TlsMaterial],
) -> None:
    other = make_trust(line=lines.STRANGER)
    async with serving(materials, echo) as city, dialling(city, materials, trust=other) as centre:
        assert "server-line" in await refusal(centre)


async def test_it_says_who_is_on(materials: dict[LineName, TlsMaterial]) -> None:
    came: list[LineName] = []
    went: list[LineName] = []
    async with serving(materials, echo, name=RELAY, opened=came.append, closed=went.append) as relay:
        async with dialling(relay, materials, KIOSK) as kiosk, dialling(relay, materials) as centre:
            await kiosk.wait_open()
            await centre.wait_open()
            await _wait(lambda: relay.server.connections == [CENTRE, KIOSK])
        await _wait(lambda: relay.server.connections == [])
    assert sorted(came) == sorted(went) == [CENTRE, KIOSK]


async def test_a_peer_that_does_not_read_holds_nobody_up(materials: dict[LineName, TlsMaterial]) -> None:
    async def large(_: LineName, request: Request) -> tuple[int, bytes]:
        return Outcome.MADE_PART, request.body * limits.TRANSIENT_BODY_BYTES_MAX

    async with (
        serving(materials, large) as city,
        raw_peer(city, materials) as peer,
        dialling(city, materials, KIOSK) as other,
    ):
        requests = [Request(LineClient.new_id(), Operation.MADE_PART, 2_000, b"x") for _ in range(256)]
        await peer.tls.send_all(peer.ask(requests))
        with trio.fail_after(5):
            for _ in range(20):
                await other.ask(Operation.MADE_PART, b"y", timeout_s=5)
        assert len(await peer.results(256)) == 256, "it is slow, not lost"


# --- the end


async def test_what_is_in_hand_is_answered_before_the_end(materials: dict[LineName, TlsMaterial]) -> None:
    gated = Gated()
    async with (
        serving(materials, gated) as city,
        dialling(city, materials) as centre,
        raw_peer(city, materials, KIOSK) as late,
        trio.open_nursery() as nursery,
    ):
        answers = []

        async def ask() -> None:
            answers.append(await centre.ask(Operation.ISSUE, b"x", timeout_s=10))

        nursery.start_soon(ask)
        await _wait(lambda: city.server.in_hand == 1)
        city.stop.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not city.done.is_set()
        await late.tls.send_all(late.ask([Request(LineClient.new_id(), Operation.ISSUE, 2_000, b"new")]))
        assert await late.outcomes(1) == [Outcome.DRAINING]
        gated.through.set()
        with trio.fail_after(5):
            await city.done.wait()
    assert [answer.outcome for answer in answers] == [Outcome.MADE_PART]
    assert gated.calls == {b"x": 1}


async def test_what_does_not_end_in_time_is_told_so(
    materials: dict[LineName, TlsMaterial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_S_MAX", 0.05)
    async with serving(materials, _forever) as city, raw_peer(city, materials) as peer:
        request = Request(LineClient.new_id(), Operation.ISSUE, limits.DEADLINE_MS_MAX, b"x")
        await peer.tls.send_all(peer.ask([request]))
        await _wait(lambda: city.server.in_hand == 1)
        city.stop.set()
        assert await peer.outcomes(1) == [Outcome.UNAVAILABLE]
        with trio.fail_after(5):
            await city.done.wait()
