"""URIs of key stores and files that hold a passphrase."""

import pytest

from hsm.errors import HsmUnavailable, PassphraseUnreadable, StoreAbsent
from hsm.opening import UriInvalid, create_keystore, open_keystore, passphrase_from_file
from tests.kit.components import PIN


def test_a_software_uri_makes_and_opens_the_file(tmp_path):
    uri = f"software:{tmp_path}/keystore.sekisho"
    create_keystore(uri, lambda: "secret", owner="centre").close()
    assert open_keystore(uri, lambda: "secret").owner == "centre"


@pytest.mark.token
def test_a_token_uri_makes_and_opens_the_token_with_either_name_of_the_module(softhsm, label):
    softhsm.make_token(label)
    create_keystore(softhsm.uri(label), lambda: PIN, owner="centre").close()
    store = open_keystore(f"pkcs11:module={softhsm.proxy};token={label}", lambda: PIN)
    assert store.owner == "centre"
    store.close()
    with pytest.raises(StoreAbsent):
        open_keystore(softhsm.uri("no%20such"), lambda: PIN)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "software:",
        "file:/x",
        "pkcs11:",
        "pkcs11:token=",
        "pkcs11:module-path=/usr/lib/p11-kit-proxy.so",
        "pkcs11:token=a;token=b",
        "pkcs11:token=a;pin-value=1234",
        "pkcs11:token=a;module-path=/usr/lib/softhsm/libsofthsm2.so",
    ],
)
def test_what_is_no_key_store_uri_is_refused_before_a_passphrase_is_asked(uri):
    def ask():
        pytest.fail("asked for a passphrase")

    with pytest.raises(UriInvalid):
        open_keystore(uri, ask)


def test_without_the_proxy_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("hsm.opening.find_proxy", lambda: None)
    with pytest.raises(HsmUnavailable, match="install p11-kit"):
        open_keystore("pkcs11:token=a", lambda: PIN)


def test_a_passphrase_is_the_first_line_of_its_file(tmp_path):
    file = tmp_path / "passphrase"
    file.write_text("secret with spaces \nsecond\n")
    file.chmod(0o600)
    assert passphrase_from_file(file) == "secret with spaces "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_passphrase_file_that_others_may_touch_is_refused(tmp_path, mode):
    file = tmp_path / "passphrase"
    file.write_text("secret\n")
    file.chmod(mode)
    with pytest.raises(PassphraseUnreadable, match="chmod 600"):
        passphrase_from_file(file)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\n"])
def test_an_empty_or_unreadable_passphrase_is_refused(tmp_path, content):
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(PassphraseUnreadable):
        passphrase_from_file(file)
    with pytest.raises(PassphraseUnreadable):
        passphrase_from_file(tmp_path / "absent")
