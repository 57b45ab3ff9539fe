"""A certificate authority for development, tests and the demo: a root, an issuing CA under it, a register, as files.

    root.pem  root.key  issuing.pem  issuing.key  anchors.pem (root and issuing)  register.json  crl.pem (of both)

Keys lie in the open (mode 0600): a centre in production has its line CA elsewhere and gives the gateway only anchors
and lists. What is kept here all the same: the intent is in the register before anything is signed, so that no serial
exists which cannot be revoked; files change whole or not at all; two processes take turns by a lock. The clock is
handed in, the randomness of keys and serials is the operating system's.
"""

import fcntl
import ipaddress
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from certs.errors import AuthorityError, AuthorityProblem
from certs.files import PRIVATE, PUBLIC, write_whole
from certs.names import LineName
from certs.profiles import CA_SIGNATURE, DIGITAL_SIGNATURE, USAGE_OIDS, Profile, new_key
from certs.register import Reason, Record, Register, Revocation, Signer

ROOT_DAYS: Final = 3650
ISSUING_DAYS: Final = 1825
CRL_DAYS_DEFAULT: Final = 7
CRL_DAYS_MAX: Final = 90
NAME_CHARS_MAX: Final = 48
HOSTS_MAX: Final = 32

BACKDATED: Final = timedelta(minutes=5)
"""Certificates and lists begin this much before `now`, so that a machine whose clock is a little slow accepts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new certificate with its key: `certificate_pem` is the leaf followed by the issuing CA; the key is PKCS#8."""

    certificate_pem: bytes
    key_pem: bytes
    serial: int


@dataclass(frozen=True, slots=True)
class _Signer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class DevelopmentAuthority:
    """The authority in one directory; open it with `open`, make it with `create`."""

    directory: Path
    _signers: dict[Signer, _Signer]

    @classmethod
    def create(cls, directory: Path, *, name: str, now: datetime) -> Self:
        """Make an authority in a directory that does not exist or is empty. It appears there whole or not at all.

        Raises: AuthorityError with EXISTS, or REFUSED for a name that is empty or too long.
        """
        if not 1 <= len(name) <= NAME_CHARS_MAX:
            raise AuthorityError(AuthorityProblem.REFUSED, f"the name must be 1 to {NAME_CHARS_MAX} characters")
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise AuthorityError(AuthorityProblem.EXISTS, f"{directory} exists and is not an empty directory")
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as scratch:
            draft = Path(scratch) / "authority"
            draft.mkdir(mode=0o700)
            _found(draft, name=name, now=now)
            try:
                draft.rename(directory)
            except OSError as error:
                raise AuthorityError(
                    AuthorityProblem.EXISTS, f"{directory} cannot be made: {error.strerror}"
                ) from error
        return cls.open(directory)

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the authority in a directory.

        Raises: AuthorityError with ABSENT or DAMAGED.
        """
        if not (directory / "register.json").is_file():
            raise AuthorityError(AuthorityProblem.ABSENT, f"{directory} holds no authority (no register.json)")
        return cls(directory, {"root": _load(directory, "root"), "issuing": _load(directory, "issuing")})

    @property
    def anchors_pem(self) -> bytes:
        """Root and issuing CA, as every end of a line needs them."""
        return _pem(self._signers["root"].certificate) + _pem(self._signers["issuing"].certificate)

    def register(self) -> Register:
        """Read what was issued. Raises: AuthorityError(DAMAGED)."""
        return Register.parse((self.directory / "register.json").read_bytes())

    def issue(
        self,
        profile: Profile,
        name: LineName,
        *,
        now: datetime,
        hosts: Sequence[str] = (),
        days: int | None = None,
    ) -> Issued:
        """Issue a certificate with a new key. The key is returned, and kept nowhere.

        `hosts` are DNS names or IP addresses; `days` is the profile's unless given.
        Raises: AuthorityError(REFUSED) when the profile is not for that name, a host is none, or the validity is too
        long for the profile or outlives the issuing CA.
        """
        issuer = self._signers["issuing"]
        objection = profile.objection(name, tuple(hosts))
        if objection is not None:
            raise AuthorityError(AuthorityProblem.REFUSED, objection)
        if len(hosts) > HOSTS_MAX:
            raise AuthorityError(AuthorityProblem.REFUSED, f"{len(hosts)} hosts; at most {HOSTS_MAX} are taken")
        lasting = profile.days if days is None else days
        if not 1 <= lasting <= profile.days_max:
            raise AuthorityError(
                AuthorityProblem.REFUSED, f"profile {profile.name} lasts 1 to {profile.days_max} days, not {lasting}"
            )
        not_before, not_after = _seconds(now - BACKDATED), _seconds(now + timedelta(days=lasting))
        if not_after > issuer.certificate.not_valid_after_utc:
            raise AuthorityError(
                AuthorityProblem.REFUSED,
                f"the issuing CA ends {issuer.certificate.not_valid_after_utc.date()}, before the certificate would",
            )
        alternative = [x509.UniformResourceIdentifier(name.uri), *(_host(host) for host in hosts)]
        key, serial = new_key(), x509.random_serial_number()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_subject(name.party, name.line))
            .issuer_name(issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(DIGITAL_SIGNATURE, critical=True)
            .add_extension(x509.ExtendedKeyUsage([USAGE_OIDS[profile.usage]]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_issuer_key_id(issuer.certificate), critical=False)
        )
        with self._changing() as register:
            self._keep(
                register.with_record(
                    Record(
                        serial=f"{serial:x}",
                        signer="issuing",
                        profile=profile.name,
                        name=name.uri,
                        not_before=not_before,
                        not_after=not_after,
                    )
                )
            )
            certificate = builder.sign(issuer.key, hashes.SHA256())
        return Issued(
            certificate_pem=_pem(certificate) + _pem(issuer.certificate), key_pem=_key_pem(key), serial=serial
        )

    def revoke(self, serial: int, *, now: datetime, reason: Reason = "unspecified") -> None:
        """Take a certificate back, the issuing CA's own included. It counts once the lists are written.

        Raises: AuthorityError with SERIAL_UNKNOWN or ALREADY_REVOKED.
        """
        with self._changing() as register:
            self._keep(register.with_revocation(serial, Revocation(at=_seconds(now), reason=reason)))

    def write_crl(self, *, now: datetime, days: int = CRL_DAYS_DEFAULT) -> bytes:
        """Write `crl.pem`, the lists of the issuing CA and the root; return what was written.

        The next update is due `days` after `now`. Raises: AuthorityError(REFUSED) for days outside 1 to 90.
        """
        if not 1 <= days <= CRL_DAYS_MAX:
            raise AuthorityError(AuthorityProblem.REFUSED, f"a list lasts 1 to {CRL_DAYS_MAX} days, not {days}")
        with self._changing() as register:
            numbered = msgspec.structs.replace(register, crl_number=register.crl_number + 1)
            self._keep(numbered)
            pem = b"".join(self._list(signer, numbered, now=now, days=days) for signer in ("issuing", "root"))
            write_whole(self.directory / "crl.pem", pem, mode=PUBLIC)
        return pem

    def _list(self, signer: Signer, register: Register, *, now: datetime, days: int) -> bytes:
        issuer = self._signers[signer]
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(_seconds(now - BACKDATED))
            .next_update(_seconds(now + timedelta(days=days)))
            .add_extension(_issuer_key_id(issuer.certificate), critical=False)
            .add_extension(x509.CRLNumber(register.crl_number), critical=False)
        )
        for record in register.records:
            if record.signer != signer or record.revoked is None:
                continue
            entry = x509.RevokedCertificateBuilder().serial_number(int(record.serial, 16))
            entry = entry.revocation_date(record.revoked.at)
            if record.revoked.reason != "unspecified":  # RFC 5280, 5.3.1: unspecified is said by saying nothing
                flag = x509.ReasonFlags[record.revoked.reason]
                entry = entry.add_extension(x509.CRLReason(flag), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    @contextmanager
    def _changing(self) -> Iterator[Register]:
        """Hold the lock over one change of the register."""
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.register()
        finally:
            os.close(descriptor)

    def _keep(self, register: Register) -> None:
        write_whole(self.directory / "register.json", register.to_json(), mode=PRIVATE)


def _found(directory: Path, *, name: str, now: datetime) -> None:
    """Write a new authority's files into an empty directory; the register comes last."""
    root_key, issuing_key = new_key(), new_key()
    root_name, issuing_name = _subject(name, f"{name} Root"), _subject(name, f"{name} Issuing")
    root = _ca_certificate(
        root_name, root_key, signer_name=root_name, signer_key=root_key, now=now, days=ROOT_DAYS, path_length=1
    )
    issuing = _ca_certificate(
        issuing_name, issuing_key, signer_name=root_name, signer_key=root_key, now=now, days=ISSUING_DAYS, path_length=0
    )
    for stem, certificate, key in (("root", root, root_key), ("issuing", issuing, issuing_key)):
        write_whole(directory / f"{stem}.key", _key_pem(key), mode=PRIVATE)
        write_whole(directory / f"{stem}.pem", _pem(certificate), mode=PUBLIC)
    write_whole(directory / "anchors.pem", _pem(root) + _pem(issuing), mode=PUBLIC)
    record = Record(
        serial=f"{issuing.serial_number:x}",
        signer="root",
        profile="issuing",
        name=issuing_name.rfc4514_string(),
        not_before=issuing.not_valid_before_utc,
        not_after=issuing.not_valid_after_utc,
    )
    write_whole(directory / "register.json", Register(records=(record,)).to_json(), mode=PRIVATE)


