"""`sekisho certificate verify` says what is proven, and what it cannot read."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli.certificate import command
from gateway.peers.kit.rendering import Rendered
from protocol.trust import Trust, encode_trust
from tests.peers.kit.certificates import CODE, NAME, Town
from tests.peers.kit.photographs import as_jpeg, photographed


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["verify", *map(str, arguments)])


def test_the_command_says_what_is_proven(tmp_path: Path, three: Rendered, town: Town, trust: Trust) -> None:
    (tmp_path / "trusts").mkdir()
    (tmp_path / "trusts" / f"{CODE}.bundle").write_bytes(encode_trust(trust))
    (tmp_path / "good.pdf").write_bytes(three.pdf)
    good = run(tmp_path / "good.pdf", "--trust", tmp_path / "trusts")
    assert good.exit_code == 0
    for words in ("真正", "accepted", "住民票の写し", "town-139998", NAME, "Not proven"):
        assert words in good.output
    (tmp_path / "page.jpg").write_bytes(as_jpeg(photographed(three.pdf)))
    shot = run(tmp_path / "page.jpg", "--trust", tmp_path / "trusts" / f"{CODE}.bundle", "--json")
    assert shot.exit_code == 3
    said = json.loads(shot.output)
    assert said["standing"] == "code-only"
    assert said["pages"][0]["fields"][1] == ["氏名", NAME + "1"]
    (tmp_path / "bad.pdf").write_bytes(three.pdf.replace(b"%%EOF", b"%%EOX"))
    bad = run(tmp_path / "bad.pdf", "--trust", tmp_path / "trusts")
    assert bad.exit_code == 1
    assert "file-changed" in bad.output


def test_the_command_refuses_a_bundle_of_another_town(
    tmp_path: Path, one: Rendered, town: Town, other_town: Town
) -> None:
    (tmp_path / f"{CODE}.bundle").write_bytes(encode_trust(other_town.trust))
    (tmp_path / "any.bundle").write_bytes(encode_trust(town.trust))
    (tmp_path / "one.pdf").write_bytes(one.pdf)
    result = run(tmp_path / "one.pdf", "--trust", tmp_path)
    assert result.exit_code == 1
    assert "key-of-another" in result.output


def test_the_command_names_what_it_cannot_read(tmp_path: Path, one: Rendered) -> None:
    (tmp_path / "one.pdf").write_bytes(one.pdf)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.bundle").write_bytes(b"no bundle")
    for trust_place in ("absent.bundle", "empty", "broken.bundle"):
        result = run(tmp_path / "one.pdf", "--trust", tmp_path / trust_place)
        assert result.exit_code == 1
        assert trust_place in result.output
    assert run(tmp_path / "absent.pdf", "--trust", tmp_path / "empty").exit_code == 1
