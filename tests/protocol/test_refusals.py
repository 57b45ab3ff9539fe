"""Everything a peer can get wrong closes its line with the stated code, and nothing else ever escapes."""

import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.envelope import pack, unpack
from protocol.errors import FaultCode, FaultReceivedError, LocalProtocolError, RemoteProtocolError
from protocol.frames import FrameReader, FrameType, encode_frame
from protocol.handshake import Hello, encode
from protocol.keys import Algorithm, Purpose, context
from protocol.line import LineEnd
from protocol.messages import Request, RequestBatch
from protocol.session import Opener, Sealer
from protocol.states import MAY_RECEIVE, SEALED, TRANSITIONS, State
from tests.kit.lines import (
    BINDING,
    CENTRE_LINE,
    ENVIRONMENT,
    NOW_US,
    PEER,
    ROLE,
    STRANGER,
    Pair,
    make_id,
    make_request,
    make_trust,
    private_key,
    record,
)

NEST = b"\x91" * 5_000


def refuse(end: LineEnd, data: bytes) -> FaultCode:
    """The code an end refuses bytes with; it is closed afterwards."""
    with pytest.raises(RemoteProtocolError) as refused:
        end.receive_data(data)
    assert end.state is State.CLOSED
    assert end.fault(refused.value)
    return refused.value.code


# --- frames


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ((limits.HANDSHAKE_FRAME_BYTES_MAX + 1).to_bytes(4, "big"), FaultCode.FRAME_TOO_LARGE),
        (b"\xff\xff\xff\xff", FaultCode.FRAME_TOO_LARGE),
        (bytes(4), FaultCode.MALFORMED),
        (b"\0\0\0\1\0", FaultCode.FRAME_UNKNOWN),
        (b"\0\0\0\1\x0b", FaultCode.FRAME_UNKNOWN),
        (b"\0\0\0\1\xff", FaultCode.FRAME_UNKNOWN),
        (b"GET / HTTP/1.1\r\n\r\n", FaultCode.FRAME_TOO_LARGE),
    ],
)
def test_a_bad_frame_header_is_refused(data: bytes, code: FaultCode) -> None:
    assert refuse(Pair().centre, data) is code


def test_the_bound_is_higher_once_the_session_stands() -> None:
    pair = Pair().greet()
    assert refuse(pair.centre, (limits.FRAME_BYTES_MAX + 1).to_bytes(4, "big")) is FaultCode.FRAME_TOO_LARGE
    assert Pair().greet().centre.receive_data(limits.FRAME_BYTES_MAX.to_bytes(4, "big")) == []


def test_a_frame_that_is_cut_short_waits_and_holds_no_more_than_came() -> None:
    reader = FrameReader(1 << 20)
    reader.feed((1 << 20).to_bytes(4, "big") + b"\x03abc")
    assert reader.next_frame() is None
    assert reader.buffered_bytes == 8


def test_what_is_too_large_to_seal_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        Sealer(bytes(32)).seal(FrameType.NOTICE, bytes(limits.FRAME_BYTES_MAX))


# --- the handshake, at the centre


def make_hello(body: bytes, *, algorithm: int = 1, key_id: str = PEER.key_id, signature: bytes | None = None) -> bytes:
    """A HELLO frame over any body, rightly signed unless told otherwise."""
    signature = PEER.sign(context("hello") + BINDING + body) if signature is None else signature
    return encode_frame(FrameType.HELLO, pack(algorithm, key_id, signature, body))  # type: ignore[arg-type]


