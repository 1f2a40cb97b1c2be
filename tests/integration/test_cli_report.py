"""`lbs campaign report`: a campaign's funnel for people and for scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from geofences.model import TenantId
from lbs.connections import sqlalchemy_url
from offers.store import create_campaign
from offers.tables import decisions
from tests.support.offers import campaign

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

AT = datetime(2026, 6, 1, 21, 30, tzinfo=UTC)


def test_a_report_is_told_in_all_and_by_day(cli: Cli) -> None:
    tenant_id = TenantId(cli.tenant("acme"))
    engine = sa.create_engine(sqlalchemy_url(cli.environment["LBS_DATABASE_URL"]), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT geofences.make_partitions('2026-06-01', '2026-06-01')"))
        campaign_id = create_campaign(
            connection, tenant_id=tenant_id, definition=campaign().definition, created_by="test", now=AT
        )
        common = {
            "tenant_id": tenant_id, "shard": 0, "campaign_id": campaign_id, "campaign_version": 1, "device_id": 7,
            "trigger_type": "enter", "gates": [], "facts": {}, "event_at": AT, "decided_at": AT,
        }  # fmt: skip
        answers = [("offered", None), ("suppressed", "cap"), ("suppressed", "cap")]
        connection.execute(
            sa.insert(decisions),
            [{**common, "decision_id": i, "outcome": out, "reason": why} for i, (out, why) in enumerate(answers)],
        )
    found = cli.json("campaign", "report", campaign_id, "--tenant", "acme", "--by", "day")
    assert (found["funnel"]["decided"], found["funnel"]["suppressed_by"]) == (3, {"cap": 2})
    assert [(item["period"], item["decided"]) for item in found["items"]] == [("2026-06-01", 3)]
    lines = cli.ok("campaign", "report", campaign_id, "--tenant", "acme", "--by", "day").splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["decided", "3"],
        ["held_out", "0"],
        ["suppressed", "2"],
        ["cap", "2"],
    ]
    assert lines[-1].split() == ["2026-06-01", "3", "1", "0", "0", "withheld", "0", "0"]
