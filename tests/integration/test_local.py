"""The private servers as they live: started, killed, restarted, side by side, as root in a closed folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest
import redis

from lbs import local_home, local_postgres, local_process, local_redis
from lbs.local import LocalServersError, Servers, remove_servers, servers_status, start_servers, stop_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

try:
    local_postgres.find_postgres()
    local_redis.find_redis()
except LocalServersError as error:
    pytest.skip(f"servers are given by URL here: {error}", allow_module_level=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home in a folder that every account may enter; pytest's own tmp_path is closed to all but its maker."""
    folder = Path(tempfile.mkdtemp(prefix="lbs-home-"))
    folder.chmod(0o755)
    yield folder / ".lbs"
    remove_servers(folder / ".lbs")
    shutil.rmtree(folder)


def start(home: Path) -> Servers:
    return start_servers(home, database_url=None, redis_url=None, durable=False)


def pids(home: Path) -> dict[str, int | None]:
    return {status.name: status.pid for status in servers_status(home)}


def kill_both(home: Path) -> None:
    for name, pid in pids(home).items():
        assert pid is not None, name
        os.kill(pid, signal.SIGKILL)
        assert local_process.wait_until(lambda pid=pid: not local_process.command_line(pid), give_up_s=10)  # type: ignore[misc]


