"""Real handshakes, in memory."""

import ssl
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from certs import CENTRE, MaterialError, client_context, server_context
from certs.profiles import new_key
from protocol.limits import ALPN
from tests.certs.ends import CENTRE_INQUIRY, Site, TlsPair


@pytest.fixture
def server_files(live, present):
    return live.line(CENTRE, CENTRE_INQUIRY, now=present, hosts=("gateway.example",))


@pytest.fixture
def client_files(live, present):
    return live.line(now=present)


def test_both_ends_agree_on_tls_1_3_and_the_line_protocol(server_files, client_files):
    pair = TlsPair(client_context(client_files), server_context(server_files))
    pair.handshake()
    pair.say(b"synthetic")
    for end in (pair.client, pair.server):
        assert end.version() == "TLSv1.3"
        assert end.selected_alpn_protocol() == ALPN
        assert end.getpeercert(binary_form=True)


def test_tls_1_2_is_refused(server_files, client_files):
    client = client_context(client_files)
    client.minimum_version = ssl.TLSVersion.TLSv1_2
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        TlsPair(client, server_context(server_files)).handshake()


def test_a_client_without_a_certificate_is_refused(server_files):
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(server_files.anchors)
    with pytest.raises(ssl.SSLError, match=r"(?i)did not return a certificate"):
        TlsPair(bare, server_context(server_files)).handshake()


def test_each_end_refuses_another_authority(tmp_path, present, server_files, client_files):
    other = Site.make(tmp_path / "other", now=present)
    foreign_client = client_context(other.line(now=present))
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsPair(foreign_client, server_context(server_files)).handshake()
    foreign_server = server_context(other.line(CENTRE, CENTRE_INQUIRY, now=present))
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsPair(client_context(client_files), foreign_server).handshake()


def test_an_expired_and_a_future_client_are_refused_in_the_handshake(live, present, server_files):
    for label, offset, reason in (
        ("old", timedelta(days=-9), "expired"),
        ("early", timedelta(days=9), "not yet valid"),
    ):
        files = live.line(now=present + offset, days=2, label=label)
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            TlsPair(client_context(files), server_context(server_files)).handshake()


def test_a_line_cannot_pose_as_the_server(live, present, client_files):
    impostor = live.line(now=present, label="impostor")
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        TlsPair(client_context(client_files), server_context(impostor)).handshake()


def test_the_host_is_matched_where_it_is_asked_for(server_files, client_files):
    by_host = client_context(client_files, check_hostname=True)
    TlsPair(by_host, server_context(server_files), server_hostname="gateway.example").handshake()
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname"):
        TlsPair(by_host, server_context(server_files), server_hostname="other.example").handshake()


def test_no_session_can_be_resumed(server_files, client_files):
    server = server_context(server_files)
    assert server.num_tickets == 0
    pair = TlsPair(client_context(client_files), server)
    pair.handshake()
    pair.say(b"a ticket would arrive with this")
    assert not pair.client.session.has_ticket


def test_an_encrypted_key_is_an_error_and_no_question(client_files):
    client_files.key.write_bytes(
        new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"synthetic"))
    )
    with pytest.raises(MaterialError) as caught:
        client_context(client_files)
    assert caught.value.path == client_files.key
