"""Every reason for which a certificate is not made: what the operator is told, and what stays here."""

import secrets
import shutil
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.x509 import load_pem_x509_certificate

from certs import Card, CardRevoked, CardUnverifiable, DevelopmentAuthority
from gateway.peers.jpki.cards import SimulatedCard, issue_card
from gateway.peers.municipality import journal
from protocol.issuance import Issue
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from tests.peers.municipality.kit import OPERATOR, PIN, Sitting, Town, World, ask, made, refused

DOMICILE, RELATION, HOUSEHOLD = 2, 4, 1


def causes(town: Town) -> list[str]:
    """The real causes, newest first."""
    with town.opened() as municipality:
        return [each.cause for each in journal.refusals(municipality.store)]


def open_incidents(town: Town) -> list[str]:
    """The codes of open incidents."""
    with town.opened() as municipality:
        return [each.code for each in journal.incidents(municipality.store)]


@pytest.mark.trio
async def test_a_bar_on_the_record_is_told_neutrally_and_its_cause_stays_here_sealed(town: Town, world: World) -> None:
    cases = [
        (2, "juminhyo", Outcome.COUNTER_ONLY, "suppressed"),
        (2, "inkan", Outcome.COUNTER_ONLY, "suppressed"),
        (3, "juminhyo", Outcome.MOVE_PENDING, "move-pending"),
        (4, "inkan", Outcome.COUNTER_ONLY, "seal-cancelled"),
        (5, "juminhyo", Outcome.TEXT_TOO_LONG, "text-too-long"),
        (8, "juminhyo", Outcome.NOT_ENTITLED, "under-age"),
        (9, "inkan", Outcome.NOT_ENTITLED, "seal-absent"),
        (9, "shotoku", Outcome.NOT_ENTITLED, "not-taxed-here"),
        (9, "koseki-zenbu", Outcome.NOT_ENTITLED, "register-elsewhere"),
    ]
    async with town.answering() as client:
        for resident, kind, told, _ in cases:
            assert await refused(client, Sitting(world, resident=resident).issue(kind)) == told
    assert causes(town) == [cause for *_, cause in cases][::-1]
    assert not open_incidents(town)
    at_rest = town.bytes_at_rest()
    assert all(cause.encode() not in at_rest for *_, cause in cases)


@pytest.mark.trio
async def test_what_is_not_offered_here_is_refused(town: Town, world: World) -> None:
    sitting = Sitting(world)
    bodies = [
        sitting.issue("menkyo"),
        sitting.issue("inkan", options=HOUSEHOLD),
        sitting.issue("shotoku", options=DOMICILE),
        sitting.issue(copies=11),
    ]
    async with town.answering() as client:
        for body in bodies:
            assert await refused(client, body) == Outcome.KIND_NOT_OFFERED
    assert causes(town) == ["copies-over", "options-not-offered", "options-not-offered", "kind-not-offered"]


@pytest.mark.trio
async def test_a_statement_for_another_municipality_is_refused_and_an_incident(town: Town, world: World) -> None:
    async with town.answering() as client:
        assert await refused(client, Sitting(world).issue(municipality="121002")) == Outcome.KIND_NOT_OFFERED
    assert open_incidents(town) == ["misrouted"]


@pytest.mark.trio
async def test_a_card_that_stands_for_nobody_here_is_not_entitled(town: Town, world: World) -> None:
    now = datetime.now(UTC)
    path = issue_card(world.root / "jpki", holder="stranger", algorithm="p384", pin=PIN, now=now, days=30)
    async with town.answering() as client:
        body = Sitting(world, card=SimulatedCard.load(path)).issue()
        assert await refused(client, body) == Outcome.NOT_ENTITLED
    assert causes(town) == ["card-unknown"]


def _session_replaced(body: Issue, other: Sitting) -> Issue:
    """The relay's own key in place of the kiosk's."""
    authentication = msgspec.structs.replace(body.authentication, session=other.session)
    return msgspec.structs.replace(body, authentication=authentication)


