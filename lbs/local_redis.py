"""The private Redis of one home: its own process and append-only file on 127.0.0.1 and a free port, never the system's.

Needs only the standard library, because `scripts/setup` asks `find_redis` before any package is installed.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from lbs import local_process as process
from lbs.local_home import ProcessStatus, remember
from lbs.local_process import LocalServersError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbs.local_home import Memory, Place

AppendFsync = Literal["always", "everysec", "no"]
"""How often Redis asks the disk to keep what it appended: each write, once a second, or when the system likes."""

_OLDEST_MAJOR: Final = 7
_SEARCHED: Final = (
    "/opt/homebrew/opt/redis/bin",
    "/usr/local/opt/redis/bin",
    "/home/linuxbrew/.linuxbrew/opt/redis/bin",
)
_PID_NAME: Final = "redis.pid"
# On the first signal Redis writes all it has and ends; the second is for one that hangs.
_END_SIGNALS: Final = {signal.SIGTERM: 20.0, signal.SIGKILL: 5.0}


def find_redis() -> Path:
    """The first installed Redis that is new enough."""
    candidates = [shutil.which("redis-server"), *(f"{folder}/redis-server" for folder in _SEARCHED)]
    for program in candidates:
        if program is not None and Path(program).exists():
            major = parse_major(process.run([program, "--version"], account=None).stdout)
            if major is not None and major >= _OLDEST_MAJOR:
                return Path(program)
    raise LocalServersError("Redis >= 7 was not found: run scripts/setup")


def parse_major(version_text: str) -> int | None:
    """The major version that `redis-server --version` prints.

    >>> parse_major("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0")
    7
    """
    match = re.search(r"\bv=(\d+)\.", version_text)
    return int(match[1]) if match else None


def redis_url(memory: Memory) -> str:
    return f"redis://:{memory.redis_password}@127.0.0.1:{memory.redis_port}/0"


def start_redis(place: Place, memory: Memory, *, appendfsync: AppendFsync, log: Callable[[str], None]) -> Memory:
    """Start Redis and wait until it has loaded its data and answers; a running one is left as it is, settings and all.

    The caller holds the home's lock.
    """
    if _pid(place) is not None:
        if not process.wait_until(lambda: _answers(memory, memory.redis_port), give_up_s=60):
            raise LocalServersError(f"Redis on {place.redis_dir} runs and does not answer: run `lbs down`")
        return memory
    program = find_redis()
    process.make_private_dir(place.redis_dir, account=place.account)

    def launch(port: int) -> int:
        # `--dir` on the command line is how the process is recognised; the rest, with the password, goes in unseen.
        command = [str(program), "--dir", str(place.redis_dir), "--set-proc-title", "no", "-"]
        config = config_text(port=port, password=memory.redis_password, appendfsync=appendfsync)
        return process.spawn(command, account=place.account, log_path=place.redis_log, stdin_text=config)

    port = process.start_on_free_port(
        launch,
        is_ready=lambda port: _answers(memory, port),
        preferred_port=memory.redis_port,
        remember_port=lambda port: _remember_port(place, memory, port),
        log_path=place.redis_log,
    )
    log(f"Redis listens on 127.0.0.1:{port}")
    return replace(memory, redis_port=port)


def config_text(*, port: int, password: str, appendfsync: AppendFsync) -> str:
    """The configuration of a Redis that keeps every write in its append-only file and never throws a key away."""
    return (
        "bind 127.0.0.1\n"
        f"port {port}\n"
        f"requirepass {password}\n"
        "appendonly yes\n"
        f"appendfsync {appendfsync}\n"
        'save ""\n'
        "maxmemory-policy noeviction\n"
        f"pidfile {_PID_NAME}\n"  # relative to the data folder
        "daemonize no\n"
        'logfile ""\n'
    )


def _remember_port(place: Place, memory: Memory, port: int) -> None:
    remember(place, replace(memory, redis_port=port))


def stop_redis(place: Place) -> None:
    """Stop Redis and wait until it is gone; its data stays."""
    process.end_server(
        place.redis_dir / _PID_NAME,
        program="redis-server",
        data_dir=place.redis_dir,
        signals=_END_SIGNALS,
    )


def redis_status(place: Place, memory: Memory) -> ProcessStatus:
    pid = _pid(place)
    return ProcessStatus(name="redis", pid=pid, healthy=pid is not None and _answers(memory, memory.redis_port))


def _pid(place: Place) -> int | None:
    return process.server_pid(place.redis_dir / _PID_NAME, program="redis-server", data_dir=place.redis_dir)


def _answers(memory: Memory, port: int | None) -> bool:
    """Whether Redis on that port takes our password and has loaded its data."""
    if port is None:
        return False
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
            connection.sendall(f"AUTH {memory.redis_password}\r\nPING\r\n".encode())
            replies = b""
            while replies.count(b"\r\n") < len(("AUTH", "PING")) and (more := connection.recv(4096)):
                replies += more
    except OSError:
        return False
    return replies == b"+OK\r\n+PONG\r\n"
