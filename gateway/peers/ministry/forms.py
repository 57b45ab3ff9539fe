"""The clerk's forms read into questions; a field that cannot be read keeps its text and gets its sentence.

Nothing is decided here that the centre decides: only what is not even a question is sent back, so that a slip of
the hand costs no journey. Names and addresses go to the centre as typed, variation selectors included.

Source: docs/PROTOCOL.md, Operations; limits from protocol.limits.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.peers.ministry.desk import AffairChoice, Question
from gateway.peers.ministry.eras import read_birth
from protocol import limits

_CODE: Final = re.compile(r"[0-9]{11}", re.ASCII)
SEXES: Final = {"": None, "1": 1, "2": 2}


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a clerk is working on: affair, step and 案件番号. Every question of it is asked for these."""

    affair: str
    step: int
    case: str


class WrongForm(Exception):  # noqa: N818 - named after the fact
    """Fields that cannot be read: field name to the catalogue's key of its sentence, in the form's order."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("fields of the form cannot be read: " + ", ".join(fields))
        self.fields = dict(fields)


def read_work(form: Mapping[str, str], affairs: tuple[AffairChoice, ...]) -> Work:
    """The chosen pair "affair/step" and the case reference. Raises: WrongForm(pair, case)."""
    wrong: dict[str, str] = {}
    affair, _, step = form.get("pair", "").rpartition("/")
    if not any(affair == choice.id and step == str(s.number) for choice in affairs for s in choice.steps):
        wrong["pair"] = "wrong.pair"
    case = unicodedata.normalize("NFKC", form.get("case", "")).strip()
    if not case:
        wrong["case"] = "wrong.case-missing"
    elif len(case) > limits.CASE_CHARS_MAX or _has_controls(case):
        wrong["case"] = "wrong.case"
    if wrong:
        raise WrongForm(wrong)
    return Work(affair=affair, step=int(step), case=case)


def read_by_code(form: Mapping[str, str], work: Work) -> Question:
    """A question by 住民票コード: eleven figures, in full or half width, spaces and hyphens between them allowed.

    Raises: WrongForm(code).
    """
    code = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", form.get("code", "")))
    if _CODE.fullmatch(code) is None:
        raise WrongForm({"code": "wrong.code" if code else "wrong.code-missing"})
    return Question(affair=work.affair, step=work.step, case=work.case, code=code)


def read_by_name(form: Mapping[str, str], work: Work) -> Question:
    """A question by name and address, with birth date and sex where given. Raises: WrongForm of each field."""
    wrong: dict[str, str] = {}
    name, address, birth_typed = (form.get(field, "").strip() for field in ("name", "address", "birth"))
    for field, text, most in (
        ("name", name, limits.NAME_CHARS_MAX),
        ("address", address, limits.ADDRESS_CHARS_MAX),
    ):
        if not text:
            wrong[field] = f"wrong.{field}-missing"
        elif len(text) > most or _has_controls(text):
            wrong[field] = f"wrong.{field}"
    birth = read_birth(birth_typed) if birth_typed else ""
    if birth is None:
        wrong["birth"] = "wrong.birth"
    sex = form.get("sex", "")
    if sex not in SEXES:
        wrong["sex"] = "wrong.sex"
    if wrong:
        raise WrongForm(wrong)
    return Question(
        affair=work.affair,
        step=work.step,
        case=work.case,
        name=name,
        address=address,
        birth=birth or "",
        sex=SEXES[sex],
    )


def typed_again(question: Question) -> dict[str, str]:
    """A question as the search form's fields, to be corrected."""
    return {
        "code": question.code,
        "name": question.name,
        "address": question.address,
        "birth": question.birth,
        "sex": str(question.sex or ""),
    }


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)
