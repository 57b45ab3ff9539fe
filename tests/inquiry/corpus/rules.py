"""All rules of the corpus: their sentences, and the cases they make."""

from typing import Final

from tests.inquiry.corpus import names, people, places
from tests.inquiry.corpus.cases import Case

_ALL: Final = (names.rules, places.rules, people.rules)
RULES: Final = {rule: sentence for rules in _ALL for rule, sentence in rules.sentences.items()}
"""What each rule says, by its id; a case names its rule."""
LIMITS: Final = frozenset({"X01"})
"""Rules whose cases are not understood yet: they count against recall."""


def build() -> list[Case]:
    """Every case of every rule, in order."""
    return [case for rules in _ALL for case in rules.build()]
