"""Every trouble and every outcome has words in both languages; sensitive causes stay neutral."""

import re

from gateway.peers.kiosk.screens import SCREENS
from gateway.peers.kiosk.texts import TROUBLES, Trouble, trouble_words
from protocol.outcomes import CATALOGUE, Outcome

SENSITIVE = ("支援", "DV", "措置", "protect", "suppress")


def test_every_trouble_has_words_and_says_what_to_do() -> None:
    assert set(TROUBLES) == set(Trouble)
    for words in (*TROUBLES.values(), *(trouble_words(str(int(outcome))) for outcome in Outcome)):
        assert all(words)
        assert not any(word in text for word in SENSITIVE for text in words)


def test_an_outcome_is_shown_in_the_catalogues_words_and_an_unknown_one_as_not_available() -> None:
    for outcome, meaning in CATALOGUE.items():
        words = trouble_words(str(int(outcome)))
        assert (words.ja, words.en) == (meaning.ja, meaning.en)
    assert trouble_words("9999") == trouble_words("what") == TROUBLES[Trouble.RELAY_AWAY]


def test_what_costs_nothing_says_so() -> None:
    paid = {Trouble.DOCUMENT_REFUSED_PAID, Trouble.PAPER_JAM, Trouble.PAYMENT_FAILED, Trouble.PIN_WRONG}
    for trouble, words in TROUBLES.items():
        assert ("手数料はいただいていません" in words.remedy_ja) == (trouble not in paid)


def test_both_languages_hold_the_same_facts() -> None:
    for key, (ja, en) in SCREENS.items():
        assert set(re.findall(r"{(\w+)", ja)) == set(re.findall(r"{(\w+)", en)), key
