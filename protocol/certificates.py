"""What a certificate is about, in the words all parties share: kinds, options, card types, and who signs what.

Kinds are idents that stand in the directory, in ledger entries (`matter`) and on the lines; which of them a
municipality offers, to whom and at what fee, is its own to say (000契22-1, 001-7-1). Options and card types are small
integers. Names in Japanese and English are here, so that a kiosk, a statement and a page say the same.

Source: DOMAIN B1, 2.7; 000仕3-1; docs/PROTOCOL.md, Certificates.
"""

from enum import IntEnum, IntFlag, StrEnum
from typing import Final

import msgspec


class Kind(StrEnum):
    """証明書の種別."""

    RESIDENT = "juminhyo"
    RESIDENT_ITEMS = "juminhyo-kisai"
    SEAL = "inkan"
    INCOME = "shotoku"
    TAXATION = "kazei"
    TAX_PAID = "nozei"
    FAMILY_ALL = "koseki-zenbu"
    FAMILY_ONE = "koseki-kojin"
    FAMILY_ADDRESS = "koseki-fuhyo"


class Named(msgspec.Struct, frozen=True):
    """A name in Japanese and English."""

    ja: str
    en: str


KINDS: Final[dict[Kind, Named]] = {
    Kind.RESIDENT: Named("住民票の写し", "Copy of residence certificate"),
    Kind.RESIDENT_ITEMS: Named("住民票記載事項証明書", "Certificate of items in the residence record"),
    Kind.SEAL: Named("印鑑登録証明書", "Seal registration certificate"),
    Kind.INCOME: Named("所得証明書", "Certificate of income"),
    Kind.TAXATION: Named("課税証明書", "Certificate of taxation"),
    Kind.TAX_PAID: Named("納税証明書", "Certificate of tax payment"),
    Kind.FAMILY_ALL: Named("戸籍全部事項証明書", "Family register, all items"),
    Kind.FAMILY_ONE: Named("戸籍個人事項証明書", "Family register, one person"),
    Kind.FAMILY_ADDRESS: Named("戸籍の附票の写し", "Supplementary family register"),
}


class Option(IntFlag):
    """What a certificate shows beside its plain items (DOMAIN 2.7)."""

    HOUSEHOLD = 1  # 世帯全員 in place of 本人
    DOMICILE = 2  # 本籍・筆頭者
    RELATION = 4  # 世帯主・続柄
    MY_NUMBER = 8  # 個人番号


OPTIONS: Final[dict[Option, Named]] = {
    Option.HOUSEHOLD: Named("世帯全員", "All of the household"),
    Option.DOMICILE: Named("本籍・筆頭者", "Registered domicile"),
    Option.RELATION: Named("世帯主・続柄", "Head of household and relation"),
    Option.MY_NUMBER: Named("個人番号", "Individual number"),
}


class CardType(IntEnum):
    """個人番号カード等 (000仕3-1)."""

    MY_NUMBER_CARD = 1
    RESIDENT_CARD = 2  # 住民基本台帳カード: its use at kiosks has ended (DOMAIN X 9)
    SMARTPHONE = 3


CARD_TYPES: Final[dict[CardType, Named]] = {
    CardType.MY_NUMBER_CARD: Named("マイナンバーカード", "My Number Card"),
    CardType.RESIDENT_CARD: Named("住民基本台帳カード", "Basic Resident Register Card"),
    CardType.SMARTPHONE: Named("スマートフォン用電子証明書", "Certificate on a smartphone"),
}
