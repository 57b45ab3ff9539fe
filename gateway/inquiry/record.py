"""The resident's record as it is sealed and provided (本人確認情報).

What may be provided is one MessagePack array, sealed whole and released as it was sealed. Beside it in the seal, never
in an answer: the former names and addresses, by which people are searched for, and 個人番号, which is set into its
place only for an affair that may have it (DOMAIN 2.1).
"""

import operator
from enum import IntEnum
from typing import Final

import msgspec

from protocol.resident import ProvidedRecord, decode_provided

SCHEMA: Final = 2
"""Layout of ProvidedRecord and of what is sealed; sealed with the record as associated data."""


class Sex(IntEnum):
    """性別; UNKNOWN where the entry has none."""

    UNKNOWN = 0
    MALE = 1
    FEMALE = 2


class ResidentRecord(ProvidedRecord, frozen=True, array_like=True):
    """One resident as the register keeps them: what may be provided, and the history that is searched and never leaves.

    `former_names` are whole names, a former surname with the given name.
    """

    former_names: tuple[str, ...] = ()
    former_addresses: tuple[str, ...] = ()


class RecordHead(msgspec.Struct, frozen=True, array_like=True):
    """The first two items of a provided record: what must be checked before its bytes are released."""

    schema: int
    code: str


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    provided: msgspec.Raw
    my_number: str | None
    former_names: tuple[str, ...]
    former_addresses: tuple[str, ...]


class _SealedHead(msgspec.Struct, frozen=True, array_like=True):
    provided: msgspec.Raw


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_sealed: Final = msgspec.msgpack.Decoder(_Sealed).decode
_decode_sealed_head: Final = msgspec.msgpack.Decoder(_SealedHead).decode
_provided_fields: Final = operator.attrgetter(*ProvidedRecord.__struct_fields__)
_MY_NUMBER: Final = ProvidedRecord.__struct_fields__.index("my_number")

_decode_head: Final = msgspec.msgpack.Decoder(RecordHead).decode


def encode_provided(record: ProvidedRecord, *, my_number: bool = False) -> bytes:
    """The bytes an answer carries of a record; 個人番号 among them only when asked for."""
    fields = list(_provided_fields(record))
    if not my_number:
        fields[_MY_NUMBER] = None
    return _encode(fields)


def encode_record(record: ResidentRecord) -> bytes:
    """A record's bytes to seal.

    Shape: MessagePack array of the provided array without 個人番号, 個人番号 or nil, former names, former addresses.
    The provided part comes first and whole, so that it is released as it was sealed.
    """
    return _encode(
        _Sealed(msgspec.Raw(encode_provided(record)), record.my_number, record.former_names, record.former_addresses)
    )


def decode_record(plaintext: bytes) -> ResidentRecord:
    """Read a record with its history. Raises: msgspec.DecodeError, ValueError for text that is not UTF-8."""
    sealed = _decode_sealed(plaintext)
    fields = msgspec.structs.asdict(decode_provided(sealed.provided)) | {"my_number": sealed.my_number}
    return ResidentRecord(**fields, former_names=sealed.former_names, former_addresses=sealed.former_addresses)


def provided_part(plaintext: bytes) -> tuple[RecordHead, bytes]:
    """The provided bytes as they stand in a sealed plaintext, and their head.

    Costs a fraction of decode_record. Raises as it does.
    """
    provided = _decode_sealed_head(plaintext).provided
    return _decode_head(provided), bytes(provided)
