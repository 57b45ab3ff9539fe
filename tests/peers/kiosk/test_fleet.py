"""Kiosks by the dozen: every sheet is held against its card, and a wrong one is found."""

import pytest
from msgspec.structs import replace

from gateway.peers.kiosk.fleet import Witness, drive, fleet_of
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.visit import Seen, Wish
from protocol.document import Field, PageStatement
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.peers.kiosk.fakes import PIN, TOWN
from tests.peers.kiosk.relays import RealTown, Yard
from tests.peers.kiosk.screens import make_cards

HOLDERS = [f"resident-{n}" for n in range(2)]


def wish(card: str, copies: int = 1) -> Wish:
    return Wish(card=card, pin=PIN, municipality=TOWN, kind="juminhyo", copies=copies)


@pytest.fixture
def yard(tmp_path) -> Yard:
    return Yard(tmp_path, RealTown(tmp_path), make_cards(tmp_path / "jpki"))


@pytest.mark.trio
async def test_a_fleet_prints_pays_and_reports_every_sitting(yard) -> None:
    directories = [yard.kiosk(f"kiosk-{n}") for n in range(4)]
    async with yard.open(), fleet_of(directories, relay_port=yard.port) as kiosks:
        driven = await drive(kiosks, [wish(HOLDERS[n % 2], 1 + n % 2) for n in range(12)])
    assert driven.wrong == []
    assert (driven.delivered, driven.papers, driven.copies) == (12, 12, 18)
    assert driven.yen == 18 * 300
    assert len(driven.applied_us) == 12
    assert 0 < driven.percentile_us(50) <= driven.percentile_us(99) == max(driven.applied_us)
    assert len(yard.centre.told(Operation.COMPLETE)) == len(yard.centre.told(Operation.ERASE)) == 12


@pytest.mark.trio
async def test_refusals_are_counted_by_their_outcome_and_users_come_at_a_rate(yard) -> None:
    directory = yard.kiosk("kiosk-1")
    yard.centre.answers[Operation.DOCUMENT] = Outcome.NOT_ENTITLED
    async with yard.open(), fleet_of([directory], relay_port=yard.port) as kiosks:
        driven = await drive(kiosks, [wish(HOLDERS[0]) for _ in range(3)], per_s=200)
    assert dict(driven.ends) == {f"refused/{int(Outcome.NOT_ENTITLED)}": 3}
    assert driven.late == 2
    assert driven.yen == 0


def page(number: int = 1, pages: int = 1, **facts: object) -> PageStatement:
    known = {
        "application": bytes(16),
        "pseudonym": b"p" * 16,
        "serial": "1",
        "fields": [Field("氏名", "合成 甲")],
    } | facts
    return PageStatement(
        version=1, municipality=TOWN, kind="juminhyo", page=number, pages=pages, issued_at_us=0, key_id="k", **known
    )  # fmt: skip


SEEN = Seen(wish=wish("a"), state=State.RECEIPT)


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([], "missing"),
        ([page(1, 2)], "missing"),
        ([page(1, 2), page(2, 2, pseudonym=b"q" * 16)], "more than one document"),
        ([replace(page(), kind="inkan")], "another kind"),
        ([replace(page(), municipality="162027")], "another municipality's"),
        ([page(pseudonym=b"q" * 16)], "another person's pseudonym"),
        ([page(fields=[Field("氏名", "合成 乙")])], "name"),
    ],
)
def test_wrong_paper_is_found(pages, said) -> None:
    witness = Witness({(TOWN, "a"): "合成 甲"})
    assert witness.judge(SEEN, [page(application=b"1" * 16)]) == []
    assert any(said in each for each in witness.judge(SEEN, pages))


def test_two_cards_never_share_a_pseudonym_and_no_document_is_printed_twice() -> None:
    witness = Witness()
    assert witness.judge(SEEN, [page()]) == []
    assert witness.judge(SEEN, [page()]) == ["a: a document that was printed before"]
    other = replace(SEEN, wish=wish("b"))
    assert witness.judge(other, [page(application=b"2" * 16)]) == ["b: the pseudonym of another card"]
