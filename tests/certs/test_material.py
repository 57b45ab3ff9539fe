from datetime import timedelta

import pytest

from certs import (
    CENTRE,
    CertificateRefused,
    LineName,
    MaterialError,
    MaterialProblem,
    ProtocolNotAgreedError,
    Refusal,
    TlsMaterial,
)
from protocol.limits import ALPN
from tests.certs.ends import CENTRE_INQUIRY, MINISTRY, Site, TlsPair


@pytest.fixture
def server_files(live, present):
    return live.line(CENTRE, CENTRE_INQUIRY, now=present)


@pytest.fixture
def server(server_files, present):
    return TlsMaterial(server_files, now=present)


@pytest.fixture
def client(live, present):
    return TlsMaterial(live.line(now=present), now=present)


def joined(client, server):
    pair = TlsPair(client.current.client, server.current.server)
    pair.handshake()
    return pair


def peer_of(material, end, *, usage, now, expected=None):
    return material.verify_peer(
        end.getpeercert(binary_form=True),
        alpn=end.selected_alpn_protocol(),
        usage=usage,
        now=now,
        expected=expected,
    )


def test_each_end_learns_the_line_of_the_other(client, server, present):
    pair = joined(client, server)
    assert peer_of(server, pair.server, usage="client", now=present) == client.current.own
    assert peer_of(client, pair.client, usage="server", now=present, expected=CENTRE_INQUIRY) == server.current.own
    assert (client.current.own.name, server.current.own.name) == (MINISTRY, CENTRE_INQUIRY)


def test_a_server_under_another_name_than_expected_is_refused(client, server, present):
    pair = joined(client, server)
    with pytest.raises(CertificateRefused) as caught:
        peer_of(client, pair.client, usage="server", now=present, expected=LineName("centre", "certificate"))
    assert caught.value.reason is Refusal.WRONG_NAME


def test_a_peer_without_protocol_or_certificate_is_refused(server, present):
    with pytest.raises(ProtocolNotAgreedError):
        server.verify_peer(b"", alpn=None, usage="client", now=present)
    with pytest.raises(CertificateRefused):
        server.verify_peer(None, alpn=ALPN, usage="client", now=present)


def test_a_line_goes_on_over_a_reload_and_a_revoked_one_gets_no_new_connection(
    live, client, server, server_files, present
):
    pair = joined(client, server)
    before = server.current
    live.authority.revoke(client.current.own.serial, now=present)
    server_files.crls.write_bytes(live.authority.write_crl(now=present))
    live.line(CENTRE, CENTRE_INQUIRY, now=present)  # a new certificate in the same place
    server.reload(now=present)
    assert server.current.own.fingerprint != before.own.fingerprint
    pair.say(b"still here")
    again = joined(client, server)
    for end in (again.server, pair.server):
        with pytest.raises(CertificateRefused) as caught:
            peer_of(server, end, usage="client", now=present)
        assert caught.value.reason is Refusal.REVOKED


@pytest.mark.parametrize(
    ("which", "content"),
    [
        ("certificate", b"nonsense"),
        ("certificate", None),
        ("key", b"nonsense"),
        ("key", None),
        ("anchors", b"nonsense"),
        ("anchors", None),
        ("crls", b""),
        ("crls", b"nonsense"),
        ("crls", None),
    ],
)
def test_a_bad_file_is_named_and_the_old_stays(client, server, server_files, present, which, content):
    before = server.current
    path = getattr(server_files, which)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(MaterialError) as caught:
        server.reload(now=present)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    assert server.current is before
    joined(client, server).say(b"as before")


def test_a_key_of_another_certificate_is_refused(live, server, server_files, present):
    server_files.key.write_bytes(live.line(now=present).key.read_bytes())
    with pytest.raises(MaterialError) as caught:
        server.reload(now=present)
    assert caught.value.problem is MaterialProblem.MISMATCH


def test_a_key_that_others_can_read_is_refused(server, server_files, present):
    server_files.key.chmod(0o644)
    with pytest.raises(MaterialError) as caught:
        server.reload(now=present)
    assert caught.value.problem is MaterialProblem.EXPOSED


def test_stale_lists_are_not_put_in_force(server, server_files, present):
    with pytest.raises(MaterialError) as caught:
        server.reload(now=present + timedelta(days=8))
    assert (caught.value.path, caught.value.problem) == (server_files.crls, MaterialProblem.UNUSABLE)


def test_an_old_list_put_back_is_refused(live, server, server_files, present):
    old = server_files.crls.read_bytes()
    server_files.crls.write_bytes(live.authority.write_crl(now=present))
    server.reload(now=present)
    server_files.crls.write_bytes(old)
    with pytest.raises(MaterialError) as caught:
        server.reload(now=present)
    assert caught.value.problem is MaterialProblem.OLDER


def test_lists_of_another_authority_are_refused(tmp_path, server, server_files, present):
    server_files.crls.write_bytes(Site.make(tmp_path / "other", now=present).crl_pem)
    with pytest.raises(MaterialError) as caught:
        server.reload(now=present)
    assert caught.value.path == server_files.crls
