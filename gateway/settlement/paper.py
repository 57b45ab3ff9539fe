"""What a document of settlement is made with and comes out as: names for people, and a file. Pure."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

JSON: Final = "application/json"
CSV: Final = "text/csv; charset=utf-8"
PDF: Final = "application/pdf"
INVOICE: Final = "application/vnd.sekisho.invoice"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What parties and matters are called in Japanese and English, by id; an id without a name stands for itself.

    matters: certificate kinds or affairs. issuer, centre: the centre's name and own id. By party: addresses, as lines
    of a letter's head; registrations, 適格請求書発行事業者登録番号; accounts, where it takes money. environment: of
    what only an act says; all that is of another than "production" is marked on each page.
    """

    parties: Mapping[str, tuple[str, str]]
    matters: Mapping[str, tuple[str, str]]
    issuer: tuple[str, str]
    addresses: Mapping[str, str] = {}
    registrations: Mapping[str, str] = {}
    accounts: Mapping[str, str] = {}
    centre: str = "centre"
    environment: str = "development"

    def party(self, party: str) -> tuple[str, str]:
        """A party in Japanese and English."""
        return self.parties.get(party, (party, party))

    def matter(self, matter: str) -> tuple[str, str]:
        """A certificate kind or an affair in Japanese and English."""
        return self.matters.get(matter, (matter, matter))


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A file. name: without a folder; media: its media type."""

    name: str
    media: str
    data: bytes


def file_name(number: str, suffix: str) -> str:
    """What the file of a document is called: its number without what a folder's name cannot have."""
    return f"{_UNSAFE.sub('_', number)}.{suffix}"
