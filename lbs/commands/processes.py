"""`lbs api`, `lbs engine`, `lbs worker`, `lbs scheduler`: the processes themselves, in the foreground."""

import signal
import threading
from collections.abc import Callable
from typing import Any, Protocol

import structlog
import typer

from lbs.commands.services import Host, Port
from lbs.runtime import Heart, RunFiles, resolve
from lbs.settings import Settings


class Loop(Protocol):
    def run(self, stop: threading.Event) -> None: ...


def register(app: typer.Typer) -> None:
    for command in (api, engine, worker, scheduler):
        app.command(rich_help_panel="Processes")(command)


def api(*, host: Host = None, port: Port = None) -> None:
    """Serve HTTP: positions in, searches, campaigns, the console. Stateless; run as many as you like."""
    import uvicorn  # noqa: PLC0415

    from lbs.app import create_app  # noqa: PLC0415

    settings = _settings("api", host=host, port=port)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run()


def engine() -> None:
    """Handle positions: read the log, match fences, write visits and events. Run several: they share the shards."""
    _run("engine", lambda settings, beat: _wiring().position_engine(settings, beat))


def worker() -> None:
    """Decide offers and deliver them. Run as many as you like."""
    _run("worker", lambda settings, beat: _wiring().worker(settings, beat))


def scheduler() -> None:
    """Start scheduled campaigns, make and drop partitions, clean up. One works, others stand by."""
    _run("scheduler", lambda settings, beat: _wiring().scheduler(settings, beat))


def _wiring() -> Any:
    import lbs.wiring  # noqa: PLC0415 - it loads every part of the program

    return lbs.wiring


def _run(name: str, build: Callable[[Settings, Callable[[], None]], Loop]) -> None:
    settings = _settings(name)
    heart = Heart(RunFiles(settings.home, name))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sign = _sign_of_life(name, settings, heart)
    sign.start()
    try:
        build(settings, heart.beat).run(stop)
    finally:
        sign.stop()


def _sign_of_life(name: str, settings: Settings, heart: Heart) -> Any:
    from lbs.alive import SignOfLife  # noqa: PLC0415
    from lbs.clock import now  # noqa: PLC0415
    from lbs.connections import redis_client  # noqa: PLC0415

    client = redis_client(settings)
    return SignOfLife(client, prefix=settings.redis_prefix, process=name, beat_age_s=heart.age_s, now=now)


def _settings(name: str, *, host: str | None = None, port: int | None = None) -> Settings:
    from lbs.observe import configure_logging, hear_libraries  # noqa: PLC0415 - it loads the metrics library

    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    settings = resolve(Settings()).model_copy(update=given)
    hear_libraries()
    configure_logging(settings.log_level)
    structlog.get_logger("lbs").info("process.starts", process=name)
    return settings
