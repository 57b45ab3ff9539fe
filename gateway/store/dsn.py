"""Connection URIs taken apart: the same database for another role.

Source: PostgreSQL documentation, Connection URIs.
"""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from gateway.store.errors import DsnInvalid


def as_role(dsn: str, role: str, password: str) -> str:
    """The DSN for another role of the same database, several hosts and all other parameters kept.

    Raises: DsnInvalid when it is no connection URI; the text, which may hold a password, is not repeated.
    """
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise DsnInvalid from None
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise DsnInvalid
    hosts = parts.netloc.rpartition("@")[2]
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("user", "password", "passfile")]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(password, safe='')}@{hosts}", query=urlencode(kept)))
