"""Simulated cards and their authority: the PIN counts as on a chip, nothing names anybody, revocation is for ever."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from gateway.peers.jpki.authority import load_signer, write_crl
from gateway.peers.jpki.cards import (
    PinLocked,
    PinWrong,
    SimulatedCard,
    Unreadable,
    issue_card,
    make_jpki,
    revoke,
)
from gateway.peers.jpki.errors import JpkiAbsent, JpkiRefused
from gateway.peers.jpki.store import CardRecord, Register
from protocol.certificates import CardType

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
PIN, WRONG = "0123", "9999"


@pytest.fixture
def jpki(tmp_path: Path) -> Path:
    """An authority."""
    make_jpki(tmp_path / "jpki", now=NOW)
    return tmp_path / "jpki"


@pytest.fixture
def path(jpki: Path) -> Path:
    """A card's file."""
    return issue_card(jpki, holder="resident-0", algorithm="p384", pin=PIN, now=NOW, days=30)


def record_of(jpki: Path) -> CardRecord:
    """The one card there is."""
    (record,) = Register(jpki).cards()
    return record


def listed(jpki: Path, serial: int) -> x509.RevokedCertificate | None:
    """What the list says of a serial."""
    crl = x509.load_der_x509_crl((jpki / "crl.der").read_bytes())
    assert crl.is_signature_valid(load_signer(jpki, "issuing").key.public_key())
    return crl.get_revoked_certificate_by_serial_number(serial)