POINT = private_key("p").public_key().public_numbers()
EPHEMERAL = b"\4" + POINT.x.to_bytes(32, "big") + POINT.y.to_bytes(32, "big")
HELLO = Hello([1], ROLE, ENVIRONMENT, bytes(32), EPHEMERAL)
GOOD = encode(HELLO)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (make_hello(GOOD, signature=bytes(64)), FaultCode.SIGNATURE_INVALID),
        (make_hello(GOOD, signature=b""), FaultCode.SIGNATURE_INVALID),
        (make_hello(GOOD, signature=STRANGER.sign(context("hello") + BINDING + GOOD)), FaultCode.SIGNATURE_INVALID),
        (make_hello(GOOD, signature=PEER.sign(context("request") + BINDING + GOOD)), FaultCode.SIGNATURE_INVALID),
        (make_hello(GOOD, signature=PEER.sign(context("hello") + bytes(64) + GOOD)), FaultCode.SIGNATURE_INVALID),
        (make_hello(GOOD, key_id="nobody"), FaultCode.KEY_UNKNOWN),
        (make_hello(GOOD, algorithm=2), FaultCode.ALGORITHM_UNKNOWN),
        (make_hello(GOOD, algorithm=0), FaultCode.ALGORITHM_UNKNOWN),
        (make_hello(GOOD, algorithm=3), FaultCode.ALGORITHM_UNKNOWN),
        (make_hello(encode(msgspec.structs.replace(HELLO, versions=[2, 3]))), FaultCode.VERSION_UNKNOWN),
        (make_hello(encode(msgspec.structs.replace(HELLO, versions=[]))), FaultCode.VERSION_UNKNOWN),
        (make_hello(encode(msgspec.structs.replace(HELLO, role="certificate"))), FaultCode.WRONG_CENTRE),
        (make_hello(encode(msgspec.structs.replace(HELLO, environment="production"))), FaultCode.WRONG_CENTRE),
        (make_hello(encode(msgspec.structs.replace(HELLO, nonce=bytes(31)))), FaultCode.MALFORMED),
        (make_hello(encode(msgspec.structs.replace(HELLO, ephemeral=bytes(65)))), FaultCode.MALFORMED),
        (make_hello(encode(msgspec.structs.replace(HELLO, ephemeral=b"\4" * 65))), FaultCode.MALFORMED),
        (make_hello(GOOD + b"\0"), FaultCode.MALFORMED),
        (make_hello(GOOD[:-1]), FaultCode.MALFORMED),
        (make_hello(b""), FaultCode.MALFORMED),
        (make_hello(NEST), FaultCode.MALFORMED),
        (make_hello(b"\x95\xdd\xff\xff\xff\xff"), FaultCode.MALFORMED),
        (make_hello(b"\x96" + GOOD[1:] + b"\xc0"), FaultCode.MALFORMED),
        (make_hello(GOOD.replace(b"\x91\x01", b"\x91\xcc\x01", 1)), FaultCode.NOT_CANONICAL),
        (make_hello(GOOD.replace(b"\xa7inquiry", b"\xa7inqu\xffry")), FaultCode.MALFORMED),
        (encode_frame(FrameType.HELLO, b""), FaultCode.MALFORMED),
        (encode_frame(FrameType.HELLO, b"\x01"), FaultCode.MALFORMED),
        (encode_frame(FrameType.HELLO, b"\x01\x00\x00\x00"), FaultCode.MALFORMED),
        (encode_frame(FrameType.HELLO, b"\x01\x41" + b"k" * 65 + b"\x00\x00"), FaultCode.MALFORMED),
        (encode_frame(FrameType.HELLO, b"\x01\x01\xff\x00\x00"), FaultCode.MALFORMED),
        (encode_frame(FrameType.HELLO, b"\x01\x01k\xff\xff" + bytes(100)), FaultCode.MALFORMED),
        (encode_frame(FrameType.HELLO, b"\x01\x01k\x0c\xee" + bytes(4_000)), FaultCode.MALFORMED),
    ],
)
def test_a_bad_hello_is_refused(frame: bytes, code: FaultCode) -> None:
    assert refuse(Pair().centre, frame) is code


def test_a_hello_of_another_tls_connection_is_refused() -> None:
    pair = Pair()
    frame = pair.hello()
    other = Pair()
    other.centre._binding = bytes(64)
    assert refuse(other.centre, frame) is FaultCode.SIGNATURE_INVALID


# --- the handshake, at the peer


def test_a_welcome_of_another_key_is_refused() -> None:
    for signer, extra in ((STRANGER, ()), (STRANGER, (record(STRANGER, Purpose.BLOCK),))):
        pair = Pair(trust=make_trust(extra))
        pair.centre.receive_data(pair.hello())
        assert refuse(pair.peer, pair.welcome(signer)) is FaultCode.SIGNATURE_INVALID


def test_a_welcome_of_a_key_past_its_end_is_refused() -> None:
    pair = Pair(trust=make_trust((record(STRANGER, Purpose.LINE, until_us=NOW_US),)))
    pair.centre.receive_data(pair.hello())
    assert refuse(pair.peer, pair.welcome(STRANGER)) is FaultCode.SIGNATURE_INVALID


