"""The private PostgreSQL of one home: a cluster of its own on 127.0.0.1 and a free port, never the system's.

Needs only the standard library, because `scripts/setup` asks `find_postgres` before any package is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lbs import local_process as process
from lbs.local_home import ProcessStatus, remember
from lbs.local_process import LocalServersError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable

    from lbs.local_home import Memory, Place

_OLDEST_MAJOR: Final = 15
_SEARCHED: Final = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat, from the PostgreSQL project's packages
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
)
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # as in deploy/compose.yaml: an API process may hold 30, and several may run
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # compiling costs more than our short queries take
    # One file for each day of the week, emptied when its day comes again: the logs never grow past a week.
    "logging_collector": "on",
    "log_filename": "postgres-%u.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}
# The system's limit for the path of a socket is 104 or 108 bytes; the name in the folder takes its part of that.
_LONGEST_SOCKET_PATH_BYTES: Final = 100
_SOCKET_NAME: Final = ".s.PGSQL.65535"
_NO_SUCH_PID: Final = 99_999_999  # above every system's largest pid
# Fast shutdown first (sessions are cut, all is written); the second is a crash on purpose, which the log replays.
_END_SIGNALS: Final = {signal.SIGINT: 30.0, signal.SIGQUIT: 10.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPrograms:
    """One installation of PostgreSQL with PostGIS."""

    bin_dir: Path
    major: int


def find_postgres(*, major: int | None = None) -> PostgresPrograms:
    """The newest installed PostgreSQL that has PostGIS, or the one of that major version."""
    found = [programs for folder in _bin_dirs() if (programs := _inspect(folder)) is not None]
    fitting = [programs for programs in found if major in {None, programs.major}]
    if fitting:
        return max(fitting, key=lambda programs: programs.major)
    if major is not None and found:
        raise LocalServersError(f"the data was made by PostgreSQL {major}, which was not found: install it again")
    raise LocalServersError("PostgreSQL >= 15 with PostGIS 3 was not found: run scripts/setup")


def find_client(name: str, *, major: int) -> str:
    """A client program of PostgreSQL that can talk to a server of that major version: as old as it, or newer."""
    found: dict[int, str] = {}
    for folder in _bin_dirs():
        known = parse_major(_output_of(folder / name, "--version")) if (folder / name).exists() else None
        if known is not None and known >= major:
            found.setdefault(known, str(folder / name))
    if not found:
        raise LocalServersError(f"{name} of PostgreSQL {major} or newer was not found: install its client programs")
    return found[min(found)]


def _bin_dirs() -> Iterable[Path]:
    for pattern in _SEARCHED:
        yield from Path("/").glob(pattern.lstrip("/"))
    for program in ("postgres", "pg_dump"):
        on_path = shutil.which(program)
        if on_path is not None:
            yield Path(on_path).resolve().parent


def _inspect(bin_dir: Path) -> PostgresPrograms | None:
    if not all((bin_dir / name).exists() for name in ("postgres", "initdb", "psql", "pg_config")):
        return None
    major = parse_major(_output_of(bin_dir / "postgres", "--version"))
    control = Path(_output_of(bin_dir / "pg_config", "--sharedir").strip()) / "extension" / "postgis.control"
    if major is None or major < _OLDEST_MAJOR or not control.exists():
        return None
    return PostgresPrograms(bin_dir=bin_dir, major=major)


def _output_of(program: Path, argument: str) -> str:
    try:
        return process.run([str(program), argument], account=None).stdout
    except LocalServersError:
        return ""  # a program for another machine, or half removed, is as good as none


def parse_major(version_text: str) -> int | None:
    """The major version that `postgres --version` prints.

    >>> parse_major("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), parse_major("postgres (PostgreSQL) 19rc1")
    (15, 19)
    """
    match = re.search(r"\(PostgreSQL\) (\d+)", version_text)
    return int(match[1]) if match else None


def postgres_url(memory: Memory) -> str:
    return f"postgresql://lbs:{memory.postgres_password}@127.0.0.1:{memory.postgres_port}/lbs"


def start_postgres(place: Place, memory: Memory, *, durable: bool, log: Callable[[str], None]) -> Memory:
    """Start the cluster, made first if there is none, and wait until it answers and holds the database `lbs`.

    A running one is left as it is. The caller holds the home's lock.
    """
    version_file = place.postgres_dir / "PG_VERSION"
    major = int(version_file.read_text()) if version_file.exists() else None
    programs = find_postgres(major=major)
    if _pid(place) is not None:
        # It may still be replaying its log after a crash.
        if not process.wait_until(lambda: _answers(programs, place, memory), give_up_s=60):
            raise LocalServersError(f"PostgreSQL on {place.postgres_dir} runs and does not answer: run `lbs down`")
    else:
        if major is None:
            log(f"making a PostgreSQL {programs.major} cluster in {place.postgres_dir}")
            _make_cluster(programs, place, memory, durable=durable)
        memory = _launch(programs, place, memory, durable=durable)
        log(f"PostgreSQL {programs.major} listens on 127.0.0.1:{memory.postgres_port}")
    if not _psql(programs, place, memory, "SELECT 1 FROM pg_database WHERE datname = 'lbs'").stdout.strip():
        created = _psql(programs, place, memory, "CREATE DATABASE lbs")
        if created.returncode != 0:
            raise LocalServersError(f"the database could not be made: {created.stderr.strip()}")
    return memory


def _make_cluster(programs: PostgresPrograms, place: Place, memory: Memory, *, durable: bool) -> None:
    # Made under another name and renamed when complete: a set-up that was cut short leaves nothing that looks whole.
    staging = place.data / "postgres.new"
    password_file = place.data / "postgres.new-password"
    process.remove_tree(staging)
    if place.postgres_dir.exists():
        raise LocalServersError(f"{place.postgres_dir} is there and is no PostgreSQL cluster: move it away")
    process.make_private_dir(staging, account=place.account)
    process.write_private(password_file, memory.postgres_password, account=place.account)
    arguments = ["-D", str(staging), "-U", "lbs", "-A", "scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8"]
    if not durable:
        arguments.append("--no-sync")
    try:
        for locale in ("C",) if sys.platform == "darwin" else ("C.UTF-8", "C"):
            command = [str(programs.bin_dir / "initdb"), *arguments, f"--locale={locale}"]
            result = process.run(command, account=place.account, timeout_s=180)
            if result.returncode == 0:
                break
        else:
            raise LocalServersError(f"initdb failed in {staging}:\n{result.stderr.strip()}")
    finally:
        password_file.unlink()
    staging.rename(place.postgres_dir)


def _launch(programs: PostgresPrograms, place: Place, memory: Memory, *, durable: bool) -> Memory:
    _disarm_stale_pid(place)
    process.make_private_dir(place.server_logs, account=place.account)
    socket_dir = _fresh_socket_dir(place, memory)
    memory = remember(place, replace(memory, socket_dir=str(socket_dir)))
    # Settings are arguments, so that no file of the cluster is ours to edit, and an old cluster gets new settings.
    settings = _SETTINGS | {
        "fsync": "on" if durable else "off",
        "unix_socket_directories": str(socket_dir),
        "log_directory": str(place.server_logs),
    }

    def launch(port: int) -> int:
        flags = [part for name, value in (settings | {"port": str(port)}).items() for part in ("-c", f"{name}={value}")]
        command = [str(programs.bin_dir / "postgres"), "-D", str(place.postgres_dir), *flags]
        return process.spawn(command, account=place.account, log_path=place.postgres_log)

    port = process.start_on_free_port(
        launch,
        is_ready=lambda port: _answers(programs, place, replace(memory, postgres_port=port)),
        preferred_port=memory.postgres_port,
        remember_port=lambda port: _remember_port(place, memory, port),
        log_path=place.postgres_log,
    )
    return replace(memory, postgres_port=port)


def _remember_port(place: Place, memory: Memory, port: int) -> None:
    remember(place, replace(memory, postgres_port=port))


def _disarm_stale_pid(place: Place) -> None:
    """Let PostgreSQL start although the pid in its file belongs to another program now.

    The file is not removed: its other lines name the shared memory by which PostgreSQL notices that a child of a killed
    server still writes to the cluster.
    """
    path = place.postgres_dir / "postmaster.pid"
    if not path.exists():
        return
    if path.is_symlink() or process.written_pid(path) is None:
        path.unlink()  # cut short while it was written, so no server ever ran with it
        return
    rest = path.read_text(errors="replace").partition("\n")[2]
    process.write_private(path, f"{_NO_SUCH_PID}\n{rest}", account=place.account)


def _fresh_socket_dir(place: Place, memory: Memory) -> Path:
    """An empty folder for the socket, as the lock file of a killed server can hold a reused pid as well."""
    _remove_socket_dir(place, memory)
    folder = place.data / "run"
    if len(os.fsencode(folder / _SOCKET_NAME)) <= _LONGEST_SOCKET_PATH_BYTES:
        process.make_private_dir(folder, account=place.account)
        return folder
    folder = Path(tempfile.mkdtemp(prefix="lbs-run-"))
    process.make_private_dir(folder, account=place.account)
    return folder


def _remove_socket_dir(place: Place, memory: Memory) -> None:
    process.remove_tree(place.data / "run")
    if memory.socket_dir is not None and Path(memory.socket_dir).name.startswith("lbs-run-"):
        process.remove_tree(Path(memory.socket_dir))


def stop_postgres(place: Place, memory: Memory) -> None:
    """Stop the cluster and wait until it is gone; its data stays."""
    process.end_server(
        place.postgres_dir / "postmaster.pid",
        program="postgres",
        data_dir=place.postgres_dir,
        signals=_END_SIGNALS,
    )
    _remove_socket_dir(place, memory)


def postgres_status(place: Place, memory: Memory) -> ProcessStatus:
    pid = _pid(place)
    return ProcessStatus(
        name="postgres",
        pid=pid,
        healthy=pid is not None and _answers(find_postgres(), place, memory),
    )


def _pid(place: Place) -> int | None:
    pid_path = place.postgres_dir / "postmaster.pid"
    return process.server_pid(pid_path, program="postgres", data_dir=place.postgres_dir)


def _answers(programs: PostgresPrograms, place: Place, memory: Memory) -> bool:
    return _psql(programs, place, memory, "SELECT 1").stdout.strip() == "1"


def _psql(programs: PostgresPrograms, place: Place, memory: Memory, sql: str) -> subprocess.CompletedProcess[str]:
    connection = ["-h", "127.0.0.1", "-p", str(memory.postgres_port), "-U", "lbs", "-d", "postgres"]
    return process.run(
        [str(programs.bin_dir / "psql"), "-X", "-w", "-A", "-t", *connection, "-c", sql],
        account=place.account,
        env={"PGPASSWORD": memory.postgres_password, "PGCONNECT_TIMEOUT": "3"},
    )
