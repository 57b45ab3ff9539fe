import stat
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from certs import LineFiles, LineName, MaterialError, TlsMaterial
from gateway.cli.pki import command


def run(*arguments, code=0):
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def ca(tmp_path):
    run("init", "--dir", tmp_path / "ca")
    return tmp_path / "ca"


def issue(ca, out, *more, name="ministry-1/line-a", profile="line", code=0):
    return run("issue", "--dir", ca, "--profile", profile, "--name", name, "--out", out, *more, code=code)


def test_what_is_issued_is_ready_for_a_line(ca, tmp_path):
    output = issue(ca, tmp_path / "c", "--host", "localhost", name="centre/inquiry", profile="centre")
    own = TlsMaterial(LineFiles.in_directory(tmp_path / "c"), now=datetime.now(UTC)).current.own
    assert own.name == LineName("centre", "inquiry")
    assert f"{own.serial:x}" in output
    assert stat.S_IMODE((tmp_path / "c" / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(("profile", "name"), [("host", "city-1/issue"), ("dial", "centre/certificate")])
def test_a_member_that_accepts_and_the_centre_that_dials_have_profiles(ca, tmp_path, profile, name):
    hosts = ("--host", "localhost") if profile == "host" else ()
    issue(ca, tmp_path / "x", *hosts, name=name, profile=profile)
    own = TlsMaterial(LineFiles.in_directory(tmp_path / "x"), now=datetime.now(UTC)).current.own
    assert str(own.name) == name


@pytest.mark.parametrize(
    ("profile", "name", "instead"),
    [
        ("host", "centre/certificate", "takes profile centre or dial"),
        ("dial", "city-1/issue", "takes profile line or host"),
        ("centre", "city-1/issue", "takes profile line or host"),
        ("line", "centre/certificate", "takes profile centre or dial"),
    ],
)
def test_a_profile_that_is_not_for_that_party_names_those_that_are(ca, tmp_path, profile, name, instead):
    assert instead in issue(ca, tmp_path / "x", name=name, profile=profile, code=1)
    assert "takes no hosts" in issue(ca, tmp_path / "x", "--host", "localhost", name="centre/a", profile="dial", code=1)


@pytest.mark.parametrize("by", ["serial", "file"])
def test_a_revoked_certificate_is_refused_after_the_list_is_brought(ca, tmp_path, by):
    out = tmp_path / "m"
    serial = issue(ca, out).split("serial ")[1].split()[0]
    run("revoke", "--dir", ca, *([serial] if by == "serial" else ["--cert", out / "certificate.pem"]))
    assert "1 revoked" in run("crl", "--dir", ca, "--out", out / "crl.pem")
    with pytest.raises(MaterialError, match="revoked"):
        TlsMaterial(LineFiles.in_directory(out), now=datetime.now(UTC))


def test_nothing_is_overwritten(ca, tmp_path):
    assert "not an empty directory" in run("init", "--dir", ca, code=1)
    issue(ca, tmp_path / "m")
    key = (tmp_path / "m" / "key.pem").read_bytes()
    assert "exists" in issue(ca, tmp_path / "m", code=1)
    assert (tmp_path / "m" / "key.pem").read_bytes() == key
    assert "not overwritten" in run("crl", "--dir", ca, "--out", tmp_path / "m" / "key.pem", code=1)


def test_errors_are_one_line_with_the_reason(ca, tmp_path):
    for output, reason in (
        (issue(ca, tmp_path / "x", name="no-slash", code=1), "party/line"),
        (issue(ca, tmp_path / "x", name="centre/a", code=1), "profile centre"),
        (issue(tmp_path / "none", tmp_path / "x", code=1), "no authority"),
        (run("revoke", "--dir", ca, "zz", code=1), "hexadecimal"),
        (run("revoke", "--dir", ca, "ab", code=1), "not issued here"),
        (run("revoke", "--dir", ca, "--cert", ca / "register.json", code=1), "not a PEM certificate"),
        (run("revoke", "--dir", ca, "--cert", ca / "none", code=1), "No such file"),
    ):
        assert reason in output
        assert output.startswith("Error: ")
        assert output.count("\n") == 1
    assert "either SERIAL or --cert" in run("revoke", "--dir", ca, code=2)
    assert not (tmp_path / "x" / "key.pem").exists()


def test_a_missing_list_says_how_to_write_it(ca, tmp_path):
    (ca / "crl.pem").unlink()
    assert "sekisho pki crl" in issue(ca, tmp_path / "m", code=1)


@pytest.mark.parametrize("name", ["init", "issue", "revoke", "crl"])
def test_every_command_has_help(name):
    assert "--dir" in run(name, "--help")
