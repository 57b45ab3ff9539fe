"""The affairs for which resident-identity information may be asked, as the agreement lists them.

An affair (事務) is what the law allows the information to be used for; a step is the stage of its processing. A pair
that is not here exists for nobody, whatever a contract says. Who is granted which of them is in the contracts.

Source: 002 別記1 (住民基本台帳法 別表第一; 総務省令13号): five affairs of the 道路運送車両法, 14 pairs.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

RECEPTION: Final = 1
"""受理: the application is received."""
EXAMINATION: Final = 2
"""審査: the facts of the application are examined."""
RESPONSE: Final = 3
"""応答: the application is answered."""

STEP_NAMES: Final[Mapping[int, str]] = MappingProxyType({RECEPTION: "受理", EXAMINATION: "審査", RESPONSE: "応答"})


class Affair(msgspec.Struct, frozen=True, kw_only=True):
    """One affair: its id on the line, its title, its steps, whether 個人番号 may be given for it, and whether a person
    may be looked for by former names and addresses, which are themselves never given."""

    id: str
    title_ja: str
    title_en: str
    steps: frozenset[int]
    my_number_allowed: bool = False
    history_searched: bool = True  # an owner's vehicle is often still registered under the name or address before

    def step_names(self) -> dict[int, str]:
        """The steps by number with their Japanese names."""
        return {step: STEP_NAMES[step] for step in sorted(self.steps)}


_APPLICATION: Final = frozenset({RECEPTION, EXAMINATION, RESPONSE})
_NOTIFICATION: Final = frozenset({RECEPTION, EXAMINATION})
_LISTED: Final = (
    Affair(  # 002 別記1(1)
        id="vehicle-12-1",
        title_ja="道路運送車両法第12条第1項の変更登録の申請",
        title_en="Road Transport Vehicle Act, art. 12(1): change of registration",
        steps=_APPLICATION,
    ),
    Affair(  # 002 別記1(2)
        id="vehicle-59-1",
        title_ja="道路運送車両法第59条第1項の新規検査の申請",
        title_en="Road Transport Vehicle Act, art. 59(1): initial inspection",
        steps=_APPLICATION,
    ),
    Affair(  # 002 別記1(3)
        id="vehicle-67",
        title_ja="道路運送車両法第67条の記入の申請",
        title_en="Road Transport Vehicle Act, art. 67: entry in the inspection certificate",
        steps=_APPLICATION,
    ),
    Affair(  # 002 別記1(4)
        id="vehicle-71-4",
        title_ja="道路運送車両法第71条第4項の交付の申請",
        title_en="Road Transport Vehicle Act, art. 71(4): issue of a certificate",
        steps=_APPLICATION,
    ),
    Affair(  # 002 別記1(5): a notification is received and examined; there is nothing to answer
        id="vehicle-97-3-1",
        title_ja="道路運送車両法第97条の3第1項の届出",
        title_en="Road Transport Vehicle Act, art. 97-3(1): notification of a light vehicle",
        steps=_NOTIFICATION,
    ),
)

AFFAIRS: Final[Mapping[str, Affair]] = MappingProxyType({affair.id: affair for affair in _LISTED})
PAIRS: Final[frozenset[tuple[str, int]]] = frozenset((affair.id, step) for affair in _LISTED for step in affair.steps)
"""Every (affair, step) that exists: 14."""
