"""A whole conversation between both ends, however its bytes are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.centre import RequestsReceived
from protocol.errors import FaultCode, FaultReceivedError, LocalProtocolError, RemoteProtocolError
from protocol.line import PONGS_OWED_MAX, LineEnd, Ponged
from protocol.messages import Notice, NoticeKind, Refusal, Transient, encode
from protocol.outcomes import Outcome
from protocol.peer import CreditChanged, DrainReceived, NoticeReceived, ResultsReceived
from protocol.receipt import verify_receipt
from protocol.states import State
from tests.kit.lines import TRUST, Pair, make_block, make_id, make_request


def test_a_conversation_from_hello_to_drain() -> None:
    pair = Pair().greet()
    assert pair.peer.session == pair.centre.session
    assert len(pair.peer.session) == 32
    requests = [make_request(n) for n in range(5)]
    received = pair.deliver(requests)
    assert received.batch.requests == requests
    assert pair.peer.free_credit == 251
    block = make_block(requests, outcome=Outcome.EXACT)
    results = pair.answer(block.share(0, 3)) + pair.answer(block.share(3, 5))
    assert [result.request for result in results] == requests
    assert [result.entry.yen for result in results if result.entry] == [10] * 5
    assert pair.centre.in_flight == 0
    assert pair.peer.free_credit == 256
    for result in results:
        receipt = result.receipt()
        assert receipt is not None
        assert verify_receipt(receipt, TRUST).opened

    notice = Notice(NoticeKind.TARIFF, 1, "10 yen")
    assert pair.peer.receive_data(pair.centre.send_notice(notice)) == [NoticeReceived(notice)]
    assert pair.peer.receive_data(pair.centre.send_credit(300)) == [CreditChanged(300)]
    assert pair.peer.free_credit == 300

    late = pair.ask([make_request(9)])
    assert pair.peer.receive_data(pair.centre.send_drain(5_000)) == [DrainReceived(5_000)]
    assert (pair.peer.state, pair.centre.state) == (State.LEAVING, State.DRAINING)
    assert pair.peer.free_credit == 0
    assert isinstance(pair.centre.receive_data(late)[0], RequestsReceived)
    turned = [Transient(make_id(9), Outcome.DRAINING, encode(Refusal()))]
    (answer,) = pair.peer.receive_data(pair.centre.send_transients(turned))
    assert isinstance(answer, ResultsReceived)
    assert answer.results[0].entry is None
    assert answer.results[0].receipt() is None


def _conversation() -> tuple[Pair, bytes, bytes]:
    """What each end writes in a fixed conversation, the handshake left out."""
    pair = Pair().greet()
    requests = [make_request(n) for n in range(6)]
    to_centre = pair.ask(requests[:4]) + pair.peer.ping(b"12345678") + pair.ask(requests[4:])
    other = Pair(now_us=pair.now_us).greet()
    other.centre.receive_data(other.ask(requests))
    share = make_block(requests).share()
    pair.centre.in_flight = 6
    to_peer = (
        pair.centre.send_share(share) + pair.centre.ping(b"abcdefgh") + pair.centre.send_credit(7)
        + pair.centre.send_notice(Notice(NoticeKind.HOURS, 2, "8-20"))
    )  # fmt: skip
    pair.centre.in_flight = 0
    return pair, to_centre, to_peer


def _feed(end: LineEnd, data: bytes, cuts: list[int]) -> list[object]:
    events: list[object] = []
    for lo, hi in zip([0, *cuts], [*cuts, len(data)], strict=True):
        events += end.receive_data(data[lo:hi])
    return events


def _facts(events: list[object]) -> list[object]:
    return [
        [(r.request, r.outcome, r.entry) for r in event.results]
        if isinstance(event, ResultsReceived)
        else event.batch.requests
        if isinstance(event, RequestsReceived)
        else event
        for event in events
    ]


def test_every_byte_alone_gives_the_same_events_as_all_at_once() -> None:
    for which in (0, 1):
        pair, to_centre, to_peer = _conversation()
        again, to_centre_again, to_peer_again = _conversation()
        end, data = ((pair.centre, to_centre), (pair.peer, to_peer))[which]
        end_again, data_again = ((again.centre, to_centre_again), (again.peer, to_peer_again))[which]
        whole = _facts(_feed(end, data, []))
        assert len(whole) == (2, 3)[which]
        assert _facts(_feed(end_again, data_again, list(range(1, len(data_again))))) == whole
        assert len(end.take_replies()) == len(end_again.take_replies()) == 29


@settings(max_examples=25, deadline=None)
@given(fractions=st.lists(st.floats(0, 1), max_size=12))
def test_any_cuts_give_the_same_events(fractions: list[float]) -> None:
    pair, to_centre, to_peer = _conversation()
    cuts_centre = sorted(int(f * len(to_centre)) for f in fractions)
    cuts_peer = sorted(int(f * len(to_peer)) for f in fractions)
    assert len(_feed(pair.centre, to_centre, cuts_centre)) == 2
    assert len(_feed(pair.peer, to_peer, cuts_peer)) == 3


def test_a_handshake_byte_by_byte() -> None:
    pair = Pair()
    hello = pair.hello()
    events = _feed(pair.centre, hello, list(range(1, len(hello))))
    assert len(events) == 1
    welcome = pair.welcome()
    assert len(_feed(pair.peer, welcome, list(range(1, len(welcome))))) == 1
    assert pair.peer.session == pair.centre.session


def test_what_follows_welcome_in_the_same_bytes_is_opened() -> None:
    pair = Pair()
    pair.centre.receive_data(pair.hello())
    data = pair.welcome() + pair.centre.send_credit(9)
    assert pair.peer.receive_data(data)[1] == CreditChanged(9)


def test_a_ping_is_answered_with_its_token() -> None:
    pair = Pair().greet()
    assert pair.centre.receive_data(pair.peer.ping(b"tokentok")) == []
    assert pair.peer.receive_data(pair.centre.take_replies()) == [Ponged(b"tokentok")]
    assert pair.centre.take_replies() == b""


def test_a_flood_of_pings_earns_no_more_than_the_bound() -> None:
    pair = Pair().greet()
    flood = b"".join(pair.peer.ping(n.to_bytes(8, "big")) for n in range(1000))
    pair.centre.receive_data(flood)
    assert len(pair.peer.receive_data(pair.centre.take_replies())) == PONGS_OWED_MAX


def test_a_pong_owed_does_not_break_the_seal_of_what_is_sent_before_it() -> None:
    pair = Pair().greet()
    pair.centre.receive_data(pair.peer.ping(b"tokentok"))
    first = pair.centre.send_credit(5)
    assert pair.peer.receive_data(first + pair.centre.take_replies()) == [CreditChanged(5), Ponged(b"tokentok")]


def test_a_fault_opens_although_a_pong_was_owed() -> None:
    pair = Pair().greet()
    frame = bytearray(pair.ask([make_request()]))
    ping_first = Pair().greet()
    data = ping_first.peer.ping(b"tokentok") + frame
    with pytest.raises(RemoteProtocolError) as refused:
        ping_first.centre.receive_data(data)
    fault = ping_first.centre.fault(refused.value)
    assert ping_first.centre.take_replies() == b""
    with pytest.raises(FaultReceivedError) as told:
        ping_first.peer.receive_data(fault)
    assert told.value.code == FaultCode.SEAL_BROKEN


def test_a_fault_before_the_session_is_in_the_clear() -> None:
    pair = Pair(keys={})
    with pytest.raises(RemoteProtocolError) as refused:
        pair.centre.receive_data(pair.hello())
    assert refused.value.code is FaultCode.KEY_UNKNOWN
    with pytest.raises(FaultReceivedError) as told:
        pair.peer.receive_data(pair.centre.fault(refused.value))
    assert told.value.code == FaultCode.KEY_UNKNOWN
    assert pair.peer.state is State.CLOSED


def test_a_refused_request_takes_nothing() -> None:
    pair = Pair(credit=2).greet()
    with pytest.raises(LocalProtocolError):
        pair.peer.requests_to_sign([make_request(n) for n in range(3)])
    with pytest.raises(LocalProtocolError):
        pair.peer.requests_to_sign([make_request(1), make_request(1)])
    assert pair.peer.free_credit == 2
    pair.deliver([make_request(1)])
    with pytest.raises(LocalProtocolError):
        pair.peer.requests_to_sign([make_request(1)])
    assert pair.deliver([make_request(2)]).batch.sequence == 1


def test_requests_that_were_not_signed_are_not_sent() -> None:
    pair = Pair().greet()
    with pytest.raises(LocalProtocolError):
        pair.peer.send_requests([make_request()], b"", algorithm=1, key_id="k", signature=b"")  # type: ignore[arg-type]


def test_requests_signed_while_drain_came_are_still_sent_in_order() -> None:
    pair = Pair().greet()
    requests = [make_request(1)]
    body, _ = pair.peer.requests_to_sign(requests)
    pair.peer.receive_data(pair.centre.send_drain(10))
    from protocol.keys import Algorithm, context
    from tests.kit.lines import PEER

    frame = pair.peer.send_requests(
        requests,
        body,
        algorithm=Algorithm.ES256,
        key_id=PEER.key_id,
        signature=PEER.sign(context("request") + body),
    )
    assert isinstance(pair.centre.receive_data(frame)[0], RequestsReceived)


def test_a_smaller_window_binds_the_peer() -> None:
    pair = Pair(credit=8).greet()
    pair.peer.receive_data(pair.centre.send_credit(1))
    assert pair.peer.free_credit == 1
    assert pair.centre.credit == 8


@pytest.mark.parametrize("window", [0, -1, limits.CREDIT_REQUESTS_MAX + 1])
def test_a_window_outside_its_bounds_is_not_sent(window: int) -> None:
    with pytest.raises(LocalProtocolError):
        Pair().greet().centre.send_credit(window)


def test_a_closed_line_takes_and_gives_nothing() -> None:
    pair = Pair().greet()
    pair.peer.close()
    with pytest.raises(LocalProtocolError):
        pair.peer.receive_data(b"")
    with pytest.raises(LocalProtocolError):
        pair.peer.ping(b"12345678")
    assert pair.peer.take_replies() == b""


def test_no_more_answers_than_requests_are_sent() -> None:
    pair = Pair().greet()
    with pytest.raises(LocalProtocolError):
        pair.centre.send_share(make_block([make_request()]).share())


def test_drain_is_sent_once() -> None:
    pair = Pair().greet()
    pair.centre.send_drain(1)
    with pytest.raises(LocalProtocolError):
        pair.centre.send_drain(1)
