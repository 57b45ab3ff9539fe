"""municipality.toml: who the municipality is, what it offers, and where its files are (paths relative to the file)."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

from gateway.peers.municipality.errors import SetupIncomplete
from gateway.peers.municipality.issuing import OPTIONS_OF, OfferedKind
from protocol.certificates import Kind, Option
from protocol.issuance import MunicipalityCode

FILE_NAME: Final = "municipality.toml"
COPIES_MAX: Final = 10
_HEAD: Final = """\
# An issuing server, made by `sekisho municipality init`. Paths are relative to this file.
# kiosk_anchors: a folder with OPERATOR.pem for each operator, or a PEM file of one authority for all; revocation lists
# (PEM) beside it in OPERATOR.crl are kept to.
# ocsp: the responder's URL, "" for the one each card names. card_crl: a revocation list (DER), "" for none.
"""


class KindSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind that is offered: options by name (household, domicile, relation, my_number), copies at most."""

    options: tuple[str, ...] = ()
    copies_max: Annotated[int, msgspec.Meta(ge=1, le=20)] = COPIES_MAX


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's fields. hold_s: a sealed document is held so long for the centre; renderers: documents set at once."""

    code: MunicipalityCode
    party: str
    name_ja: str
    name_en: str
    mayor_ja: str
    environment: str
    host: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    tls: str
    centre_trust: str
    kiosk_anchors: str
    card_anchors: str
    keystore: str
    passphrase_file: str
    ocsp: str = ""
    card_crl: str = ""
    ocsp_timeout_ms: Annotated[int, msgspec.Meta(ge=100, le=10_000)] = 2_000
    hold_s: Annotated[int, msgspec.Meta(ge=30, le=86_400)] = 900
    statement_age_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 3_600
    renderers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    kinds: dict[str, KindSettings]

    @property
    def offered(self) -> dict[str, OfferedKind]:
        """What is offered, by kind. Raises: SetupIncomplete naming what is unknown."""
        return {kind: _offered(kind, each) for kind, each in self.kinds.items()}


def default_kinds() -> dict[str, KindSettings]:
    """Every kind with every option it can show."""
    return {
        kind.value: KindSettings(
            options=tuple(_name(each) for each in Option if each in OPTIONS_OF.get(kind, Option(0)))
        )
        for kind in Kind
    }


def read_settings(data: Path) -> Settings:
    """Read the file of a data directory. Raises: SetupIncomplete naming file and field."""
    file = data / FILE_NAME
    try:
        settings = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError as error:
        raise SetupIncomplete(
            f"{file} does not exist; make it with `sekisho municipality init --data {data}`"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SetupIncomplete(f"{file}: {error}") from error
    _ = settings.offered
    return settings


def checked(settings: Settings) -> Settings:
    """The same, when every field is within its bounds. Raises: SetupIncomplete naming the field."""
    try:
        return msgspec.convert(msgspec.to_builtins(settings), Settings)
    except msgspec.ValidationError as error:
        raise SetupIncomplete(f"the municipality's settings: {error}") from error


def written(settings: Settings) -> bytes:
    """The file's bytes."""
    fields = msgspec.structs.asdict(settings)
    kinds: dict[str, KindSettings] = fields.pop("kinds")
    lines = [_HEAD, *(f"{name} = {_value(value)}\n" for name, value in fields.items())]
    for kind, each in kinds.items():
        lines.append(f"\n[kinds.{kind}]\noptions = {_value(each.options)}\ncopies_max = {each.copies_max}\n")
    return "".join(lines).encode()


def _value(value: str | int | Sequence[str]) -> str:
    """A TOML basic string, integer or array; JSON's escapes are among TOML's."""
    return msgspec.json.encode(value).decode()


def _offered(kind: str, settings: KindSettings) -> OfferedKind:
    if kind not in set(Kind):
        raise SetupIncomplete(f"{FILE_NAME}: [kinds.{kind}] is no kind of certificate; choose of {', '.join(Kind)}")
    options = Option(0)
    for name in settings.options:
        found = next((option for option in Option if _name(option) == name), None)
        if found is None or found not in OPTIONS_OF.get(Kind(kind), Option(0)):
            raise SetupIncomplete(f"{FILE_NAME}: [kinds.{kind}] cannot show {name!r}")
        options |= found
    return OfferedKind(int(options), settings.copies_max)


def _name(option: Option) -> str:
    return (option.name or "").lower()
