"""A desk over real SQLite, a real keystore and verified answers: a line in memory stands for the dedicated line.

`PairLine` joins the protocol's two halves: every answer is a signed block with its proof, verified as over the wire;
what the centre says is scripted. Clock and people are the test's. All residents are synthetic.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import msgspec
import pyotp

from gateway.line.dial import LineError
from gateway.peers.ministry import people
from gateway.peers.ministry.desk import Caller, Question, Right, SignedIn, Terminal
from gateway.peers.ministry.factors import hash_pin
from gateway.peers.ministry.office import MinistryDesk
from gateway.peers.ministry.store import Store, create_store, open_store
from gateway.peers.proof_book import ProofBook, open_proof_book
from hsm.software import SoftwareKeystore
from protocol.commitment import commitment_key
from protocol.keys import Algorithm, Purpose, context
from protocol.ledger import BLOCK_CONTEXT, GENESIS, BlockHeader, BlockKind, encode_entry, encode_header
from protocol.merkle import Tree, leaf_hash
from protocol.messages import Answer, Body, Notice, Refusal, Request, Response, decode_body, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.request_id import make_request_id
from tests.kit import lines

PIN = "2746-winter"
PIN_HASH = hash_pin(PIN)
SECRETS = {user: pyotp.random_base32(32) for user in ("clerk", "second", "boss")}
WINDOW_1, WINDOW_2 = bytes([1]) * 32, bytes([2]) * 32
HOUR_US = 3_600_000_000

HANAKO = [
    2, "01234567890", "合成 花子", "ゴウセイ ハナコ", "1980-05-01", 19800501, 2, "千葉県千葉市中央区千葉港1丁目1番1号",
    "121011", 101, "2019-04-01", "", "", None, True,
]  # fmt: skip
BY_NAME = Question(affair="vehicle-12-1", step=1, case="2026-0001", name="合成花子", address="千葉市中央区千葉港1-1-1")
BY_CODE = Question(affair="vehicle-12-1", step=1, case="2026-0001", code="01234567890")
PERSONAL = ("合成", "花子", "ハナコ", "千葉港", "01234567890", "1980-05-01", "19800501")
"""What must stand nowhere at rest."""

Say = Callable[[int, Body], tuple[Outcome, bytes]]


def found(*differing: str, record: list[object] | None = None) -> tuple[Outcome, bytes]:
    """An answer with Hanako's record."""
    body = encode(Answer(list(differing), msgspec.Raw(msgspec.msgpack.encode(record or HANAKO))))
    return (Outcome.VARIANT if differing else Outcome.EXACT), body


def refused(outcome: Outcome, *, field: str = "", remedy: str = "") -> tuple[Outcome, bytes]:
    """A refusal."""
    return outcome, encode(Refusal(field, remedy))


