"""`sekisho directory` as a person types it, on a real database."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.directory import command
from tests.directory.certificates import bundle
from tests.kit.database import DatabaseDsn

EXAMPLE = Path(__file__).parents[2] / "deploy" / "directory.example.toml"
CERTIFICATES = EXAMPLE.with_name("directory.certificate.example.toml")
PEOPLE = ("--asked-by", "A", "--approved-by", "B", "--reference", "R-1")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def good(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def bad(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    lines = result.output.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    return lines[0]


def test_the_example_file_is_good() -> None:
    assert "good; 2 parties, 1 lines, 1 contracts, 2 staff, 0 suspensions" in good("check", str(EXAMPLE))


def test_a_bad_file_is_one_line_that_names_file_table_field_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "directory.toml"
    file.write_text(EXAMPLE.read_text(encoding="utf-8").replace("weight = 1", "wieght = 1"), encoding="utf-8")
    line = bad("check", str(file))
    assert f"{file}: [[party]] 2: wieght: unknown field; remove it or correct its name" in line
    assert "none.toml" in bad("check", str(tmp_path / "none.toml"))


def test_a_directory_is_applied_shown_suspended_and_resumed(database_dsn: DatabaseDsn) -> None:
    dsn = ("--dsn", database_dsn.owner)
    assert "holds no revision yet" in bad("show", *dsn)
    assert "version 1: 2 parties" in good("apply", str(EXAMPLE), *dsn, *PEOPLE)
    assert "version 1: nothing to change" in good("apply", str(EXAMPLE), *dsn, *PEOPLE)
    assert "line        mlit/line-1" in good("show", *dsn)
    suspend = ("suspend", "line", "mlit/line-1", *dsn, "--ground", "key in doubt", "--asked-by", "A")
    assert good(*suspend) == "version 2: suspended: line mlit/line-1\n"
    assert "in force" in good("show", *dsn)
    document = json.loads(good("show", "--json", *dsn))
    assert [s["ground"] for s in document["suspensions"]] == ["key in doubt"]
    assert good("resume", "line", "mlit/line-1", *dsn, *PEOPLE) == "version 3: resumed: line mlit/line-1\n"
    assert "not in force" in good("show", *dsn)
    assert "no suspension of line mlit/line-1" in bad("resume", "line", "mlit/line-1", *dsn, *PEOPLE)


def test_one_person_cannot_apply_and_an_unknown_target_is_no_target(database_dsn: DatabaseDsn) -> None:
    dsn = ("--dsn", database_dsn.owner)
    alone = ("--asked-by", "A", "--approved-by", "A", "--reference", "R-1")
    assert "second person" in bad("apply", str(EXAMPLE), *dsn, *alone)
    good("apply", str(EXAMPLE), *dsn, *PEOPLE)
    assert "is no party" in bad("suspend", "party", "mllt", *dsn, "--ground", "g", "--asked-by", "A")


def test_the_workers_role_is_refused_by_the_database(database_dsn: DatabaseDsn) -> None:
    assert "permission denied" in bad("apply", str(EXAMPLE), "--dsn", database_dsn.gateway, *PEOPLE)


@pytest.mark.parametrize("dsn", ["postgresql://127.0.0.1:1/none", "host without sense"])
def test_a_database_that_cannot_be_reached_is_one_line(dsn: str) -> None:
    assert "database" in bad("show", "--dsn", dsn)


def test_a_certificate_centre_s_tables_are_shown_and_its_menu_as_kiosks_get_it(
    database_dsn: DatabaseDsn, tmp_path: Path
) -> None:
    dsn = ("--dsn", database_dsn.owner)
    assert "2 municipalities, 1 operators, 1 kits, 3 card types" in good("check", str(CERTIFICATES))
    good("apply", str(CERTIFICATES), *dsn, *PEOPLE)
    shown = good("show", *dsn)
    assert "operator    cvs-dev  NO KIOSK ANCHORS" in shown
    assert "municipal   121002  chiba" in shown
    assert "NO TRUST BUNDLE" in shown
    assert "  offer     koseki-zenbu  450 yen, same-register, today " in shown
    assert "kit         kit-2026.1" in shown
    assert "card type   住民基本台帳カード  2010-02-01 to 2025-12-31" in shown
    asked = ("menu", "cvs-dev", "121002", "--at", "2026-11-25T20:00", *dsn)
    assert "NOT_PARTICIPATING" in bad(*asked)
    (tmp_path / "121002.bundle").write_bytes(bundle("chiba"))
    file = tmp_path / "directory.toml"
    text = CERTIFICATES.read_text(encoding="utf-8").replace("# trust_file = ", "trust_file = ", 1)
    file.write_text(text, encoding="utf-8")
    good("apply", str(file), *dsn, *PEOPLE)
    menu = good(*asked)
    assert "住民票の写し / Copy of residence certificate  300円 10通まで  世帯全員、本籍・筆頭者、" in menu
    assert "450円 5通まで  -  この市区町村の取扱時間外です" in menu
    assert "毎日 06:30-23:00 / Every day 06:30-23:00" in menu
    assert "CARD_TYPE_ENDED" in bad(*asked, "--card", "resident-card")
    good("suspend", "kind", "inkan", *dsn, "--ground", "確認", "--asked-by", "A")
    notices = good("notices", *dsn)
    assert "cvs-dev/relay-1" in notices
    assert "提供停止 証明書 inkan" in notices
