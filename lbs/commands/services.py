"""`lbs up`, `lbs down`, `lbs status`: private servers and one of each process, for one home."""

import json
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lbs import daemons
from lbs.commands.schema import upgrade
from lbs.commands.terminal import Json, answer, say
from lbs.daemons import NAMES, Address, address_file, known_address
from lbs.local import servers_status, start_servers, stop_servers
from lbs.local_process import choose_port, locked, port_is_free, write_private
from lbs.runtime import CommandError, RunFiles, plain, resolve
from lbs.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address the API listens on. [default: LBS_HOST, else 127.0.0.1]")]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, help="Port of the API. [default: LBS_PORT, else the last one, else a free one]"),
]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Running")(up)
    app.command(rich_help_panel="Running")(down)
    app.command(rich_help_panel="Running")(status)


def up(
    *,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, and stop everything on Ctrl-C or TERM.")
    ] = False,
    host: Host = None,
    port: Port = None,
    as_json: Json = False,
) -> None:
    """Start what is missing of: private PostgreSQL and Redis, one API, engine, worker and scheduler.

    Returns once all are healthy; a second call changes nothing. Servers named by LBS_DATABASE_URL and LBS_REDIS_URL are
    used instead of private ones. Everything is kept under LBS_HOME [.lbs]; logs are in its folder `logs`.
    """
    # pydantic reads the environment; given options stand above it
    settings = Settings()
    stop = threading.Event()
    if foreground:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
    home = settings.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    try:
        with locked(home / "up.lock"):
            _start(settings, host=host, port=port)
    except BaseException:
        if foreground:
            _stop(home)
        raise
    _show(home, as_json=as_json)
    if foreground:
        say("Everything runs; Ctrl-C stops it.")
        _stay(home, stop)


def _stay(home: Path, stop: threading.Event) -> None:
    lost: set[str] = set()
    while not stop.wait(1.0):
        for files in (RunFiles(home, name) for name in NAMES):
            if files.name not in lost and daemons.living_pid(files) is None:
                lost.add(files.name)
                say(f"lbs {files.name} ended by itself; see {files.log}, and run `lbs up` to start it again")
    say("Stopping ...")
    _stop(home)


def _start(settings: Settings, *, host: str | None, port: int | None) -> None:
    home = settings.home.resolve()
    servers = start_servers(
        home,
        database_url=plain(settings.database_url),
        redis_url=plain(settings.redis_url),
        log=say,
        appendfsync=settings.redis_fsync,
    )
    upgrade(servers.database_url)
    resolve(settings)  # makes the secret key before four processes want it at once
    address = _address(settings, home, host=host, port=port)
    environment = {"LBS_HOME": str(home), "LBS_PUBLIC_URL": address.url, "PYTHONUNBUFFERED": "1"}
    for name in NAMES:
        arguments = ("--host", address.host, "--port", str(address.port)) if name == "api" else ()
        daemons.start(RunFiles(home, name), *arguments, environment=environment)
    daemons.wait_healthy(home)


def _address(settings: Settings, home: Path, *, host: str | None, port: int | None) -> Address:
    """Where the API runs or shall run; remembered, so that clients find it there again after a restart."""
    known = known_address(home)
    running = daemons.living_pid(RunFiles(home, "api")) is not None
    wanted_host, wanted_port = host or settings.host, settings.port if port is None else port
    if running and known is not None:
        if (host is not None and host != known.host) or (port and port != known.port):
            raise CommandError(f"the API runs at {known.host}:{known.port} already: run `lbs down` first")
        return known
    if wanted_port and not port_is_free(wanted_port):
        raise CommandError(f"port {wanted_port} is taken: choose another one with --port")
    chosen = wanted_port or choose_port(known.port if known else None)
    address = Address(host=wanted_host, port=chosen, public_url=settings.public_url or None)
    write_private(address_file(home), json.dumps(asdict(address)) + "\n")
    return address


def down(*, as_json: Json = False) -> None:
    """Stop the processes of LBS_HOME gracefully, then its private servers; data stays for the next `lbs up`."""
    home = Settings().home.resolve()
    stopped = _stop(home) if home.exists() else []
    answer({"stopped": stopped}, as_json=as_json, text=f"Stopped {', '.join(stopped)}." if stopped else "Nothing ran.")


def _stop(home: Path) -> list[str]:
    with locked(home / "up.lock"):
        stopped = daemons.stop_all(home)
        stopped += [status.name for status in servers_status(home) if status.pid is not None]
        stop_servers(home)
    return stopped


def status(*, as_json: Json = False) -> None:
    """Say what runs, where, and whether it is healthy. Exit code 0 also when nothing runs."""
    _show(Settings().home.resolve(), as_json=as_json)


def _show(home: Path, *, as_json: bool) -> None:
    found = describe(home)
    lines = [f"{process['name']:<10} {_state(process)}" for process in found["processes"]]
    lines.append(f"API at {found['api_url']}" if found["running"] else "Not running.")
    answer(found, as_json=as_json, text="\n".join(lines))


def _state(process: dict[str, Any]) -> str:
    if process["pid"] is None:
        return "not running"
    return f"pid {process['pid']:<8} {'healthy' if process['healthy'] else 'NOT HEALTHY'}"


def describe(home: Path) -> dict[str, Any]:
    """What `lbs status --json` prints; URLs of servers are those that processes of this home use, with passwords."""
    settings = Settings(home=home)
    given = {"postgres": plain(settings.database_url), "redis": plain(settings.redis_url)}
    processes: list[dict[str, Any]] = [asdict(server) for server in servers_status(home) if not given[server.name]]
    for files in (RunFiles(home, name) for name in NAMES):
        pid = daemons.living_pid(files)
        processes.append({"name": files.name, "pid": pid, "healthy": daemons.is_healthy(files, pid)})
    address = known_address(home)
    try:
        urls = resolve(settings)
    except CommandError:
        database_url = redis_url = None
    else:
        database_url = plain(urls.database_url)
        redis_url = plain(urls.redis_url)
    return {
        "running": all(process["healthy"] for process in processes),
        "api_url": address and address.url,
        "console_url": address and f"{address.url}/console/",
        "database_url": database_url,
        "redis_url": redis_url,
        "processes": processes,
    }