def test_a_card_signs_with_the_key_of_its_certificate(jpki: Path, path: Path) -> None:
    card = SimulatedCard.load(path)
    key = x509.load_der_x509_certificate(card.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(card.sign(PIN, b"content"), b"content", ec.ECDSA(hashes.SHA384()))
    other = SimulatedCard.load(issue_card(jpki, holder="r", algorithm="rsa2048", pin=PIN, now=NOW, days=1))
    rsa_key = x509.load_der_x509_certificate(other.certificate).public_key()
    assert isinstance(rsa_key, rsa.RSAPublicKey)
    assert rsa_key.key_size == 2048
    rsa_key.verify(other.sign(PIN, b"content"), b"content", padding.PKCS1v15(), hashes.SHA256())


def test_three_wrong_pins_lock_the_card_for_the_right_one_too(path: Path) -> None:
    for left in (2, 1):
        with pytest.raises(PinWrong) as caught:
            SimulatedCard.load(path).sign(WRONG, b"")  # each time as another program would
        assert caught.value.tries_left == left == SimulatedCard.load(path).tries_left
    with pytest.raises(PinLocked):
        SimulatedCard.load(path).sign(WRONG, b"")
    with pytest.raises(PinLocked):
        SimulatedCard.load(path).sign(PIN, b"")
    assert SimulatedCard.load(path).tries_left == 0


def test_a_right_pin_forgets_the_wrong_ones(path: Path) -> None:
    card = SimulatedCard.load(path)
    for _ in range(3):
        for wrong in (WRONG, ""):
            with pytest.raises(PinWrong):
                card.sign(wrong, b"")
        card.sign(PIN, b"")
    assert card.tries_left == 3


def test_tries_made_by_two_programs_at_once_are_all_counted(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from gateway.peers.jpki.cards import SimulatedCard, PinWrong, PinLocked\n"
        "for _ in range(2):\n"
        "    try: SimulatedCard.load(Path(sys.argv[1])).sign('9999', b'')\n"
        "    except (PinWrong, PinLocked) as error: print(error.code)\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = "".join(each.communicate(timeout=60)[0] for each in running).split()
    assert sorted(said) == ["pin-locked", "pin-locked", "pin-wrong", "pin-wrong"]


def test_a_card_file_does_not_open_without_its_pin_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert "BEGIN ENCRYPTED PRIVATE KEY" in text
    assert "試験用" in text
    assert path.stat().st_mode & 0o077 == 0


def test_a_damaged_card_or_another_file_cannot_be_read(jpki: Path, path: Path) -> None:
    damaged = issue_card(jpki, holder="d", algorithm="p384", pin=PIN, now=NOW, days=1, damaged=True)
    held = SimulatedCard.load(path)
    path.write_text("{}")
    for attempt in (
        lambda: SimulatedCard.load(damaged),
        lambda: SimulatedCard.load(path),
        lambda: SimulatedCard.load(jpki / "cards" / "none.card"),
        lambda: held.sign(PIN, b""),  # it went dirty while it lay on the reader
    ):
        with pytest.raises(Unreadable):
            attempt()


def test_a_resident_card_says_its_type(jpki: Path, path: Path) -> None:
    old = issue_card(
        jpki, holder="old", algorithm="rsa2048", pin=PIN, now=NOW, days=1, card_type=CardType.RESIDENT_CARD
    )
    assert SimulatedCard.load(old).type is CardType.RESIDENT_CARD
    assert SimulatedCard.load(path).type is CardType.MY_NUMBER_CARD


def test_a_certificate_names_nobody_and_says_where_its_status_is_asked(jpki: Path, path: Path) -> None:
    leaf = x509.load_der_x509_certificate(SimulatedCard.load(path).certificate)
    assert b"resident-0" not in SimulatedCard.load(path).certificate
    (name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert str(name.value).startswith("TEST")
    (access,) = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access.access_location == x509.UniformResourceIdentifier("http://127.0.0.1:8888/ocsp")
    (point,) = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name == [x509.UniformResourceIdentifier("http://127.0.0.1:8888/crl.der")]
    assert "試験用" in load_signer(jpki, "issuing").certificate.subject.rfc4514_string()
    leaf.verify_directly_issued_by(load_signer(jpki, "issuing").certificate)


def test_a_revoked_card_is_on_the_list_with_its_reason_for_ever(jpki: Path, path: Path) -> None:
    serial = record_of(jpki).serial
    assert listed(jpki, serial) is None
    revoke(jpki, serial, "certificate_hold", NOW)
    found = listed(jpki, serial)
    assert found is not None
    assert found.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.certificate_hold
    for reason in ("unspecified", "certificate_hold"):
        with pytest.raises(JpkiRefused, match="revoked already"):
            revoke(jpki, serial, reason, NOW + timedelta(days=1))
    with pytest.raises(JpkiRefused, match="no reason"):
        revoke(jpki, serial, "remove_from_crl", NOW)
    with pytest.raises(JpkiRefused, match="not issued here"):
        revoke(jpki, serial + 1, "unspecified", NOW)
    assert path.exists()


def test_lists_are_numbered_upwards(jpki: Path) -> None:
    def number() -> int:
        crl = x509.load_der_x509_crl((jpki / "crl.der").read_bytes())
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    first = number()
    write_crl(jpki, now=NOW)
    assert number() == first + 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"holder": "山田"}, "label"),
        ({"holder": "resident-0"}, "has a card"),
        ({"pin": "123"}, "four digits"),
        ({"pin": "１２３４"}, "four digits"),
        ({"days": 0}, "a day or more"),
        ({"days": 9999}, "issuing CA ends"),
        ({"algorithm": "p256"}, "kind of key"),
    ],
)
def test_a_card_that_cannot_be_is_refused(jpki: Path, path: Path, change: dict[str, object], why: str) -> None:
    options = {"holder": "other", "algorithm": "p384", "pin": PIN, "now": NOW, "days": 1, **change}
    with pytest.raises(JpkiRefused, match=why):
        issue_card(jpki, **options)  # type: ignore[arg-type]
    assert path.exists()


def test_an_authority_is_never_overwritten_and_a_directory_without_one_says_so(jpki: Path, tmp_path: Path) -> None:
    with pytest.raises(JpkiRefused, match="not an empty directory"):
        make_jpki(jpki, now=NOW)
    with pytest.raises(JpkiAbsent, match="sekisho jpki init"):
        Register(tmp_path)
    (jpki / "issuing.key").write_bytes((jpki / "root.key").read_bytes())
    with pytest.raises(JpkiAbsent, match="not the key"):
        load_signer(jpki, "issuing")
