"""The corpus through the real path: tokens, sealed rows, matching, answer; and what that comes to in figures."""

import hashlib
from functools import cache
from typing import NamedTuple

import msgspec

from gateway.inquiry.answering import answer_by_name
from gateway.inquiry.births import parse_birth
from gateway.inquiry.index import name_tokens, query_tokens
from gateway.inquiry.record import SCHEMA, ResidentRecord, decode_provided, encode_record
from gateway.inquiry.sealing import RegisterKeys
from gateway.inquiry.synthetic import residents
from gateway.store.register import SealedRow
from protocol.messages import Answer, InquiryByName
from tests.inquiry.corpus.cases import Case, Person

KEYS = RegisterKeys(b"i" * 32, {2: b"d" * 32}, 2)
BACKGROUND = 300
"""Other residents who are in the register of every case, so that tokens have something to miss."""


class Result(NamedTuple):
    """What a case came to. `released`: place in the case's people, -1 for one of the others, None for nobody."""

    outcome: str
    released: int | None
    differing: tuple[str, ...]


class Figures(NamedTuple):
    """Precision over what was released; recall over what should be."""

    released: int
    rightly: int
    wanted: int

    @property
    def precision(self) -> float:
        """Of the records released, the share that were the ones meant."""
        return self.rightly / self.released

    @property
    def recall(self) -> float:
        """Of the people who should be released, the share that were."""
        return self.rightly / self.wanted


def ask(case: Case) -> Result:
    """Put a case's question to a register of its people and the background."""
    register: dict[bytes, list[SealedRow]] = {}
    people = [_entered(place, person) for place, person in enumerate(case.people)]
    for row, tokens in (*people, *_background()):
        for token in tokens:
            register.setdefault(token, []).append(row)
    query = InquiryByName(
        "vehicle-12-1", 1, "staff", "case", case.ask.name, case.ask.address, case.ask.birth, case.ask.sex
    )
    found = {
        row.record_id: row
        for token in query_tokens(KEYS.index_key, query.name, query.address, query.birth)
        for row in register.get(token, ())
    }
    answered = answer_by_name(query, list(found.values()), KEYS, history=case.ask.history)
    if not answered.count:
        return Result(answered.outcome.name, None, ())
    body = msgspec.msgpack.decode(answered.body, type=Answer)
    ids = [row.record_id for row, _ in people]
    released = ids.index(answered.subject) if answered.subject in ids else -1
    if released >= 0 and decode_provided(body.record).name != case.people[released].name:
        released = -1
    return Result(answered.outcome.name, released, tuple(body.differing))


def figures(cases: list[Case], results: list[Result]) -> Figures:
    """Count over cases and their results."""
    pairs = list(zip(cases, results, strict=True))
    return Figures(
        released=sum(result.released is not None for _, result in pairs),
        rightly=sum(result.released is not None and result.released == case.meant for case, result in pairs),
        wanted=sum(case.meant is not None for case in cases),
    )


def report(cases: list[Case], results: list[Result]) -> str:
    """The figures, and a line for each case that came out otherwise than it is labelled."""
    total = figures(cases, results)
    lines = [
        f"{len(cases)} cases, {total.wanted} to be released, {total.released} released, {total.rightly} rightly",
        f"precision {total.precision:.4f}  recall {total.recall:.4f}",
    ]
    lines += [
        f"  {case.id}: {case.outcome} {case.differing} expected, {result.outcome} {result.differing}"
        for case, result in zip(cases, results, strict=True)
        if (case.outcome, case.meant, case.differing) != result
    ]
    return "\n".join(lines)


def _row(record: ResidentRecord, record_id: bytes) -> tuple[SealedRow, set[bytes]]:
    nonce = hashlib.sha256(record_id).digest()[:12]
    sealed = KEYS.seal(encode_record(record), record_id=record_id, version=1, schema=SCHEMA, nonce=nonce)
    return SealedRow(record_id, 1, KEYS.current, SCHEMA, sealed), name_tokens(KEYS.index_key, record)


@cache
def _entered(place: int, person: Person) -> tuple[SealedRow, set[bytes]]:
    birth = parse_birth(person.birth)
    record = ResidentRecord(
        SCHEMA, f"{place:011d}", person.name, person.kana, person.birth, birth.sort, person.sex, person.address,
        "131148", 104, "2021-04-01", person.former_surname, person.alias, None, True,
        person.former_names, person.former_addresses,
    )  # fmt: skip
    return _row(record, hashlib.sha256(repr((place, person)).encode()).digest()[:16])


@cache
def _background() -> tuple[tuple[SealedRow, set[bytes]], ...]:
    return tuple(_row(resident.record, resident.record_id) for resident in residents(77, BACKGROUND))
