"""Synthetic certificates of every kind, and the keys of the town that issues them."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from gateway.peers.kit.content import Certificate, Row, Section, paginate
from gateway.peers.kit.impressions import draw_impression
from gateway.peers.kit.rendering import Bindings
from hsm.ceremony import create_standard_keys, trust_of
from hsm.software import SoftwareKeystore
from protocol.certificates import Kind
from protocol.keys import Purpose
from protocol.trust import Trust

CODE = "139998"
ISSUED_AT_US = 1_795_000_000_000_000
KEYS_FROM_US = ISSUED_AT_US - 86_400_000_000
APPLICATION = bytes(range(16))
PSEUDONYM = bytes(range(16, 32))
NAME = "渡邉\U000e0110 花子"
"""邉 in the variant of MJ's collection that the municipality registered."""
NAME_ROW = Row("氏名", NAME, key=True)
BORN_ROW = Row("生年月日", "昭和50年5月3日", key=True)
ADDRESS_ROW = Row("住所", "架空県架空市合成町一丁目2番3号", key=True)


class Town:
    """A synthetic municipality's key store and its trust bundle."""

    def __init__(self, directory: Path, owner: str = "town-139998") -> None:
        directory.mkdir(exist_ok=True)
        self.owner = owner
        self.store = SoftwareKeystore.create(directory / f"{owner}.sekisho", "synthetic", owner=owner)
        create_standard_keys(self.store, "municipality", label=owner, now_us=KEYS_FROM_US)
        self.key_id = self.store.current(Purpose.MANIFEST, KEYS_FROM_US).key_id

    @property
    def trust(self) -> Trust:
        """What verifiers hold of this town."""
        return trust_of(self.store, role="municipality", environment="test")

    def sign(self, data: bytes) -> bytes:
        """By the manifest key."""
        return self.store.sign(self.key_id, data)

    def bindings(self, kind: str, **other: bytes) -> Bindings:
        """Of one application, other where named."""
        return Bindings(
            municipality=CODE,
            kind=kind,
            application=other.get("application", APPLICATION),
            pseudonym=other.get("pseudonym", PSEUDONYM),
            issued_at_us=ISSUED_AT_US,
            key_id=self.key_id,
        )


def certificate(
    kind: Kind, sections: Sequence[Section], *, common: Sequence[Row] = (), impression: bytes = b""
) -> Certificate:
    """A certificate of a town that does not exist."""
    return paginate(
        kind=kind,
        municipality_ja="架空市",
        mayor_ja="合成 太郎",
        serial="139998-2026-0000123",
        issued_on=date(2026, 11, 21),
        common=common,
        sections=sections,
        impression=impression,
    )


def person(number: int, name: str = NAME) -> Section:
    """One of a household."""
    rows = (
        Row("氏名", f"{name}{number}", key=True),
        Row("生年月日", "昭和50年5月3日", key=True),
        Row("性別", "女"),
        Row("続柄", "子"),
        Row("住民となった年月日", "平成3年1月1日"),
    )
    return Section(f"世帯員 {number}", rows)


def household(people: int) -> Certificate:
    """住民票 of a whole household."""
    common = (ADDRESS_ROW, Row("世帯主", NAME))
    return certificate(Kind.RESIDENT, [person(number) for number in range(1, people + 1)], common=common)


def of_kind(kind: Kind) -> Certificate:
    """One certificate as that kind looks."""
    who = Section("", (NAME_ROW, BORN_ROW, ADDRESS_ROW))
    match kind:
        case Kind.RESIDENT | Kind.RESIDENT_ITEMS:
            return certificate(kind, [person(1)], common=(ADDRESS_ROW,))
        case Kind.SEAL:
            return certificate(kind, [who], impression=draw_impression("渡邉"))
        case Kind.INCOME | Kind.TAXATION | Kind.TAX_PAID:
            amounts = (Row("給与収入", "5,432,100円"), Row("課税標準額", "2,421,000円"))
            return certificate(kind, [who, Section("令和8年度（令和7年分）", amounts, amounts=True)])
        case Kind.FAMILY_ALL | Kind.FAMILY_ONE:
            events = tuple(Row("身分事項", f"【届出日】令和{year}年4月1日　【届出人】父") for year in range(1, 40))
            return certificate(kind, [who, Section("戸籍に記録されている者", events)])
        case Kind.FAMILY_ADDRESS:
            moves = tuple(
                Row("住所を定めた年月日", f"令和{year}年4月1日　架空市合成町{year}番") for year in range(1, 9)
            )
            return certificate(kind, [who, Section("附票に記録されている者", moves)])
