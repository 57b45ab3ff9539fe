"""A kiosk and the relay itself, with a certificate centre behind it that proves its answers."""

import pytest
import trio

from gateway.peers.kiosk.running import running_kiosk
from gateway.peers.kiosk.setup import make_kiosk, open_kiosk
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.visit import Wish, visit
from gateway.peers.relay.serving import Ports, serve_relay
from gateway.peers.relay.setup import TRUST_NAME
from protocol import issuance
from protocol.messages import Operation, Request, decode_body
from protocol.trust import encode_trust
from tests.line.kit import ENVIRONMENT
from tests.peers.kiosk.fakes import PIN, TOWN, Centre
from tests.peers.kiosk.relays import RealTown
from tests.peers.kiosk.screens import make_cards
from tests.peers.relay import kit
from tests.peers.relay.kit import OPERATOR, STORES, Site

pytestmark = pytest.mark.trio
TOLD_S = 20


class Joined(kit.Centre):
    """The relay tests' centre, with documents."""

    def __init__(self, town: RealTown) -> None:
        super().__init__()
        self.behind = Centre(town, now_us=kit.now_us)

    def say(self, request: Request) -> tuple[int, bytes, int]:
        body = decode_body(request.operation, request.body)
        if isinstance(body, issuance.Complete | issuance.Void | issuance.Erase):
            return super().say(request)
        return *self.behind.answer(body), 0


@pytest.mark.parametrize("jam", [None, (1, 1)])
async def test_through_the_relay_a_sitting_reaches_the_centre_and_its_notices_are_proven(
    tmp_path, nursery, jam
) -> None:
    town = RealTown(tmp_path)
    site = Site(tmp_path / "site")
    relay = site.relay(tmp_path / "relay")
    bundles = tmp_path / "municipalities"
    bundles.mkdir()
    (bundles / f"{TOWN}.bundle").write_bytes(encode_trust(town.trust))
    centre, stop = Joined(town), trio.Event()
    async with site.centre_at(centre) as place:

        async def serve(task_status: trio.TaskStatus[Ports]) -> None:
            await serve_relay(relay, centre_port=place.port, stop=stop, task_status=task_status)

        ports: Ports = await nursery.start(serve)
        make_kiosk(
            tmp_path / "kiosk",
            operator=OPERATOR,
            kiosk="kiosk-1",
            store=STORES["kiosk-1"],
            tls=site.kiosks["kiosk-1"].certificate.parent,
            relay_trust=relay / TRUST_NAME,
            relay_host="127.0.0.1",
            relay_port=ports.line,
            municipality_trusts=bundles,
            cards=make_cards(tmp_path / "jpki"),
            environment=ENVIRONMENT,
            page_port=0,
        )
        async with running_kiosk(open_kiosk(tmp_path / "kiosk")) as running:
            await running.link.wait_open(TOLD_S)
            running.printer.jam = jam
            wish = Wish(card="resident-0", pin=PIN, municipality=TOWN, kind="juminhyo", copies=2)
            seen = await visit(running.kiosk, wish)
            assert (seen.state, seen.trouble) == ((State.REFUNDED, "paper-jam") if jam else (State.RECEIPT, ""))
            money = Operation.VOID if jam else Operation.COMPLETE
            with trio.fail_after(TOLD_S):
                await running.kiosk.settling.delivered()
                while sorted(centre.operations()[-2:]) != sorted([money.name, "ERASE"]):
                    await trio.sleep(0.02)
        stop.set()
