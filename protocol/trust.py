"""The trust bundle: what an offline verifier must hold to believe a centre.

A bundle is a MessagePack map, the self-describing form: format, centre, role, environment, the root public key (SPKI
DER) and the signed key history. It is exchanged once on paper or by hand; later histories are believed because the
same root signed them.

Source: docs/PROTOCOL.md, Trust bundle.
"""

from typing import Any, Final

import msgpack

from protocol.keys import Algorithm, KeyRecord, KeysError, PublicKey, Purpose, verify_history

FORMAT: Final = "sekisho-trust/1"
BUNDLE_BYTES_MAX: Final = 2 << 20


class TrustError(ValueError):
    """A bundle that is malformed, or whose history its own root did not sign."""


class TrustOwnerError(TrustError):
    """A bundle whose key history is another centre's. Fields: centre (as the bundle says), owner (of the history)."""

    def __init__(self, centre: str, owner: str) -> None:
        super().__init__(
            f"the trust bundle is of {centre!r}, and its key history is {owner!r}'s; ask for the right one"
        )
        self.centre = centre
        self.owner = owner


class Trust:
    """A verified bundle: the centre's keys, parsed once each. The history is this centre's own, signed by the root.

    Fields: centre, role, environment, root (SPKI DER), history (as decoded), signed_history (its bytes).
    Raises on construction: TrustError, TrustOwnerError.
    """

    def __init__(self, *, centre: str, role: str, environment: str, root: bytes, signed_history: bytes) -> None:
        try:
            self.history = verify_history(signed_history, root)
        except KeysError as error:
            raise TrustError(f"the trust bundle's key history is not signed by its root: {error}") from error
        if self.history.owner != centre:
            raise TrustOwnerError(centre, self.history.owner)
        self.centre = centre
        self.role = role
        self.environment = environment
        self.root = root
        self.signed_history = signed_history
        self._parsed: dict[str, tuple[KeyRecord, PublicKey]] = {}

    @property
    def origin(self) -> str:
        """The first line of this centre's checkpoints."""
        return f"sekisho/{self.centre}/{self.role}"

    def key(self, key_id: str, *, purpose: Purpose, at_us: int) -> PublicKey:
        """The centre's key of this id, for this purpose and valid at this time.

        Raises: KeyIdUnknown, KeyOutsideValidity; TrustError when the key is for another purpose.
        """
        found = self._parsed.get(key_id)
        if found is None:
            record = self.history.key(key_id)
            if record.algorithm == Algorithm.A256GCM_WRAP:
                raise TrustError(f"key {key_id} signs nothing")
            found = self._parsed[key_id] = (record, PublicKey(record.algorithm, record.public_key))
        record, public = found
        if record.purpose != purpose:
            raise TrustError(f"key {key_id} is for {record.purpose}, not for {purpose}")
        if not record.valid_at(at_us):
            self.history.key_at(key_id, at_us)  # raises with the facts
        return public


def encode_trust(trust: Trust) -> bytes:
    """The bundle's bytes."""
    packed: bytes = msgpack.packb(
        {
            "format": FORMAT,
            "centre": trust.centre,
            "role": trust.role,
            "environment": trust.environment,
            "root": trust.root,
            "history": trust.signed_history,
        }
    )
    return packed


def decode_trust(data: bytes) -> Trust:
    """Read and verify a bundle. Raises: TrustError."""
    if len(data) > BUNDLE_BYTES_MAX:
        raise TrustError(f"a trust bundle has at most {BUNDLE_BYTES_MAX} bytes")
    try:
        fields: Any = msgpack.unpackb(data, max_map_len=16)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise TrustError("not a trust bundle: not MessagePack") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise TrustError(f"not a trust bundle of format {FORMAT}")
    for name, kind in (("centre", str), ("role", str), ("environment", str), ("root", bytes), ("history", bytes)):
        if not isinstance(fields.get(name), kind):
            raise TrustError(f"the trust bundle's field {name} is missing")
    return Trust(
        centre=fields["centre"],
        role=fields["role"],
        environment=fields["environment"],
        root=fields["root"],
        signed_history=fields["history"],
    )
