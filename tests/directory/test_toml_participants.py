"""The tables of a certificate centre are read whole from a file, or refused with their place and remedy."""

import base64
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.directory import toml
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryInvalid
from gateway.directory.model import Document, Window
from gateway.directory.offers import Priced, may_authenticate, menu
from gateway.directory.participants import Campaign, DayException
from protocol import issuance
from protocol.certificates import CardType, Kind, Option
from protocol.outcomes import Outcome
from tests.directory.certificates import DOCUMENT, NOON, anchor, bundle, outcome, statement
from tests.directory.sample import DOCUMENT as SAMPLE
from tests.directory.sample import us

EXAMPLE = Path(__file__).parents[2] / "deploy" / "directory.certificate.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


def parse(text: str, base: Path = EXAMPLE.parent) -> Document:
    return toml.parse(text.encode(), base=base)


@pytest.fixture
def exchanged(tmp_path: Path) -> Document:
    """The example once keys were exchanged: every file it names lies beside it."""
    for code, party in (("121002", "chiba"), ("162027", "takaoka")):
        (tmp_path / f"{code}.bundle").write_bytes(bundle(party))
    certificate = x509.load_der_x509_certificate(anchor("a"))
    (tmp_path / "cvs-dev-kiosks.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    text = TEXT.replace("# trust_file = ", "trust_file = ").replace("# kiosk_anchor_files = ", "kiosk_anchor_files = ")
    return parse(text, tmp_path)


def test_the_example_is_one_source_and_offers_nothing_until_keys_are_exchanged() -> None:
    packaged = EXAMPLE.parents[1] / "gateway" / "app" / EXAMPLE.name
    assert packaged.read_bytes() == EXAMPLE.read_bytes()
    directory = Directory(1, toml.read(EXAMPLE))
    refused = may_authenticate(directory, operator="cvs-dev", municipality="121002", card_type=1, at_us=NOON)
    assert refused is not None
    assert refused.outcome is Outcome.NOT_PARTICIPATING


def test_the_example_offers_what_it_says_once_keys_are_exchanged(exchanged: Document) -> None:
    fees = {Kind.RESIDENT: 300, Kind.SEAL: 300, Kind.TAXATION: 300, Kind.FAMILY_ALL: 450, Kind.FAMILY_ADDRESS: 300}
    for kind, yen in fees.items():
        priced = outcome(exchanged, statement(kind), operator="cvs-dev")
        assert priced == Priced(fee_yen=yen, commission_yen=115, terms_version=1, counterparty="chiba")
    night = outcome(exchanged, statement(Kind.FAMILY_ALL), operator="cvs-dev", at_us=us(2026, 11, 25, 17))
    assert night is Outcome.MUNICIPALITY_CLOSED
    for day in (29, 31):
        at_us = us(2026, 12, day, 12)
        assert outcome(exchanged, operator="cvs-dev", at_us=at_us) is Outcome.OUTSIDE_HOURS
        alone = msgspec.structs.replace(exchanged, closed=frozenset())
        assert outcome(alone, operator="cvs-dev", at_us=at_us) is Outcome.MUNICIPALITY_CLOSED
    ended = outcome(exchanged, operator="cvs-dev", card_type=CardType.RESIDENT_CARD)
    assert ended is Outcome.CARD_TYPE_ENDED
    found = menu(Directory(1, exchanged), operator="cvs-dev", municipality="162027", card_type=1, at_us=NOON)
    assert isinstance(found, issuance.Menu)
    assert [offer.kind for offer in found.offers] == [Kind.SEAL, Kind.RESIDENT, Kind.FAMILY_ALL]


def test_a_document_survives_its_encoding_in_one_order(exchanged: Document) -> None:
    for document in (DOCUMENT, exchanged):
        assert Document.decode(document.encode()) == document.canonical()
    turned = msgspec.structs.replace(
        DOCUMENT,
        municipalities=tuple(
            msgspec.structs.replace(place, offers=place.offers[::-1]) for place in DOCUMENT.municipalities[::-1]
        ),
        operators=DOCUMENT.operators[::-1],
        kits=DOCUMENT.kits[::-1],
        card_types=DOCUMENT.card_types[::-1],
    )
    assert turned.encode() == DOCUMENT.encode()


def test_a_revision_from_before_these_tables_still_reads() -> None:
    written = msgspec.json.decode(SAMPLE.encode())
    for table in ("closed", "municipalities", "operators", "kits", "card_types"):
        assert not written.pop(table)
    assert Document.decode(msgspec.json.encode(written)) == SAMPLE.canonical()


def test_names_days_campaigns_and_stops_are_read_as_they_are_written() -> None:
    text = TEXT.replace("# campaign = ", "campaign = ").replace("# stop = ", "stop = ", 1)
    text = text.replace(
        'closed" }]', 'closed" }, { valid_from = 2027-02-01, opening = "10:00-12:00", kind = "inkan" }]', 1
    )
    chiba = parse(text).municipalities[0]
    resident = next(offer for offer in chiba.offers if offer.kind == Kind.RESIDENT)
    assert resident.options == int(Option.HOUSEHOLD | Option.DOMICILE | Option.RELATION | Option.MY_NUMBER)
    assert [type(each) for each in resident.campaigns] == [Campaign]
    assert resident.campaigns[0].yen == 10
    assert chiba.card_types == {CardType.MY_NUMBER_CARD, CardType.SMARTPHONE}
    one = next(each for each in chiba.exceptions if each.kind)
    day = one.valid_from
    window = Window(open_minute=600, close_minute=720)
    assert one == DayException(valid_from=day, valid_until=day, opening=window, kind="inkan")
    assert chiba.stops[0].from_us == us(2026, 12, 5, 20)


def test_anchors_may_be_base64_der_or_pem_with_several(tmp_path: Path) -> None:
    pem = b"".join(x509.load_der_x509_certificate(anchor(n)).public_bytes(Encoding.PEM) for n in ("b", "c"))
    (tmp_path / "two.pem").write_bytes(pem)
    (tmp_path / "one.der").write_bytes(anchor("d"))
    given = (
        f'kiosk_anchors = ["{base64.b64encode(anchor("a")).decode()}"]\nkiosk_anchor_files = ["two.pem", "one.der"]\n'
    )
    operator = parse(TEXT.replace("blocked_kiosks", given + "blocked_kiosks", 1), tmp_path).operators[0]
    assert operator.kiosk_anchors == tuple(anchor(name) for name in "abcd")


CHIBA = "municipality 121002"
RESIDENT = "municipality 121002 offer juminhyo"
CONTRACT = "contract cvs-dev certificate 2026-04-01"
HOURS = 'hours = [{ valid_from = 2026-04-01, weekday = "06:30-23:00"'
FIRST_FEE = "fee = [{ valid_from = 2026-04-01, yen = 300 }]"
BAD = [
    ('code = "121002"', 'code = "121003"', "municipality 121003", "code"),
    ('code = "121002"', 'code = "12100"', "municipality 12100", "code"),
    ('code = "121002"', "code = 121002", "[[municipality]] 1", "code"),
    ('code = "162027"', 'code = "121002"', "municipality", "code"),
    ('party = "takaoka"\ncode', 'party = "chiba"\ncode', "municipality", "party"),
    ('party = "chiba"', 'party = "nobody"', CHIBA, "party"),
    ('party = "chiba"', 'party = "cvs-dev"', CHIBA, "party"),
    ("valid_from = 2026-04-01\nhost", "valid_from = 2026-04-01\nvalid_until = 2026-03-31\nhost", CHIBA, "valid_until"),
    (
        "valid_from = 2026-04-01\nhost",
        "valid_from = 2026-04-01\nrun_off_until = 2027-03-31\nhost",
        CHIBA,
        "run_off_until",
    ),
    ('host = "127.0.0.1"', 'host = ""', CHIBA, "host"),
    ("port = 8631", "port = 0", CHIBA, "port"),
    ("port = 8631", "prot = 8631", "[[municipality]] 1", "prot"),
    ("port = 8631", "", "[[municipality]] 1", "port"),
    ("requests_at_once = 16", "requests_at_once = 0", CHIBA, "requests_at_once"),
    ("deadline_ms = 10000", "deadline_ms = 30001", CHIBA, "deadline_ms"),
    ('# trust_file = "121002.bundle"', 'trust_file = "none.bundle"', "[[municipality]] 1", "trust_file"),
    ('card_types = ["my-number-card", "smartphone"]', 'card_types = ["phone"]', "[[municipality]] 1", "card_types"),
    ('card_types = ["my-number-card", "smartphone"]', "card_types = []", CHIBA, "card_types"),
    ('opening = "closed"', 'opening = "shut"', "[[municipality]] 1 exception 2026-12-29", "opening"),
    ('opening = "closed"', 'opening = "23:00-06:30"', f"{CHIBA} exception 2026-12-29", "opening"),
    ('opening = "closed"', 'opening = "closed", kind = "voucher"', f"{CHIBA} exception 2026-12-29", "kind"),
    ("valid_until = 2027-01-03", "valid_until = 2026-12-28", f"{CHIBA} exception 2026-12-29", "valid_until"),
    ("valid_until = 2027-01-03", "valid_until = 2027-12-31", f"{CHIBA} exception 2026-12-29", "valid_until"),
    ('closed" }]', 'closed" }, { valid_from = 2027-01-03, opening = "closed" }]', CHIBA, "exception.day"),
    (
        "# stop = [{ since = 2026-12-05T20:00:00+09:00",
        "stop = [{ since = 2026-12-06T20:00:00+09:00",
        f"{CHIBA} stop 1796554800000000",
        "until",
    ),
    ('kind = "juminhyo"', 'kind = "voucher"', "municipality 121002 offer voucher", "kind"),
    ('kind = "juminhyo"', 'kind = "inkan"', CHIBA, "offer.kind"),
    ('"my-number"]', '"my-numbre"]', "[[municipality]] 1 offer juminhyo", "options"),
    ('entitled = "household"', 'entitled = "anyone"', "[[municipality]] 1", "offer[0].entitled"),
    ("copies_max = 10", "copies_max = 21", RESIDENT, "copies_max"),
    ("copies_max = 10", "copies_max = 0", RESIDENT, "copies_max"),
    (FIRST_FEE, "fee = []", RESIDENT, "fee"),
    (FIRST_FEE, "fee = [{ valid_from = 2026-04-01, yen = 1001 }]", RESIDENT, "fee.yen"),
    (FIRST_FEE, "fee = [{ valid_from = 2026-04-01, yen = -1 }]", RESIDENT, "fee.yen"),
    (FIRST_FEE, "fee = [{ valid_from = 2026-04-02, yen = 300 }]", RESIDENT, "fee.valid_from"),
    (FIRST_FEE, FIRST_FEE.replace("}]", "}, { valid_from = 2026-04-01, yen = 1 }]"), RESIDENT, "fee.valid_from"),
    (
        "# campaign = [{ valid_from = 2027-02-01",
        "campaign = [{ valid_from = 2027-04-01",
        RESIDENT,
        "campaign.valid_until",
    ),
    (
        "yen = 10 }]",
        "yen = 10 }, { valid_from = 2027-03-31, valid_until = 2027-04-01, yen = 9 }]",
        RESIDENT,
        "campaign.valid_from",
    ),
    ('party = "cvs-dev"\n# kiosk', 'party = "chiba"\n# kiosk', "operator chiba", "party"),
    ("blocked_kiosks = []", 'blocked_kiosks = ["Kiosk 1"]', "operator cvs-dev", "blocked_kiosks"),
    ("blocked_kiosks = []", 'kiosk_anchors = ["AAAA"]', "operator cvs-dev", "kiosk_anchors"),
    ("blocked_kiosks = []", 'kiosk_anchors = ["?"]', "[[operator]] 1", "kiosk_anchors"),
    ("blocked_kiosks = []", 'kiosk_anchor_files = ["none.pem"]', "[[operator]] 1", "kiosk_anchor_files"),
    ('id = "kit-2026.1"', 'id = ""', "kit ", "id"),
    ('id = "kit-2026.1"', 'id = "kit"\nretired_on = 2026-03-31', "kit kit", "retired_on"),
    ('type = "smartphone"', 'type = "my-number-card"', "card_type 1 2023-12-20", "valid_from"),
    ('type = "smartphone"', 'type = "card"', "[[card_type]] 3", "type"),
    ('role = "certificate"', 'role = "inquiry"', "[[contract]] 1", "terms.yen_per_record"),
    ("commission = 115", "commission = 115, yen_per_record = 300", CONTRACT, "terms.yen_per_record"),
    ("commission = 115", "commission = -1", CONTRACT, "terms.commission"),
    ('role = "certificate"', 'role = "certificate"\nmethods = ["immediate"]', CONTRACT, "methods"),
    ('party = "cvs-dev"\nrole', 'party = "chiba"\nrole', "contract chiba certificate 2026-04-01", "role"),
    ("closed = [2026-12-29", 'closed = ["x", 2026-12-29', "[calendar]", "closed[0]"),
]


@pytest.mark.parametrize(("good", "bad", "table", "field"), BAD)
def test_each_slip_is_refused_at_its_place(good: str, bad: str, table: str, field: str) -> None:
    text = TEXT.replace("# campaign = ", "campaign = ") if good.startswith("yen = 10") else TEXT
    assert good in text
    with pytest.raises(DirectoryInvalid) as caught:
        parse(text.replace(good, bad, 1))
    assert (caught.value.table, caught.value.field) == (table, field)
    assert caught.value.remedy
    assert "\n" not in str(caught.value).strip()


def test_a_trust_bundle_must_be_one_and_be_this_municipality_s(tmp_path: Path) -> None:
    text = TEXT.replace("# trust_file = ", "trust_file = ", 1)
    for wrong, why in ((b"nothing", "not a trust bundle"), (bundle("takaoka"), "the trust bundle of takaoka")):
        (tmp_path / "121002.bundle").write_bytes(wrong)
        with pytest.raises(DirectoryInvalid, match=why) as caught:
            parse(text, tmp_path)
        assert (caught.value.table, caught.value.field) == (CHIBA, "trust")


def test_pem_anchors_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    with pytest.raises(DirectoryInvalid, match="not PEM certificates"):
        parse(TEXT.replace("blocked_kiosks = []", 'kiosk_anchor_files = ["bad.pem"]', 1), tmp_path)
