import hashlib
import ipaddress
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certs import (
    CENTRE,
    LINE,
    CertificateRefused,
    Refusal,
    RevocationListError,
    RevocationLists,
    TrustAnchors,
    verify_line_certificate,
)
from certs.errors import AnchorsError
from certs.profiles import DIGITAL_SIGNATURE
from certs.verification import CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX
from tests.certs.ends import CENTRE_INQUIRY, MINISTRY, Site, leaf_der


def verify(site, der, *, now, usage="client", chain=(), revocation=None, anchors=None, host=None):
    return verify_line_certificate(
        der,
        chain=chain,
        anchors=anchors or site.anchors,
        revocation=revocation or site.revocation,
        usage=usage,
        now=now,
        host=host,
    )


def refusal(site, der, **options):
    with pytest.raises(CertificateRefused) as caught:
        verify(site, der, **options)
    return caught.value.reason


def issued_der(site, now, profile=LINE, name=MINISTRY, **options):
    return leaf_der(site.authority.issue(profile, name, now=now, **options).certificate_pem)


def forged(site, now, *, names=None, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,), usage=DIGITAL_SIGNATURE, extra=None):
    """A leaf that the issuing CA signs though the authority would not."""
    issuer = site.authority._signers["issuing"]
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "synthetic")]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_good_certificate_names_its_line(site, now):
    issued = site.authority.issue(LINE, MINISTRY, now=now)
    der = leaf_der(issued.certificate_pem)
    found = verify(site, der, now=now)
    assert found.name == MINISTRY
    assert found.serial == issued.serial
    assert found.fingerprint == hashlib.sha256(der).digest()
    assert found.good_until <= now + timedelta(days=LINE.days)


def test_a_server_is_verified_with_and_without_its_host(site, now):
    der = issued_der(site, now, CENTRE, CENTRE_INQUIRY, hosts=("gateway.example", "127.0.0.1"))
    assert verify(site, der, now=now, usage="server").name == CENTRE_INQUIRY
    for host in (x509.DNSName("gateway.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))):
        assert verify(site, der, now=now, usage="server", host=host).name == CENTRE_INQUIRY
    assert refusal(site, der, now=now, usage="server", host=x509.DNSName("other.example")) is Refusal.UNTRUSTED
    assert refusal(site, der, now=now, usage="server", host=x509.RFC822Name("a@b.example")) is Refusal.WRONG_NAME


def test_validity_ends_and_begins_to_the_second(site, now):
    der = issued_der(site, now, days=3)
    leaf = x509.load_der_x509_certificate(der)
    assert verify(site, der, now=leaf.not_valid_after_utc).name == MINISTRY
    assert refusal(site, der, now=leaf.not_valid_after_utc + timedelta(seconds=1)) is Refusal.EXPIRED
    assert refusal(site, der, now=leaf.not_valid_before_utc - timedelta(seconds=1)) is Refusal.NOT_YET_VALID


def test_a_certificate_of_another_authority_is_untrusted(site, now, tmp_path):
    other = Site.make(tmp_path / "other", now=now)
    issued = other.authority.issue(LINE, MINISTRY, now=now)
    chain = [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(other.authority.anchors_pem)]
    assert refusal(site, leaf_der(issued.certificate_pem), now=now) is Refusal.UNTRUSTED
    assert refusal(site, leaf_der(issued.certificate_pem), chain=chain, now=now) is Refusal.UNTRUSTED


def test_each_profile_is_refused_at_the_other_end(site, now):
    assert refusal(site, issued_der(site, now), now=now, usage="server") is Refusal.WRONG_ROLE
    assert refusal(site, issued_der(site, now, CENTRE, CENTRE_INQUIRY), now=now) is Refusal.WRONG_ROLE


def test_a_leaf_without_a_stated_usage_is_refused(site, now):
    der = forged(site, now, names=[x509.UniformResourceIdentifier(MINISTRY.uri)], purposes=())
    assert refusal(site, der, now=now) is Refusal.WRONG_ROLE


def test_any_extended_key_usage_is_no_role(site, now):
    der = forged(
        site,
        now,
        names=[x509.UniformResourceIdentifier(MINISTRY.uri)],
        purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,),
    )
    assert refusal(site, der, now=now) is Refusal.WRONG_ROLE


def test_a_key_that_may_not_sign_handshakes_is_refused(site, now):
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    der = forged(site, now, names=[x509.UniformResourceIdentifier(MINISTRY.uri)], usage=usage)
    assert refusal(site, der, now=now) is Refusal.UNTRUSTED


def test_an_unknown_critical_extension_is_refused(site, now):
    extra = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.392.99999.1"), b"\x05\x00")
    der = forged(site, now, names=[x509.UniformResourceIdentifier(MINISTRY.uri)], extra=extra)
    assert refusal(site, der, now=now) is Refusal.UNTRUSTED


def test_a_ca_certificate_is_no_line(site, now):
    issuing = site.anchors.intermediates[0].public_bytes(Encoding.DER)
    assert refusal(site, issuing, now=now) is Refusal.WRONG_ROLE
    der = forged(
        site,
        now,
        names=[x509.UniformResourceIdentifier(MINISTRY.uri)],
        extra=x509.BasicConstraints(ca=True, path_length=None),
    )
    assert refusal(site, der, now=now) is Refusal.UNTRUSTED


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([x509.DNSName("a.example")], Refusal.NO_LINE_NAME),
        ([x509.UniformResourceIdentifier("https://a.example/x")], Refusal.NO_LINE_NAME),
        ([x509.UniformResourceIdentifier("line://A/b")], Refusal.MALFORMED),
        ([x509.UniformResourceIdentifier("LINE://a/b")], Refusal.MALFORMED),
        (
            [x509.UniformResourceIdentifier("line://a/b"), x509.UniformResourceIdentifier("line://c/d")],
            Refusal.MALFORMED,
        ),
    ],
)
def test_a_leaf_must_bear_exactly_one_line_name(site, now, names, reason):
    assert refusal(site, forged(site, now, names=names), now=now) is reason


