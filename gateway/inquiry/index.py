"""Blind indexes: how a sealed record is found without the table saying anything about it.

A token is HMAC-SHA256(index key, label | length-framed values) cut to 16 bytes. Only composites are indexed beside
the code, for a name or a birth date alone has so few values that equal tokens would tell how common it is.
Source: DESIGN 9.
"""

from collections.abc import Iterator
from typing import Final

from gateway.inquiry.addresses import town_key
from gateway.inquiry.folding import search_name
from gateway.inquiry.record import ResidentRecord
from gateway.inquiry.searched import birth_of, names_with_former_surname
from protocol.mac import mac

TOKEN_BYTES: Final = 16
_TOWN: Final = b"sekisho register name+town|"
_BIRTH: Final = b"sekisho register name+birth|"


def code_token(index_key: bytes, code: str) -> bytes:
    """Token of a 住民票コード; 16 bytes."""
    return mac(index_key, b"sekisho register code|" + code.encode())[:TOKEN_BYTES]


def town_token(index_key: bytes, name: str, town: str) -> bytes:
    """Token of a folded name with a town key; 16 bytes."""
    return mac(index_key, _TOWN + _framed(name) + town.encode())[:TOKEN_BYTES]


def birth_token(index_key: bytes, name: str, birth: str) -> bytes:
    """Token of a folded name with a birth date as YYYY-MM-DD; 16 bytes."""
    return mac(index_key, _BIRTH + _framed(name) + birth.encode())[:TOKEN_BYTES]


def name_tokens(index_key: bytes, record: ResidentRecord) -> set[bytes]:
    """Every token a record is found under: each name it has or had and its kana, with each town and the birth date."""
    written = (record.name, record.kana, record.alias, *names_with_former_surname(record), *record.former_names)
    names = {search_name(name) for name in written if name}
    towns = {town_key(address) for address in (record.address, *record.former_addresses)}
    names.discard("")
    return set(_tokens(index_key, names, towns, birth_of(record).date))


def query_tokens(index_key: bytes, name: str, address: str, birth: str | None) -> tuple[bytes, bytes]:
    """The two tokens a question by name searches under; without a birth date the first stands twice."""
    searched = search_name(name)
    town = town_token(index_key, searched, town_key(address))
    return town, town if birth is None else birth_token(index_key, searched, birth)


def _tokens(index_key: bytes, names: set[str], towns: set[str], birth: str | None) -> Iterator[bytes]:
    ends = [town.encode() for town in towns]
    for name in names:
        framed = _framed(name)
        begin = _TOWN + framed
        for end in ends:
            yield mac(index_key, begin + end)[:TOKEN_BYTES]
        if birth is not None:
            yield mac(index_key, _BIRTH + framed + birth.encode())[:TOKEN_BYTES]


def _framed(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
