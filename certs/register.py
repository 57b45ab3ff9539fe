"""The development authority's register: every serial it gave out, who has it, and whether it was taken back.

One JSON file, `register.json`, readable by a person. Serials are written in hexadecimal, times in ISO 8601, UTC.
"""

from datetime import datetime
from typing import Literal, Self

import msgspec

from certs.errors import AuthorityError, AuthorityProblem

Signer = Literal["root", "issuing"]
Reason = Literal[
    "unspecified",
    "key_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "privilege_withdrawn",
]
"""Why a certificate is taken back (RFC 5280, 5.3.1). A hold is not offered: what is revoked stays revoked."""


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """When and why a certificate was taken back."""

    at: datetime
    reason: Reason


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate: `serial` in hexadecimal, the CA that signed it, its profile, whom it names, its validity."""

    serial: str
    signer: Signer
    profile: str
    name: str
    not_before: datetime
    not_after: datetime
    revoked: Revocation | None = None


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole register; `crl_number` is that of the last revocation lists written."""

    version: Literal[1] = 1
    crl_number: int = 0
    records: tuple[Record, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the JSON. Raises: AuthorityError(DAMAGED)."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise AuthorityError(AuthorityProblem.DAMAGED, f"register.json cannot be read: {error}") from error

    def to_json(self) -> bytes:
        """Write it as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    def with_record(self, record: Record) -> Self:
        """Add a certificate."""
        return msgspec.structs.replace(self, records=(*self.records, record))

    def with_revocation(self, serial: int, revocation: Revocation) -> Self:
        """Mark a certificate as taken back.

        Raises: AuthorityError with SERIAL_UNKNOWN or ALREADY_REVOKED.
        """
        wanted = f"{serial:x}"
        for index, record in enumerate(self.records):
            if record.serial != wanted:
                continue
            if record.revoked is not None:
                raise AuthorityError(
                    AuthorityProblem.ALREADY_REVOKED, f"serial {wanted} was revoked {record.revoked.at.isoformat()}"
                )
            changed = msgspec.structs.replace(record, revoked=revocation)
            return msgspec.structs.replace(self, records=(*self.records[:index], changed, *self.records[index + 1 :]))
        raise AuthorityError(AuthorityProblem.SERIAL_UNKNOWN, f"serial {wanted} was not issued here")
