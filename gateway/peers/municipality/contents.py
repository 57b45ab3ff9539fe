"""What a certificate says of a record, as the kit's sections and rows. Pure.

The key rows are those by which a reader tells whose certificate it is: they travel in every page's code, so a page
whose print was altered contradicts itself. Dates are written by era.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from gateway.peers.kit.content import Certificate, Row, Section, paginate
from gateway.peers.ministry.eras import in_era
from gateway.peers.municipality.issuing import TAX_KINDS, Cause, Refused, shown, tax_year
from gateway.peers.municipality.records import Entry, Records, Resident
from protocol.certificates import Kind, Option

_TAX_ROWS: Final = {Kind.INCOME: "所得", Kind.TAXATION: "課税", Kind.TAX_PAID: "納税"}


def compose(
    records: Records,
    *,
    kind: Kind,
    options: int,
    municipality_ja: str,
    mayor_ja: str,
    serial: str,
    issued_on: date,
) -> Certificate:
    """The certificate of a kind. The records have passed issuing.check_records.

    Raises: Refused; TextTooLong of the kit.
    """
    common: list[Row] = []
    impression = b""
    if kind in (Kind.RESIDENT, Kind.RESIDENT_ITEMS):
        common, sections = _residence(records, options)
    elif kind is Kind.SEAL:
        sections = [_seal(records.applicant)]
        impression = records.applicant.seal.impression if records.applicant.seal else b""
    elif kind in TAX_KINDS:
        sections = [_person(records.applicant), _tax(records.applicant, kind)]
    else:
        common, sections = _family(records, kind, options)
    note = records.applicant.note
    if note:
        sections.append(Section("", (Row("備考", note),)))
    return paginate(
        kind=kind,
        municipality_ja=municipality_ja,
        mayor_ja=mayor_ja,
        serial=serial,
        issued_on=issued_on,
        sections=sections,
        common=common,
        impression=impression,
    )


def _residence(records: Records, options: int) -> tuple[list[Row], list[Section]]:
    people = shown(records, kind=Kind.RESIDENT, options=options)
    common = [Row("住所", records.applicant.address, key=True)]
    if options & Option.RELATION:
        head = next((each.name for each in records.household if each.relation == "世帯主"), "")
        common.append(Row("世帯主", head, key=True))
    return common, [
        Section(f"{number}" if len(people) > 1 else "", tuple(_resident_rows(each, options)))
        for number, each in enumerate(people, start=1)
    ]


def _resident_rows(each: Resident, options: int) -> Iterator[Row]:
    yield Row("氏名", each.name, key=True)
    yield Row("フリガナ", each.kana)
    for former in each.former_names:
        yield Row("旧氏", former)
    yield Row("生年月日", _day(each.birth), key=True)
    yield Row("性別", each.sex)
    if options & Option.RELATION:
        yield Row("続柄", each.relation)
    yield Row("住民となった日", _day(each.resident_since))
    yield Row("住所を定めた日", _day(each.address_since))
    yield Row("前住所", each.previous_address)
    if options & Option.DOMICILE:
        yield Row("本籍", each.domicile)
        yield Row("筆頭者", each.register_head)
    if options & Option.MY_NUMBER:
        yield Row("個人番号", each.my_number)


def _person(each: Resident) -> Section:
    return Section(
        "",
        (
            Row("住所", each.address, key=True),
            Row("氏名", each.name, key=True),
            Row("生年月日", _day(each.birth), key=True),
        ),
    )


def _seal(each: Resident) -> Section:
    if each.seal is None:
        raise Refused(Cause.SEAL_ABSENT)
    person = _person(each)
    number = Row("登録番号", each.seal.number, key=True)
    return Section("", (*person.rows, number, Row("登録年月日", _day(each.seal.registered_on))))


def _tax(each: Resident, kind: Kind) -> Section:
    year = tax_year(each)
    rows = [Row("年度", in_era(f"{year.year + 1}-04-01").split("年")[0] + "年度", key=True)]
    if kind is Kind.INCOME:
        rows.append(Row("合計所得金額", f"{year.income:,}円", key=True))
    if kind is Kind.TAXATION:
        rows += [Row("合計所得金額", f"{year.income:,}円"), Row("課税額", f"{year.assessed:,}円", key=True)]
    if kind is Kind.TAX_PAID:
        rows += [
            Row("課税額", f"{year.assessed:,}円"),
            Row("納付額", f"{year.paid:,}円", key=True),
            Row("未納額", f"{year.assessed - year.paid:,}円"),
        ]
    return Section(_TAX_ROWS[kind], tuple(rows), amounts=True)


def _family(records: Records, kind: Kind, options: int) -> tuple[list[Row], list[Section]]:
    register = records.register
    if register is None:
        raise Refused(Cause.REGISTER_ELSEWHERE)
    entries = [
        each for each in register.entries if kind is not Kind.FAMILY_ONE or each.resident == records.applicant.number
    ]
    if kind is Kind.FAMILY_ADDRESS and not options & Option.DOMICILE:
        return [], [_addresses(each) for each in entries]
    common = [Row("本籍", register.domicile, key=True), Row("筆頭者", register.head, key=True)]
    if kind is Kind.FAMILY_ADDRESS:
        return common, [_addresses(each) for each in entries]
    return common, [_entry(each) for each in entries]


def _entry(each: Entry) -> Section:
    return Section(
        "戸籍に記録されている者",
        (
            Row("名", each.name, key=True),
            Row("生年月日", _day(each.birth), key=True),
            Row("父", each.father),
            Row("母", each.mother),
            Row("続柄", each.relation),
            *(Row(label, text) for label, text in each.events),
        ),
    )


def _addresses(each: Entry) -> Section:
    lived = (Row("住所", f"{address}　{_day(since)}住定", key=True) for since, address in each.addresses)
    return Section("", (Row("名", each.name, key=True), *lived))


def _day(text: str) -> str:
    """By era where an era has it, as recorded where none has (不詳日)."""
    return in_era(text) or text
