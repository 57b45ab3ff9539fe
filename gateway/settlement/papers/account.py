"""The final account of a contract as JSON and PDF: both sides' claims, interest, and what is left. Nothing is set off.

Source: 000契21, 27; DOMAIN A7, A9.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.settlement.ending import Account, AccountLine
from gateway.settlement.paper import JSON, PDF, Names, Paper, file_name
from gateway.settlement.papers.cells import amount_json
from gateway.settlement.papers.errors import ActMisfits
from gateway.settlement.papers.figures import day_text, mark, number, period_text, to_json, yen
from gateway.settlement.papers.heads import addressee, in_json, writer
from gateway.settlement.papers.setting import (
    TOTAL,
    Both,
    Column,
    Document,
    Facts,
    Headline,
    Notes,
    Row,
    Table,
    facts,
    to_pdf,
)
from gateway.settlement.terms import PartyRole
from protocol.act import Act, ActKind
from protocol.settlement import NOTHING

FORMAT: Final = "sekisho-final-account/1"
_TITLE: Final[Both] = ("最終精算書", "Final account")
_SETTLED: Final[Both] = ("精算は完了しています。", "Everything is settled.")
_OPEN: Final[Both] = ("下記のとおり精算します。", "We account for the contract as below.")


def account_papers(act: Act, account: Account, *, names: Names) -> tuple[Paper, ...]:
    """.json and .pdf. act: FINAL_ACCOUNT, of this account.

    Raises: ActMisfits; GlyphLacking, NotSet, FontMissing.
    """
    told = (account.contract, account.party, account.term)
    if act.kind != ActKind.FINAL_ACCOUNT or (act.contract, act.party, act.period) != told:
        raise ActMisfits(act, _TITLE[0])
    ended = account.term.partition("/")[2]
    own = "-".join(("final-account", account.party, ended, *((str(act.turn + 1),) if act.turn else ())))
    pdf = to_pdf(_page(act, account, names, own), at_us=act.at_us)
    return (
        Paper(name=file_name(own, "json"), media=JSON, data=to_json(_content(account, names, own))),
        Paper(name=file_name(own, "pdf"), media=PDF, data=pdf),
    )


def _content(account: Account, names: Names, own: str) -> dict[str, object]:
    fields = msgspec.to_builtins(account)
    return {
        "format": FORMAT,
        "document": {"kind": "final-account", "ja": _TITLE[0], "en": _TITLE[1]},
        "number": own,
        "environment": names.environment,
        "issuer": in_json(names.centre, names.issuer, names),
        "party": in_json(account.party, names.party(account.party), names),
        **{name: fields[name] for name in ("contract", "term", "day", "lines", "unclaimed")},
        "unbilled": amount_json(account.unbilled),
        "to_centre_yen": account.to_centre_yen,
        "from_centre_yen": account.from_centre_yen,
        "net_yen": account.net_yen,
        "settled": account.is_settled,
    }


def _page(act: Act, account: Account, names: Names, own: str) -> Document:
    return Document(
        title=_TITLE,
        number=own,
        mark=mark(names.environment),
        to=addressee(account.party, names),
        of=writer(names.centre, names),
        meta=facts(("番号", "No.", own), ("発行日", "Date", day_text(act.day))),
        lead=_SETTLED if account.is_settled else _OPEN,
        headline=Headline(
            ("センターへの未払額", "Open to the centre"),
            yen(account.to_centre_yen),
            facts(
                ("センターの未払額", "Open from the centre", yen(account.from_centre_yen)),
                ("差引(相殺しません)", "Difference (no set-off)", yen(account.net_yen)),
                ("契約", "Agreement", account.contract),
                ("契約期間", "Term", period_text(account.term)),
            ),
        ),
        parts=tuple(_parts(account)),
    )


def _parts(account: Account) -> Iterator[Table | Facts | Notes]:
    for to_centre, heading in (
        (True, ("センターの請求", "Claims of the centre (yen)")),
        (False, ("センターへの請求", "Claims on the centre (yen)")),
    ):
        lines = [line for line in account.lines if (line.creditor == PartyRole.CENTRE) is to_centre]
        if lines:
            yield _claims(heading, lines)
    late = [line for line in account.lines if line.interest_asked_yen or line.interest_running_yen]
    if late:
        yield _interest(late)
    left = tuple(_left(account))
    if left:
        yield Facts(("残っている事項", "What is left"), left)
    yield Notes(
        (
            (
                "双方の債務は相殺せず、差引額を参考として示します。",
                "Debts of both sides are not set off; the difference stands beside them.",
            ),
        )
    )


def _claims(heading: Both, lines: list[AccountLine]) -> Table:
    rows = [Row((line.period, line.number, str(line.deadline or ""), *map(number, _figures(line)))) for line in lines]
    sums = (sum(each) for each in zip(*map(_figures, lines), strict=True))
    rows.append(Row((("合計", "Total"), "", "", *map(number, sums)), TOTAL))
    return Table(
        heading,
        (
            Column(("対象期間", "Period")),
            Column(("番号", "No."), width=1),
            Column(("期限", "Due")),
            Column(("請求額", "Claimed"), right=True),
            Column(("支払済", "Paid"), right=True),
            Column(("未払", "Open"), right=True),
        ),
        tuple(rows),
        small=True,
    )


def _figures(line: AccountLine) -> tuple[int, int, int]:
    return line.yen, line.paid_yen, line.open_yen


def _interest(lines: list[AccountLine]) -> Table:
    return Table(
        ("遅延利息", "Late interest (yen)"),
        (
            Column(("対象期間", "Period")),
            Column(("番号", "No."), width=1),
            Column(("請求", "Claimed"), right=True),
            Column(("免除", "Waived"), right=True),
            Column(("入金", "Paid"), right=True),
            Column(("未請求", "Running"), right=True),
        ),
        tuple(
            Row(
                (
                    line.period,
                    line.number,
                    number(line.interest_asked_yen),
                    number(line.interest_waived_yen),
                    number(line.interest_paid_yen),
                    number(line.interest_running_yen),
                )
            )
            for line in lines
        ),
        small=True,
    )


def _left(account: Account) -> Iterator[tuple[Both, str]]:
    if account.unbilled != NOTHING:
        told = f"{number(account.unbilled.entries)}件 {yen(account.unbilled.due_yen)}"
        yield ("請求書にない取扱い", "Business in no invoice"), told
    for each in account.unclaimed:
        yield ("センターへの未請求", "Not claimed from the centre"), f"{each.period} {each.claim} {yen(each.yen)}"
