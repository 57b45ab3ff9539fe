"""Who writes to whom, as it stands in a document's head and in its JSON. Pure."""

from gateway.settlement.paper import Names
from gateway.settlement.papers.setting import Both, Someone


def addressee(party: str, names: Names) -> Someone:
    """The party that a document goes to."""
    return Someone(names.party(party), _address(party, names))


def writer(issuer: str, names: Names, *, signed: bool = False) -> Someone:
    """The centre, with its registration. signed: the paper's data are, which stands for the seal."""
    registration = names.registrations.get(issuer, "")
    lines = (f"登録番号 {registration}",) if registration else ()
    return Someone(names.issuer, (*_address(issuer, names), *lines, "電子署名により公印省略" if signed else "公印省略"))


def in_json(party: str, name: Both, names: Names) -> dict[str, str]:
    """A party with its names and registration."""
    return {"id": party, "ja": name[0], "en": name[1], "registration": names.registrations.get(party, "")}


def _address(party: str, names: Names) -> tuple[str, ...]:
    return tuple(names.addresses.get(party, "").splitlines())
