"""`lbs device pair`: what it draws, and what it needs to know."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import redis
from typer.testing import CliRunner, Result

from geofences.store import create_devices, create_tenant
from geofences.tables import ConsentSource, Purpose
from lbs.cli import build
from lbs.connections import Role, database
from lbs.runtime import CommandError
from lbs.settings import Settings

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers


@pytest.fixture
def shop(cli: Cli) -> Cli:
    """With a device that has never had a token."""
    settings = Settings.model_validate(
        {"database_url": cli.environment["LBS_DATABASE_URL"], "redis_url": cli.environment["LBS_REDIS_URL"]}
    )
    engine = database(settings, Role.SYSTEM)
    with engine.begin() as connection:
        tenant = create_tenant(connection, name="shop", sandbox=False)
        create_devices(
            connection,
            tenant_id=tenant.tenant_id,
            external_ids=["phone"],
            purposes=[Purpose.LOCATION],
            source=ConsentSource.SERVER,
            at=datetime.now(UTC),
        )
    engine.dispose()
    return cli


def pair(cli: Cli, *arguments: str) -> Result:
    """In this process, which starts faster than another one."""
    command = ["device", "pair", "phone", "--tenant", "shop", *arguments]
    return CliRunner().invoke(build(), command, env={"LBS_PUBLIC_URL": None, **cli.environment})


@pytest.mark.parametrize("app", ["owntracks", "traccar"])
def test_it_draws_the_link_of_one_app(shop: Cli, app: str) -> None:
    shown = pair(shop, "--app", app, "--url", "https://offers.example/")
    assert shown.exit_code == 0, shown.output
    assert "█" in shown.output
    link = {
        "owntracks": r"owntracks:///config\?url=https%3A%2F%2Foffers\.example%2Fv1%2Fpairings%2F[\w-]{22}\.otrc\n",
        "traccar": r"https://offers\.example/v1/positions/osmand\?id=lbs_dt_[\w.-]+\n",
    }[app]
    assert re.search(link, shown.output)
    with redis.Redis.from_url(shop.environment["LBS_REDIS_URL"]) as client:
        kept: Any = list(client.scan_iter(match=f"{shop.environment['LBS_REDIS_PREFIX']}:pairing:*"))
    assert len(kept) == 1


def test_without_an_address_phones_would_not_find_it(shop: Cli) -> None:
    refused = pair(shop)
    assert isinstance(refused.exception, CommandError)
    assert "LBS_PUBLIC_URL" in str(refused.exception)
