"""What operators are told when who takes part, or what is offered, changes at a certificate centre. Pure.

A municipality that joins or leaves, a kind added or withdrawn, a fee, hours or a stop of a municipality: told to every
operator's lines, whose kiosks show it (000契22-2, 23). An operator that joins or leaves: told to the other operators
(000契24-2). A municipality is dialled and has no line to be told by; what concerns it is told by the centre's office.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from gateway.directory import words
from gateway.directory.hours import DAY_US, day_start_us
from gateway.directory.model import Contract, Document, Line, Role
from gateway.directory.participants import CardTerm, Municipality, Offer
from protocol.certificates import CARD_TYPES, KINDS, CardType, Kind
from protocol.messages import NoticeKind

Concerns = Callable[[Line], bool]
Said = tuple[NoticeKind, Concerns, str]
"""A notice to be made: its kind, which lines it concerns, its words."""
_T = TypeVar("_T")


def operators_of(document: Document) -> Concerns:
    """The lines of the parties with an agreement at the certificate centre."""
    parties = {contract.party for contract in document.contracts if contract.role is Role.CERTIFICATE}
    return lambda line: line.party in parties


def said_of_participants(old: Document, new: Document, at_us: int) -> Iterator[Said]:
    """What is said of the difference, decided at a time; in a fixed order."""
    operators = operators_of(new)
    yield from _operators(old, new)
    before = {each.code: each for each in old.municipalities}
    after = {each.code: each for each in new.municipalities}
    for code, each in sorted(after.items()):
        known = before.get(code)
        if known is None:
            yield NoticeKind.PARTICIPATION, operators, _joins(each)
            continue
        for kind, text in _municipality(known, each, at_us):
            yield kind, operators, text
    for code, each in sorted(before.items()):
        if code not in after:
            ja, en = _name(each)
            yield NoticeKind.PARTICIPATION, operators, f"参加の取消し: {ja} / Taking part withdrawn: {en}"
    for text in _card_types(old.card_types, new.card_types):
        yield NoticeKind.OFFERS, operators, text


def _operators(old: Document, new: Document) -> Iterator[Said]:
    before, after = _agreements(old), _agreements(new)
    names = {party.id: party for party in (*old.parties, *new.parties)}
    for party in sorted(before.keys() | after.keys()):
        ja, en = f"{names[party].name_ja} ({party})", f"{names[party].name_en} ({party})"
        known, contract = before.get(party), after.get(party)
        others = _others(new, party)
        if known is None and contract is not None:
            text = f"事業者の参加: {ja} {contract.valid_from}から / Operator joins: {en} from {contract.valid_from}"
            yield NoticeKind.PARTICIPATION, others, text
        elif contract is None:
            yield NoticeKind.PARTICIPATION, others, f"事業者の参加の取消し: {ja} / Operator withdrawn: {en}"
        elif known is not None and known.valid_until != contract.valid_until:
            until = contract.valid_until
            yield (
                NoticeKind.PARTICIPATION,
                others,
                f"事業者の参加期間: {ja} {_until_ja(until)} / Operator takes part: {en} {_until_en(until)}",
            )


def _agreements(document: Document) -> Mapping[str, Contract]:
    """The last agreement of each operator."""
    found: dict[str, Contract] = {}
    for contract in document.canonical().contracts:
        if contract.role is Role.CERTIFICATE:
            found[contract.party] = contract
    return found


def _others(document: Document, party: str) -> Concerns:
    operators = operators_of(document)
    return lambda line: operators(line) and line.party != party


def _joins(each: Municipality) -> str:
    ja, en = _name(each)
    offers_ja = "、".join(f"{_kind(offer)[0]} {_now(offer)}円" for offer in each.offers) or "なし"
    offers_en = ", ".join(f"{_kind(offer)[1]} {_now(offer)} yen" for offer in each.offers) or "none"
    return (
        f"市区町村の参加: {ja} {each.valid_from}から。証明書: {offers_ja} / "
        f"Municipality joins: {en} from {each.valid_from}; certificates: {offers_en}"
    )


def _municipality(old: Municipality, new: Municipality, at_us: int) -> Iterator[tuple[NoticeKind, str]]:
    ja, en = _name(new)
    if (old.valid_from, old.valid_until) != (new.valid_from, new.valid_until):
        since, until = new.valid_from, new.valid_until
        text = f"市区町村の参加期間: {ja} {since}から{_until_ja(until)} / Municipality takes part: {en} from {since}"
        yield NoticeKind.PARTICIPATION, f"{text} {_until_en(until)}"
    if old.card_types != new.card_types:
        types = [CARD_TYPES[CardType(number)] for number in sorted(new.card_types)]
        names_ja, names_en = "、".join(each.ja for each in types), ", ".join(each.en for each in types)
        yield NoticeKind.OFFERS, f"利用できるカード: {ja} {names_ja} / Cards accepted: {en}: {names_en}"
    before = {offer.kind: offer for offer in old.offers}
    after = {offer.kind: offer for offer in new.offers}
    for kind, offer in sorted(after.items()):
        known = before.get(kind)
        if known is None:
            yield NoticeKind.OFFERS, _added(ja, en, offer)
        else:
            yield from _offer(ja, en, known, offer)
    for kind, offer in sorted(before.items()):
        if kind not in after:
            about_ja, about_en = _about(ja, en, offer)
            yield NoticeKind.OFFERS, f"証明書の取扱終了: {about_ja} / No longer offered: {about_en}"
    yield from _calendar(old, new, at_us)


def _added(ja: str, en: str, offer: Offer) -> str:
    about_ja, about_en = _about(ja, en, offer)
    since, yen = offer.valid_from, _now(offer)
    return f"証明書の追加: {about_ja} {since}から1通{yen}円 / Offered: {about_en} from {since}, {yen} yen a copy"


def _offer(ja: str, en: str, old: Offer, new: Offer) -> Iterator[tuple[NoticeKind, str]]:
    about_ja, about_en = _about(ja, en, new)
    if _bare(old) != _bare(new):
        until = new.valid_until
        yield (
            NoticeKind.OFFERS,
            f"証明書の取扱変更: {about_ja} {new.valid_from}から{_until_ja(until)} {new.copies_max}通まで / "
            f"Offer changed: {about_en} from {new.valid_from} {_until_en(until)}, up to {new.copies_max} copies",
        )
    for fee in _new(old.fees, new.fees):
        text = f"交付手数料: {about_ja} {fee.valid_from}から1通{fee.yen}円"
        yield NoticeKind.TARIFF, f"{text} / Fee: {about_en} from {fee.valid_from}: {fee.yen} yen a copy"
    kept = {fee.valid_from for fee in new.fees}
    for fee in old.fees:
        if fee.valid_from not in kept:
            text = f"交付手数料の取消し: {about_ja} {fee.valid_from}から"
            yield NoticeKind.TARIFF, f"{text} / Fee withdrawn: {about_en} that was set from {fee.valid_from}"
    for campaign in _new(old.campaigns, new.campaigns):
        days = words.days(campaign.valid_from, campaign.valid_until)
        text = f"期間限定の交付手数料: {about_ja} {days} 1通{campaign.yen}円"
        yield NoticeKind.TARIFF, f"{text} / Fee for a time: {about_en} {days}: {campaign.yen} yen a copy"
    for campaign in _new(new.campaigns, old.campaigns):
        days = words.days(campaign.valid_from, campaign.valid_until)
        text = f"期間限定の交付手数料の取消し: {about_ja} {days}"
        yield NoticeKind.TARIFF, f"{text} / Fee for a time withdrawn: {about_en} {days}"
    for hours in _new(old.hours, new.hours):
        hours_ja, hours_en = words.opening_hours(hours)
        text = f"取扱時間: {about_ja} {hours.valid_from}から {hours_ja}"
        yield NoticeKind.HOURS, f"{text} / Hours: {about_en} from {hours.valid_from}: {hours_en} JST"


def _calendar(old: Municipality, new: Municipality, at_us: int) -> Iterator[tuple[NoticeKind, str]]:
    ja, en = _name(new)
    changed = sorted(day for day in old.holidays ^ new.holidays if day_start_us(day) + DAY_US > at_us)
    if changed:
        days = words.some_days(changed)
        yield NoticeKind.HOURS, f"休日の変更: {ja} {days} / Holidays changed: {en} {days}"
    for change_ja, change_en, exceptions in (
        ("取扱日の変更", "Days that differ", _new(old.exceptions, new.exceptions)),
        ("取扱日の変更の取消し", "No longer different", _new(new.exceptions, old.exceptions)),
    ):
        for each in exceptions:
            if day_start_us(each.valid_until) + DAY_US <= at_us:
                continue
            said_ja, said_en = words.exception(each)
            yield NoticeKind.HOURS, f"{change_ja}: {ja}{said_ja} / {change_en}: {en}{said_en}"
    for change_ja, change_en, stops in (
        ("市区町村の計画停止", "Planned stop of a municipality", _new(old.stops, new.stops)),
        ("市区町村の計画停止の取消し", "Planned stop of a municipality withdrawn", _new(new.stops, old.stops)),
    ):
        for stop in stops:
            if stop.until_us > at_us:
                span = f"{words.minute(stop.from_us)} - {words.minute(stop.until_us)}"
                text = f"{change_ja}: {ja} {span}。理由: {stop.ground}"
                yield NoticeKind.STOP, f"{text} / {change_en}: {en} {span} JST: {stop.ground}"


def _card_types(old: Iterable[CardTerm], new: Iterable[CardTerm]) -> Iterator[str]:
    for term in _new(old, new):
        name = CARD_TYPES[CardType(term.type)]
        since, until = term.valid_from, term.valid_until
        yield (
            f"カードの種類: {name.ja} {since}から{_until_ja(until)} / "
            f"Type of card: {name.en} from {since} {_until_en(until)}"
        )


def _new(old: Iterable[_T], new: Iterable[_T]) -> list[_T]:
    known = set(old)
    return [each for each in new if each not in known]


def _bare(offer: Offer) -> Offer:
    """An offer without what is told apart from it."""
    return msgspec.structs.replace(offer, fees=(), campaigns=(), hours=())


def _name(each: Municipality) -> tuple[str, str]:
    return f"{each.name_ja} ({each.code})", f"{each.name_en} ({each.code})"


def _kind(offer: Offer) -> tuple[str, str]:
    named = KINDS[Kind(offer.kind)]
    return named.ja, named.en


def _about(ja: str, en: str, offer: Offer) -> tuple[str, str]:
    kind_ja, kind_en = _kind(offer)
    return f"{ja} {kind_ja}", f"{en}, {kind_en},"


def _now(offer: Offer) -> int:
    """The ordinary fee on the offer's first day."""
    return [fee.yen for fee in offer.fees if fee.valid_from <= offer.valid_from][-1]


def _until_ja(until: object) -> str:
    return f"{until}まで" if until else "終期なし"


def _until_en(until: object) -> str:
    return f"until {until}" if until else "without end"
