"""A gateway's configuration file, read once into values that cannot be wrong.

`sekisho init` writes one; every path in it is relative to the file. Unknown tables and fields are refused, so that a
misspelt one is an error and never a silent default.
"""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from certs.contexts import LineFiles
from protocol import limits

if TYPE_CHECKING:
    from gateway.app.history_table import HistoryTable

FILE_NAME: Final = "sekisho.toml"
CONTRACTS: Final = "contracts"
"""The directory of contract files, beside it."""
LETTERHEADS: Final = "letterheads.toml"
"""How parties appear on documents of settlement, beside it."""
Role = Literal["inquiry", "certificate"]
"""What a centre is for; one centre, one role (002 別2-2(6))."""


class ConfigurationError(Exception):
    """The configuration cannot be used; the sentence names file, field and remedy."""


TEST_ENVIRONMENT: Final = "test"
"""The environment (試験環境) whose centre releases synthetic residents only; it has keys and a register of its own."""


class CentreTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[centre]: who this gateway is."""

    role: Role = "inquiry"
    environment: str = "development"
    node: str = "node-1"


class DatabaseTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[database]: the embedded server's directory, or a DSN for each role."""

    embedded: str = ""
    gateway_dsn: str = ""
    ops_dsn: str = ""
    owner_dsn: str = ""


class KeystoreTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[keystore]: where the centre's keys are."""

    uri: str
    passphrase_file: str


class LineTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[line]: where lines are accepted."""

    listen: str = "127.0.0.1:9440"
    tls: str = "tls"
    workers: int = 0  # 0: one a core
    connections_max: int = 4096
    connections_per_line_max: int = 64
    heartbeat_ms: int = limits.HEARTBEAT_MS


class OpsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[ops]: metrics and health."""

    listen: str = "127.0.0.1:9441"
    metrics: str = "metrics"


class CertificateTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[certificate]: how cards are judged. Of a centre of role certificate alone.

    card_anchors: PEM, the certification authorities of the cards; card_crl: DER, read anew when it changes, or empty
    for none; ocsp_responder: its address, or empty for the one that the card's certificate names.
    """

    card_anchors: str = "jpki/anchors.pem"
    card_crl: str = ""
    ocsp_responder: str = ""


class Tables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. [[slo]] tables are read by gateway.ops.slo, [history] by gateway.app.history_table."""

    centre: CentreTable
    database: DatabaseTable
    keystore: KeystoreTable
    line: LineTable
    ops: OpsTable
    certificate: CertificateTable = CertificateTable()
    history: dict[str, Any] = {}
    slo: list[dict[str, Any]] = []


class Configuration:
    """A file's tables with its paths resolved."""

    def __init__(self, path: Path, tables: Tables) -> None:
        self.path = path
        self.base = path.parent
        self.centre = tables.centre
        self.database = tables.database
        self.keystore = tables.keystore
        self.line = tables.line
        self.ops = tables.ops
        self.certificate = tables.certificate
        self.history_fields = tables.history
        self.slo = tables.slo

    @property
    def history(self) -> "HistoryTable":
        """[history] of an inquiry centre; what only that role needs is loaded here. Raises: ConfigurationError."""
        from gateway.app.history_table import HistoryTable

        if self.centre.role != "inquiry":
            raise ConfigurationError(f"{self.path}: a centre of role {self.centre.role} keeps no provision history")
        try:
            return msgspec.convert(self.history_fields, HistoryTable)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{self.path}: [history]: {error}") from error

    @property
    def dial_tls(self) -> LineFiles:
        """The certificate with which a certificate centre dials municipalities, and what it judges them by."""
        return LineFiles.in_directory(self.base / self.line.tls / "dial")

    @property
    def keystore_uri(self) -> str:
        """The keystore's URI with a software keystore's path made absolute."""
        kind, _, rest = self.keystore.uri.partition(":")
        return f"software:{self.base / rest}" if kind == "software" else self.keystore.uri

    @property
    def passphrase_file(self) -> Path:
        """The file that holds the keystore's passphrase or PIN."""
        return self.base / self.keystore.passphrase_file

    @property
    def tls(self) -> LineFiles:
        """The centre's certificate, key, anchors and revocation lists."""
        return LineFiles.in_directory(self.base / self.line.tls)

    @property
    def metrics(self) -> Path:
        """Where the workers' metric files lie."""
        return self.base / self.ops.metrics

    @property
    def embedded(self) -> Path | None:
        """The embedded server's directory, or None when DSNs are given."""
        return self.base / self.database.embedded if self.database.embedded else None

    @property
    def trust_bundle(self) -> Path:
        """The bundle that peers and offline verifiers are given."""
        return self.base / "trust.bundle"


def address(text: str, *, field: str, path: Path) -> tuple[str, int]:
    """HOST:PORT. Raises: ConfigurationError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ConfigurationError(f"{path}: {field}: {text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def read_configuration(path: Path) -> Configuration:
    """Read a configuration file, or the one in a directory. Raises: ConfigurationError."""
    file = path / FILE_NAME if path.is_dir() else path
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{file} does not exist; make one with `sekisho init --data DIR`") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read: {error}") from error
    try:
        tables = msgspec.convert(data, Tables)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{file}: {error}") from error
    configuration = Configuration(file.absolute(), tables)
    if not tables.database.embedded and not (tables.database.gateway_dsn and tables.database.ops_dsn):
        raise ConfigurationError(f"{file}: [database]: give embedded, or gateway_dsn and ops_dsn")
    if tables.centre.role == "inquiry":
        _ = configuration.history  # a mistake in it is found before anything starts
        if tables.certificate != CertificateTable():
            raise ConfigurationError(f"{file}: [certificate] belongs to a centre of role certificate; remove it")
    elif tables.history:
        raise ConfigurationError(f"{file}: [history] belongs to a centre of role inquiry; remove it")
    if not 0 <= tables.line.workers <= 256:
        raise ConfigurationError(f"{file}: [line]: workers is 0 (one a core) to 256, not {tables.line.workers}")
    if not 0 < tables.line.connections_per_line_max <= tables.line.connections_max:
        raise ConfigurationError(
            f"{file}: [line]: connections_per_line_max is 1 to connections_max ({tables.line.connections_max}),"
            f" not {tables.line.connections_per_line_max}"
        )
    address(tables.line.listen, field="[line] listen", path=file)
    address(tables.ops.listen, field="[ops] listen", path=file)
    return configuration
