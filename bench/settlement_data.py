"""What the settlement's benchmark measures: two months of synthetic entries in a database, a payer's month of proofs.

Five operators with 1,000 stores each; a store serves four municipalities and sells six kinds of certificate, so that a
month has up to 120,000 cells. One entry in 200 is a void, one in 2,000 a correction. A payer's entries stand `share` to
a block of twice as many entries, the others being other payers'; the smaller the share, the more signatures there are.
"""

import datetime as dt
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.peers.proof_book import DIRECTORY, open_proof_book
from gateway.settlement.invoices import Heading, Items, make_invoice, rests_on
from gateway.settlement.periods import Period, month
from gateway.settlement.statements import add_up
from gateway.settlement.windows import Freeze, Window, midnight_us
from gateway.store.pool import Database
from gateway.store.settlement import EntryRow, RangeRow
from protocol.checkpoint import Checkpoint
from protocol.invoice import SignedInvoice, encode_invoice, encode_signed, to_sign
from protocol.keys import (
    Algorithm,
    KeyHistory,
    KeyRecord,
    Purpose,
    SignedKeyHistory,
    context,
    encode_signed_history,
    history_to_sign,
)
from protocol.ledger import (
    BLOCK_CONTEXT,
    GENESIS,
    BlockHeader,
    BlockKind,
    CertificateEntry,
    Delivery,
    EntryKind,
    encode_entry,
    encode_header,
)
from protocol.merkle import Tree, leaf_hash
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.receipt import Proof
from protocol.request_id import make_request_id
from protocol.trust import Trust, encode_trust

THIRD: Final = month(2026, 10)
WHOLE: Final = month(2026, 11)
STREAMS: Final = (b"bench stream 001", b"bench stream 002")
A_BLOCK: Final = 16
OPERATOR: Final = "operator-0"
TARIFF: Final = """
[[price]]
from = 2026-04-01
fee = 300
commission = 115
"""
_AT_ONCE: Final = 4096
_ROWS: Final = """
insert into ledger.entry
select $1::bytea, ($6::bigint + n / 2) / {block}, (($6::bigint + n / 2) % {block})::int,
  timestamptz 'epoch' + make_interval(secs => at_us / 1000000.0), 'operator-' || store % 5, 'relay-1',
  md5('request' || tag)::uuid, 26, 'kind-' || h % 6, 0, 'm-' || (store * 7 + h % 4) % 1741, 100, 1,
  sign * copies * 300, sign * copies * 115, 1,
  md5('application' || case when transition = 4 then tag else before end)::uuid, transition, sign * copies,
  at_us, to_char(timestamptz 'epoch' + make_interval(secs => at_us / 1000000.0), 'YYYY-MM-DD'),
  's-' || store, 'kiosk-1'
from (
  select n, tag, before, hashint4(seller) & 2147483647 as h, (hashint4(seller + 7) & 2147483647) % 5000 as store,
    case when n % 200 = 2 then 5 when n % 2000 = 8 then 11 else 4 end as transition,
    case when n % 200 = 2 then -1 else 1 end as sign, 1 + (seller % 10 = 0)::int as copies, at_us
  from (
    select n, $2::text || '/' || n as tag, $2::text || '/' || (n - 2) as before,
      case when n % 200 = 2 or n % 2000 = 8 then n - 2 else n end as seller,
      $3::bigint + (($4::bigint - $3::bigint)::numeric * n / $5::int)::bigint as at_us
    from generate_series($7::int, $5::int - 1, 2) as n
  ) as numbered
) as made
"""


def bounds(of: Period) -> tuple[int, int]:
    """A month in microseconds since 1970."""
    return midnight_us(of.first), midnight_us(of.last + dt.timedelta(days=1))


