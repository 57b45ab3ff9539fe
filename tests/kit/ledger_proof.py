"""What must hold of the ledger after any fault: chains, signatures, claims, and each id charged exactly once.

And of the provision history beside it: each record shown is in it exactly once, with its block.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from gateway.store.ledger import split_entries
from protocol.ledger import BlockKind, Entry, EntryKind, decode_entry, header_hash
from protocol.merkle import Tree, leaf_hash
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.receipt import verify_block_signature, verify_receipt
from protocol.trust import Trust
from tests.kit.centre import Made

YEN = 10


async def entries_of(made: Made, trust: Trust, *, closed: bool) -> dict[tuple[bytes, int, int], Entry]:
    """Every entry by (stream, height, index), after recomputing all blocks from their bytes.

    closed: every stream must have its CLOSE, as after a drain.
    """
    blocks = await made.owner(
        "select stream, height, header, key_id, signature, entries from ledger.block order by stream, height"
    )
    streams: dict[bytes, list[BlockKind]] = defaultdict(list)
    previous: dict[bytes, bytes] = {}
    found: dict[tuple[bytes, int, int], Entry] = {}
    for stream, height, header_bytes, key_id, signature, packed in blocks:
        header = verify_block_signature(header_bytes, key_id=key_id, signature=signature, trust=trust)
        entries = split_entries(packed)
        assert (header.stream, header.height, header.count) == (stream, height, len(entries))
        assert height == len(streams[stream])
        assert header.previous == previous.get(stream, bytes(32))
        assert BlockKind.CLOSE not in streams[stream], "a block after its stream's end"
        assert header.root == Tree([leaf_hash(entry) for entry in entries]).root
        streams[stream].append(BlockKind(header.kind))
        previous[stream] = header_hash(header_bytes)
        found.update({(stream, height, index): decode_entry(entry) for index, entry in enumerate(entries)})
    if closed:
        for row in await made.owner("select id from ledger.stream"):
            assert streams[row[0]][-1:] == [BlockKind.CLOSE], "a stream was left open"
    return found


async def claims_hold(made: Made, entries: Mapping[tuple[bytes, int, int], Entry]) -> set[bytes]:
    """Each claim names an entry of its id, and each id's first entry has one claim. Returns: ids with a first claim."""
    first = set()
    claimed = set()
    for request_id, turn, stream, height, index in await made.owner(
        "select request_id, turn, stream, height, idx from ledger.claim"
    ):
        entry = entries[stream, height, index]
        if turn == -1:
            assert entry.kind == EntryKind.DISCLAIM
            continue
        assert entry.request_id == request_id
        assert (entry.kind == EntryKind.REPEAT) == (turn > 0)
        claimed.add((stream, height, index))
        if turn == 0:
            first.add(request_id)
    assert claimed == set(entries), "an entry without its claim"
    return first


async def history_holds(made: Made, entries: Mapping[tuple[bytes, int, int], Entry]) -> None:
    """Every block that shows records has a batch of as many, and nothing else has one."""
    shown = Counter(
        (stream, height)
        for (stream, height, _), entry in entries.items()
        if entry.outcome in (Outcome.EXACT, Outcome.VARIANT)
    )
    batches = await made.owner("select stream, height, length(subjects) / 16 from provision.batch")
    assert {(row[0], row[1]): row[2] for row in batches} == shown


async def prove(
    made: Made, trust: Trust, *, asked: Iterable[bytes], results: Mapping[bytes, Result], closed: bool = True
) -> dict[tuple[bytes, int, int], Entry]:
    """All of it, for a load whose every question was one resident's record. Returns: the entries."""
    entries = await entries_of(made, trust, closed=closed)
    first = await claims_hold(made, entries)
    await history_holds(made, entries)
    ids = set(asked)
    assert ids == set(results), "an id was not answered"
    assert {result.outcome for result in results.values()} <= {Outcome.EXACT}
    assert ids <= first
    charges: dict[bytes, list[int]] = defaultdict(list)
    for entry in entries.values():
        if entry.request_id in ids:
            if entry.kind == EntryKind.FIRST:
                charges[entry.request_id].append(entry.yen)
            else:
                assert entry.yen == 0
    assert all(charges[request_id] == [YEN] for request_id in ids), "an id was not charged exactly once"
    for result in results.values():
        receipt = result.receipt()
        assert receipt is not None
        verified = verify_receipt(receipt, trust)
        assert verified.opened
        place = (verified.header.stream, verified.header.height, receipt.proof.index)
        assert entries[place] == verified.entry, "a receipt that the ledger does not have"
    return entries
