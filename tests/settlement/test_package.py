"""A hand-over package is whole and unaltered, or it is refused with the name of the file."""

import json

import pytest

from gateway.settlement.package import (
    MANIFEST,
    SIGNATURE,
    Manifest,
    Package,
    PackageInvalid,
    manifest_bytes,
    manifest_to_sign,
    read_package,
)
from protocol.keys import Purpose
from tests.kit import lines

INVOICE, OTHER = lines.Signer("centre-invoice-1"), lines.Signer("centre-manifest-1")
TRUST = lines.make_trust([lines.record(INVOICE, Purpose.INVOICE), lines.record(OTHER, Purpose.MANIFEST)])


async def pieces():
    for piece in (b"one,", b"", b"two\r\n"):
        yield piece


async def packed(directory, *, by=INVOICE, **fields):
    package = Package(directory)
    package.put("contract.json", b"{}\n")
    package.put("acts/0001.act", bytes(range(256)) * 9000)
    await package.add("ledger.csv", pieces())
    known = {"centre": lines.CENTRE, "role": lines.ROLE, "environment": lines.ENVIRONMENT, "contract": "000"}
    known |= {"party": "cvs-dev", "term": "2026-04-01/2026-06-30", "made_us": lines.NOW_US, "files": package.lines}
    manifest = manifest_bytes(Manifest(**{**known, **fields}))
    package.seal(manifest, key_id=by.key_id, signature=by.sign(manifest_to_sign(manifest)))
    return manifest


@pytest.mark.trio
async def test_a_package_is_read_back_with_the_list_of_its_files(tmp_path):
    data = await packed(tmp_path / "out")
    manifest = read_package(tmp_path / "out", TRUST)
    assert manifest_bytes(manifest) == data
    assert [(line.name, line.size) for line in manifest.files] == [
        ("acts/0001.act", 2_304_000),
        ("contract.json", 3),
        ("ledger.csv", 9),
    ]
    assert (tmp_path / "out" / "acts" / "0001.act").stat().st_mode & 0o077 == 0


@pytest.mark.trio
async def test_the_same_files_give_the_same_list(tmp_path):
    assert await packed(tmp_path / "one") == await packed(tmp_path / "two")


@pytest.mark.trio
async def test_a_package_is_written_into_a_new_directory_only(tmp_path):
    await packed(tmp_path / "out")
    with pytest.raises(FileExistsError):
        Package(tmp_path / "out")


def alter(directory, name, change):
    path = directory / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("spoil", "file", "why"),
    [
        (lambda d: alter(d, "acts/0001.act", lambda b: b[:-1] + b"x"), "acts/0001.act", "another file"),
        (lambda d: alter(d, "ledger.csv", lambda b: b + b"x"), "ledger.csv", "another file"),
        (lambda d: (d / "contract.json").unlink(), "contract.json", "is missing"),
        (lambda d: (d / "acts" / "more").write_bytes(b""), "acts/more", "not in the list"),
        (lambda d: (d / "link").symlink_to(d / "ledger.csv"), "link", "is a link"),
        (lambda d: alter(d, MANIFEST, lambda b: b.replace(b"cvs-dev", b"cvs-def")), SIGNATURE, "signature"),
        (
            lambda d: alter(d, SIGNATURE, lambda b: b.replace(b'"signature": "', b'"signature": "!')),
            SIGNATURE,
            "base64",
        ),
        (lambda d: alter(d, MANIFEST, lambda b: b + b" "), MANIFEST, "one form"),
        (lambda d: alter(d, MANIFEST, lambda _: b"[]"), MANIFEST, "cannot be read"),
        (lambda d: alter(d, SIGNATURE, lambda _: json.dumps({"key_id": "k"}).encode()), SIGNATURE, "cannot be read"),
    ],
)
@pytest.mark.trio
async def test_what_was_changed_is_named(tmp_path, spoil, file, why):
    await packed(tmp_path / "out")
    spoil(tmp_path / "out")
    with pytest.raises(PackageInvalid, match=why) as raised:
        read_package(tmp_path / "out", TRUST)
    assert raised.value.file == file


@pytest.mark.parametrize(
    ("fields", "file"),
    [
        ({"environment": "production"}, MANIFEST),
        ({"centre": "another"}, MANIFEST),
        ({"format": "sekisho-hand-over/2"}, MANIFEST),
        ({"by": OTHER}, SIGNATURE),
        ({"files": ()}, "acts/0001.act"),
    ],
)
@pytest.mark.trio
async def test_a_list_of_another_centre_or_key_is_refused(tmp_path, fields, file):
    await packed(tmp_path / "out", **fields)
    with pytest.raises(PackageInvalid) as raised:
        read_package(tmp_path / "out", TRUST)
    assert raised.value.file == file
