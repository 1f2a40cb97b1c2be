"""What pages come from: fixture `console`, the real API process with a tenant of one test and people of every role.

`living_console` is the same with the engine, the worker and the scheduler beside it, for pages that offers come to.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from geofences.store import create_tenant
from lbs.auth import create_key
from lbs.connections import Role as DatabaseRole
from lbs.connections import database
from lbs.sessions import COOKIE
from lbs.tables import KeyKind, Role
from tests.support.api import HELSINKI, wait_for
from tests.support.people import PASSWORD, accept, invited, sign_in
from tests.support.town import installed, is_ready, wait_owned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa
    from playwright.sync_api import Page

    from geofences.model import TenantId
    from tests.support.cli import Cli

PLENTY = 1_000_000
"""All tests ask from one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The API process of a worker."""

    url: str
    cli: Cli
    system: sa.Engine
    transport: httpx.HTTPTransport
    """Of all clients, which nobody has to close then."""

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, transport=self.transport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    email: str
    password: str = PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """A tenant with one store, and where its people and its shoppers look at it."""

    site: Site
    tenant_id: TenantId
    publishable_key: str
    server: httpx.Client
    """With the secret key."""
    store_id: str
    _people: dict[Role, Login] = field(default_factory=dict)

    def url(self, path: str = "") -> str:
        return f"{self.site.url}/console/{path}"

    def app_url(self, path: str = "") -> str:
        """Where a shopper begins."""
        return f"{self.site.url}/app/{path}?key={self.publishable_key}"

    def person(self, role: Role) -> Login:
        """Somebody of this role, the same at each call; a store manager has the one store."""
        if role not in self._people:
            stores = (self.store_id,) if role is Role.STORE_MANAGER else ()
            link = invited(self.server, role, store_ids=stores)["invitation_url"]
            self._people[role] = Login(email=accept(self.site, link))
        return self._people[role]

    def sign_in(self, page: Page, role: Role) -> None:
        """Gives the page's context a session, without going through the form."""
        session = sign_in(self.site, self.person(role).email).cookies[COOKIE]
        page.context.add_cookies([{"name": COOKIE, "value": session, "url": self.site.url}])


@pytest.fixture(scope="session")
def console_site(
    new_database_url: Callable[[], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("console")
    given = {"sign_ins_per_address": PLENTY, "sign_ins_per_email": PLENTY, "register_per_minute": PLENTY}
    settings, cli = installed(new_database_url(), redis_url, home, **given)
    system = database(settings, DatabaseRole.SYSTEM)
    with cli.running("api"), httpx.HTTPTransport() as transport:
        site = Site(url=f"http://127.0.0.1:{settings.port}", cli=cli, system=system, transport=transport)
        wait_for(lambda: is_ready(site.client()))
        yield site
    system.dispose()


@pytest.fixture
def console(console_site: Site) -> Console:
    return new_tenant(console_site)


def new_tenant(console_site: Site) -> Console:
    """A tenant with a store and without people, who come when they are asked for."""
    with console_site.system.begin() as connection:
        tenant_id = create_tenant(connection, name=secrets.token_hex(8), sandbox=False).tenant_id
        secret = create_key(connection, tenant_id, KeyKind.SECRET)
        publishable = create_key(connection, tenant_id, KeyKind.PUBLISHABLE)
    server = console_site.client(secret)
    answer = server.post("/v1/stores", json={"external_id": "store-1", "name": "Shop", **HELSINKI})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return Console(
        site=console_site,
        tenant_id=tenant_id,
        publishable_key=publishable,
        server=server,
        store_id=answer.json()["store_id"],
    )


@pytest.fixture(scope="session")
def _console_processes(console_site: Site) -> Iterator[None]:
    with console_site.cli.running("engine", "worker", "scheduler"):
        wait_owned(console_site.system)
        yield


@pytest.fixture
def living_console(_console_processes: None, console: Console) -> Console:
    return console