@pytest.mark.trio
async def test_a_signature_that_does_not_hold_is_refused_and_an_incident(town: Town, world: World) -> None:
    sitting, other = Sitting(world), Sitting(world, resident=6)
    body = sitting.issue()
    authentication = sitting.authentication
    changed = [
        _session_replaced(body, other),
        msgspec.structs.replace(body, application=msgspec.structs.replace(body.application, signature=b"\1" * 64)),
        msgspec.structs.replace(
            body, authentication=msgspec.structs.replace(authentication, nonce=secrets.token_bytes(40))
        ),
        msgspec.structs.replace(
            body,
            authentication=msgspec.structs.replace(authentication, card_signature=other.authentication.card_signature),
        ),
    ]
    async with town.answering() as client:
        for each in changed:
            assert await refused(client, each) == Outcome.SIGNATURE_REFUSED
        assert await refused(client, sitting.issue(asked_at_us=town.clock() - 7_200_000_000)) == (
            Outcome.SIGNATURE_REFUSED
        )
    assert open_incidents(town) == ["signature-refused"] * len(changed)


@pytest.mark.trio
async def test_an_operator_without_its_own_authority_here_is_refused(town: Town, world: World) -> None:
    sitting = Sitting(world)
    session = msgspec.structs.replace(sitting.session, operator="operator-b")
    body = sitting.issue()
    body = msgspec.structs.replace(body, authentication=msgspec.structs.replace(body.authentication, session=session))
    async with town.answering() as client:
        assert await refused(client, body) == Outcome.SIGNATURE_REFUSED


@pytest.mark.trio
async def test_a_kiosk_on_its_operators_revocation_list_is_refused(town: Town, world: World) -> None:
    now = datetime.now(UTC)
    shutil.copytree(world.root / "operators", town.data / "operators")
    shutil.copytree(world.root / "operator-ca", town.data / "ca")
    settings = town.data / "municipality.toml"
    settings.write_text(settings.read_text().replace('"../operators"', '"operators"'))
    authority = DevelopmentAuthority.open(town.data / "ca")
    lists = town.data / "operators" / f"{OPERATOR}.crl"
    lists.write_bytes(authority.write_crl(now=now))
    async with town.answering() as client:
        await made(client, Sitting(world).issue())
    kiosk = load_pem_x509_certificate((world.root / "kiosk" / "certificate.pem").read_bytes())
    authority.revoke(kiosk.serial_number, now=now)
    lists.write_bytes(authority.write_crl(now=now))
    async with town.answering() as client:
        assert await refused(client, Sitting(world).issue()) == Outcome.SIGNATURE_REFUSED
    assert open_incidents(town) == ["signature-refused"]


class Says:
    """A revocation service that says one thing."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def check(self, card: Card) -> None:
        """See making.Status."""
        raise self.error


@pytest.mark.trio
async def test_a_revoked_card_is_refused_by_the_municipality_itself(town: Town, world: World) -> None:
    async with town.answering(status=Says(CardRevoked())) as client:
        assert await refused(client, Sitting(world).issue()) == Outcome.CARD_REVOKED


@pytest.mark.trio
async def test_a_card_that_cannot_be_checked_gets_nothing_and_may_ask_again(town: Town, world: World) -> None:
    async with town.answering(status=Says(CardUnverifiable("away"))) as client:
        outcome, _ = await ask(client, Sitting(world).issue())
    assert outcome == Outcome.CARD_UNVERIFIABLE
    assert causes(town) == []


@pytest.mark.trio
async def test_an_application_asked_again_gets_the_same_bytes_and_another_under_it_an_incident(
    town: Town, world: World
) -> None:
    sitting = Sitting(world)
    body = sitting.issue()
    statement = body.application.statement
    other = Sitting(world)
    async with town.answering() as client:
        first = await made(client, body)
        assert await made(client, body) == first
        # another statement, another session, and one authentication for a second application
        assert await refused(client, sitting.stated(msgspec.structs.replace(statement, copies=2))) == (
            Outcome.SIGNATURE_REFUSED
        )
        assert await refused(client, other.stated(statement)) == Outcome.SIGNATURE_REFUSED
        assert await refused(client, sitting.issue()) == Outcome.SIGNATURE_REFUSED
        assert await made(client, body) == first
    assert open_incidents(town) == ["application-reused", "application-reused", "nonce-reused"]


@pytest.mark.trio
async def test_what_is_not_a_municipalitys_operation_is_not_permitted(town: Town) -> None:
    async with town.answering() as client:
        for operation, body in ((Operation.MENU, b"\x92"), (Operation.ISSUE, encode(["malformed"])), (99, b"")):
            result = await client.ask(operation, body, retry=False)
            assert result.outcome == Outcome.NOT_PERMITTED