def heights(entries: int) -> tuple[int, int]:
    """The next height of each stream after the smaller month, and after the larger."""
    first, more = (-(-(count // 2 + 1) // A_BLOCK) for count in (entries // 3, entries))
    return first, first + more


async def fill(owner: Database, entries: int) -> None:
    """Put entries/3 into one month and entries into the next, as if projected. Raises: StoreError."""
    first, second = heights(entries)
    for number, stream in enumerate(STREAMS):
        await owner.execute(
            "insert into ledger.stream (id, role, node, slot, opened_us) values ($1, 'certificate', 'bench', $2, 0)",
            stream,
            number,
        )
        for of, count, height in ((THIRD, entries // 3, 0), (WHOLE, entries, first)):
            sql = _ROWS.format(block=A_BLOCK)
            await owner.execute(sql, stream, of.text, *bounds(of), count, height * A_BLOCK, number)
        await owner.execute("insert into ledger.projected values ($1, $2)", stream, second)
    await owner.execute("vacuum analyze ledger.entry")


class Keys:
    """A centre's keys for the run."""

    def __init__(self) -> None:
        self._keys = {purpose: ec.generate_private_key(ec.SECP256R1()) for purpose in (*_PURPOSES, Purpose.HISTORY)}
        records = [
            KeyRecord(f"{purpose}-1", str(purpose), int(Algorithm.ES256), self._spki(purpose), 0)
            for purpose in self._keys
        ]
        history = KeyHistory("centre", 1, 1, records).encode()
        signed = SignedKeyHistory("history-1", 1, self.sign(Purpose.HISTORY, history_to_sign(history)), history)
        self.trust = Trust(
            centre="centre",
            role="certificate",
            environment="bench",
            root=self._spki(Purpose.HISTORY),
            signed_history=encode_signed_history(signed),
        )

    def sign(self, purpose: Purpose, content: bytes) -> bytes:
        """r||s by the one key of a purpose; its id is the purpose and "-1"."""
        r, s = decode_dss_signature(self._keys[purpose].sign(content, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _spki(self, purpose: Purpose) -> bytes:
        public = self._keys[purpose].public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


_PURPOSES: Final = (Purpose.BLOCK, Purpose.INVOICE)


def make_payer(directory: Path, *, proofs: int, share: int) -> int:
    """A payer's directory: trust.bundle, tariff.toml, a book of proofs, the invoice and its items.

    Returns: the bytes of the book's files.
    """
    keys = Keys()
    directory.mkdir(parents=True)
    (directory / "trust.bundle").write_bytes(encode_trust(keys.trust))
    (directory / "tariff.toml").write_text(TARIFF)
    with open_proof_book(directory / DIRECTORY) as book:
        waiting: list[Proof] = []
        for block in _blocks(proofs, share):
            waiting += _proofs_of(block, keys)
            if len(waiting) >= _AT_ONCE:
                book.add(waiting)
                waiting.clear()
        book.add(waiting)
        book.seal()
        size = sum(each.bytes for each in book.months())
    _bill(directory, keys, proofs=proofs, share=share)
    return size


def _blocks(proofs: int, share: int) -> Iterator[list[EntryRow]]:
    """The payer's rows, block by block, always the same."""
    start_us, end_us = bounds(WHOLE)
    for first in range(0, proofs, share):
        height = first // share
        yield [
            _row(n, height, n - first, start_us + (end_us - start_us) * n // proofs)
            for n in range(first, min(first + share, proofs))
        ]


def _row(n: int, height: int, index: int, at_us: int) -> EntryRow:
    scattered = (n * 2654435761) & 0xFFFFFFFF
    store, copies = scattered % 1000, 1 + (scattered % 10 == 0)
    seed = scattered.to_bytes(4, "big") + n.to_bytes(6, "big")
    return EntryRow(
        STREAMS[0], height, 2 * index, at_us, OPERATOR, f"m-{(store * 7 + scattered % 4) % 1741}",
        f"kind-{scattered % 6}", int(EntryKind.FIRST), make_request_id(at_us // 1000, seed),
        make_request_id(at_us // 1000 - 60_000, seed), 4, copies, copies * 300, copies * 115, 1, at_us, "2026-11-01",
        f"s-{store}", "kiosk-1",
    )  # fmt: skip


def _proofs_of(rows: list[EntryRow], keys: Keys) -> Iterator[Proof]:
    own = [encode_entry(_entry(row)) for row in rows]
    leaves = [each for entry in own for each in (leaf_hash(entry), secrets.token_bytes(32))]
    tree = Tree(leaves)
    header = BlockHeader(
        1, STREAMS[0], rows[0].height, GENESIS, tree.root, len(leaves), rows[-1].at_us, BlockKind.NORMAL
    )
    data = encode_header(header)
    signature = keys.sign(Purpose.BLOCK, context(BLOCK_CONTEXT) + data)
    for place, entry in enumerate(own):
        index = 2 * place
        yield Proof(entry, index, tree.range_proof(index, index + 1), data, f"{Purpose.BLOCK}-1", signature)


def _entry(row: EntryRow) -> CertificateEntry:
    delivery = Delivery(
        row.application, row.transition, row.copies, row.deposited_at_us, row.store_day, row.store, row.kiosk
    )
    return CertificateEntry(
        2, row.party, "relay-1", row.request_id, secrets.token_bytes(32), int(Operation.COMPLETE), row.matter, 0,
        row.counterparty, int(Outcome.COMPLETED), row.kind, row.yen, row.commission, row.terms,
        secrets.token_bytes(32), row.at_us, None, delivery,
    )  # fmt: skip


def _bill(directory: Path, keys: Keys, *, proofs: int, share: int) -> None:
    window = Window(WHOLE)
    statement = add_up((row for rows in _blocks(proofs, share) for row in rows), window)
    items = Items(statement)
    with (directory / "november.items").open("wb") as file:
        for rows in _blocks(proofs, share):
            file.write(items.pack(rows, window))
    frozen_us = bounds(WHOLE)[1] + 9 * 86_400_000_000
    heading = Heading(
        number="bench", issuer="centre", role="certificate", environment="bench", party=OPERATOR,
        issued_on="2026-12-11", due_on="2026-12-18", agreement="synthetic", tax_supplier=OPERATOR, issued_us=frozen_us,
    )  # fmt: skip
    ranges = [RangeRow(STREAMS[0], 0, (proofs - 1) // share, proofs)]
    rests = rests_on(ranges, Checkpoint(keys.trust.origin, 1, bytes(32), frozen_us), Freeze(frozen_us, 1))
    data = encode_invoice(make_invoice(statement, heading, rests=rests, items=items))
    signed = SignedInvoice(data, f"{Purpose.INVOICE}-1", keys.sign(Purpose.INVOICE, to_sign(data)))
    (directory / "november.invoice").write_bytes(encode_signed(signed))
