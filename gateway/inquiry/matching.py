"""May this record answer this question? Pure decisions over an opened record.

Each field of the question is graded against the record: the same, the same but for its writing (named), or not the
same. A candidate with any field not the same is not the person. Of those left, exactly one in which nothing differs:
EXACT. One left, with differing fields: VARIANT. More: AMBIGUOUS, for folded equality alone never chooses between two
people.

A reading is weaker than a name. One that agrees only without voicing or long vowels (ヒロシ, ヒロジ) may be a
brother's: it is accepted in a surname, where a house has one and registers spell it either way (ヤマザキ, ヤマサキ),
and in a given name only if the birth date asked for is the same. Else the candidate stands in doubt, and whoever stands
in doubt makes the question AMBIGUOUS, whose remedy is to ask with the birth date; nobody is chosen by doubt.

Former names and addresses are looked at only where the affair allows (`history`); 旧氏 and 通称 stand in today's entry.
Source: DESIGN 9; DOMAIN 2.3; docs/PROTOCOL.md, How an answer by name is graded.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.inquiry.addresses import same_place
from gateway.inquiry.folding import fold_name, plain, search_name
from gateway.inquiry.kana import same_search
from gateway.inquiry.record import ResidentRecord, Sex
from gateway.inquiry.searched import birth_of, names_with_former_surname
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
    """More than one fits, one is in doubt, or too many stood for choice; nothing may be shown."""


Match = Exact | Variant | NoMatch | Ambiguous


class Fit(msgspec.Struct, frozen=True):
    """How a record fits: the fields that differ, and whether they leave in doubt that it is the person."""

    differing: tuple[str, ...]
    doubtful: bool = False


def match(query: InquiryByName, candidates: Sequence[ResidentRecord], *, history: bool) -> Match:
    """Decide a question by name over all its candidates; their order does not matter to who is chosen."""
    if len(candidates) > CANDIDATES_MAX:
        return Ambiguous()
    fitting = [
        (at, fit) for at, record in enumerate(candidates) if (fit := fit_of(query, record, history=history)) is not None
    ]
    if not fitting:
        return NoMatch()
    exact = [at for at, fit in fitting if not fit.differing]
    if len(exact) == 1:
        return Exact(exact[0])
    at, fit = fitting[0]
    return Variant(at, fit.differing) if len(fitting) == 1 and not fit.doubtful else Ambiguous()


def fit_of(query: InquiryByName, record: ResidentRecord, *, history: bool) -> Fit | None:
    """How a record fits a question: fields that fit only by variant, in the order asked; None: not the person."""
    name = _name(query.name, record, history=history)
    if name is None:
        return None
    field, doubtful = name
    differing = [field] if field else []
    for other in _others(query, record, history=history):
        if other is None:
            return None
        if other:
            differing.append(other)
    confirmed = query.birth is not None and "birth" not in differing
    return Fit(tuple(differing), doubtful and not confirmed)


def _others(query: InquiryByName, record: ResidentRecord, *, history: bool) -> Iterator[str | None]:
    yield _address(query.address, record, history=history)
    if query.birth is not None:
        yield _birth(query.birth, record)
    if query.sex is not None:
        yield "" if query.sex == record.sex else "sex" if record.sex == Sex.UNKNOWN else None


def _name(asked: str, record: ResidentRecord, *, history: bool) -> tuple[str, bool] | None:
    """The field the name was found in, "" where it is as asked; and whether it was found by a doubtful reading."""
    folded = fold_name(asked)
    if folded == fold_name(record.name):
        return "" if plain(asked) == plain(record.name) else "name", False
    if folded == fold_name(record.alias):
        return "alias", False
    if any(folded == fold_name(name) for name in names_with_former_surname(record)):
        return "former_surname", False
    if folded == fold_name(record.kana):
        return "kana", False
    if history and any(folded == fold_name(former) for former in record.former_names):
        return "former_name", False
    if search_name(asked) != search_name(record.kana):
        return None
    return "kana", not _same_given_name(folded, record.kana)


def _same_given_name(folded: str, kana: str) -> bool:
    """Whether a reading that agrees for searching differs in the surname alone."""
    surname, _, given = kana.replace("\u3000", " ").partition(" ")
    sound = fold_name(given)
    rest = folded.removesuffix(sound)
    return bool(sound) and rest != folded and same_search(rest) == search_name(surname)


def _address(asked: str, record: ResidentRecord, *, history: bool) -> str | None:
    if same_place(asked, record.address):
        return "" if plain(asked) == plain(record.address) else "address"
    if history and any(same_place(asked, former) for former in record.former_addresses):
        return "former_address"
    return None


def _birth(asked: str, record: ResidentRecord) -> str | None:
    birth = birth_of(record)
    if asked == birth.date:
        return ""
    return "birth" if birth.leaves_open(asked) else None
