"""Whom a certificate names: one line of one party, written `line://<party>/<line>` in a URI of its SAN.

The name identifies; it grants nothing. Role and rights of the party come from the directory.
Source: DESIGN 6; docs/PROTOCOL.md, Certificates.
"""

import re
from dataclasses import dataclass
from typing import Final

from certs.errors import LineNameError
from protocol.limits import IDENT_CHARS_MAX

SCHEME: Final = "line://"
CENTRE_PARTY: Final = "centre"
"""The party of the centre's own lines; no member may bear it."""

_IDENT = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{IDENT_CHARS_MAX - 1}}}")


@dataclass(frozen=True, slots=True, order=True)
class LineName:
    """A line of a party; both idents are `[a-z0-9][a-z0-9-]{0,39}`.

    Raises: LineNameError.
    """

    party: str
    line: str

    def __post_init__(self) -> None:
        for what, ident in (("party", self.party), ("line", self.line)):
            if not _IDENT.fullmatch(ident):
                raise LineNameError(
                    f"{self.party}/{self.line}",
                    f"the {what} must be 1 to {IDENT_CHARS_MAX} of a-z, 0-9 and '-', not beginning with '-'",
                )

    @property
    def uri(self) -> str:
        """`line://party/line`, the only spelling there is."""
        return f"{SCHEME}{self.party}/{self.line}"

    def __str__(self) -> str:
        return f"{self.party}/{self.line}"


def parse_line_name(text: str) -> LineName:
    """Read `party/line`, as a person writes it. Raises: LineNameError."""
    party, slash, line = text.partition("/")
    if not slash:
        raise LineNameError(text, "it must be written party/line")
    return LineName(party, line)


def parse_line_uri(uri: str) -> LineName:
    """Read `line://party/line`; exactly that, with no other spelling of the scheme, port, query or escape.

    Raises: LineNameError.
    """
    if not uri.startswith(SCHEME):
        raise LineNameError(uri, f"it must begin with {SCHEME}")
    return parse_line_name(uri.removeprefix(SCHEME))
