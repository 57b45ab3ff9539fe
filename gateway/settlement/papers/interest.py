"""Late interest as JSON and PDF: the claim with its reckoning, or the notice that it was let go.

What the wording of the contract gives is asked for; the same on the unpaid net stands beside it (DOMAIN X6).
Source: 000契17; 政府契約の支払遅延防止等に関する法律 8条.
"""

from datetime import date
from typing import Final

from gateway.settlement.interest import Base, LateInterest
from gateway.settlement.paper import JSON, PDF, Names, Paper, file_name
from gateway.settlement.papers.errors import ActMisfits
from gateway.settlement.papers.figures import day_text, mark, number, percent, period_text, to_json, yen
from gateway.settlement.papers.heads import addressee, in_json, writer
from gateway.settlement.papers.setting import (
    Both,
    Column,
    Document,
    Facts,
    Headline,
    Notes,
    Row,
    Table,
    facts,
    in_glyphs,
    to_pdf,
)
from protocol.act import Act, ActKind

FORMAT: Final = "sekisho-interest-paper/1"
CLAIM: Final[Both] = ("遅延利息請求書", "Claim of late interest")
_WAIVER: Final[Both] = ("遅延利息免除通知書", "Waiver of late interest")
_BASES: Final[dict[Base, Both]] = {
    Base.RECEIVED: ("入金された金額(総額)", "fees received, gross"),
    Base.UNPAID: ("未払の額", "the amount unpaid"),
}


def interest_papers(act: Act, late: LateInterest, *, names: Names) -> tuple[Paper, ...]:
    """.json and .pdf. act: INTEREST, or WAIVED when `late` has a waiver.

    Raises: ActMisfits; GlyphLacking, NotSet, FontMissing.
    """
    title = CLAIM if late.waiver is None else _WAIVER
    if act.kind != (ActKind.INTEREST if late.waiver is None else ActKind.WAIVED):
        raise ActMisfits(act, title[0])
    own = number_of(act)
    pdf = to_pdf(_page(act, late, names, title, own), at_us=act.at_us)
    return (
        Paper(name=file_name(own, "json"), media=JSON, data=to_json(_content(act, late, names, title, own))),
        Paper(name=file_name(own, "pdf"), media=PDF, data=pdf),
    )


def number_of(act: Act) -> str:
    """The number of an act's document."""
    turn = (str(act.turn + 1),) if act.turn else ()
    waived = ("waived",) if act.kind == ActKind.WAIVED else ()
    return "-".join(("interest", act.period, act.party, act.claim, *turn, *waived))


def _content(act: Act, late: LateInterest, names: Names, title: Both, own: str) -> dict[str, object]:
    waiver = late.waiver
    return {
        "format": FORMAT,
        "document": {"kind": "claim" if waiver is None else "waiver", "ja": title[0], "en": title[1]},
        "number": own,
        "environment": names.environment,
        "issuer": in_json(names.centre, names.issuer, names),
        "party": in_json(act.party, names.party(act.party), names),
        "contract": act.contract,
        "claim": act.claim,
        "period": act.period,
        "clause": late.clause,
        "base": late.base.value,
        "base_yen": late.base_yen,
        "unpaid_yen": late.unpaid_yen,
        "rate_basis_points": late.rate.basis_points,
        "rate_source": late.rate.source,
        "deadline": late.deadline,
        "paid": late.paid,
        "late_days": late.late_days,
        "days": late.days,
        "year_days": late.year_days,
        "unit_yen": late.unit_yen,
        "interest_yen": late.interest_yen,
        "unpaid_interest_yen": late.unpaid_interest_yen,
        "payable_yen": late.payable_yen,
        "payable_by": late.payable_by,
        "waiver": None if waiver is None else {"ground": waiver.ground, "reference": waiver.reference},
    }


def _page(act: Act, late: LateInterest, names: Names, title: Both, own: str) -> Document:
    waived = late.waiver is not None
    return Document(
        title=title,
        number=own,
        mark=mark(names.environment),
        to=addressee(act.party, names),
        of=writer(names.centre, names),
        meta=facts(("番号", "No.", own), ("発行日", "Date", day_text(act.day))),
        lead=(
            ("下記の遅延利息を免除します。", "We let the late interest below go.")
            if waived
            else ("支払の遅延による利息を下記のとおり請求します。", "We claim interest on a late payment.")
        ),
        headline=Headline(
            ("免除する金額", "Amount let go") if waived else ("遅延利息", "Late interest"),
            yen(late.interest_yen if waived else late.payable_yen),
            facts(
                ("お支払期限", "Due", "" if late.payable_by is None else _day(late.payable_by)),
                ("対象期間", "Period", period_text(act.period)),
                ("契約", "Agreement", act.contract),
                ("根拠", "Clause", late.clause),
                ("振込先", "Account", "" if waived else names.accounts.get(names.centre, "")),
            ),
        ),
        parts=(_delay(late), _reckoning(late), *_waiver(late), Notes(_notes(late))),
    )


def _delay(late: LateInterest) -> Facts:
    excluded = late.late_days - late.days
    return Facts(
        ("遅延の日数", "The delay"),
        facts(
            ("約定の支払期限", "Deadline", _day(late.deadline)),
            ("入金日", "Paid on", _day(late.paid)),
            ("期限の翌日から入金日まで", "From the day after to the payment", f"{late.late_days}日"),
            ("うち算入しない日数", "Days that do not count", f"{excluded}日" if excluded else ""),
            ("計算日数", "Days that count", f"{late.days}日"),
            ("年利率", "Rate a year", percent(late.rate.basis_points)),
            ("利率の根拠", "Set by", late.rate.source),
        ),
    )


def _reckoning(late: LateInterest) -> Table:
    other = Base.UNPAID if late.base is Base.RECEIVED else Base.RECEIVED
    rows = [
        _row(late, _BASES[late.base], ("契約の文言による額", "as worded: claimed"), late.base_yen, late.interest_yen)
    ]
    if late.base is Base.RECEIVED:
        rows.append(
            _row(
                late,
                _BASES[other],
                ("参考(差引後の額による)", "beside it, on the net"),
                late.unpaid_yen,
                late.unpaid_interest_yen,
            )
        )
    return Table(
        ("計算", "The reckoning (yen)"),
        (
            Column(("計算の基礎", "Base"), width=1),
            Column(("区分", "Which")),
            Column(("金額", "Amount"), right=True),
            Column(("計算式", "Formula")),
            Column(("利息", "Interest"), right=True),
        ),
        tuple(rows),
    )


def _row(late: LateInterest, base: Both, what: Both, amount: int, interest: int) -> Row:
    formula = f"{number(amount)} × {percent(late.rate.basis_points)} × {late.days} ÷ {late.year_days}"
    return Row((base, what, number(amount), formula, number(interest)))


def _waiver(late: LateInterest) -> tuple[Facts, ...]:
    if late.waiver is None:
        return ()
    rows = facts(
        ("理由", "Ground", in_glyphs(late.waiver.ground)), ("決定", "Decision", in_glyphs(late.waiver.reference))
    )
    return (Facts(("免除", "The waiver"), rows),)


def _notes(late: LateInterest) -> tuple[Both, ...]:
    unit = number(late.unit_yen)
    return (
        (
            f"{unit}円未満の端数は切り捨てます。{unit}円に満たないときは請求しません。",
            f"Fractions of {unit} yen are dropped; below {unit} yen nothing is due.",
        ),
        (
            f"1年は閏年も{late.year_days}日として計算します。",
            f"A year has {late.year_days} days, a leap year too.",
        ),
    )


def _day(day: date) -> str:
    return day_text(day.isoformat())