class Clock:
    """A wall clock that goes when told."""

    def __init__(self) -> None:
        self.us = lines.NOW_US

    def __call__(self) -> int:
        return self.us

    def go(self, *, s: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass."""
        self.us += round((s + minutes * 60 + hours * 3600 + days * 86400) * 1e6)


class PairLine:
    """The line: `say` answers; `asked` are the bodies that came, `ids` their ids; `down` loses every answer."""

    def __init__(self, clock: Clock) -> None:
        self._pair = lines.Pair().greet()
        self._clock = clock
        self.say: Say = lambda _operation, _body: found()
        self.asked: list[Body] = []
        self.ids: list[bytes] = []
        self.down = False
        self.notices: deque[Notice] = deque()
        self.open_slots = [0]
        self.before_answer: Callable[[], None] = lambda: None

    def new_id(self) -> bytes:
        """A fresh id of the clock's time."""
        return make_request_id(self._clock.us // 1000, secrets.token_bytes(10))

    async def ask(self, operation: int, body: bytes, *, request_id: bytes | None = None, timeout_s: float) -> Result:
        """What a LineClient does."""
        request = Request(request_id or self.new_id(), operation, 2_000, body)
        read = decode_body(operation, body)
        self.asked.append(read)
        self.ids.append(request.request_id)
        if self.down:
            raise LineError(f"no answer within {timeout_s} s")
        outcome, answer = self.say(operation, read)
        self._pair.now_us = self._clock.us
        self._pair.deliver([request])
        key = commitment_key(lines.MONTH_KEY, lines.PARTY, request.request_id)
        entry = encode_entry(
            msgspec.structs.replace(
                lines.make_entry(request, outcome=outcome, body=answer, key=key), at_us=self._clock.us
            )
        )
        tree = Tree([leaf_hash(entry)])
        header = encode_header(BlockHeader(1, lines.STREAM, 0, GENESIS, tree.root, 1, self._clock.us, BlockKind.NORMAL))
        block = lines.Block(
            header,
            lines.BLOCK.sign(context(BLOCK_CONTEXT) + header),
            [Response(request.request_id, outcome, answer, key, entry)],
            tree,
        )
        (result,) = self._pair.answer(block.share())
        self.before_answer()
        return result


class Place:
    """A desk with its clock, line, store and file."""

    def __init__(self, directory: Path, store: Store, clock: Clock, book: ProofBook) -> None:
        self.directory = directory
        self.store = store
        self.clock = clock
        self.line = PairLine(clock)
        self.book = book
        self.desk = MinistryDesk(store, self.line, lines.TRUST, party=lines.PARTY, book=book)  # type: ignore[arg-type]

    def code(self, user: str, *, off_s: int = 0) -> str:
        """What the user's authenticator shows, its clock so many seconds off."""
        return pyotp.TOTP(SECRETS[user]).at(self.clock.us // 1_000_000 + off_s)

    async def enter(self, user: str = "clerk", terminal: bytes = WINDOW_1) -> Caller:
        """Sign in with both factors."""
        return Caller(terminal, (await self.signed_in(user, terminal)).token)

    async def signed_in(self, user: str, terminal: bytes) -> SignedIn:
        """Sign in with both factors."""
        challenge = await self.desk.sign_in(terminal, user, PIN)
        return await self.desk.second_factor(terminal, challenge.id, self.code(user))

    def events(self) -> list[tuple[str, str]]:
        """The history's events with their details, oldest first."""
        return [
            (event, detail) for event, detail in self.store.rows("SELECT event, detail FROM history ORDER BY number")
        ]

    def at_rest(self) -> bytes:
        """Every byte in the directory."""
        return b"".join(path.read_bytes() for path in sorted(self.directory.rglob("*")) if path.is_file())


def make_keystore(directory: Path) -> SoftwareKeystore:
    """A keystore with a SEAL key."""
    store = SoftwareKeystore.create(directory / "keystore", "synthetic passphrase", owner="ministry-test")
    store.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=lines.NOW_US - lines.DAY_US)
    return store


@contextmanager
def made_place(directory: Path, keystore: SoftwareKeystore) -> Iterator[Place]:
    """A new desk with three users (clerk and second ask, boss approves and manages) and two terminals."""
    clock = Clock()
    create_store(directory, keystore, "seal-1")
    with open_store(directory, keystore, now_us=clock) as store, open_proof_book(directory / "proofs") as book:
        for user, rights in (
            ("clerk", {Right.INQUIRE}),
            ("second", {Right.INQUIRE, Right.APPROVE}),
            ("boss", {Right.APPROVE, Right.MANAGE}),
        ):
            people.add_user(
                store,
                user=user,
                staff=f"staff-{user}",
                rights=frozenset(rights),
                pin_hash=PIN_HASH,
                totp_secret=SECRETS[user],
                valid_from=date(2026, 4, 1),
                valid_until=None,
                trained_on=date(2026, 4, 1),
            )
        for fingerprint, label in ((WINDOW_1, "window-1"), (WINDOW_2, "window-2")):
            people.add_terminal(
                store,
                Terminal(
                    fingerprint=fingerprint,
                    label=label,
                    not_before_us=lines.NOW_US - lines.DAY_US,
                    not_after_us=lines.NOW_US + 36500 * lines.DAY_US,
                ),
            )
        yield Place(directory, store, clock, book)
