"""`lbs webhook replay`: queues what became known in a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from lbs import clock
from lbs.connections import sqlalchemy_url
from tests.support.events_out import Happenings

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers


def test_a_replay_by_command_queues_what_the_route_would(cli: Cli) -> None:
    engine = sa.create_engine(sqlalchemy_url(cli.environment["LBS_DATABASE_URL"]), poolclass=sa.NullPool)
    world = Happenings.begin(engine, "anna")
    webhook_id = world.webhook("https://partner.example/a")
    world.enter("anna", 1, 2)
    since = (clock.now() - timedelta(hours=1)).isoformat()
    wanted = ("--since", since, "--types", "visit.entered,decision.*")
    made = cli.json("webhook", "replay", webhook_id, "--tenant", "told", *wanted)
    assert made == {"webhook_id": str(webhook_id), "queued": 2, "paused_reason": None}
    assert world.rows("SELECT ref_id FROM offers.webhook_events ORDER BY seq") == [(1,), (2,)]
