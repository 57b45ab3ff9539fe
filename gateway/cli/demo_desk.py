"""The demo's ministry server: two clerks, one manager and two terminals, served beside the centre.

PINs and authenticator secrets lie readable in the demo's directory: everything there is synthetic. Nothing of this is
for a real ministry, whose commands are `sekisho ministry`.
"""

import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec
import pyotp
import trio
from rich.console import Console
from rich.live import Live
from rich.table import Table

from certs.files import PRIVATE, write_whole
from gateway.peers.ministry import people
from gateway.peers.ministry.credentials import TERMINAL_DAYS, issue_terminal
from gateway.peers.ministry.desk import Right
from gateway.peers.ministry.factors import STEP_S, hash_pin, new_secret
from gateway.peers.ministry.setup import make_ministry, opened_ministry

USERS_FILE: Final = "demo-users.json"
TERMINAL_PASSWORD: Final = "sekisho-demo"  # noqa: S105 - of a demo's certificate, shown on the screen
READY_S_MAX: Final = 15.0


class DemoUser(msgspec.Struct, frozen=True, kw_only=True):
    """One user of the demo, with what signs it in."""

    name: str
    staff: str
    rights: list[str]
    pin: str
    secret: str

    @property
    def code(self) -> str:
        """The authenticator's code now."""
        return pyotp.TOTP(self.secret).now()


_USERS: Final = (
    ("clerk", "staff-001", (Right.INQUIRE,), "250-demo"),
    ("senior", "staff-900", (Right.INQUIRE, Right.APPROVE), "900-demo"),
    ("manager", "staff-900", (Right.MANAGE,), "700-demo"),
)
_TERMINALS: Final = ("window-1", "window-2")


def make_demo_desk(data: Path) -> list[DemoUser]:
    """Make `data`/desk with users and terminals if it is not there yet. Raises: MinistryError, LineFileError."""
    desk = data / "desk"
    kept = desk / USERS_FILE
    if kept.exists():
        return msgspec.json.decode(kept.read_bytes(), type=list[DemoUser])
    now = datetime.now(UTC)
    if not desk.exists():
        make_ministry(desk, data / "ministry", now=now)
    users = [
        DemoUser(name=name, staff=staff, rights=list(rights), pin=pin, secret=new_secret())
        for name, staff, rights, pin in _USERS
    ]
    with opened_ministry(desk) as ministry, ministry.store.transaction():
        for user in users:
            people.add_user(
                ministry.store,
                user=user.name,
                staff=user.staff,
                rights=frozenset(Right(right) for right in user.rights),
                pin_hash=hash_pin(user.pin),
                totp_secret=user.secret,
                valid_from=date(2019, 4, 1),
                valid_until=None,
                trained_on=date(2019, 4, 1),
            )
        for label in _TERMINALS:
            out = desk / f"{label}.p12"
            out.unlink(missing_ok=True)
            made = issue_terminal(
                ministry.terminals, out, label=label, password=TERMINAL_PASSWORD, now=now, days=TERMINAL_DAYS
            )
            people.add_terminal(ministry.store, made)
    write_whole(kept, msgspec.json.encode(users), mode=PRIVATE)
    return users


@asynccontextmanager
async def demo_desk(data: Path, *, port: int, line_port: int) -> AsyncIterator[str]:
    """`sekisho ministry serve` as a process of its own; yields the terminals' address.

    Raises: click's error text of that process is in `data`/desk.log; TimeoutError when it does not come up.
    """
    words = ["ministry", "serve", "--data", str(data / "desk"), "--port", str(port), "--line-port", str(line_port)]
    with (data / "desk.log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "gateway.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is the demo's to handle
        )
        try:
            yield await _address(process, data / "desk.log")
        finally:
            with trio.CancelScope(shield=True):
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
                with trio.move_on_after(10):
                    await process.wait()
                if process.returncode is None:
                    process.kill()


async def _address(process: trio.Process, log: Path) -> str:
    said = b""
    with trio.move_on_after(READY_S_MAX):
        while process.stdout is not None and (part := await process.stdout.receive_some(4096)):
            said += part
            if b"\n" in said:
                return said.decode().split("terminals: ", 1)[-1].split(";")[0].strip()
    raise TimeoutError(f"the ministry server did not start; its log is {log}")


def describe_desk(console: Console, data: Path, address: str, users: list[DemoUser]) -> None:
    """Where the terminal is, and who may sign in."""
    table = Table(title="本人確認端末 / a terminal of the ministry", title_justify="left")
    for heading in ("利用者 user", "職員番号 staff", "権限 rights", "暗証番号 PIN", "認証アプリの鍵 authenticator key"):
        table.add_column(heading)
    for user in users:
        table.add_row(user.name, user.staff, " ".join(user.rights), user.pin, user.secret)
    console.print()
    console.print(table)
    console.print(f"  [bold]{address}[/]  (ブラウザに証明書を読み込んで開く / import the certificate, then open)")
    for label in _TERMINALS:
        console.print(f"  {data / 'desk' / label}.p12  password {TERMINAL_PASSWORD}", highlight=False)


async def show_codes(console: Console, users: list[DemoUser]) -> None:
    """The authenticator's codes on a line that is kept up to date, until cancelled; on a terminal only."""
    if not console.is_terminal:
        await trio.sleep_forever()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            left = STEP_S - int(datetime.now(UTC).timestamp()) % STEP_S
            codes = "  ".join(f"{user.name} [bold]{user.code}[/]" for user in users)
            live.update(f"確認コード one-time codes: {codes}  ({left} s)   Ctrl-C で終了 / ends it", refresh=True)
            await trio.sleep(1)
