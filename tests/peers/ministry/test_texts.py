"""Both languages are complete, and the catalogue and the templates name the same keys."""

import re
import string
from pathlib import Path

import pytest

import gateway.peers.ministry as ministry
from gateway.peers.ministry.texts import TEXTS, say

PLACE = Path(ministry.__file__).parent
SOURCES = [*PLACE.glob("templates/*.html"), *PLACE.glob("pages*.py"), *PLACE.glob("forms.py"), *PLACE.glob("web.py")]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
ROOTS = {key.partition(".")[0] for key in TEXTS}
NAMED = {found for found in re.findall(r"[\"']([a-z-]+\.[a-z0-9.-]+)[\"']", TEXT) if found.partition(".")[0] in ROOTS}
BUILT = ("answer.grade.", "field.", "wrong.", "sex.", "right.", "error.")
"""Keys that are put together from a prefix and a value."""


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_both_languages_are_there_and_take_the_same_facts(key: str) -> None:
    ja, en = TEXTS[key]
    assert ja.strip()
    assert en.strip()
    facts = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (ja, en)]
    assert facts[0] == facts[1]
    assert ja.count("\n") == en.count("\n") or key.startswith("advice.")
    assert key == "app.other-language" or re.search(r"[ぁ-んァ-ヶ一-龠]", ja)


def test_every_key_named_is_in_the_catalogue() -> None:
    assert not {key for key in NAMED if not key.endswith((".html", ".css", ".js"))} - set(TEXTS) - set(BUILT)


def test_every_text_is_said_somewhere() -> None:
    assert {key for key in TEXTS if key not in NAMED and not key.startswith(BUILT)} == set()


def test_facts_are_put_in() -> None:
    assert say("answer.at", "ja", position=3) == "3文字目："
    assert say("answer.at", "en", position=3) == "Character 3:"
