"""The peer believes an answer only when everything about it holds."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.errors import FaultCode, RemoteProtocolError
from protocol.frames import FrameType
from protocol.keys import Purpose, context
from protocol.ledger import BLOCK_CONTEXT, BlockKind, decode_entry, encode_entry
from protocol.merkle import Tree, leaf_hash
from protocol.messages import BlockShare, Operation, ReceiptQuery, Refusal, Request, ResponseBatch, Transient, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import ResultsReceived
from protocol.states import State
from tests.kit.lines import (
    BLOCK,
    CHECKPOINT,
    DAY_US,
    NOW_US,
    STRANGER,
    Block,
    Pair,
    make_block,
    make_id,
    make_request,
    make_trust,
    record,
)

ASKED = [make_request(n) for n in range(4)]
replace = msgspec.structs.replace


def refuse(pair: Pair, share: BlockShare) -> str:
    """Give the peer a share that it must not believe; why it did not."""
    frame = pair.centre._seal(FrameType.RESPONSE, encode(ResponseBatch(share, [])))
    with pytest.raises(RemoteProtocolError) as refused:
        pair.peer.receive_data(frame)
    assert refused.value.code is FaultCode.PROOF_INVALID
    assert pair.peer.state is State.CLOSED
    return refused.value.detail


def alter_response(share: BlockShare, **fields: object) -> BlockShare:
    """A share whose second response has other fields."""
    responses = list(share.responses)
    responses[1] = replace(responses[1], **fields)
    return replace(share, responses=responses)


def reseal(share: BlockShare, **fields: object) -> BlockShare:
    """A whole block signed over entries of which the second has other fields: the centre itself is wrong."""
    entry = replace(decode_entry(share.responses[1].entry), **fields)
    altered = alter_response(share, entry=encode_entry(entry))
    return sign_over(altered)


def sign_over(share: BlockShare) -> BlockShare:
    """The same responses under a fresh root and signature."""
    tree = Tree([leaf_hash(response.entry) for response in share.responses])
    fields = msgspec.msgpack.decode(share.header)
    fields[4] = tree.root
    header = msgspec.msgpack.encode(fields)
    return replace(share, header=header, signature=BLOCK.sign(context(BLOCK_CONTEXT) + header), proof=[])


def flip(data: bytes, at: int = -1) -> bytes:
    """One bit is another."""
    out = bytearray(data)
    out[at] ^= 1
    return bytes(out)


WHOLE = make_block(ASKED)
ALTERED: dict[str, Callable[[Block], BlockShare]] = {
    "entry": lambda b: alter_response(b.share(), entry=flip(b.responses[1].entry)),
    "entry of another": lambda b: alter_response(b.share(), entry=b.responses[0].entry),
    "entry nested": lambda b: sign_over(alter_response(b.share(), entry=b"\xdc\x00\x12" + b"\x91" * 100_000)),
    "entry junk": lambda b: sign_over(alter_response(b.share(), entry=b"\xc1")),
    "body": lambda b: alter_response(b.share(), body=b"\x93\xa1x\xa0\x00"),
    "key": lambda b: alter_response(b.share(), key=flip(b.responses[1].key)),
    "key padded": lambda b: alter_response(b.share(), key=b.responses[1].key + b"\0"),
    "outcome": lambda b: alter_response(b.share(), outcome=int(Outcome.AMBIGUOUS)),
    "outcome too large": lambda b: reseal(alter_response(b.share(), outcome=1 << 16), outcome=1 << 16),
    "outcome negative": lambda b: reseal(alter_response(b.share(), outcome=-1), outcome=-1),
    "proof altered": lambda b: replace(b.share(0, 2), proof=[flip(b.share(0, 2).proof[0])]),
    "proof missing": lambda b: replace(b.share(0, 2), proof=[]),
    "proof too long": lambda b: replace(b.share(), proof=[bytes(32)]),
    "place": lambda b: replace(b.share(0, 2), first=2),
    "place negative": lambda b: replace(b.share(0, 2), first=-1),
    "place beyond": lambda b: replace(b.share(0, 2), first=1 << 60),
    "no responses": lambda b: replace(b.share(), responses=[]),
    "order": lambda b: replace(b.share(), responses=b.responses[::-1]),
    "header": lambda b: replace(b.share(), header=flip(b.header)),
    "header junk": lambda b: replace(b.share(), header=b""),
    "header nested": lambda b: replace(b.share(), header=b"\x99" + b.header[1:] + b"\x91" * 100_000),
    "signature": lambda b: replace(b.share(), signature=flip(b.signature)),
    "signature empty": lambda b: replace(b.share(), signature=b""),
    "key id": lambda b: replace(b.share(), key_id="nobody"),
    "party": lambda b: reseal(b.share(), party="another"),
    "request id": lambda b: reseal(b.share(), request_id=make_id(77)),
    "operation": lambda b: reseal(b.share(), operation=2),
    "another outcome in the entry": lambda b: reseal(b.share(), outcome=int(Outcome.EXACT)),
    "question": lambda b: reseal(b.share(), request_commitment=bytes(32)),
    "answer": lambda b: reseal(b.share(), response_commitment=bytes(32)),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_answer_is_refused(what: str) -> None:
    pair = Pair().greet()
    pair.deliver(ASKED)
    refuse(pair, ALTERED[what](make_block(ASKED)))


def test_the_same_answer_unaltered_is_believed() -> None:
    pair = Pair().greet()
    pair.deliver(ASKED)
    assert len(pair.answer(sign_over(WHOLE.share()))) == 4


def test_an_answer_twice_is_refused() -> None:
    pair = Pair().greet()
    pair.deliver(ASKED)
    pair.answer(WHOLE.share(0, 1))
    assert "not asked" in refuse(pair, WHOLE.share(0, 1))


def test_an_answer_to_an_id_that_was_not_asked_is_refused() -> None:
    pair = Pair().greet()
    pair.deliver(ASKED[:1])
    assert "not asked" in refuse(pair, make_block([make_request(9)]).share())


def test_a_block_of_a_key_for_another_purpose_or_of_a_stranger_is_refused() -> None:
    for signer in (CHECKPOINT, STRANGER):
        pair = Pair().greet()
        pair.deliver(ASKED)
        refuse(pair, make_block(ASKED, signer=signer).share())


def test_a_block_dated_outside_its_keys_validity_is_refused() -> None:
    pair = Pair().greet()
    pair.deliver(ASKED)
    refuse(pair, make_block(ASKED, at_us=NOW_US - 2 * DAY_US).share())
    pair = Pair(trust=make_trust((record(STRANGER, Purpose.BLOCK, until_us=NOW_US),))).greet()
    pair.deliver(ASKED)
    refuse(pair, make_block(ASKED, signer=STRANGER).share())


def test_a_close_block_answers_nothing() -> None:
    pair = Pair().greet()
    pair.deliver(ASKED)
    assert "CLOSE" in refuse(pair, make_block(ASKED, kind=BlockKind.CLOSE).share())


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_recorded_outcome_without_its_proof_is_refused(outcome: Outcome) -> None:
    pair = Pair().greet()
    pair.deliver(ASKED)
    frame = pair.centre.send_transients([Transient(make_id(0), outcome, encode(Refusal()))])
    if CATALOGUE[outcome].recorded:
        with pytest.raises(RemoteProtocolError) as refused:
            pair.peer.receive_data(frame)
        assert refused.value.code is FaultCode.PROOF_INVALID
    else:
        assert len(pair.peer.receive_data(frame)) == 1


def test_a_receipt_query_is_refused_for_cause_without_proof_but_answered_never() -> None:
    query = Request(make_id(8), Operation.RECEIPT, 1_000, encode(ReceiptQuery(make_id(0))))
    for outcome, believed in ((Outcome.SUSPENDED, True), (Outcome.EXACT, False), (Outcome.DISCLAIMED, False)):
        pair = Pair().greet()
        pair.deliver([query])
        frame = pair.centre.send_transients([Transient(make_id(8), outcome, encode(Refusal()))])
        if believed:
            assert len(pair.peer.receive_data(frame)) == 1
        else:
            with pytest.raises(RemoteProtocolError):
                pair.peer.receive_data(frame)


@given(sizes=st.lists(st.integers(0, limits.TRANSIENT_BODY_BYTES_MAX), min_size=1, max_size=200))
@settings(max_examples=20, deadline=None)
def test_unrecorded_answers_of_any_sizes_go_out_in_few_frames_in_their_order(sizes: list[int]) -> None:
    pair = Pair().greet()
    pair.deliver([make_request(n) for n in range(len(sizes))])
    frames = pair.centre.send_transients(
        [Transient(make_id(n), Outcome.BUSY, bytes(size)) for n, size in enumerate(sizes)]
    )
    events = pair.peer.receive_data(frames)
    results = [result for event in events if isinstance(event, ResultsReceived) for result in event.results]
    assert [(result.request.request_id, len(result.body)) for result in results] == [
        (make_id(n), size) for n, size in enumerate(sizes)
    ]
    assert len(events) <= 2 + sum(sizes) // (limits.FRAME_BYTES_MAX // 4) + len(sizes) // limits.RESPONSES_PER_FRAME_MAX
