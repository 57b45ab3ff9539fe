"""The affairs and steps of the ministry's agreement, as its terminals offer them.

The centre decides what is granted; this list spares a clerk from asking what never is.
Source: 002 別記1: five affairs, 14 pairs of affair and step.
"""

from typing import Final

from gateway.peers.ministry.desk import AffairChoice, Choice

_RECEPTION: Final = Choice(number=1, ja="受理", en="Reception")
_EXAMINATION: Final = Choice(number=2, ja="審査", en="Examination")
_RESPONSE: Final = Choice(number=3, ja="応答", en="Response")
_APPLICATION: Final = (_RECEPTION, _EXAMINATION, _RESPONSE)

AFFAIRS: Final = (
    AffairChoice(  # 002 別記1(1)
        id="vehicle-12-1",
        ja="道路運送車両法第12条第1項の変更登録の申請",
        en="Road Transport Vehicle Act, art. 12(1): change of registration",
        steps=_APPLICATION,
    ),
    AffairChoice(  # 002 別記1(2)
        id="vehicle-59-1",
        ja="道路運送車両法第59条第1項の新規検査の申請",
        en="Road Transport Vehicle Act, art. 59(1): initial inspection",
        steps=_APPLICATION,
    ),
    AffairChoice(  # 002 別記1(3)
        id="vehicle-67",
        ja="道路運送車両法第67条の記入の申請",
        en="Road Transport Vehicle Act, art. 67: entry in the inspection certificate",
        steps=_APPLICATION,
    ),
    AffairChoice(  # 002 別記1(4)
        id="vehicle-71-4",
        ja="道路運送車両法第71条第4項の交付の申請",
        en="Road Transport Vehicle Act, art. 71(4): issue of a certificate",
        steps=_APPLICATION,
    ),
    AffairChoice(  # 002 別記1(5): a notification has no response
        id="vehicle-97-3-1",
        ja="道路運送車両法第97条の3第1項の届出",
        en="Road Transport Vehicle Act, art. 97-3(1): notification of a light vehicle",
        steps=(_RECEPTION, _EXAMINATION),
    ),
)
PAIRS: Final = frozenset((affair.id, step.number) for affair in AFFAIRS for step in affair.steps)