def test_a_leaf_without_alternative_names_is_refused(site, now):
    assert refusal(site, forged(site, now), now=now) is Refusal.UNTRUSTED


def test_other_names_beside_the_line_are_tolerated(site, now):
    names = [
        x509.DNSName("a.example"),
        x509.UniformResourceIdentifier("https://a.example/"),
        x509.UniformResourceIdentifier(MINISTRY.uri),
    ]
    assert verify(site, forged(site, now, names=names), now=now).name == MINISTRY


def test_what_is_revoked_is_refused_once_the_list_is_written(site, now):
    issued = site.authority.issue(LINE, MINISTRY, now=now)
    der = leaf_der(issued.certificate_pem)
    site.authority.revoke(issued.serial, now=now, reason="key_compromise")
    assert verify(site, der, now=now).name == MINISTRY
    site.authority.write_crl(now=now)
    assert refusal(site, der, now=now) is Refusal.REVOKED
    assert verify(site, issued_der(site, now), now=now).name == MINISTRY


def test_a_revoked_issuing_authority_takes_all_its_lines_with_it(site, now):
    der = issued_der(site, now)
    site.authority.revoke(site.anchors.intermediates[0].serial_number, now=now)
    site.authority.write_crl(now=now)
    assert refusal(site, der, now=now) is Refusal.REVOKED


def test_a_list_lets_nobody_in_from_its_next_update_on(site, now):
    der = issued_der(site, now)
    due = now + timedelta(days=7)
    assert site.revocation.next_update == due
    assert verify(site, der, now=due - timedelta(seconds=1)).name == MINISTRY
    assert refusal(site, der, now=due) is Refusal.REVOCATION_STALE


def test_a_list_from_the_future_is_of_no_use(site, now):
    der = issued_der(site, now)
    site.authority.write_crl(now=now + timedelta(days=1))
    assert refusal(site, der, now=now) is Refusal.REVOCATION_STALE


def test_a_stale_list_still_proves_a_revocation(site, now):
    issued = site.authority.issue(LINE, MINISTRY, now=now)
    site.authority.revoke(issued.serial, now=now)
    site.authority.write_crl(now=now, days=1)
    late = now + timedelta(days=2)
    assert refusal(site, leaf_der(issued.certificate_pem), now=late) is Refusal.REVOKED


@pytest.mark.parametrize("kept", [0, 1])
def test_every_authority_of_the_path_needs_a_list(site, now, kept):
    marker = b"-----BEGIN X509 CRL-----"
    blocks = [marker + block for block in site.crl_pem.split(marker)[1:]]
    lists = RevocationLists.parse(blocks[kept], anchors=site.anchors)
    assert refusal(site, issued_der(site, now), now=now, revocation=lists) is Refusal.REVOCATION_MISSING