def test_a_welcome_to_another_hello_is_refused() -> None:
    pair, other = Pair(), Pair()
    pair.centre.receive_data(pair.hello())
    other.hello()
    other.peer._hello_body += b"\0"
    assert refuse(other.peer, pair.welcome()) is FaultCode.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        (0, 2, FaultCode.VERSION_UNKNOWN),
        (1, "certificate", FaultCode.WRONG_CENTRE),
        (2, "production", FaultCode.WRONG_CENTRE),
        (3, b"short", FaultCode.MALFORMED),
        (4, b"\4" * 65, FaultCode.MALFORMED),
        (5, 2, FaultCode.MALFORMED),
        (5, -1, FaultCode.MALFORMED),
        (6, 5_000, FaultCode.MALFORMED),
        (7, 0, FaultCode.MALFORMED),
        (7, limits.CREDIT_REQUESTS_MAX + 1, FaultCode.MALFORMED),
        (8, 0, FaultCode.MALFORMED),
        (8, "x", FaultCode.MALFORMED),
    ],
)
def test_a_bad_welcome_is_refused(place: int, value: object, code: FaultCode) -> None:
    pair = Pair()
    pair.centre.receive_data(pair.hello())
    envelope = unpack(pair.welcome()[5:])
    fields = msgspec.msgpack.decode(envelope.body)
    fields[place] = value
    body = msgspec.msgpack.encode(fields)
    frame = encode_frame(FrameType.WELCOME, pack(Algorithm.ES256, CENTRE_LINE.key_id, bytes(64), body))
    assert refuse(pair.peer, frame) is code


# --- requests


def sealed(pair: Pair, content: bytes, kind: FrameType = FrameType.REQUEST) -> bytes:
    """A frame of the peer with any content, rightly sealed."""
    return pair.peer._seal(kind, content)


def signed(body: bytes, *, key_id: str = PEER.key_id, algorithm: int = 1, signature: bytes | None = None) -> bytes:
    """An envelope over any REQUEST body, rightly signed unless told otherwise."""
    signature = PEER.sign(context("request") + body) if signature is None else signature
    return pack(algorithm, key_id, signature, body)  # type: ignore[arg-type]


def batch(
    pair: Pair, *requests: Request, sequence: int = 0, session: bytes | None = None, at_us: int = NOW_US
) -> bytes:
    """A REQUEST body."""
    return encode(RequestBatch(pair.peer.session if session is None else session, sequence, at_us, list(requests)))


ONE = make_request()
BAD_REQUESTS: list[tuple[str, Callable[[Pair], bytes], FaultCode]] = [
    ("wrong session", lambda p: signed(batch(p, ONE, session=bytes(32))), FaultCode.SESSION_WRONG),
    ("sequence skipped", lambda p: signed(batch(p, ONE, sequence=1)), FaultCode.SEQUENCE_WRONG),
    ("sequence negative", lambda p: signed(batch(p, ONE, sequence=-1)), FaultCode.SEQUENCE_WRONG),
    ("clock behind", lambda p: signed(batch(p, ONE, at_us=NOW_US - 60_000_001)), FaultCode.CLOCK_SKEWED),
    ("clock ahead", lambda p: signed(batch(p, ONE, at_us=NOW_US + 60_000_001)), FaultCode.CLOCK_SKEWED),
    ("no requests", lambda p: signed(batch(p)), FaultCode.MALFORMED),
    ("too many", lambda p: signed(batch(p, *[make_request(n) for n in range(257)])), FaultCode.MALFORMED),
    ("bad signature", lambda p: signed(batch(p, ONE), signature=bytes(64)), FaultCode.SIGNATURE_INVALID),
    ("short signature", lambda p: signed(batch(p, ONE), signature=bytes(63)), FaultCode.SIGNATURE_INVALID),
    (
        "signed as HELLO",
        lambda p: signed(batch(p, ONE), signature=PEER.sign(context("hello") + batch(p, ONE))),
        FaultCode.SIGNATURE_INVALID,
    ),
    ("unknown key", lambda p: signed(batch(p, ONE), key_id="nobody"), FaultCode.KEY_UNKNOWN),
    ("unknown algorithm", lambda p: signed(batch(p, ONE), algorithm=9), FaultCode.ALGORITHM_UNKNOWN),
    ("another algorithm", lambda p: signed(batch(p, ONE), algorithm=2), FaultCode.ALGORITHM_UNKNOWN),
    ("id too short", lambda p: signed(batch(p, Request(b"x", 1, 1, b""))), FaultCode.MALFORMED),
    ("operation too large", lambda p: signed(batch(p, Request(make_id(1), 256, 1, b""))), FaultCode.MALFORMED),
    ("operation negative", lambda p: signed(batch(p, Request(make_id(1), -1, 1, b""))), FaultCode.MALFORMED),
    ("not MessagePack", lambda p: signed(b"\xc1"), FaultCode.MALFORMED),
    ("wrong type", lambda p: signed(msgspec.msgpack.encode(["s", 0, 0, []])), FaultCode.MALFORMED),
    ("deeply nested", lambda p: signed(NEST), FaultCode.MALFORMED),
    ("deeply nested extra", lambda p: signed(b"\x95" + batch(p, ONE)[1:] + NEST), FaultCode.MALFORMED),
    ("a field more", lambda p: signed(b"\x95" + batch(p, ONE)[1:] + b"\xc0"), FaultCode.NOT_CANONICAL),
    (
        "longer form",
        lambda p: signed(batch(p, ONE).replace(b"\xc4\x20" + p.peer.session, b"\xc5\0\x20" + p.peer.session)),
        FaultCode.NOT_CANONICAL,
    ),
    ("empty envelope", lambda p: b"", FaultCode.MALFORMED),
]


