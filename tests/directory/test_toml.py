"""A directory file is read whole or refused with its place and remedy."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from gateway.directory import toml
from gateway.directory.affairs import PAIRS
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryInvalid
from gateway.directory.model import Document, Method, Role, Scope
from tests.directory.sample import DOCUMENT, NOON, spki, us

EXAMPLE = Path(__file__).parents[2] / "deploy" / "directory.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


def parse(text: str, base: Path = EXAMPLE.parent) -> Document:
    return toml.parse(text.encode(), base=base)


def test_the_example_grants_the_fourteen_pairs_at_once_and_no_batch() -> None:
    directory = Directory(1, toml.read(EXAMPLE))
    standing = directory.standing(Role.INQUIRY, "mlit", "line-1", NOON)
    assert standing.refused is None
    assert standing.contract is not None
    assert {(a, s) for a, steps in standing.contract.affairs.items() for s in steps} == PAIRS
    assert standing.contract.methods == {Method.IMMEDIATE}
    assert standing.contract.terms[0].yen_per_record == 10
    assert directory.verifying_key("mlit", "line-1", "mlit-line-1-2026", NOON) is not None
    assert directory.verifying_key("mlit", "line-1", "mlit-line-1-2026", us(2031, 4, 1)) is None


def test_a_document_survives_its_encoding_and_equal_facts_give_equal_bytes() -> None:
    for document in (DOCUMENT, toml.read(EXAMPLE)):
        assert Document.decode(document.encode()) == document.canonical()
        assert Document.decode(document.encode()).encode() == document.encode()
    turned = Document(
        parties=DOCUMENT.parties[::-1],
        lines=DOCUMENT.lines[::-1],
        contracts=DOCUMENT.contracts,
        staff=DOCUMENT.staff[::-1],
        holidays=DOCUMENT.holidays,
    )
    assert turned.encode() == DOCUMENT.encode()


@pytest.mark.parametrize("pem", [True, False])
def test_a_key_may_stand_in_a_file_beside(tmp_path: Path, pem: bool) -> None:
    der = spki("file")
    encoding = Encoding.PEM if pem else Encoding.DER
    data = load_der_public_key(der).public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "line.key").write_bytes(data)
    line = next(line for line in TEXT.splitlines() if line.startswith("public_key"))
    document = parse(TEXT.replace(line, 'key_file = "line.key"'), tmp_path)
    assert document.lines[0].keys[0].public_key == der


def test_times_keep_their_microseconds_and_stops_and_suspensions_are_read() -> None:
    text = TEXT + (
        '\n[[suspension]]\nscope = "line"\ntarget = "mlit/line-1"\nsince = 2026-12-01T00:00:00.000001+09:00\n'
        'ground = "g"\n[[calendar.stop]]\nsince = 2026-12-01T02:00:00+09:00\nuntil = 2026-11-30T19:00:00Z\n'
        'ground = "m"\n'
    )
    document = parse(text)
    assert document.suspensions[0].scope is Scope.LINE
    assert document.suspensions[0].from_us == us(2026, 12, 1) + 1
    assert document.suspensions[0].until_us is None
    assert (document.stops[0].from_us, document.stops[0].until_us) == (us(2026, 12, 1, 2), us(2026, 12, 1, 4))


BAD: list[tuple[str, str, str, str]] = [
    ("[calendar]", "[calendar", "file", "syntax"),
    ("[calendar]", "[calender]", "file", "calender"),
    ("weight = 1", "wieght = 1", "[[party]] 2", "wieght"),
    ("weight = 1", "weight = 0", "party mlit", "weight"),
    ("weight = 1", 'weight = "1"', "[[party]] 2", "weight"),
    ('kind = "ministry"', 'kind = "minister"', "[[party]] 2", "kind"),
    ('kind = "ministry"', 'kind = "centre"', "party", "kind"),
    ('id = "centre"', 'id = "center"', "party center", "id"),
    ('id = "mlit"', 'id = "MLIT"', "party MLIT", "id"),
    ('id = "mlit"', 'id = "centre"', "party", "id"),
    ('name_en = "Inquiry centre (development)"', 'name_en = ""', "party centre", "name_en"),
    ('name = "line-1"\n', "", "[[line]] 1", "name"),
    ('name = "line-1"', 'name = "-"', "line mlit/-", "name"),
    ('party = "mlit"\nname', 'party = "moj"\nname', "line moj/line-1", "party"),
    ("in_flight_max = 1024", "in_flight_max = 9999", "line mlit/line-1", "requests_in_flight_max"),
    ("certificates = []", 'certificates = ["zz"]', "[[line]] 1", "certificates"),
    ("certificates = []", 'certificates = ["00ff"]', "line mlit/line-1", "certificates"),
    ('algorithm = "ES256"', 'algorithm = "RS256"', "[[line]] 1 [[line.key]] 1", "algorithm"),
    ('algorithm = "ES256"', 'algorithm = "ML-DSA-65"', "line mlit/line-1 key mlit-line-1-2026", "public_key"),
    ('public_key = "MF', 'public_key = "MG', "line mlit/line-1 key mlit-line-1-2026", "public_key"),
    ('public_key = "MF', 'public_key = "?F', "[[line]] 1 [[line.key]] 1", "public_key"),
    ('public_key = "', 'key_file = "none"\npublic_key = "', "[[line]] 1 [[line.key]] 1", "public_key"),
    (
        "not_before = 2026-04-01T00:00:00+09:00",
        "not_before = 2026-04-01T00:00:00",
        "[[line]] 1 [[line.key]] 1",
        "not_before",
    ),
    ("not_after = 2031", "not_after = 2021", "line mlit/line-1 key mlit-line-1-2026", "not_after"),
    ("vehicle-97-3-1 = [1, 2]", "vehicle-97-3-1 = [1, 2, 3]", "contract mlit inquiry 2019-04-01", "affairs"),
    ("vehicle-67 = [1, 2, 3]", "voucher = [1]", "contract mlit inquiry 2019-04-01", "affairs"),
    ("vehicle-67 = [1, 2, 3]", "vehicle-67 = []", "contract mlit inquiry 2019-04-01", "affairs"),
    ("vehicle-67 = [1, 2, 3]", 'vehicle-67 = ["a"]', "[[contract]] 1", "affairs[...][0]"),
    ('methods = ["immediate"]', 'methods = ["batch"]', "[[contract]] 1", "methods[0]"),
    ('role = "inquiry"', 'role = "certificate"', "[[contract]] 1", "terms.commission"),
    (
        'role = "inquiry"',
        'role = "inquiry"\nvalid_until = 2018-01-01',
        "contract mlit inquiry 2019-04-01",
        "valid_until",
    ),
    (
        'role = "inquiry"',
        'role = "inquiry"\nrun_off_until = 2030-01-01',
        "contract mlit inquiry 2019-04-01",
        "run_off_until",
    ),
    ('weekday = "00:00-24:00"', 'weekday = "8-17"', "[[contract]] 1", "hours.weekday"),
    ('weekday = "00:00-24:00"', 'weekday = "00:00-24:01"', "contract mlit inquiry 2019-04-01", "hours.weekday"),
    ('weekday = "00:00-24:00"', 'weekday = "18:00-08:00"', "contract mlit inquiry 2019-04-01", "hours.weekday"),
    ("version = 1", "version = 0", "contract mlit inquiry 2019-04-01", "terms.version"),
    ("yen_per_record = 10", "yen_per_record = 10.5", "[[contract]] 1", "terms[0].yen_per_record"),
    ("yen_per_record = 10", "yen_per_record = -1", "contract mlit inquiry 2019-04-01", "terms.yen_per_record"),
    (
        "yen_per_record = 10",
        "yen_per_record = 1\ncommission = 2",
        "contract mlit inquiry 2019-04-01",
        "terms.commission",
    ),
    ("records_per_staff_day_max = 1000000000\n", "", "[[contract]] 1", "volume.records_per_staff_day_max"),
    (
        "records_per_staff_day_max = 1000000000",
        "records_per_staff_day_max = 0",
        "contract mlit inquiry 2019-04-01",
        "volume.records_per_staff_day_max",
    ),
    ('id = "staff-001"', 'id = "staff 001"', "staff mlit/staff 001", "id"),
    ('id = "staff-001"', 'id = "staff-900"', "staff", "id"),
    ('rights = ["inquire"]', "rights = []", "staff mlit/staff-001", "rights"),
    ("trained_on = 2019-04-01", 'trained_on = "yes"', "[[staff]] 1", "trained_on"),
]


@pytest.mark.parametrize(("good", "bad", "table", "field"), BAD)
def test_each_slip_is_refused_at_its_place(good: str, bad: str, table: str, field: str) -> None:
    assert good in TEXT
    with pytest.raises(DirectoryInvalid) as caught:
        parse(TEXT.replace(good, bad, 1))
    assert (caught.value.table, caught.value.field) == (table, field)
    assert caught.value.remedy
    assert "\n" not in str(caught.value).strip()


SUSPENSION = '\n[[suspension]]\nscope = "{}"\ntarget = "{}"\nsince = 2026-12-01T00:00:00Z\nground = "{}"\n'


@pytest.mark.parametrize(
    ("scope", "target", "ground", "field"),
    [
        ("all", "mlit", "g", "target"),
        ("party", "nobody", "g", "target"),
        ("affair", "voucher", "g", "target"),
        ("line", "line-1", "g", "target"),
        ("party", "mlit", "", "ground"),
        ("party", "mlit", "g\\n", "ground"),
    ],
)
def test_a_suspension_needs_a_known_target_and_a_ground(scope: str, target: str, ground: str, field: str) -> None:
    with pytest.raises(DirectoryInvalid) as caught:
        parse(TEXT + SUSPENSION.format(scope, target, ground))
    assert caught.value.field == field


def test_two_contracts_may_follow_each_other_but_not_overlap() -> None:
    start, end = TEXT.index("[[contract]]"), TEXT.index("# Staff by number")
    table = TEXT[start:end]
    ended = table.replace("valid_from = 2019-04-01", "valid_from = 2018-04-01\nvalid_until = {}", 1)
    assert len(parse(TEXT[:end] + ended.format("2019-03-31") + TEXT[end:]).contracts) == 2
    with pytest.raises(DirectoryInvalid, match="covers this day"):
        parse(TEXT[:end] + ended.format("2019-04-01") + TEXT[end:])


def test_a_key_serves_one_line_only() -> None:
    start, end = TEXT.index("[[line]]"), TEXT.index("[[contract]]")
    second = TEXT[start:end].replace('name = "line-1"', 'name = "line-2"')
    with pytest.raises(DirectoryInvalid, match="a key of its own"):
        parse(TEXT[:end] + second + TEXT[end:])


def test_what_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(DirectoryInvalid, match=r"none\.toml"):
        toml.read(missing)
    missing.write_bytes(b"\xff\xfe")
    with pytest.raises(DirectoryInvalid, match=r"none\.toml: file: syntax"):
        toml.read(missing)


def test_a_key_file_that_is_missing_or_no_key_is_refused(tmp_path: Path) -> None:
    line = next(line for line in TEXT.splitlines() if line.startswith("public_key"))
    text = TEXT.replace(line, 'key_file = "line.key"')
    with pytest.raises(DirectoryInvalid, match="key_file"):
        parse(text, tmp_path)
    (tmp_path / "line.key").write_bytes(b"-----BEGIN PUBLIC KEY-----\nnothing")
    with pytest.raises(DirectoryInvalid, match="key_file"):
        parse(text, tmp_path)


def test_parties_that_are_one_table_and_not_a_list_are_refused() -> None:
    with pytest.raises(DirectoryInvalid, match="two brackets"):
        parse('[party]\nid = "centre"\n')
