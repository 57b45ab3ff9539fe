"""What the parties must be told when the directory changes: which lines, what, and until when. Pure.

A suspension or its end, a planned stop, a new fee, other hours: each gives one notice to every line it concerns
(docs/PROTOCOL.md, Notice). A notice is about a decision, told when the decision is made; when it takes effect stands in
its text. What an agreement says when it begins is agreed, and no notice. Texts are Japanese, then English, and hold no
personal data.

Source: 002 本6-2 (a suspension is told promptly), 本2-2 (a fee is told promptly), 別記2(4) (hours).
"""

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.directory import words
from gateway.directory.hours import jst_date
from gateway.directory.model import Contract, Document, Hours, PartyKind, Role, Scope, Stop, Suspension, Window
from gateway.directory.notices_participants import Concerns, Said, operators_of, said_of_participants
from gateway.store.notices import NewNotice
from protocol.messages import NoticeKind

_MINUTE_US: Final = 60_000_000
_PROMPT: Final = frozenset({NoticeKind.SUSPENSION, NoticeKind.RESUMPTION, NoticeKind.STOP})


def notices_between(old: Document, new: Document, at_us: int) -> list[NewNotice]:
    """One notice for each decision and line it concerns, in a fixed order; at_us is when it was decided."""
    return [
        NewNotice(kind=int(kind), party=line.party, line=line.name, text=text, decided_us=at_us, due_us=due_us)
        for kind, concerns, text in _said(old, new, at_us)
        for due_us in (at_us + _minutes(new, kind) * _MINUTE_US,)
        for line in new.lines
        if concerns(line)
    ]


def _minutes(document: Document, kind: NoticeKind) -> int:
    within = document.notices
    return within.suspension_minutes if kind in _PROMPT else within.terms_minutes


def _said(old: Document, new: Document, at_us: int) -> Iterator[Said]:
    yield from _suspensions(old, new, at_us)
    yield from _stops(old.stops, new.stops, at_us)
    before = {(c.party, c.role, c.valid_from): c for c in old.contracts}
    for contract in new.contracts:
        known = before.get((contract.party, contract.role, contract.valid_from))
        if known is not None:
            yield from _terms(known, contract)
            yield from _hours(known, contract)
    parties = {contract.party for contract in new.contracts}
    for ja, en, days in (
        ("休日の変更", "Holidays changed", old.holidays ^ new.holidays),
        ("休止日の変更", "Closed days changed", old.closed ^ new.closed),
    ):
        changed = sorted(day for day in days if day >= jst_date(at_us))
        if changed:
            named = words.some_days(changed)
            yield NoticeKind.HOURS, lambda line: line.party in parties, f"{ja}: {named} / {en}: {named}"
    yield from said_of_participants(old, new, at_us)


def _suspensions(old: Document, new: Document, at_us: int) -> Iterator[Said]:
    before = {(s.scope, s.target, s.from_us): s for s in old.suspensions}
    after = {(s.scope, s.target, s.from_us): s for s in new.suspensions}
    for key, s in after.items():
        known = before.get(key)
        ended = s.until_us is not None and s.until_us <= at_us + 1  # one that began just now ends a microsecond later
        if known is None:
            if not ended:
                yield NoticeKind.SUSPENSION, _concerned(s, new), _suspended(s)
        elif known.until_us != s.until_us:
            shortened = s.until_us is not None and (known.until_us is None or s.until_us < known.until_us)
            if shortened:
                yield NoticeKind.RESUMPTION, _concerned(s, new), _resumed(s, s.until_us or at_us)
            else:
                yield NoticeKind.SUSPENSION, _concerned(s, new), _suspended(s)
    for key, s in before.items():
        if key not in after and (s.until_us is None or s.until_us > at_us):
            yield NoticeKind.RESUMPTION, _concerned(s, new), _resumed(s, at_us)


def _concerned(suspension: Suspension, document: Document) -> Concerns:
    target = suspension.target
    if suspension.scope is Scope.ALL:
        return lambda _: True
    if suspension.scope is Scope.KIND or _municipality(document, suspension):
        return operators_of(document)  # whose kiosks show it
    if suspension.scope is Scope.PARTY:
        return lambda line: line.party == target
    if suspension.scope is Scope.LINE:
        return lambda line: f"{line.party}/{line.name}" == target
    parties = {contract.party for contract in document.contracts if target in contract.affairs}
    return lambda line: line.party in parties