@pytest.mark.parametrize(("make", "code"), [row[1:] for row in BAD_REQUESTS], ids=[row[0] for row in BAD_REQUESTS])
def test_a_bad_request_frame_is_refused(make: Callable[[Pair], bytes], code: FaultCode) -> None:
    pair = Pair(credit=512).greet()
    assert refuse(pair.centre, sealed(pair, make(pair))) is code


def test_the_edge_of_the_clock_is_allowed() -> None:
    pair = Pair().greet()
    assert pair.centre.receive_data(sealed(pair, signed(batch(pair, ONE, at_us=NOW_US - 60_000_000))))


def test_a_repeated_sequence_is_refused() -> None:
    pair = Pair().greet()
    pair.deliver([ONE])
    assert refuse(pair.centre, sealed(pair, signed(batch(pair, make_request(1))))) is FaultCode.SEQUENCE_WRONG


def test_a_request_over_the_credit_is_refused() -> None:
    pair = Pair(credit=2).greet()
    pair.deliver([make_request(1), make_request(2)])
    body = batch(pair, make_request(3), sequence=1)
    assert refuse(pair.centre, sealed(pair, signed(body))) is FaultCode.CREDIT_EXCEEDED


def test_a_withdrawn_key_is_not_believed_in_the_next_frame() -> None:
    pair = Pair().greet()
    pair.deliver([make_request(1)])
    pair.keys.clear()
    assert refuse(pair.centre, pair.ask([make_request(2)])) is FaultCode.KEY_UNKNOWN


@pytest.mark.parametrize("place", [4, 5, 30, -1])
def test_an_altered_sealed_frame_does_not_open(place: int) -> None:
    pair = Pair().greet()
    frame = bytearray(pair.ask([ONE]))
    frame[place] ^= 1
    if place == 4:
        frame[place] = FrameType.PING  # the header is covered too
    assert refuse(pair.centre, bytes(frame)) is FaultCode.SEAL_BROKEN


def test_a_repeated_a_skipped_and_a_reflected_frame_do_not_open() -> None:
    pair = Pair().greet()
    frame = pair.peer.ping(bytes(8))
    pair.centre.receive_data(frame)
    assert refuse(pair.centre, frame) is FaultCode.SEAL_BROKEN
    pair = Pair().greet()
    pair.peer.ping(bytes(8))
    assert refuse(pair.centre, pair.peer.ping(bytes(8))) is FaultCode.SEAL_BROKEN
    pair = Pair().greet()
    assert refuse(pair.peer, pair.peer.ping(bytes(8))) is FaultCode.SEAL_BROKEN


@pytest.mark.parametrize("kind", [FrameType.PING, FrameType.PONG])
@pytest.mark.parametrize("size", [0, 7, 9])
def test_a_heartbeat_of_another_size_is_refused(kind: FrameType, size: int) -> None:
    pair = Pair().greet()
    assert refuse(pair.centre, sealed(pair, bytes(size), kind)) is FaultCode.MALFORMED


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        (FrameType.CREDIT, encode([0]), FaultCode.MALFORMED),
        (FrameType.CREDIT, encode([limits.CREDIT_REQUESTS_MAX + 1]), FaultCode.MALFORMED),
        (FrameType.CREDIT, b"\x91\xcc\x01", FaultCode.NOT_CANONICAL),
        (FrameType.NOTICE, b"\x93\x01\x01\xa1\xff", FaultCode.MALFORMED),
        (FrameType.NOTICE, NEST, FaultCode.MALFORMED),
        (FrameType.DRAIN, b"", FaultCode.MALFORMED),
        (FrameType.FAULT, b"\x91\x01", FaultCode.MALFORMED),
        (FrameType.RESPONSE, b"\x92\xc0\xdd\xff\xff\xff\xff", FaultCode.MALFORMED),
    ],
)
def test_a_bad_message_of_the_centre_is_refused(kind: FrameType, content: bytes, code: FaultCode) -> None:
    pair = Pair().greet()
    assert refuse(pair.peer, pair.centre._seal(kind, content)) is code


