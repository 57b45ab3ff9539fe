"""Playing a fault at a running kiosk, and ending them all."""

from gateway.peers.kiosk.faults import PowerSwitch, parse_fault
from gateway.peers.kiosk.running import Running


def play(running: Running, power: PowerSwitch, said: str) -> None:
    """Play a fault (faults.parse_fault). Raises: ChoiceInvalid."""
    fault = parse_fault(said)
    match fault.kind:
        case "payment":
            running.slot.fails = True
        case "jam":
            running.printer.jam = (fault.copy, fault.page)
        case "relay":
            running.link.unplugged = True
        case _:
            power.cut_at = fault.step


def clear_faults(running: Running, power: PowerSwitch) -> None:
    """As if none had been played."""
    running.slot.fails = False
    running.printer.jam = None
    running.link.unplugged = False
    power.cut_at = ""
