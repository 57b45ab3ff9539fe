"""What can be in the way of a step beside its days: the order of steps, and what would lose or double money. Pure."""

from collections.abc import Iterator, Sequence

from gateway.settlement import states
from gateway.settlement.admission import Obstacle
from gateway.settlement.periods import Period
from gateway.settlement.sides import Side, strangers
from gateway.settlement.statements import Statement
from gateway.settlement.states import READY, Acts, Agreement

_UNREADY = {
    Agreement.WAITING: ("実績データが未開示", "nothing was disclosed"),
    Agreement.DISCLOSED: ("照合結果が未着", "no reconciliation came"),
    Agreement.DIFFERING: ("差異に未回答", "its differences are not answered"),
    Agreement.DISPUTED: ("協議中の差異がある", "differences are disputed"),
    Agreement.ACCEPTED: ("修正後の再照合が未了", "corrections were accepted and not yet reconciled"),
}


def frozen_already(acts: Acts, of: Period) -> list[Obstacle]:
    """A frozen period's data do not change (000仕4-3): nobody can force it."""
    if states.frozen(acts, of.text) is None:
        return []
    return [
        Obstacle(
            code="frozen",
            ja=f"{of.text}は確定済み",
            en=f"{of.text} is frozen; what changes falls into the next open period",
            forcible=False,
        )
    ]


def without_disclosure(of: Period, role: str) -> list[Obstacle]:
    """An inquiry centre has nobody to agree with: its ministries verify the invoice by their receipts."""
    if role == "certificate":
        return []
    return [
        Obstacle(
            code="not-here",
            ja="照会センターに開示の手続きはない",
            en=f"an inquiry centre discloses nothing of {of.text}: invoice it",
            forcible=False,
        )
    ]


def not_frozen(acts: Acts, of: Period) -> list[Obstacle]:
    """What is invoiced must be frozen."""
    if states.frozen(acts, of.text) is not None:
        return []
    return [Obstacle(code="not-frozen", ja=f"{of.text}は未確定", en=f"{of.text} is not frozen", forcible=False)]


def later_frozen(acts: Acts, of: Period) -> list[Obstacle]:
    """Periods are frozen in their order, or an entry would have no period, or two."""
    later = [each.text for each in states.frozen_periods(acts) if each.first > of.last]
    if not later:
        return []
    return [
        Obstacle(
            code="later-frozen",
            ja=f"後の期間{later[0]}が確定済み",
            en=f"the later period {later[0]} is frozen",
            forcible=False,
        )
    ]


def earlier_open(gap: Statement) -> list[Obstacle]:
    """Business of days before the period that no frozen period has. gap: the statement of those days."""
    if not gap.cells:
        return []
    return [
        Obstacle(
            code="earlier-open",
            ja=f"前の期間({gap.period})が未確定",
            en=f"there is business in {gap.period} that was not frozen; freeze the earlier period first",
            forcible=False,
        )
    ]


def without_contract(statement: Statement, sides: Sequence[Side], *, incoming: bool) -> list[Obstacle]:
    """Parties that have business and no contract file: what is theirs would be billed to nobody."""
    return [
        Obstacle(
            code="no-contract",
            ja=f"{party}の契約ファイルがない",
            en=f"{party} has business and no contract file",
            forcible=False,
        )
        for party in strangers(statement, sides, incoming=incoming)
    ]


def not_agreed(acts: Acts, of: Period, sides: Sequence[Side]) -> Iterator[Obstacle]:
    """Operators that have not agreed to what was disclosed to them (協議, 000仕4-3)."""
    for side in sides:
        agreement = states.exchange(acts, of.text, side.party).agreement
        if agreement not in READY:
            ja, en = _UNREADY[agreement]
            yield Obstacle(code=f"not-agreed-{agreement}", ja=f"{side.party}: {ja}", en=f"{side.party}: {en}")


def changed(party: str, *, disclosed_yen: int, now_yen: int) -> Obstacle:
    """The ledger has changed since an operator agreed: what would be frozen is not what was agreed to."""
    return Obstacle(
        code="changed",
        ja=f"{party}: 開示後に台帳が変わった({disclosed_yen:,}円→{now_yen:,}円)",
        en=f"{party}: the ledger changed since it agreed ({disclosed_yen:,} to {now_yen:,} yen); disclose again",
    )


def terms_differ(side: Side, *, ledger_yen: int, terms_yen: int) -> Obstacle:
    """The contract's terms make something else of the ledger's amounts."""
    which = f"{side.contract.reference}, {side.claim.id}"
    return Obstacle(
        code="terms-differ",
        ja=f"{side.party}: 台帳{ledger_yen:,}円、契約条件({which})では{terms_yen:,}円",
        en=f"{side.party}: the ledger comes to {ledger_yen:,} yen, the terms ({which}) to {terms_yen:,}; set the"
        " contract file and the directory to the same prices",
    )
