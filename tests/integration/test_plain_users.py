"""Servers given by URL: `deploy/roles.sql` is all that a superuser has to do, and everything works without one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest
import sqlalchemy as sa

from lbs import clock, wiring
from lbs.backup import restore, take
from lbs.commands.schema import upgrade
from lbs.connections import Role, database, position_log, sqlalchemy_url
from lbs.diagnosis import examine
from lbs.erasure import begin_erasure, go_on
from lbs.settings import Settings
from tests.architecture.tree import ROOT
from tests.support.live import living
from tests.support.servers import create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.servers

GRANTS = (ROOT / "deploy" / "roles.sql").read_text(encoding="utf-8")
SECRET = "a secret that only the tests know, and nobody else"


@dataclass(frozen=True)
class Granted:
    """A database on which nothing was done but `deploy/roles.sql`."""

    owner_url: str
    app_url: str
    other_owner_url: str
    """Another such database, for a restore."""


def as_user(url: str, user: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{user}@{parts.hostname}:{parts.port}"))


@pytest.fixture
def granted(admin_url: str) -> Iterator[Granted]:
    """Users belong to the whole server, which other tests share: they get names of this test."""
    tag = secrets.token_hex(4)
    owner, app, names = f"lbs_owner_{tag}", f"lbs_app_{tag}", [f"lbs_test_{tag}_{i}" for i in range(2)]
    urls = [create_database(admin_url, name) for name in names]
    statements = GRANTS.replace("lbs_owner", owner).replace("lbs_app", app)
    for url in urls:
        superuser = sa.create_engine(sqlalchemy_url(url), poolclass=sa.NullPool)
        with superuser.begin() as connection:
            connection.exec_driver_sql(statements.replace("%", "%%"))
            connection.exec_driver_sql(statements.replace("%", "%%"))
            for user in (owner, app):
                connection.execute(sa.text(f"ALTER ROLE {user} PASSWORD '{user}'"))
    yield Granted(as_user(urls[0], owner), as_user(urls[0], app), as_user(urls[1], owner))
    for name in names:
        drop_database(admin_url, name)
    superuser = sa.create_engine(sqlalchemy_url(admin_url), poolclass=sa.NullPool)
    with superuser.begin() as connection:
        connection.execute(sa.text(f"DROP ROLE {owner}, {app}"))


def test_the_grants_are_enough_to_migrate_run_back_up_and_restore(
    granted: Granted, redis_url: str, tmp_path: Path
) -> None:
    owner = sa.create_engine(sqlalchemy_url(granted.owner_url), poolclass=sa.NullPool)
    with owner.connect() as connection:
        rights = "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        assert connection.execute(sa.text(rights)).one() == (False, False, False)
    upgrade(granted.owner_url)
    upgrade(granted.owner_url)

    # everything runs as the other user, who owns nothing
    with living(granted.app_url, redis_url) as live:
        shop = live.shop()
        campaign_id = shop.campaign(stock=3)
        shop.device("anna")
        shop.enter("anna")
        assert shop.decision(campaign_id, "anna")["outcome"] == "offered"
        claimed = shop.server.post("/v1/claims", json={"campaign_id": campaign_id, "device_id": "anna"})
        assert claimed.status_code == 200, claimed.text
        settings = live.api.settings
        scheduler = wiring.scheduler(settings, lambda: None)
        for job in (scheduler.release_expired, scheduler.move_campaigns, scheduler.forget_writes):
            job()
        scheduler._now = lambda: clock.now() + timedelta(days=3)
        scheduler.keep_partitions()
        checks = list(examine(settings, deep=True))
        assert [check for check in checks if not check.ok] == []
        assert {check.name: check.found for check in checks}["sequences"] == "above all numbers"
        system = database(settings, Role.SYSTEM)
        with system.connect() as connection:
            external_id = connection.execute(sa.text("SELECT external_id FROM geofences.devices")).scalar_one()
        begun = begin_erasure(
            system,
            settings=settings,
            tenant_id=shop.tenant.tenant_id,
            external_id=external_id,
            actor="test",
            now=clock.now(),
        )
        go_on(system, position_log(settings), begun.erasure_id, now=clock.now())
        system.dispose()

    given = {"redis_url": redis_url, "redis_prefix": f"test-{secrets.token_hex(6)}", "secret_key": SECRET}
    take(
        Settings.model_validate({**given, "home": tmp_path / "old", "database_url": granted.owner_url}),
        tmp_path / "backup",
        with_key=False,
    )
    restored = Settings.model_validate({**given, "home": tmp_path / "new", "database_url": granted.other_owner_url})
    assert restore(restored, tmp_path / "backup").shards_begun_anew > 0
    owner.dispose()


def test_the_processes_user_can_do_nothing_but_run(granted: Granted) -> None:
    upgrade(granted.owner_url)
    app = sa.create_engine(sqlalchemy_url(granted.app_url), poolclass=sa.NullPool)
    for statement in ("CREATE TABLE public.mine ()", "DROP TABLE geofences.visits", "CREATE SCHEMA mine"):
        with (
            app.connect() as connection,
            pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"),
        ):
            connection.execute(sa.text(statement))
    with app.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM geofences.devices")).scalar() == 0
