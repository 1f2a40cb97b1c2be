"""A home of its own for a benchmark: private servers, a tenant, the sample city, and processes started one by one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import migrations
from geofences.model import FenceKind
from geofences.places import ALWAYS, FenceInput, put_fences
from geofences.store import create_tenant
from lbs import clock
from lbs.auth import create_key
from lbs.connections import Role, database, sqlalchemy_url
from lbs.local import remove_servers, start_servers
from lbs.local_process import choose_port
from lbs.runtime import resolve
from lbs.settings import Settings
from lbs.tables import KeyKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from geofences.model import Circle, TenantId

READY_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchHome:
    """What a benchmark works with."""

    settings: Settings
    tenant_id: TenantId
    secret_key: str
    environment: dict[str, str]

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """One `python -m ...` of this home, ended with the block."""
        log = self.settings.home / "bench.log"
        with log.open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", *arguments], env=self.environment, stdout=output, stderr=output
            )
        try:
            yield child
        finally:
            child.terminate()
            child.wait(timeout=30)

    @contextmanager
    def api(self) -> Iterator[str]:
        with self.api_process() as (url, _):
            yield url

    @contextmanager
    def api_process(self) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        port = choose_port(None)
        with self.process("lbs", "api", "--port", str(port)) as child:
            yield _ready(f"http://127.0.0.1:{port}"), child

    @contextmanager
    def baseline(self) -> Iterator[str]:
        port = choose_port(None)
        arguments = ("--factory", "lbs.bench.baseline:create", "--port", str(port), "--log-level", "warning")
        with self.process("uvicorn", *arguments, "--no-access-log"):
            yield _ready(f"http://127.0.0.1:{port}")


def _ready(url: str) -> str:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - our own process
                return url
        except (OSError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)  # the process is loading: nothing else to wait on


@contextmanager
def bench_home(home: Path) -> Iterator[BenchHome]:
    """Private servers with an empty database, which go again at the end."""
    remove_servers(home)
    servers = start_servers(home, database_url=None, redis_url=None)
    try:
        migrations.upgrade(sqlalchemy_url(servers.database_url).render_as_string(hide_password=False))
        settings = resolve(Settings(home=home, database_url=None, redis_url=None))
        engine = database(settings, Role.SYSTEM)
        with engine.begin() as connection:
            tenant = create_tenant(connection, name=f"bench {clock.now().isoformat()}", sandbox=False)
            key = create_key(connection, tenant.tenant_id, KeyKind.SECRET)
        engine.dispose()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBS_")}
        yield BenchHome(
            settings=settings,
            tenant_id=tenant.tenant_id,
            secret_key=key,
            environment={**inherited, "LBS_HOME": str(home), "LBS_ALLOW_PRIVATE_ADDRESSES": "1"},
        )
    finally:
        remove_servers(home)


def put_circles(home: BenchHome, circles: Sequence[Circle], *, profile: str) -> None:
    """Fences in force since always."""
    engine = database(home.settings, Role.SYSTEM)
    rows = [
        FenceInput(
            external_id=f"f{i}",
            kind=FenceKind.CIRCLE,
            shape=circle,
            profile=profile,
        )
        for i, circle in enumerate(circles)
    ]
    with engine.begin() as connection:
        put_fences(connection, tenant_id=home.tenant_id, rows=rows, now=clock.now(), effective_at=ALWAYS)
    engine.dispose()