def query(servers: Servers, sql: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(servers.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def write_both(servers: Servers) -> None:
    query(servers, "CREATE TABLE kept AS SELECT 42 AS answer")
    with redis.Redis.from_url(servers.redis_url) as client:
        client.config_set("appendfsync", "always")  # so that a kill right after loses nothing
        client.set("kept", "42")


def assert_both_kept(servers: Servers) -> None:
    assert query(servers, "SELECT answer FROM kept") == [(42,)]
    with redis.Redis.from_url(servers.redis_url) as client:
        assert client.get("kept") == b"42"


def test_both_start_answer_and_have_the_settings_we_promise(home: Path) -> None:
    servers = start_servers(home, database_url=None, redis_url=None)
    names = "('fsync', 'jit', 'TimeZone', 'listen_addresses', 'server_encoding', 'password_encryption')"
    assert set(query(servers, f"SELECT name, setting FROM pg_settings WHERE name IN {names}")) == {  # noqa: S608
        ("fsync", "on"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
        ("listen_addresses", "127.0.0.1"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
    }
    assert query(servers, "SELECT current_user::text, current_database()::text") == [("lbs", "lbs")]
    query(servers, "CREATE EXTENSION postgis")
    with redis.Redis.from_url(servers.redis_url) as client:
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
        assert client.config_get(*wanted) == wanted
    assert all(status.healthy for status in servers_status(home))


def test_passwords_are_needed_and_shown_to_nobody(home: Path) -> None:
    servers = start(home)
    kept = local_home.find_place(home).memory_file
    assert kept.stat().st_mode & 0o777 == 0o600
    memory = local_home.recall(local_home.find_place(home))
    assert memory is not None
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        psycopg2.connect(servers.database_url.replace(memory.postgres_password, "guess"))
    with (
        redis.Redis.from_url(servers.redis_url.replace(memory.redis_password, "guess")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert memory.postgres_password not in shown
    assert memory.redis_password not in shown


def test_a_second_start_changes_nothing(home: Path) -> None:
    servers = start(home)
    before = pids(home)
    assert start(home) == servers
    assert pids(home) == before


def test_a_stop_ends_both_and_the_next_start_has_the_same_data_and_urls(home: Path) -> None:
    servers = start(home)
    write_both(servers)
    stop_servers(home)
    assert pids(home) == {"postgres": None, "redis": None}
    stop_servers(home)
    assert start(home) == servers
    assert_both_kept(servers)


def test_only_the_server_that_no_url_stands_in_for_is_started(home: Path) -> None:
    servers = start_servers(home, database_url="postgresql://elsewhere/lbs", redis_url=None)
    assert servers.database_url == "postgresql://elsewhere/lbs"
    assert [status.name for status in servers_status(home)] == ["redis"]


def test_killed_servers_come_back_with_their_data(home: Path) -> None:
    servers = start(home)
    write_both(servers)
    kill_both(home)
    assert [(status.pid, status.healthy) for status in servers_status(home)] == [(None, False), (None, False)]
    assert_both_kept(start(home))


def test_a_pid_that_another_program_has_now_is_neither_believed_nor_ended(home: Path) -> None:
    write_both(start(home))
    kill_both(home)
    place = local_home.find_place(home)
    # Run as the servers' account, whose processes PostgreSQL would take for a rival.
    pid = local_process.spawn(["/bin/sleep", "300"], account=place.account, log_path=home / "logs" / "sleep.log")
    try:
        for path in (place.postgres_dir / "postmaster.pid", place.redis_dir / "redis.pid"):
            rest = path.read_text().partition("\n")[2]
            path.write_text(f"{pid}\n{rest}")
        assert pids(home) == {"postgres": None, "redis": None}
        stop_servers(home)
        assert_both_kept(start(home))
        assert local_process.command_line(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_an_empty_pid_file_of_a_crash_is_no_obstacle(home: Path) -> None:
    write_both(start(home))
    kill_both(home)
    (local_home.find_place(home).postgres_dir / "postmaster.pid").write_text("")
    assert_both_kept(start(home))


def test_taken_ports_are_changed(home: Path) -> None:
    before = start(home)
    write_both(before)
    stop_servers(home)
    memory = local_home.recall(local_home.find_place(home))
    assert memory is not None
    with socket.socket() as first, socket.socket() as second:
        for other, port in ((first, memory.postgres_port), (second, memory.redis_port)):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
        after = start(home)
        assert after.database_url != before.database_url
        assert after.redis_url != before.redis_url
        assert_both_kept(after)


def test_two_homes_run_side_by_side(home: Path) -> None:
    other_home = home.with_name("other")
    try:
        servers, other = start(home), start(other_home)
        write_both(servers)
        assert query(other, "SELECT to_regclass('kept')") == [(None,)]
        stop_servers(other_home)
        assert_both_kept(servers)
    finally:
        remove_servers(other_home)


def test_starts_at_the_same_time_share_one_pair_of_servers(home: Path) -> None:
    together = threading.Barrier(3)

    def start_together(_number: int) -> Servers:
        together.wait()
        return start(home)

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(start_together, range(3)))) == 1


def test_a_cluster_that_was_left_half_made_is_made_anew(home: Path) -> None:
    place = local_home.find_place(home)
    local_home.prepare_place(place)
    (place.data / "postgres.new").mkdir()
    (place.data / "postgres.new" / "PG_VERSION").write_text("15\n")
    assert query(start(home), "SELECT 1") == [(1,)]


def test_a_path_too_long_for_a_socket_is_no_obstacle(home: Path) -> None:
    deep = home / ("deep" * 20) / "home"
    try:
        assert query(start(deep), "SELECT 1") == [(1,)]
        memory = local_home.recall(local_home.find_place(deep))
        assert memory is not None
        assert memory.socket_dir is not None
        socket_dir = Path(memory.socket_dir)
        assert socket_dir.stat().st_mode & 0o777 == 0o700
        stop_servers(deep)
        assert not socket_dir.exists()
    finally:
        remove_servers(deep)


def test_a_home_with_spaces_and_quotes_in_its_path_works(home: Path) -> None:
    odd = home / 'it\'s $HOME "here" ünd'
    try:
        assert query(start(odd), "SELECT 1") == [(1,)]
        with redis.Redis.from_url(start(odd).redis_url) as client:
            assert client.ping()
    finally:
        remove_servers(odd)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop to another account")
def test_root_in_a_closed_folder_keeps_the_data_where_the_account_can_go(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / ".lbs"
    place = local_home.find_place(home)
    assert place.data == local_home.elsewhere_of(home)
    try:
        servers = start(home)
        write_both(servers)
        assert place.data.stat().st_mode & 0o777 == 0o700
        assert str(place.data) in place.memory_file.read_text()
        stop_servers(home)
        assert_both_kept(start(home))
    finally:
        remove_servers(home)
    assert not place.data.exists()


def test_removed_servers_leave_nothing(home: Path) -> None:
    start(home)
    remove_servers(home)
    assert servers_status(home) == []
    assert [path.name for path in home.rglob("*")] in (["logs", "servers.lock"], ["servers.lock", "logs"])