def _ca_certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    signer_name: x509.Name,
    signer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
    path_length: int,
) -> x509.Certificate:
    signer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_seconds(now - BACKDATED))
        .not_valid_after(_seconds(now + timedelta(days=days)))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(CA_SIGNATURE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer_id, critical=False)
        .sign(signer_key, hashes.SHA256())
    )


def _load(directory: Path, stem: Signer) -> _Signer:
    """Read one CA and prove that key and certificate belong together."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / f"{stem}.pem").read_bytes())
        key = load_pem_private_key((directory / f"{stem}.key").read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise AuthorityError(AuthorityProblem.DAMAGED, f"{directory / stem}.pem or .key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise AuthorityError(AuthorityProblem.DAMAGED, f"{directory / stem}.key is not the key of {stem}.pem")
    return _Signer(certificate, key)


def _host(text: str) -> x509.GeneralName:
    """Read a host as an IP address if it is one, else as a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    labels = text.split(".")
    plain = text.isascii() and len(text) <= 253  # RFC 1035, 2.3.4
    if not plain or not all(_is_label(label) for label in labels) or labels[-1].isdigit():
        raise AuthorityError(AuthorityProblem.REFUSED, f"{text!r} is neither a DNS name nor an IP address")
    return x509.DNSName(text.lower())


def _is_label(label: str) -> bool:
    return 1 <= len(label) <= 63 and label.replace("-", "").isalnum() and label[0] != "-" and label[-1] != "-"


def _subject(organisation: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _issuer_key_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _seconds(moment: datetime) -> datetime:
    """Cut to whole seconds, the grain of X.509."""
    return moment.replace(microsecond=0)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
