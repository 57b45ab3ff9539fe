"""The disclosure report of one resident (本人への開示): when, to whom, for what. Pure: lines in, text or HTML out.

The report answers いつ、どこへ、何のため. It names no member of staff and no case of the receiving party, and nothing
that the register says of the resident: whoever hands it out knows whom it is for.

Source: DOMAIN 2.4 (provision histories are disclosed to the person; kept 5 years).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import jinja2
import msgspec

from gateway.inquiry.reading import Line, Period


class Provision(msgspec.Struct, frozen=True, kw_only=True):
    """One time that something was provided, as the resident reads it."""

    at: str
    to_ja: str
    to_en: str
    purpose_ja: str
    purpose_en: str
    step_ja: str
    given_ja: str
    given_en: str
    note_ja: str
    note_en: str
    request_id: str


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """The report. Dates are days in Japan, both included; `reference` is the disclosure request's."""

    title_ja: str = "本人確認情報の提供状況"
    title_en: str = "Provision of resident-identity information"
    reference: str
    made_at: str
    first: str
    last: str
    count: int
    provisions: list[Provision]


def disclosure_of(
    lines: Sequence[Line], *, names: Mapping[str, tuple[str, str]], period: Period, reference: str, made_at: str
) -> Disclosure:
    """The report over a resident's lines. names: party -> Japanese and English name; a party without one is its id."""
    return Disclosure(
        reference=reference,
        made_at=made_at,
        first=period.first.isoformat(),
        last=period.last.isoformat(),
        count=len(lines),
        provisions=[_provision(line, *names.get(line.party, (line.party, line.party))) for line in lines],
    )


def _provision(line: Line, to_ja: str, to_en: str) -> Provision:
    notes = [
        *([("同じ照会への再回答", "the same question answered again")] if line.repeated else []),
        *([("受領していないとの申告あり", "declared as never received")] if line.disclaimed else []),
    ]
    return Provision(
        at=line.at,
        to_ja=to_ja,
        to_en=to_en,
        purpose_ja=line.affair_ja,
        purpose_en=line.affair_en,
        step_ja=line.step_ja,
        given_ja=line.given_ja,
        given_en=line.given_en,
        note_ja="、".join(ja for ja, _ in notes),
        note_en=", ".join(en for _, en in notes),
        request_id=line.request_id,
    )


def as_text(report: Disclosure) -> str:
    """For a terminal or a plain print."""
    out = [
        f"{report.title_ja} / {report.title_en}",
        f"  受付番号 / reference: {report.reference}",
        f"  期間 / period: {report.first} - {report.last}",
        f"  作成 / made: {report.made_at}",
        f"  件数 / count: {report.count}",
    ]
    for number, each in enumerate(report.provisions, 1):
        out += [
            "",
            f"{number}. いつ / when: {each.at}",
            f"   どこへ / to: {each.to_ja} / {each.to_en}",
            f"   何のため / for: {each.purpose_ja}({each.step_ja}) / {each.purpose_en}",
            f"   提供した事項 / what: {each.given_ja} / {each.given_en}",
            f"   要求番号 / request id: {each.request_id}",
        ]
        if each.note_ja:
            out.append(f"   備考 / note: {each.note_ja} / {each.note_en}")
    if not report.provisions:
        out += ["", "この期間の提供はありません / Nothing was provided in this period"]
    return "\n".join(out) + "\n"


def as_html(report: Disclosure) -> str:
    """A page that prints on A4; needs nothing from anywhere else."""
    return _PAGE.render(report=report)


_PAGE: Final = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined).from_string(
    """<!DOCTYPE html>
<html lang="ja">
<head>
<meta charset="utf-8">
<title>{{ report.title_ja }}</title>
<style>
@page { size: A4; margin: 18mm }
body { font-family: "IPAexGothic", "Noto Sans CJK JP", sans-serif; font-size: 10.5pt; line-height: 1.6; margin: 1em }
h1 { font-size: 15pt; margin: 0 }
table { border-collapse: collapse; width: 100%; margin-top: 1em }
th, td { border: 1px solid #555; padding: .3em .5em; text-align: left; vertical-align: top }
th { background: #eee }
tr { break-inside: avoid }
[lang=en] { font-size: 8.5pt; color: #333; display: block }
</style>
</head>
<body>
<main>
<h1>{{ report.title_ja }}</h1>
<p lang="en">{{ report.title_en }}</p>
<dl>
<dt>受付番号 <span lang="en">Reference</span></dt><dd>{{ report.reference }}</dd>
<dt>期間 <span lang="en">Period</span></dt><dd>{{ report.first }} - {{ report.last }}</dd>
<dt>作成 <span lang="en">Made</span></dt><dd>{{ report.made_at }}</dd>
<dt>件数 <span lang="en">Count</span></dt><dd>{{ report.count }}</dd>
</dl>
{% if report.provisions %}
<table>
<thead>
<tr>
<th scope="col">いつ<span lang="en">When</span></th>
<th scope="col">どこへ<span lang="en">To</span></th>
<th scope="col">何のため<span lang="en">For</span></th>
<th scope="col">提供した事項<span lang="en">What</span></th>
<th scope="col">備考<span lang="en">Note</span></th>
</tr>
</thead>
<tbody>
{% for each in report.provisions %}
<tr>
<td>{{ each.at }}</td>
<td>{{ each.to_ja }}<span lang="en">{{ each.to_en }}</span></td>
<td>{{ each.purpose_ja }}({{ each.step_ja }})<span lang="en">{{ each.purpose_en }}</span></td>
<td>{{ each.given_ja }}<span lang="en">{{ each.given_en }}</span></td>
<td>{{ each.note_ja }}<span lang="en">{{ each.note_en }}</span></td>
</tr>
{% endfor %}
</tbody>
</table>
{% else %}
<p>この期間の提供はありません<span lang="en">Nothing was provided in this period</span></p>
{% endif %}
</main>
</body>
</html>
"""
)
