"""提供状況: what a block provided, of whom, in a form that only the centre can open and only while its year lasts.

Theory. Each year in Japan has one secret, wrapped by the keystore. Three keys come from it: two make tokens (of the
resident's record id, of the case reference), by which rows are found again; one seals the details. Whoever destroys the
secret destroys all three: nothing of that year can then be opened, or matched with a person or a case. The ledger's
entry beside it names nobody, so nothing personal outlives the year's key.

A block that provides something carries one batch: tokens of 16 bytes, one a record in the order of the entries, and
the details under one AES-256-GCM seal that is bound to stream, height, year and tokens. Free repeats that show data
again are provisions like any other.

Invariants kept here: a token never leaves the year it was made in; a batch does not open in another block's place.
Not here: the statement that makes it durable (gateway.store.ledger), what people search (gateway.inquiry.history).
Source: DESIGN sections 3 and 9; DOMAIN 2.4.
"""

from collections.abc import Awaitable, Callable, Sequence
from enum import IntFlag
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.directory.hours import jst_date
from gateway.inquiry.errors import InquiryError
from gateway.store.ledger import Riding
from gateway.store.provision import Batch
from protocol.mac import mac

TOKEN_BYTES: Final = 16
SECRET_BYTES: Final = 32
NONCE_BYTES: Final = 12
_LABEL: Final = b"sekisho/1 history "


class Given(IntFlag):
    """What of a record was provided (本人確認情報の項目)."""

    FOUR_ITEMS = 1  # 氏名・生年月日・性別・住所, with 旧氏 and 通称 where there are any
    CODE = 2  # 住民票コード
    CHANGES = 4  # 変更情報: 異動事由, 異動年月日
    MY_NUMBER = 8  # 個人番号

    @property
    def ja(self) -> str:
        """For people, in Japanese."""
        return "、".join(_GIVEN_JA[each] for each in Given if each in self)

    @property
    def en(self) -> str:
        """For people, in English."""
        return ", ".join(_GIVEN_EN[each] for each in Given if each in self)


_GIVEN_JA: Final = {
    Given.FOUR_ITEMS: "氏名・生年月日・性別・住所",
    Given.CODE: "住民票コード",
    Given.CHANGES: "変更情報",
    Given.MY_NUMBER: "個人番号",
}
_GIVEN_EN: Final = {
    Given.FOUR_ITEMS: "name, date of birth, sex, address",
    Given.CODE: "resident code",
    Given.CHANGES: "change information",
    Given.MY_NUMBER: "individual number",
}
RECORD_GIVEN: Final = Given.FOUR_ITEMS | Given.CODE | Given.CHANGES
"""What every answer with a record shows."""


class ProvisionCorrupt(InquiryError):  # noqa: N818  the field speaks of the state of the history, not of an error
    """A stored batch is not what was sealed for its block. Fields: stream, height, ground."""

    code = "provision-corrupt"

    def __init__(self, stream: bytes, height: int, ground: str) -> None:
        super().__init__(f"provision batch of stream {stream.hex()} height {height}: {ground}")
        self.stream = stream
        self.height = height
        self.ground = ground


class YearGone(InquiryError):  # noqa: N818  same reading as above
    """The history of a year has no key: it was retired, or nothing was ever provided in it. Fields: year."""

    code = "history-year-gone"

    def __init__(self, year: int) -> None:
        super().__init__(f"the provision history of {year} has no key: the year was retired, or it never had any")
        self.year = year


class Provided(msgspec.Struct, frozen=True, gc=False):
    """One record that an answer shows: record id of the resident (16 bytes), who asked, for which case, what of it.

    approval: request id of the second person's approval, where one was needed.
    """

    subject: bytes
    staff: str
    case: str
    given: int
    approval: bytes | None = None


class Detail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is sealed of one record provided; the entry at `index` of the block says the rest."""

    index: int
    staff: str
    case: str
    given: int
    approval: bytes | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Detail]).decode


def year_of(at_us: int) -> int:
    """The year in Japan."""
    return jst_date(at_us).year


class HistoryKeys:
    """The keys of one year, derived from its secret of 32 bytes. Raises: ValueError for another length."""

    __slots__ = ("_case", "_open", "_seal", "_subject", "year")

    def __init__(self, year: int, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a year's secret has {SECRET_BYTES} bytes")
        self.year = year
        self._subject, self._case, data = (mac(secret, _LABEL + purpose) for purpose in (b"subject", b"case", b"data"))
        aead = AESGCM(data)
        self._seal = aead.encrypt
        self._open = aead.decrypt

    def __repr__(self) -> str:
        return f"HistoryKeys(year={self.year})"

    def subject_token(self, record_id: bytes) -> bytes:
        """Token of a resident in this year; 16 bytes."""
        return mac(self._subject, record_id)[:TOKEN_BYTES]

    def case_token(self, case: str) -> bytes:
        """Token of a case reference in this year; 16 bytes."""
        return mac(self._case, case.encode())[:TOKEN_BYTES]

    def batch(
        self, provided: Sequence[tuple[int, Provided]], *, stream: bytes, height: int, at_us: int, nonce: bytes
    ) -> Batch:
        """Seal what a block provided: (index of its entry, what) each."""
        key = self._subject
        subjects = b"".join([mac(key, each.subject)[:TOKEN_BYTES] for _, each in provided])
        details = _encode([(index, each.staff, each.case, each.given, each.approval) for index, each in provided])
        return Batch(
            self.year, at_us, subjects, nonce + self._seal(nonce, details, self._bound(stream, height, subjects))
        )

    def details(self, stream: bytes, height: int, batch: Batch) -> list[Detail]:
        """Open a batch where it stands, one detail a token. Raises: ProvisionCorrupt."""
        try:
            sealed, bound = batch.sealed, self._bound(stream, height, batch.subjects)
            details = _decode(self._open(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound))
        except (InvalidTag, ValueError) as error:  # ValueError: too short, or not what a batch holds
            raise ProvisionCorrupt(stream, height, "does not open") from error
        if len(details) * TOKEN_BYTES != len(batch.subjects):
            raise ProvisionCorrupt(stream, height, "has not one token a record")
        return details

    def _bound(self, stream: bytes, height: int, subjects: bytes) -> bytes:
        return b"%b%b%d|%d|%b" % (_LABEL, stream, height, self.year, subjects)


KeysOf = Callable[[int], Awaitable[HistoryKeys]]
"""The keys of a year, made if it has none. Raises: StoreError, HsmError."""


class _Final(Protocol):
    @property
    def provided(self) -> object | None: ...


class ProvisionRider:
    """Builds a block's batch for the recorder (gateway.ledger.recording.Rider)."""

    def __init__(self, *, keys: KeysOf, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random

    async def __call__(self, finals: Sequence[_Final], *, stream: bytes, height: int, at_us: int) -> Riding | None:
        """The batch of a block with these finals, or None when they provide nothing. Raises: StoreError, HsmError."""
        provided = [(i, p) for i, final in enumerate(finals) if isinstance(p := final.provided, Provided)]
        if not provided:
            return None
        keys = await self._keys(year_of(at_us))
        batch = keys.batch(provided, stream=stream, height=height, at_us=at_us, nonce=self._random(NONCE_BYTES))
        return batch.riding()
