"""What of a record a person is looked for by, beside what it says outright.

The index (gateway.inquiry.index) and the decision (gateway.inquiry.matching) read it here, so that what is found can be
decided and what can be decided is found.
"""

from gateway.inquiry.births import Birth, parse_birth
from gateway.inquiry.errors import BirthInvalid
from gateway.inquiry.record import ResidentRecord


def name_with_former_surname(record: ResidentRecord) -> str:
    """旧氏 with the given name; "" where there is no 旧氏, or the name is not parted into 氏 and 名."""
    parts = record.name.split(maxsplit=1)
    return f"{record.former_surname} {parts[1]}" if record.former_surname and len(parts) == 2 else ""


def birth_of(record: ResidentRecord) -> Birth:
    """The birth date; one in words that nobody can read leaves open what its sorting number leaves open."""
    try:
        return parse_birth(record.birth)
    except BirthInvalid:
        return Birth(record.birth, record.birth_sort)
