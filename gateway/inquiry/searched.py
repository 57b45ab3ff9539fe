"""What of a record a person is looked for by, beside what it says outright.

The index (gateway.inquiry.index) and the decision (gateway.inquiry.matching) read it here, so that what is found can be
decided and what can be decided is found.
"""

from gateway.inquiry.births import Birth, parse_birth
from gateway.inquiry.errors import BirthInvalid
from gateway.inquiry.record import ResidentRecord


def names_with_former_surname(record: ResidentRecord) -> tuple[str, ...]:
    """旧氏 with the given name, alone (佐藤 花子) and as cards print it beside the surname (髙橋[佐藤] 花子).

    () where there is no 旧氏, or the name is not parted into 氏 and 名.
    """
    parts = record.name.split(maxsplit=1)
    if not record.former_surname or len(parts) != 2:
        return ()
    surname, given = parts
    return f"{record.former_surname} {given}", f"{surname}[{record.former_surname}] {given}"


def birth_of(record: ResidentRecord) -> Birth:
    """The birth date; one in words that nobody can read leaves open what its sorting number leaves open."""
    try:
        return parse_birth(record.birth)
    except BirthInvalid:
        return Birth(record.birth, record.birth_sort)