def test_without_any_list_nobody_gets_in(site, now):
    der = issued_der(site, now)
    assert refusal(site, der, now=now, revocation=RevocationLists({})) is Refusal.REVOCATION_MISSING
    with pytest.raises(RevocationListError):
        RevocationLists.parse(b"", anchors=site.anchors)


def test_a_list_of_a_stranger_is_not_taken(site, now, tmp_path):
    other = Site.make(tmp_path / "other", now=now)  # the same names, other keys
    with pytest.raises(RevocationListError, match="signed by no CA"):
        RevocationLists.parse(other.crl_pem, anchors=site.anchors)


def crl_builder(site, now):
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(site.authority._signers["issuing"].certificate.subject)
        .last_update(now)
        .next_update(now + timedelta(days=1))
    )


def signed_crl(site, builder):
    return builder.sign(site.authority._signers["issuing"].key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "partial",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(
            full_name=None,
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=True,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        ),
    ],
)
def test_a_list_that_is_not_whole_is_not_taken(site, now, partial):
    assert RevocationLists.parse(signed_crl(site, crl_builder(site, now)), anchors=site.anchors)
    builder = crl_builder(site, now).add_extension(partial, critical=True)
    with pytest.raises(RevocationListError, match="not whole"):
        RevocationLists.parse(signed_crl(site, builder), anchors=site.anchors)


def test_the_newer_of_two_lists_counts_in_any_order(site, now):
    issued = site.authority.issue(LINE, MINISTRY, now=now)
    before = site.crl_pem
    site.authority.revoke(issued.serial, now=now)
    after = site.authority.write_crl(now=now)
    for bundle in (before + after, after + before):
        lists = RevocationLists.parse(bundle, anchors=site.anchors)
        assert refusal(site, leaf_der(issued.certificate_pem), now=now, revocation=lists) is Refusal.REVOKED


def test_anchors_are_authorities_with_a_root_among_them(site, now):
    root, issuing = x509.load_pem_x509_certificates(site.authority.anchors_pem)
    assert (site.anchors.roots, site.anchors.intermediates) == ((root,), (issuing,))
    leaf = site.authority.issue(LINE, MINISTRY, now=now).certificate_pem
    for pem in (b"", b"nonsense", issuing.public_bytes(Encoding.PEM), site.authority.anchors_pem + leaf):
        with pytest.raises(AnchorsError):
            TrustAnchors.parse(pem)


def test_the_intermediate_may_come_from_the_peer_but_its_list_must_be_ours(site, now):
    der = issued_der(site, now)
    root, issuing = site.anchors.roots[0], site.anchors.intermediates[0]
    only_root = TrustAnchors.parse(root.public_bytes(Encoding.PEM))
    sent = [issuing.public_bytes(Encoding.DER)]
    assert refusal(site, der, now=now, anchors=only_root) is Refusal.UNTRUSTED
    assert verify(site, der, now=now, anchors=only_root, chain=sent).name == MINISTRY
    none_of_issuing = RevocationLists({})
    assert (
        refusal(site, der, now=now, anchors=only_root, chain=sent, revocation=none_of_issuing)
        is Refusal.REVOCATION_MISSING
    )


def test_what_a_peer_may_send_is_bounded(site, now):
    der = issued_der(site, now)
    assert refusal(site, b"\x30" * (CERTIFICATE_BYTES_MAX + 1), now=now) is Refusal.MALFORMED
    assert refusal(site, der, now=now, chain=[der] * (CHAIN_CERTIFICATES_MAX + 1)) is Refusal.MALFORMED
    assert refusal(site, der, now=now, chain=[b"junk"]) is Refusal.MALFORMED


def test_a_naive_clock_is_the_callers_mistake(site, now):
    with pytest.raises(ValueError, match="aware"):
        verify(site, issued_der(site, now), now=datetime(2026, 4, 1))  # noqa: DTZ001 - the mistake under test


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_are_no_certificate_are_malformed(site, now, data):
    assert refusal(site, data, now=now) is Refusal.MALFORMED


@pytest.fixture
def leaf(site, now):
    return issued_der(site, now)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(place=st.integers(0, 4095), change=st.integers(1, 255))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_certificate_is_refused_and_never_breaks_us(site, now, leaf, place, change):
    der = bytearray(leaf)
    der[place % len(der)] ^= change
    assert refusal(site, bytes(der), now=now) in set(Refusal)
