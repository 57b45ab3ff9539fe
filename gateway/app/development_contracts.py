"""The contract files of a development centre, the money terms of each party of its example directory; letterheads.

The files beside this one are what deploy/contracts shows; names in them are replaced for the second municipality.
"""

from pathlib import Path
from typing import Final

from certs.files import PUBLIC, write_whole
from gateway.app.configuration import CONTRACTS, LETTERHEADS, Role

_FILES: Final[dict[Role, tuple[tuple[str, str, str], ...]]] = {
    "certificate": (
        ("cvs-dev", "contract.operator.toml", "cvs-dev"),
        ("chiba", "contract.municipality.toml", "chiba"),
        ("takaoka", "contract.municipality.toml", "chiba"),
    ),
    "inquiry": (("mlit", "contract.ministry.toml", "mlit"),),
}
"""Party, file, and the party that the file is written for."""


def write_contracts(data: Path, role: Role) -> None:
    """Write a centre's contract files and letterheads. Raises: OSError."""
    directory = data / CONTRACTS
    directory.mkdir(mode=0o755)
    for party, name, written_for in _FILES[role]:
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        for quoted in ('"{}"', '"dev-agreement-{}"'):
            text = text.replace(quoted.format(written_for), quoted.format(party))
        write_whole(directory / f"{party}.toml", text.encode(), mode=PUBLIC)
    letterheads = Path(__file__).with_name(LETTERHEADS).read_bytes()
    write_whole(data / LETTERHEADS, letterheads, mode=PUBLIC)
