"""The parts of the private servers that need no server."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbs import local_home, local_postgres, local_process, local_redis
from lbs.local import LocalServersError, Servers, servers_status, start_servers, stop_servers

POSTGRES = ["/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/a/postgres", "-c", "port=20001"]


def _place(home: Path) -> local_home.Place:
    return local_home.Place(home=home, data=home, account=None)


class TestWhoseProcess:
    def test_our_own_server_is_recognised_by_its_data_folder(self) -> None:
        assert local_process.is_server(POSTGRES, program="postgres", data_dir=Path("/srv/a/postgres"))

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["/usr/bin/vi", "/srv/a/postgres"],
            ["/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/b/postgres"],
            ["/usr/lib/postgresql/15/bin/postgres -D /srv/a/postgres2 -c x"],
            ["vi /srv/a/postgres "],
        ],
    )
    def test_no_other_process_is_taken_for_it(self, arguments: list[str]) -> None:
        assert not local_process.is_server(arguments, program="postgres", data_dir=Path("/srv/a/postgres"))

    def test_a_single_line_as_macos_gives_it_is_enough(self) -> None:
        assert local_process.is_server([" ".join(POSTGRES)], program="postgres", data_dir=Path("/srv/a/postgres"))

    def test_a_running_process_has_a_command_line_and_a_free_pid_has_none(self) -> None:
        assert local_process.command_line(os.getpid())
        assert local_process.command_line(99_999_999) == []

    def test_a_pid_file_with_the_pid_of_another_program_is_stale(self, tmp_path: Path) -> None:
        pid_path = tmp_path / "postmaster.pid"
        pid_path.write_text(f"{os.getpid()}\n{tmp_path}\n")
        assert local_process.server_pid(pid_path, program="postgres", data_dir=tmp_path) is None

    @pytest.mark.parametrize(("text", "pid"), [("123\nmore\n", 123), ("", None), ("-5\n", None), ("\u00b2\n", None)])
    def test_only_a_plain_number_is_a_pid(self, tmp_path: Path, text: str, pid: int | None) -> None:
        (tmp_path / "pid").write_text(text)
        assert local_process.written_pid(tmp_path / "pid") == pid


class TestPorts:
    def test_the_preferred_port_is_kept_while_it_is_free(self) -> None:
        port = local_process.choose_port(None)
        assert local_process.choose_port(port) == port

    def test_a_taken_port_is_replaced(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = other.getsockname()[1]
            assert not local_process.port_is_free(taken)
            assert local_process.choose_port(taken) != taken


class TestFiles:
    def test_a_private_file_is_for_its_owner_only_and_replaced_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        local_process.write_private(path, "old")
        local_process.write_private(path, "new")
        assert path.read_text() == "new"
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(tmp_path.iterdir()) == [path]

    def test_a_link_is_not_taken_for_a_private_folder(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path)
        with pytest.raises(LocalServersError, match="symbolic link"):
            local_process.make_private_dir(tmp_path / "link", account=None)

    def test_only_what_was_written_since_is_shown(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_text("old\nnew\n")
        assert local_process.log_tail(log, since_byte=4) == "new"
        assert local_process.log_tail(tmp_path / "none") == ""


class TestMemory:
    def test_passwords_are_made_once(self, tmp_path: Path) -> None:
        first = local_home.recall_or_begin(_place(tmp_path))
        assert local_home.recall_or_begin(_place(tmp_path)) == first
        assert first.postgres_password != first.redis_password

    def test_a_broken_file_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        _place(tmp_path).memory_file.write_text("[]")
        with pytest.raises(LocalServersError, match=r"servers\.json"):
            local_home.recall(_place(tmp_path))

    def test_a_cluster_whose_password_is_lost_is_never_made_anew(self, tmp_path: Path) -> None:
        (tmp_path / "postgres").mkdir()
        (tmp_path / "postgres" / "PG_VERSION").write_text("15\n")
        with pytest.raises(LocalServersError, match="is gone"):
            local_home.recall_or_begin(_place(tmp_path))

    def test_data_elsewhere_is_not_forgotten_when_its_home_moves(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir()
        elsewhere = local_home.elsewhere_of(home)
        place = local_home.Place(home=home, data=elsewhere, account=None)
        memory = local_home.recall_or_begin(place)
        assert local_home.recall(place) == memory
        moved = local_home.Place(home=home, data=elsewhere.with_name("lbs-of-another-path"), account=None)
        with pytest.raises(LocalServersError, match="moved or copied"):
            local_home.recall(moved)

    def test_data_inside_the_home_moves_with_it(self, tmp_path: Path) -> None:
        (tmp_path / "old").mkdir()
        memory = local_home.recall_or_begin(_place(tmp_path / "old"))
        (tmp_path / "old").rename(tmp_path / "new")
        assert local_home.recall(_place(tmp_path / "new")) == memory

    def test_each_home_has_its_own_folder_elsewhere(self) -> None:
        assert local_home.elsewhere_of(Path("/a")) == local_home.elsewhere_of(Path("/a"))
        assert local_home.elsewhere_of(Path("/a")) != local_home.elsewhere_of(Path("/b"))


class TestPrograms:
    def test_without_postgres_the_error_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(local_postgres, "_SEARCHED", ())
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(LocalServersError, match="run scripts/setup"):
            local_postgres.find_postgres()

    def test_without_redis_the_error_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(local_redis, "_SEARCHED", ())
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(LocalServersError, match="run scripts/setup"):
            local_redis.find_redis()

    @pytest.mark.parametrize("text", ["", "command not found", "psql 15"])
    def test_other_output_has_no_version(self, text: str) -> None:
        assert local_postgres.parse_major(text) is None
        assert local_redis.parse_major(text) is None


class TestGivenServers:
    def test_urls_are_handed_through_and_nothing_is_made(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        servers = start_servers(home, database_url="postgresql://db", redis_url="redis://cache")
        assert servers == Servers(database_url="postgresql://db", redis_url="redis://cache")
        assert not home.exists()

    def test_a_home_that_never_started_has_nothing_to_stop_or_show(self, tmp_path: Path) -> None:
        stop_servers(tmp_path / "home")
        assert servers_status(tmp_path / "home") == []
        assert not (tmp_path / "home").exists()


def test_redis_keeps_every_write_and_throws_nothing_away() -> None:
    lines = local_redis.config_text(port=20001, password="pw", appendfsync="always").splitlines()
    assert {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction", 'save ""', "requirepass pw"} <= set(
        lines,
    )
