"""gateway.store.embedded: the real server, started, stopped and killed."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from gateway.store.embedded import OWNER, SOCKET_PATH_BYTES_MAX, EmbeddedPostgres
from gateway.store.errors import ClusterBusy, EmbeddedError

SMALL = {"shared_buffers": "16MB", "min_wal_size": "32MB"}
WAIT_S_MAX = 20.0


def query(dsn, sql):
    async def main():
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(main())


def wait_until(fact):
    deadline = time.monotonic() + WAIT_S_MAX
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


def socket_directory(dsn):
    return Path(parse_qs(urlsplit(dsn).query)["host"][0])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One server for the tests that neither stop nor change it."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("served"), settings=SMALL) as server:
        yield server


def test_it_asks_for_passwords_and_listens_on_no_network(served):
    assert query(served.dsn(), "SELECT current_user::text") == OWNER
    assert query(served.dsn(), "SHOW listen_addresses") == ""
    rules = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    assert query(served.dsn(), rules) == "scram-sha-256"
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(served.dsn().replace(served.passwords[OWNER], "wrong"), "SELECT 1")


def test_it_is_durable_and_tuned(served):
    for name, value in {"fsync": "on", "synchronous_commit": "on", "jit": "off", "data_checksums": "on"}.items():
        assert query(served.dsn(), f"SHOW {name}") == value


def test_nobody_else_can_read_the_data_or_the_passwords(served):
    for path, mode in ((served.cluster, 0o700), (served.directory / "passwords.json", 0o600), (served.log, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert not served.directory.stat().st_mode & 0o006
    command = Path(f"/proc/{served.pid}/cmdline").read_bytes()
    assert all(password.encode() not in command for password in served.passwords.values())


def test_the_log_repeats_no_value_of_a_failing_statement(served):
    query(served.dsn(), "CREATE TABLE once (a text UNIQUE)")
    query(served.dsn(), "INSERT INTO once VALUES ('synthetic 山田')")
    with pytest.raises(asyncpg.UniqueViolationError):
        query(served.dsn(), "INSERT INTO once VALUES ('synthetic 山田')")
    assert "once_a_key" in served.log.read_text()
    assert "山田" not in served.log.read_text()


def test_a_second_server_on_the_same_directory_is_refused(served):
    with pytest.raises(ClusterBusy) as refused:
        EmbeddedPostgres(served.directory).start()
    assert refused.value.pid == served.pid
    assert query(served.dsn(), "SELECT 1") == 1


def test_an_unknown_role_has_no_dsn(served):
    with pytest.raises(EmbeddedError, match="no role nobody"):
        served.dsn("nobody")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_root_runs_it_as_a_user_of_its_own_that_is_let_through_and_no_more(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    with EmbeddedPostgres(locked / "data", settings=SMALL) as server:
        uid = Path(f"/proc/{server.pid}").stat().st_uid
        assert uid not in {0, locked.stat().st_uid}
        as_user = {"user": uid, "group": uid, "extra_groups": [], "capture_output": True, "check": False}
        assert subprocess.run(["ls", str(locked)], **as_user).returncode != 0
        assert subprocess.run(["cat", str(locked / "data" / "passwords.json")], **as_user).returncode != 0


def test_data_outlives_a_stop_and_a_kill(tmp_path):
    with EmbeddedPostgres(tmp_path, settings=SMALL) as server:
        query(server.dsn(), "CREATE TABLE t (a int)")
        query(server.dsn(), "INSERT INTO t VALUES (1)")
        dsn, pid = server.dsn(), server.pid
        server.kill()
        assert is_gone(pid)
        server.restart()
        assert server.dsn() == dsn
        assert query(server.dsn(), "SELECT a FROM t") == 1
    assert server.pid is None
    assert not (tmp_path / "cluster" / "postmaster.pid").exists()
    with EmbeddedPostgres(tmp_path, settings=SMALL) as again:
        assert again.dsn() == dsn
        assert query(again.dsn(), "SELECT a FROM t") == 1


def test_a_pid_file_that_names_a_zombie_or_a_stranger_is_stale(tmp_path):
    server = EmbeddedPostgres(tmp_path, settings=SMALL)
    with server:
        pass
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    try:
        for pid in (zombie.pid, os.getpid()):
            (tmp_path / "cluster" / "postmaster.pid").write_text(f"{pid}\n{tmp_path / 'cluster'}\n")
            with server:
                assert query(server.dsn(), "SELECT 1") == 1
    finally:
        zombie.wait()


def test_a_path_too_long_for_a_socket_gets_a_private_one_elsewhere_that_is_removed(tmp_path):
    deep = tmp_path / ("d" * SOCKET_PATH_BYTES_MAX)
    with EmbeddedPostgres(deep, settings=SMALL) as server:
        place = socket_directory(server.dsn())
        assert deep not in place.parents
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert query(server.dsn(), "SELECT 1") == 1
        server.kill()
        server.restart()
        assert socket_directory(server.dsn()) == place
        assert query(server.dsn(), "SELECT 1") == 1
    assert not place.exists()
    assert not (deep / "socket.path").exists()


def test_a_start_that_fails_says_why_and_leaves_nothing_running(tmp_path):
    server = EmbeddedPostgres(tmp_path, settings={"shared_buffers": "a lot"})
    with pytest.raises(EmbeddedError, match="shared_buffers"):
        server.start()
    assert server.pid is None


def test_a_directory_with_other_things_in_the_clusters_place_is_left_alone(tmp_path):
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="not empty"):
        EmbeddedPostgres(tmp_path).start()
    assert (tmp_path / "cluster" / "letter.txt").read_text() == "mine"


def test_an_initialisation_cut_short_is_begun_again(tmp_path):
    making = tmp_path / "cluster.making"
    making.mkdir()
    (making / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path, settings=SMALL) as server:
        assert query(server.dsn(), "SELECT 1") == 1


def test_the_server_ends_when_its_parent_is_killed(tmp_path):
    program = (
        "import sys, pathlib, time\n"
        "from gateway.store.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), settings={'shared_buffers': '16MB'})\n"
        "server.start()\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: is_gone(pid))
    with EmbeddedPostgres(tmp_path, settings=SMALL) as server:
        assert query(server.dsn(), "SELECT 1") == 1
