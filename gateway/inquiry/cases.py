"""Questions whose answers are known in every synthetic register of a seed: for the demo, the tests and the peers.

Their residents live in two towns where the generator puts nobody else, so the answers do not depend on the count.
"""

import datetime as dt

import msgspec

from gateway.inquiry.changes import ChangeReason
from gateway.inquiry.record import SCHEMA, ResidentRecord, Sex
from gateway.inquiry.synthetic import Resident, absent_code, birth_in_words, codes, record_id
from protocol.messages import InquiryByCode, InquiryByName
from protocol.outcomes import Outcome

_CHIBA = ("121011", "千葉県千葉市中央区千葉港")
_TAKAOKA = ("162027", "富山県高岡市広小路")


class KnownCase(msgspec.Struct, frozen=True, kw_only=True):
    """A question and what it comes to: by code if `code` is set, else by name and address.

    `differing` are the fields a VARIANT names.
    """

    key: str
    outcome: Outcome
    code: str | None = None
    name: str = ""
    address: str = ""
    birth: str | None = None
    sex: int | None = None
    differing: tuple[str, ...] = ()

    def question(self, *, affair: str, step: int, staff: str, case: str) -> InquiryByCode | InquiryByName:
        """The request body for an affair, its step, a member of staff and a case reference."""
        if self.code is not None:
            return InquiryByCode(affair, step, staff, case, self.code)
        return InquiryByName(affair, step, staff, case, self.name, self.address, self.birth, self.sex)


def known_residents(seed: int) -> tuple[Resident, ...]:
    """The residents the known cases ask for, in a fixed order; the first of every synthetic register."""
    code = codes(seed)
    people = (
        _person(next(code), "山田 花子", "ヤマダ ハナコ", "1980-05-01", Sex.FEMALE, "1丁目1番1号"),
        _person(next(code), "髙橋 一郎", "タカハシ イチロウ", "1975-11-23", Sex.MALE, "1丁目2番3号"),
        _person(next(code), "佐藤 美咲", "サトウ ミサキ", "1992-02-14", Sex.FEMALE, "2丁目10番8号"),
        _person(next(code), "鈴木 太郎", "スズキ タロウ", "1950-01-02", Sex.MALE, "3丁目5番1号"),
        _person(next(code), "鈴木 太郎", "スズキ タロウ", "1988-07-30", Sex.MALE, "3丁目5番1号"),
        _person(
            next(code),
            "渡邉 健太",
            "ワタナベ ケンタ",
            "1990-09-09",
            Sex.MALE,
            "7番50号",
            place=_TAKAOKA,
            former_addresses=(_CHIBA[1] + "9番9号",),
            reason=ChangeReason.MOVED_IN,
        ),
        _person(
            next(code),
            "齋藤 由美子",
            "サイトウ ユミコ",
            "1983-03-03",
            Sex.FEMALE,
            "4丁目4番4号",
            former_surname="伊藤",
            former_names=("伊藤 由美子",),
            reason=ChangeReason.FORMER_SURNAME_ENTERED,
        ),
        _person(
            next(code), "田中 トメ", "タナカ トメ", birth_in_words(1935, 3), Sex.FEMALE, "5丁目6番7号", sort=19350300
        ),
        _person(
            next(code),
            "小林 正",
            "コバヤシ タダシ",
            "1921-04-05",
            Sex.MALE,
            "6丁目1番2号",
            reason=ChangeReason.DIED,
        ),
    )
    past = dt.date(2015, 3, 31)
    return tuple(
        Resident(record_id(seed, number), person, expires_on=past if number == len(people) - 1 else None)
        for number, person in enumerate(people)
    )


def known_cases(seed: int) -> tuple[KnownCase, ...]:
    """The questions, each with its promised outcome."""
    hanako, ichiro, misaki, taro, _, kenta, yumiko, tome, tadashi = (r.record for r in known_residents(seed))
    last = str((int(hanako.code[10]) + 1) % 10)
    return (
        KnownCase(key="exact-by-code", outcome=Outcome.EXACT, code=hanako.code),
        KnownCase(key="exact-by-name", outcome=Outcome.EXACT, name=misaki.name, address=misaki.address),
        KnownCase(
            key="variant-kanji", outcome=Outcome.VARIANT, name="高橋一郎", address=ichiro.address, differing=("name",)
        ),
        KnownCase(
            key="variant-notation",
            outcome=Outcome.VARIANT,
            name=misaki.name,
            address="千葉市中央区千葉港二丁目10-8",
            differing=("address",),
        ),
        KnownCase(key="ambiguous", outcome=Outcome.AMBIGUOUS, name=taro.name, address=taro.address),
        KnownCase(
            key="namesake-by-birth",
            outcome=Outcome.EXACT,
            name=taro.name,
            address=taro.address,
            birth=taro.birth,
            sex=1,
        ),
        KnownCase(
            key="former-address",
            outcome=Outcome.VARIANT,
            name=kenta.name,
            address=kenta.former_addresses[0],
            differing=("former_address",),
        ),
        KnownCase(
            key="former-surname",
            outcome=Outcome.VARIANT,
            name=yumiko.former_names[0],
            address=yumiko.address,
            differing=("former_surname",),
        ),
        KnownCase(
            key="uncertain-birth",
            outcome=Outcome.VARIANT,
            name=tome.name,
            address=tome.address,
            birth="1935-03-15",
            differing=("birth",),
        ),
        KnownCase(key="none-by-code", outcome=Outcome.NONE, code=absent_code(seed)),
        KnownCase(key="none-by-name", outcome=Outcome.NONE, name="架空 太郎", address=taro.address),
        KnownCase(key="expired", outcome=Outcome.NONE, code=tadashi.code),
        KnownCase(key="code-mistyped", outcome=Outcome.FIELD_INVALID, code=hanako.code[:10] + last),
    )


def _person(
    code: str,
    name: str,
    kana: str,
    birth: str,
    sex: Sex,
    numbers: str,
    *,
    place: tuple[str, str] = _CHIBA,
    sort: int | None = None,
    reason: ChangeReason = ChangeReason.ENTERED_EX_OFFICIO,
    former_surname: str = "",
    former_names: tuple[str, ...] = (),
    former_addresses: tuple[str, ...] = (),
) -> ResidentRecord:
    return ResidentRecord(
        SCHEMA,
        code,
        name,
        kana,
        birth,
        sort or int(birth.replace("-", "")),
        int(sex),
        place[1] + numbers,
        place[0],
        int(reason),
        "2021-04-01",
        former_surname,
        synthetic=True,
        former_names=former_names,
        former_addresses=former_addresses,
    )
