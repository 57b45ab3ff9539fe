"""What `sekisho directory show` and `menu` print: rows for people, from a directory. Pure."""

from collections.abc import Iterator

from gateway.directory import hours, offers
from gateway.directory.directory import Directory
from gateway.directory.hours import jst_date
from gateway.directory.model import Document
from gateway.directory.participants import Municipality
from protocol.certificates import CARD_TYPES, KINDS, OPTIONS, CardType, Kind, Option
from protocol.issuance import Menu
from protocol.outcomes import CATALOGUE, Outcome


def counts(document: Document) -> str:
    """How much of each table there is; those of a certificate centre where there are any."""
    always = {
        "parties": document.parties,
        "lines": document.lines,
        "contracts": document.contracts,
        "staff": document.staff,
        "suspensions": document.suspensions,
    }
    some = {
        "municipalities": document.municipalities,
        "operators": document.operators,
        "kits": document.kits,
        "card types": document.card_types,
    }
    rows = [f"{len(rows)} {name}" for name, rows in always.items()]
    return ", ".join(rows + [f"{len(rows)} {name}" for name, rows in some.items() if rows])


def summary(directory: Directory, now_us: int) -> str:
    """The directory as it stands at a time, a row each."""
    document = directory.document
    rows = [f"version {directory.version}: {counts(document)}"]
    rows += [f"party       {party.id}  {party.kind.value}  {party.name_ja}" for party in document.parties]
    for line in document.lines:
        keys = ", ".join(key.key_id for key in line.keys if key.valid_at(now_us)) or "none valid now"
        rows.append(f"line        {line.party}/{line.name}  keys {keys}")
    for contract in document.contracts:
        until = contract.valid_until or "open"
        rows.append(f"contract    {contract.party}  {contract.role.value}  {contract.valid_from} to {until}")
    rows += _participants(directory, now_us)
    for s in document.suspensions:
        state = "in force" if s.holds_at(now_us) else "not in force"
        since = jst_date(s.from_us)
        rows.append(f"suspension  {s.scope.value} {s.target or '-'}  {state}, since {since}: {s.ground}")
    return "\n".join(rows)


def _participants(directory: Directory, now_us: int) -> Iterator[str]:
    document = directory.document
    for operator in document.operators:
        anchors = f"{len(operator.kiosk_anchors)} kiosk anchors" if operator.kiosk_anchors else "NO KIOSK ANCHORS"
        yield f"operator    {operator.party}  {anchors}, {len(operator.blocked_kiosks)} kiosks blocked"
    in_force = offers.kits_in_force(directory, now_us)
    for kit in document.kits:
        state = "in force" if kit.id in in_force else "not in force"
        yield f"kit         {kit.id}  {state}, from {kit.valid_from}, retired {kit.retired_on or 'never'}"
    for term in document.card_types:
        name = CARD_TYPES[CardType(term.type)].ja
        yield f"card type   {name}  {term.valid_from} to {term.valid_until or 'open'}"
    for each in document.municipalities:
        yield from _municipality(directory, each, now_us)


def _municipality(directory: Directory, each: Municipality, now_us: int) -> Iterator[str]:
    day = jst_date(now_us)
    trust = "" if each.trust else ", NO TRUST BUNDLE: nothing is asked of it"
    state = f"{each.participation(day).value} from {each.valid_from} to {each.valid_until or 'open'}"
    yield f"municipal   {each.code}  {each.party}  {each.name_ja}  {state}, {each.host}:{each.port}{trust}"
    for offer in each.offers:
        if not offers.is_offered(offer, day):
            yield f"  offer     {offer.kind}  not offered on {day}"
            continue
        opening = offers.opening_of(directory, each, offer, day)
        is_open = "open" if hours.is_open(opening, now_us) else "closed"
        fee = offers.fee_of(offer, day)
        yield f"  offer     {offer.kind}  {fee} yen, {offer.entitled.value}, today {opening or '-'} ({is_open} now)"


def menu(shown: Menu) -> str:
    """A menu as a kiosk is given it."""
    rows = [f"{shown.municipality}  {shown.name_ja} / {shown.name_en}"]
    for offer in shown.offers:
        named = KINDS[Kind(offer.kind)]
        options = "、".join(OPTIONS[option].ja for option in Option if offer.options & option) or "-"
        closed = CATALOGUE[Outcome(offer.closed)].ja if offer.closed else "取扱中"
        rows.append(f"  {named.ja} / {named.en}  {offer.fee_yen}円 {offer.copies_max}通まで  {options}  {closed}")
        rows.append(f"    {offer.hours_ja} / {offer.hours_en}")
    rows += [f"  {line}" for notice in (shown.notice_ja, shown.notice_en) for line in notice.splitlines()]
    return "\n".join(rows)
