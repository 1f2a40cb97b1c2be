"""What the demo stands on: a running home, a tenant of its own, and the stores of the sample city.

Whatever ran before the demo goes on after it; whatever the demo started ends with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from geofences.errors import ConflictError
from geofences.store import create_tenant
from lbs import daemons
from lbs.auth import create_key
from lbs.connections import Role, database
from lbs.local import servers_status, stop_servers
from lbs.local_process import locked, wait_until
from lbs.runtime import CommandError, RunFiles, resolve
from lbs.settings import Settings
from lbs.tables import KeyKind
from lbs.uploads import import_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from geofences.model import TenantId
    from lbs.demo.city import City, Shop

TENANT: Final = "demo"
STOP_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarter:
    """A part of the city's stores with one kind of fence."""

    profile: str
    radius_m: float
    shops: list[Shop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The demo's tenant with its keys."""

    tenant_id: TenantId
    name: str
    publishable: str = field(repr=False)
    secret: str = field(repr=False)


class Home:
    """The processes of LBS_HOME, and which of them are ours to end."""

    def __init__(self) -> None:
        self._home = Settings().home.resolve()
        self._servers_before = _servers(self._home)
        self._processes_before = _processes(self._home)

    @property
    def was_up(self) -> bool:
        """Whether an API ran here before the demo."""
        return "api" in self._processes_before

    @property
    def folder(self) -> Path:
        return self._home

    def up(self, *, registrations_per_minute: int, say: Callable[[str], None]) -> Settings:
        """`lbs up`, with receivers on loopback allowed; the settings that lead to its servers. CommandError."""
        environment = {
            **os.environ,
            "LBS_HOME": str(self._home),
            "LBS_ALLOW_PRIVATE_ADDRESSES": "true",
        }
        environment.setdefault("LBS_REGISTER_PER_MINUTE", str(registrations_per_minute))
        command = [sys.executable, "-m", "lbs", "up", "--json"]
        with subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    say(line.rstrip())
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            raise CommandError("the demo needs everything up, and `lbs up` could not do it (see above)")
        return resolve(Settings(home=self._home))

    @property
    def api_url(self) -> str:
        """How the API is reached from this machine."""
        address = daemons.known_address(self._home)
        assert address is not None, "it is up"
        return address.local_url

    def down(self) -> list[str]:
        """End what this demo started, and wait until it is gone. Answers the names."""
        if not self._home.exists():
            return []
        with locked(self._home / "up.lock"):
            ours = {
                name: pid for name, pid in _processes(self._home).items() if self._processes_before.get(name) != pid
            }
            for number in (signal.SIGTERM, signal.SIGKILL):
                for name, pid in ours.items():
                    if daemons.living_pid(RunFiles(self._home, name)) == pid:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, number)
                if wait_until(lambda: not _any_alive(self._home, ours), give_up_s=STOP_WAIT_S):
                    break
            for name in ours:
                RunFiles(self._home, name).pid.unlink(missing_ok=True)
                RunFiles(self._home, name).beat.unlink(missing_ok=True)
            servers = _servers(self._home)
            if not servers or self._servers_before:
                return list(ours)
            stop_servers(self._home)
            return [*ours, *servers]


def _processes(home: Path) -> dict[str, int]:
    found = ((name, daemons.living_pid(RunFiles(home, name))) for name in daemons.NAMES)
    return {name: pid for name, pid in found if pid is not None}


def _any_alive(home: Path, processes: Iterable[str]) -> bool:
    return any(daemons.living_pid(RunFiles(home, name)) is not None for name in processes)


def _servers(home: Path) -> list[str]:
    return [server.name for server in servers_status(home) if server.pid is not None]


def make_tenant(settings: Settings) -> Owner:
    """A new tenant `demo`, or `demo-2` and so on if there is one of an earlier run."""
    engine = database(settings, Role.SYSTEM, pool_size=1)
    try:
        with engine.begin() as connection:
            for number in count(1):
                name = TENANT if number == 1 else f"{TENANT}-{number}"
                with contextlib.suppress(ConflictError):
                    tenant = create_tenant(connection, name=name, sandbox=False)
                    break
            return Owner(
                tenant_id=tenant.tenant_id,
                name=tenant.name,
                publishable=create_key(connection, tenant.tenant_id, KeyKind.PUBLISHABLE),
                secret=create_key(connection, tenant.tenant_id, KeyKind.SECRET),
            )
    finally:
        engine.dispose()


def import_city(settings: Settings, owner: Owner, city: City, quarters: Iterable[Quarter]) -> tuple[int, int]:
    """Stores with circle fences, by the code of `lbs import stores --fence-radius-m`. Answers how many of each."""
    stores = fences = 0
    with tempfile.TemporaryDirectory(prefix="lbs-demo-") as folder:
        for quarter in quarters:
            file = Path(folder) / f"{quarter.profile}.geojson"
            city.write(file, quarter.shops)
            report = import_stores(settings, owner.name, file, fence_radius_m=quarter.radius_m, profile=quarter.profile)
            stores += len(report.outcomes)
            fences += len(report.fence_outcomes or ())
    return stores, fences