def _municipality(document: Document, suspension: Suspension) -> bool:
    return suspension.scope is Scope.PARTY and any(
        party.id == suspension.target and party.kind is PartyKind.MUNICIPALITY for party in document.parties
    )


def _suspended(s: Suspension) -> str:
    ja, en = _target(s)
    until_ja = "" if s.until_us is None else f"{words.minute(s.until_us)}まで"
    until_en = "" if s.until_us is None else f" until {words.minute(s.until_us)} JST"
    since = words.minute(s.from_us)
    said_ja = f"提供停止 {ja}: {since}から{until_ja}。理由: {s.ground}"
    return f"{said_ja} / Suspended, {en}, from {since} JST{until_en}: {s.ground}"


def _resumed(s: Suspension, at_us: int) -> str:
    ja, en = _target(s)
    at = words.minute(at_us)
    return f"提供停止の終了 {ja}: {at}から / Suspension ends, {en}, from {at} JST"


def _target(s: Suspension) -> tuple[str, str]:
    names = {Scope.ALL: ("全部", "all"), Scope.PARTY: ("機関", "party"), Scope.AFFAIR: ("事務", "affair")}
    names[Scope.KIND] = ("証明書", "kind")
    ja, en = names.get(s.scope, ("回線", "line"))
    return f"{ja} {s.target}".rstrip(), f"{en} {s.target}".rstrip()


def _stops(old: Iterable[Stop], new: Iterable[Stop], at_us: int) -> Iterator[Said]:
    before, after = set(old), set(new)
    for stop in sorted(after - before, key=lambda stop: stop.from_us):
        if stop.until_us > at_us:
            span = f"{words.minute(stop.from_us)} - {words.minute(stop.until_us)}"
            text = f"計画停止: {span}。理由: {stop.ground} / Planned stop {span} JST: {stop.ground}"
            yield NoticeKind.STOP, lambda _: True, text
    for stop in sorted(before - after, key=lambda stop: stop.from_us):
        if stop.until_us > at_us:
            span = f"{words.minute(stop.from_us)} - {words.minute(stop.until_us)}"
            yield NoticeKind.STOP, lambda _: True, f"計画停止の取消し: {span} / Planned stop withdrawn: {span} JST"


def _terms(old: Contract, new: Contract) -> Iterator[Said]:
    ja, en = ("委託手数料", "Commission") if new.role is Role.CERTIFICATE else ("情報提供手数料", "Fee")
    for terms in new.terms:
        if terms not in old.terms:
            since = terms.valid_from
            if new.role is Role.CERTIFICATE:
                text = f"{ja}: {since}から1通{terms.commission}円 / {en} from {since}: {terms.commission} yen a copy"
            else:
                yen = terms.yen_per_record
                text = f"{ja}: {since}から1件{yen}円 / {en} from {since}: {yen} yen a record"
            yield NoticeKind.TARIFF, _of(new.party), text
    kept = {terms.valid_from for terms in new.terms}
    for terms in old.terms:
        if terms.valid_from not in kept:
            text = f"{ja}の取消し: {terms.valid_from}から / {en} withdrawn that was set from {terms.valid_from}"
            yield NoticeKind.TARIFF, _of(new.party), text


def _hours(old: Contract, new: Contract) -> Iterator[Said]:
    for hours in new.hours:
        if hours not in old.hours:
            yield NoticeKind.HOURS, _of(new.party), _opening(hours)
    kept = {hours.valid_from for hours in new.hours}
    for hours in old.hours:
        if hours.valid_from not in kept:
            text = f"提供時間の取消し: {hours.valid_from}から / Hours withdrawn that were set from {hours.valid_from}"
            yield NoticeKind.HOURS, _of(new.party), text


def _opening(hours: Hours) -> str:
    def named(opening: Window | None, closed: str) -> str:
        return closed if opening is None else str(opening)

    ja = "、".join(
        f"{day} {named(opening, '休止')}"
        for day, opening in (("平日", hours.weekday), ("土曜", hours.saturday), ("日曜・休日", hours.holiday))
    )
    en = ", ".join(
        f"{day} {named(opening, 'closed')}"
        for day, opening in (("weekdays", hours.weekday), ("Saturdays", hours.saturday), ("holidays", hours.holiday))
    )
    return f"提供時間: {hours.valid_from}から {ja} / Hours from {hours.valid_from}: {en} JST"


def _of(party: str) -> Concerns:
    return lambda line: line.party == party
