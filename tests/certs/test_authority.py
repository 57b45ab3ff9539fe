import stat
from datetime import timedelta

import pytest

from certs import CENTRE, LINE, AuthorityError, AuthorityProblem, DevelopmentAuthority, LineName
from tests.certs.ends import CENTRE_INQUIRY, MINISTRY


def problem(call):
    with pytest.raises(AuthorityError) as caught:
        call()
    return caught.value.problem


def test_an_authority_is_never_overwritten(site, now):
    directory = site.authority.directory
    before = (directory / "root.key").read_bytes()
    assert problem(lambda: DevelopmentAuthority.create(directory, name="other", now=now)) is AuthorityProblem.EXISTS
    assert (directory / "root.key").read_bytes() == before


def test_keys_are_for_their_owner_alone(site):
    for key in ("root.key", "issuing.key", "register.json"):
        assert stat.S_IMODE((site.authority.directory / key).stat().st_mode) == 0o600
    assert not [path for path in site.root.iterdir() if path.name.startswith(".")]


def test_the_register_has_every_serial_and_survives_reopening(site, now):
    issued = site.authority.issue(LINE, MINISTRY, now=now)
    reopened = DevelopmentAuthority.open(site.authority.directory)
    reopened.revoke(issued.serial, now=now, reason="superseded")
    record = next(each for each in site.authority.register().records if each.serial == f"{issued.serial:x}")
    assert (record.name, record.revoked.reason) == (MINISTRY.uri, "superseded")
    assert problem(lambda: reopened.revoke(issued.serial, now=now)) is AuthorityProblem.ALREADY_REVOKED
    assert problem(lambda: reopened.revoke(1, now=now)) is AuthorityProblem.SERIAL_UNKNOWN


@pytest.mark.parametrize(
    ("profile", "name", "options"),
    [
        (LINE, CENTRE_INQUIRY, {}),
        (LINE, MINISTRY, {"hosts": ("a.example",)}),
        (LINE, MINISTRY, {"days": 0}),
        (LINE, MINISTRY, {"days": 399}),
        (CENTRE, MINISTRY, {}),
        (CENTRE, LineName("centre", "x"), {"hosts": ("no host",)}),
        (CENTRE, LineName("centre", "x"), {"hosts": ("-a.example",)}),
        (CENTRE, LineName("centre", "x"), {"hosts": ("1.2.3",)}),
        (CENTRE, LineName("centre", "x"), {"hosts": ("",)}),
    ],
)
def test_what_no_profile_allows_is_refused_and_not_registered(site, now, profile, name, options):
    before = site.authority.register()
    assert problem(lambda: site.authority.issue(profile, name, now=now, **options)) is AuthorityProblem.REFUSED
    assert site.authority.register() == before


def test_no_certificate_outlives_its_issuer(site, now):
    late = now + timedelta(days=1800)
    assert problem(lambda: site.authority.issue(LINE, MINISTRY, now=late)) is AuthorityProblem.REFUSED


def test_damage_is_named(site):
    directory = site.authority.directory
    (directory / "issuing.key").write_bytes((directory / "root.key").read_bytes())
    assert problem(lambda: DevelopmentAuthority.open(directory)) is AuthorityProblem.DAMAGED
    assert problem(lambda: DevelopmentAuthority.open(directory / "none")) is AuthorityProblem.ABSENT
    (directory / "register.json").write_text("{")
    assert problem(site.authority.register) is AuthorityProblem.DAMAGED
