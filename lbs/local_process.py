"""Start, recognise and end the private server processes, as another account when we are root.

A server is known by its pid file AND its command line, which names its own data folder: a pid that now belongs to
another program, or to the servers of another home, is never taken for ours and never ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Mapping, Sequence

# Below the range from which Linux and macOS give out ports for outgoing connections, so that a port stays ours.
_PORTS: Final = range(20_000, 32_000)
_LOG_KEPT_BYTES: Final = 5_000_000
_POLL_S: Final = 0.05
_EXEC_S: Final = 0.5
"""How long the kernel may show no arguments of a process that is changing its program."""
_EXEC_POLL_S: Final = 0.005

# Backgrounds the server, so that it belongs to init and not to us: no zombie stays when it ends before we do. The
# server reads our input (Redis gets its password that way, where no `ps` can see it) and writes to our stderr, the log.
_SPAWN_SCRIPT: Final = 'exec 3<&0; "$@" <&3 3<&- >&2 & echo $!'


class LocalServersError(Exception):
    """A private server cannot be had; the text says what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom the servers run as when we are root, which PostgreSQL refuses to be."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """The account to drop to; None when we are not root and the servers run as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise LocalServersError("PostgreSQL refuses to run as root: make an account named postgres, or run as another user")


def run(
    argv: Sequence[str],
    *,
    account: Account | None,
    env: Mapping[str, str] | None = None,
    stdin_text: str = "",
    stderr: int = subprocess.PIPE,
    timeout_s: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run one command as the account, in `/` and with nothing of our own environment (no PGDATA, no PGHOST)."""
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "HOME": "/", **(env or {})}
    try:
        return subprocess.run(  # noqa: S603 - every caller passes a program it found itself, and no shell parses it
            list(argv),
            input=stdin_text,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
            cwd="/",
            env=clean,
            umask=0o077,
            start_new_session=True,  # Ctrl-C in the terminal is for us to handle, not for the servers
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
    except subprocess.TimeoutExpired as error:
        raise LocalServersError(f"{argv[0]} did not finish within {timeout_s:.0f} s") from error
    except OSError as error:
        raise LocalServersError(f"{argv[0]} could not be run: {error.strerror}") from error


def spawn(argv: Sequence[str], *, account: Account | None, log_path: Path, stdin_text: str = "") -> int:
    """Start a server that outlives us, its output appended to the log; returns its pid at once."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    if log_path.exists() and log_path.stat().st_size > _LOG_KEPT_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    with log_path.open("ab") as log_file:
        command = ["/bin/sh", "-c", _SPAWN_SCRIPT, "sh", *argv]
        result = run(command, account=account, stdin_text=stdin_text, stderr=log_file.fileno())
    if result.returncode != 0 or not result.stdout.strip().isdigit():
        raise LocalServersError(f"{argv[0]} could not be started: see {log_path}")
    return int(result.stdout)


def log_tail(log_path: Path, *, since_byte: int = 0, lines: int = 8) -> str:
    """The last lines that were written after `since_byte`, for error messages."""
    with contextlib.suppress(FileNotFoundError), log_path.open("rb") as log_file:
        log_file.seek(since_byte)
        return "\n".join(log_file.read().decode(errors="replace").splitlines()[-lines:])
    return ""


def command_line(pid: int) -> list[str]:
    """The arguments of a running process; empty when there is none, or only its zombie."""
    if Path("/proc/self/cmdline").exists():
        return _command_line_of_linux(pid)
    result = run(["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], account=None)
    text = result.stdout.strip()
    return [] if result.returncode != 0 or "<defunct>" in text else [text]


def _command_line_of_linux(pid: int) -> list[str]:
    give_up_at = time.monotonic() + _EXEC_S
    while True:
        try:
            text = Path(f"/proc/{pid}/cmdline").read_text(errors="surrogateescape")
            state = Path(f"/proc/{pid}/stat").read_text(errors="surrogateescape").rpartition(")")[2].split()[0]
        except OSError:
            return []
        # empty for a zombie, and for a moment while a program takes the place of the one that started it
        if text or state in "ZX" or time.monotonic() > give_up_at:
            return text.rstrip("\0").split("\0") if text else []
        time.sleep(_EXEC_POLL_S)


def is_server(arguments: Sequence[str], *, program: str, data_dir: Path) -> bool:
    """Whether these are the arguments of `program` on `data_dir`.

    Linux gives them one by one; where `ps` gives a single line, the folder must stand in it as a whole word.

    >>> is_server(["/usr/bin/redis-server", "--dir", "/a/redis"], program="redis-server", data_dir=Path("/a/redis"))
    True
    >>> is_server(["/usr/bin/redis-server --dir /a/redis2 -"], program="redis-server", data_dir=Path("/a/redis"))
    False
    """
    if len(arguments) == 1:
        line = arguments[0] + " "
        return f" {data_dir} " in line and program in line.split(f" {data_dir} ")[0]
    return bool(arguments) and Path(arguments[0]).name == program and str(data_dir) in arguments


def server_pid(pid_path: Path, *, program: str, data_dir: Path) -> int | None:
    """The pid in the file, if that process is this very server; None for a stale or missing file."""
    pid = written_pid(pid_path)
    if pid is None or not is_server(command_line(pid), program=program, data_dir=data_dir):
        return None
    return pid


def written_pid(pid_path: Path) -> int | None:
    """The number on the first line of a pid file, whoever has it now."""
    try:
        first = pid_path.read_text(errors="replace").partition("\n")[0].strip()
    except OSError:
        return None
    return int(first) if first.isascii() and first.isdigit() else None


def end_server(pid_path: Path, *, program: str, data_dir: Path, signals: Mapping[signal.Signals, float]) -> None:
    """Send each signal in turn, waiting its seconds, until the server is gone; nothing happens if it is not there."""
    for number, wait_s in signals.items():
        pid = server_pid(pid_path, program=program, data_dir=data_dir)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        # The process is watched and not its file, which goes a moment before the process does.
        if wait_until(partial(_is_gone, pid, program=program, data_dir=data_dir), give_up_s=wait_s):
            return
    raise LocalServersError(f"{program} on {data_dir} does not stop")


def _is_gone(pid: int, *, program: str, data_dir: Path) -> bool:
    return not is_server(command_line(pid), program=program, data_dir=data_dir)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections that linger after a restart do not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def choose_port(preferred: int | None) -> int:
    """The preferred port if it is free, else a free one by chance, so that two homes rarely choose alike."""
    if preferred is not None and port_is_free(preferred):
        return preferred
    for port in random.SystemRandom().sample(_PORTS, 200):
        if port_is_free(port):
            return port
    raise LocalServersError(f"no free port was found on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


def start_on_free_port(
    launch: Callable[[int], int],
    *,
    is_ready: Callable[[int], bool],
    preferred_port: int | None,
    remember_port: Callable[[int], None],
    log_path: Path,
    give_up_s: float = 120,
) -> int:
    """Launch a server until it answers, and return its port; a new port is taken when the preferred one is not free.

    A server that ends at once is launched again if its port was snatched away or if the remains of a killed one still
    hold its shared memory; anything else is an error that shows the server's last words.
    """
    give_up_at = time.monotonic() + give_up_s
    port = preferred_port
    while True:
        port = choose_port(port)
        remember_port(port)  # before the launch: if we are killed in between, the next start still finds the server
        log_size = log_path.stat().st_size if log_path.exists() else 0
        pid = launch(port)
        while command_line(pid):
            if is_ready(port):
                return port
            if time.monotonic() > give_up_at:
                raise LocalServersError(f"the server did not answer within {give_up_s:.0f} s: see {log_path}")
            time.sleep(_POLL_S)
        last_words = log_tail(log_path, since_byte=log_size)
        worth_another_try = not port_is_free(port) or "shared memory block" in last_words
        if not worth_another_try or time.monotonic() > give_up_at:
            raise LocalServersError(f"the server ended at once; {log_path} says:\n{last_words}")
        time.sleep(10 * _POLL_S)


def wait_until(condition: Callable[[], bool], *, give_up_s: float) -> bool:
    """Poll until the condition holds; False if it never did."""
    give_up_at = time.monotonic() + give_up_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(_POLL_S)
    return True


def make_private_dir(path: Path, *, account: Account | None) -> None:
    """Make a folder that only the account may enter, or set an existing one right."""
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink():
        raise LocalServersError(f"{path} is a symbolic link, not a folder of ours: remove it")
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o700)


def write_private(path: Path, text: str, *, account: Account | None = None) -> None:
    """Write a file that only its owner may read: a reader sees the old text or the new, never a part."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
        file.flush()
        os.fsync(descriptor)
    Path(name).replace(path)


def remove_tree(path: Path) -> None:
    """Remove a folder with all in it; one that is not there is removed already."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock, waiting for whoever has it; the system frees it even if its holder is killed."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