# --- states


def stand(state: State) -> tuple[LineEnd, Pair]:
    """An end in a state."""
    pair = Pair()
    end: LineEnd = pair.centre
    if state is State.WELCOMING:
        pair.centre.receive_data(pair.hello())
    elif state in {State.SERVING, State.DRAINING}:
        pair.greet()
        if state is State.DRAINING:
            pair.centre.send_drain(1)
    elif state in {State.GREETING, State.AWAIT_WELCOME}:
        end = pair.peer
        if state is State.AWAIT_WELCOME:
            pair.hello()
    elif state in {State.ASKING, State.LEAVING}:
        pair.greet()
        end = pair.peer
        if state is State.LEAVING:
            pair.peer.receive_data(pair.centre.send_drain(1))
    assert end.state is state
    return end, pair


UNEXPECTED = [(s, k) for s in State if s is not State.CLOSED for k in FrameType if k not in MAY_RECEIVE[s]]


@pytest.mark.parametrize(("state", "kind"), UNEXPECTED, ids=[f"{k.name}-while-{s}" for s, k in UNEXPECTED])
def test_a_frame_the_table_does_not_allow_is_unexpected(state: State, kind: FrameType) -> None:
    end, pair = stand(state)
    if state in SEALED:
        other: LineEnd = pair.peer if end is pair.centre else pair.centre
        frame = other._seal(kind, b"")
    else:
        frame = encode_frame(kind, b"")
    assert refuse(end, frame) is FaultCode.FRAME_UNEXPECTED


def test_every_state_is_in_both_tables_and_leads_to_closed() -> None:
    assert set(MAY_RECEIVE) == set(TRANSITIONS) == set(State)
    for state, ways in TRANSITIONS.items():
        assert (State.CLOSED in ways) == (state is not State.CLOSED)


# --- anything at all


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=600), state=st.sampled_from([s for s in State if s is not State.CLOSED]))
def test_random_bytes_raise_nothing_but_protocol_errors(data: bytes, state: State) -> None:
    end, _ = stand(state)
    try:
        end.receive_data(data)
    except (RemoteProtocolError, FaultReceivedError):
        assert end.state is State.CLOSED


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), kind=st.sampled_from(FrameType), to_centre=st.booleans(), enveloped=st.booleans())
def test_random_content_rightly_sealed_raises_nothing_but_protocol_errors(
    data: bytes, kind: FrameType, to_centre: bool, enveloped: bool
) -> None:
    pair = Pair().greet()
    end, other = (pair.centre, pair.peer) if to_centre else (pair.peer, pair.centre)
    try:
        end.receive_data(other._seal(kind, signed(data) if enveloped else data))
    except (RemoteProtocolError, FaultReceivedError):
        assert end.state is State.CLOSED


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0), flip=st.integers(1, 255), cut=st.booleans())
def test_any_altered_handshake_is_refused_or_awaited(at: int, flip: int, cut: bool) -> None:
    pair = Pair()
    frame = bytearray(pair.hello())
    at %= len(frame)
    if cut:
        del frame[at]
    else:
        frame[at] ^= flip
    try:
        events = pair.centre.receive_data(bytes(frame))
    except (RemoteProtocolError, FaultReceivedError):
        return
    assert events == []


def test_a_stranger_who_sends_much_holds_little() -> None:
    pair = Pair()
    chunk = bytes((0, 0, 0x1F, 0xFF)) + b"\1" + b"\xaa" * 4_000
    tracemalloc.start()
    try:
        pair.centre.receive_data(chunk)
        with pytest.raises(RemoteProtocolError):
            pair.centre.receive_data(chunk * 10)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_an_opener_counts_only_what_it_opened() -> None:
    sealer, opener, reader = Sealer(bytes(32)), Opener(bytes(32)), FrameReader()
    for n in range(3):
        reader.feed(sealer.seal(FrameType.PING, bytes([n])))
        frame = reader.next_frame()
        assert frame is not None
        assert opener.open(frame) == bytes([n])
