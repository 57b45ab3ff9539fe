"""A process of kiosks: `python -m bench.kiosks`, a Fleet on standard input, its Sats in a file.

Open loop: each user has a moment at which the application is to be sent, whatever became of the users before. They
come `lead_s` earlier, wait for a free kiosk, show their card, and agree at their moment or, when they are late, at
once; what is measured runs from that moment, so that being late makes it longer and never shorter.
"""

import sys
import time
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.sittings import NO_KIOSK, PRINTED, READY, Fleet, Sat, SatDown, due_times
from gateway.app.development import PIN
from gateway.collector import settle_collector
from gateway.peers.kiosk.fleet import Member, Witness, fleet_of, printed
from gateway.peers.kiosk.running import now_us
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import Trouble
from gateway.peers.kiosk.visit import Seen, Wish, visit
from protocol.certificates import Kind
from protocol.outcomes import CATALOGUE, Outcome

TWO_COPIES_EVERY: Final = 5
SHED: Final = frozenset({str(Trouble.RELAY_AWAY)})
"""Troubles of a kiosk that mean "not now"; of outcomes, the catalogue says which do."""


class Users:
    """Those of one run, and what became of them."""

    def __init__(self, fleet: Fleet, members: list[Member]) -> None:
        self._fleet = fleet
        self._members = members
        self._witness = Witness({(each.municipality, each.card): each.name for each in fleet.people})
        self._put, self._free = trio.open_memory_channel[Member](len(members))
        self.sat: list[Sat] = []
        self.wrong: list[str] = []
        self.rechecked = 0

    async def come(self, start_us: int) -> None:
        """All of them, each at their time; returns when the last has left and every notice is taken over."""
        for member in self._members:
            self._put.send_nowait(member)
        fleet = self._fleet
        began = trio.current_time() + (start_us - now_us()) / 1e6
        async with trio.open_nursery() as nursery:
            for number, (phase, due_s) in enumerate(due_times(fleet.phases)):
                if number % fleet.of != fleet.share:
                    continue
                await trio.sleep_until(began + due_s - fleet.lead_s)
                nursery.start_soon(self._user, number, phase, began + due_s, start_us + round(due_s * 1e6), start_us)
        for member in self._members:
            await member.kiosk.settling.delivered()

    async def _user(self, number: int, phase: int, due: float, due_us: int, start_us: int) -> None:
        fleet = self._fleet
        member = None
        with trio.move_on_at(due - fleet.lead_s + fleet.patience_s):
            member = await self._free.receive()
        if member is None:
            self.sat.append(Sat(phase=phase, due_us=due_us - start_us, end=NO_KIOSK, shed=True))
            return
        person = fleet.people[number % len(fleet.people)]
        wish = Wish(
            card=person.card,
            pin=PIN,
            municipality=person.municipality,
            kind=Kind.RESIDENT,
            copies=1 + (number % TWO_COPIES_EVERY == 0),
        )
        seen = await visit(member.kiosk, wish, agree_when=lambda: trio.sleep_until(due))
        sat = sat_of(seen, member.kiosk.front.reached_us, phase=phase, due_us=due_us, start_us=start_us)
        self.sat.append(sat)
        if seen.state is State.RECEIPT:
            again = number % fleet.recheck == 0
            self.wrong += self._witness.judge(seen, await printed(member, seen) if again else seen.pages)
            self.rechecked += again
        member.stack.papers.clear()
        member.stack.receipts.clear()
        if member.kiosk.state is State.OUT_OF_ORDER:
            await member.kiosk.clear_fault()
        self._put.send_nowait(member)


def sat_of(seen: Seen, at: dict[State, int], *, phase: int, due_us: int, start_us: int) -> Sat:
    """What a sitting came to. at: when it came to each state."""

    def since_due(state: State) -> int | None:
        return at[state] - due_us if state in at else None

    end, shed = PRINTED, False
    if seen.state is not State.RECEIPT:
        end, shed = seen.trouble or str(seen.state), seen.trouble in SHED
        if seen.trouble.isdecimal():
            outcome = Outcome(int(seen.trouble))
            end, shed = outcome.name, CATALOGUE[outcome].retryable
    to_confirm = at.get(State.CONFIRM, 0) - at.get(State.CARD, 0)
    receipt = since_due(State.RECEIPT)
    ready_us = at.get(State.CONFIRM, due_us) - due_us
    return Sat(
        phase=phase,
        due_us=due_us - start_us,
        end=end,
        shed=shed,
        sealed_us=since_due(State.VERIFYING),
        checked_us=since_due(State.PAY),
        sitting_us=None if receipt is None else to_confirm - max(0, ready_us) + receipt,
        ready_late_us=max(0, ready_us),
        application=seen.pages[0].application if seen.pages else b"",
        copies=seen.wish.copies if seen.state is State.RECEIPT else 0,
        yen=seen.yen,
    )


async def run(fleet: Fleet) -> SatDown:
    """Open the lines, say so, wait for the word, let users come."""
    async with fleet_of([Path(each) for each in fleet.kiosks]) as members:
        for person in fleet.people:  # a card is opened once, before anything is measured
            members[0].reader.read(person.card).sign(PIN, b"")
        settle_collector()
        sys.stdout.buffer.write(READY + b"\n")
        sys.stdout.buffer.flush()
        start_us = int(await trio.to_thread.run_sync(sys.stdin.buffer.readline))
        users = Users(fleet, members)
        cpu_s = time.process_time()
        await users.come(start_us)
        return SatDown(sat=users.sat, wrong=users.wrong, rechecked=users.rechecked, cpu_s=time.process_time() - cpu_s)


def main() -> int:
    """Run the fleet on standard input."""
    fleet = msgspec.json.decode(sys.stdin.buffer.readline(), type=Fleet)
    done = trio.run(run, fleet)
    Path(fleet.out).write_bytes(msgspec.msgpack.encode(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
