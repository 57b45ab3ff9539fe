"""May this record answer this question? Pure decisions over an opened record.

Each field of the question is graded against the record: the same, the same but for its writing (named), or not the
same. A candidate with any field not the same is not the person. Of those left, exactly one in which nothing differs:
EXACT. One left, with differing fields: VARIANT. More: AMBIGUOUS, for folded equality alone never chooses between two
people. Source: DESIGN 9; DOMAIN 2.3.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.inquiry.folding import fold_address, fold_name, plain
from gateway.inquiry.record import ResidentRecord, Sex, birth_is_date
from protocol.messages import InquiryByName

CANDIDATES_MAX: Final = 64
"""More candidates than this are not looked at: the question is AMBIGUOUS."""


class Exact(msgspec.Struct, frozen=True):
    """Candidate `at` has every field of the question as it was asked."""

    at: int


class Variant(msgspec.Struct, frozen=True):
    """Candidate `at` alone fits, with these fields written otherwise or found in its history."""

    at: int
    differing: tuple[str, ...]


class NoMatch(msgspec.Struct, frozen=True):
    """Nobody fits."""


class Ambiguous(msgspec.Struct, frozen=True):
    """More than one fits, or too many stood for choice; nothing may be shown."""


Match = Exact | Variant | NoMatch | Ambiguous


def match(query: InquiryByName, candidates: Sequence[ResidentRecord]) -> Match:
    """Decide a question by name over all its candidates; their order does not matter to who is chosen."""
    if len(candidates) > CANDIDATES_MAX:
        return Ambiguous()
    fitting = [
        (at, differing)
        for at, record in enumerate(candidates)
        if (differing := differing_fields(query, record)) is not None
    ]
    if not fitting:
        return NoMatch()
    exact = [at for at, differing in fitting if not differing]
    if len(exact) == 1:
        return Exact(exact[0])
    if len(fitting) == 1:
        return Variant(*fitting[0])
    return Ambiguous()


def differing_fields(query: InquiryByName, record: ResidentRecord) -> tuple[str, ...] | None:
    """Fields that fit only by variant, in the order asked; () when all are the same; None: not the person."""
    differing = []
    for field in _grades(query, record):
        if field is None:
            return None
        if field:
            differing.append(field)
    return tuple(differing)


def _grades(query: InquiryByName, record: ResidentRecord) -> Iterator[str | None]:
    yield _name(query.name, record)
    yield _address(query.address, record)
    if query.birth is not None:
        yield _birth(query.birth, record)
    if query.sex is not None:
        yield "" if query.sex == record.sex else "sex" if record.sex == Sex.UNKNOWN else None


def _name(asked: str, record: ResidentRecord) -> str | None:
    if plain(asked) == plain(record.name):
        return ""
    folded = fold_name(asked)
    if folded == fold_name(record.name):
        return "name"
    if any(folded == fold_name(former) for former in record.former_names):
        return "former_name"
    return "kana" if folded == fold_name(record.kana) else None


def _address(asked: str, record: ResidentRecord) -> str | None:
    if plain(asked) == plain(record.address):
        return ""
    if same_place(asked, record.address):
        return "address"
    return "former_address" if any(same_place(asked, former) for former in record.former_addresses) else None


def same_place(one: str, other: str) -> bool:
    """Whether two addresses fold to one; a prefecture may be left out of either, but not contradicted."""
    a, b = fold_address(one), fold_address(other)
    return a.rest == b.rest and (a.prefecture == b.prefecture or not (a.prefecture and b.prefecture))


def _birth(asked: str, record: ResidentRecord) -> str | None:
    if asked == record.birth:
        return ""
    if birth_is_date(record.birth):
        return None
    # An uncertain date fits what it leaves open: 昭和10年3月頃 is stored as 19350300.
    known = "00000000" if record.birth_sort is None else f"{record.birth_sort:08d}"
    figures = asked.replace("-", "")
    parts = ((known[:4], figures[:4]), (known[4:6], figures[4:6]), (known[6:], figures[6:]))
    return "birth" if all(part in (figure, "0" * len(part)) for part, figure in parts) else None
