"""Texts and devices from before there were templates and vouching go on as they were."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from lbs.connections import sqlalchemy_url
from migrations import downgrade, upgrade
from offers.definition import CampaignDefinition
from offers.templates import Placeholder, fill

pytestmark = pytest.mark.servers

BEFORE = {
    "name": "x",
    "offer": {"kind": "gift"},
    "windows": {"first_day": "2026-06-10", "last_day": "2026-06-12"},
    "creatives": [{"locale": "fi", "title": "{store}: {20} %"}, {"title": "plain", "body": "a { and a }"}],
}


def test_texts_of_before_say_what_they_said(fresh_database_url: str) -> None:
    url = sqlalchemy_url(fresh_database_url).render_as_string(hide_password=False)
    downgrade(url, "0006")
    engine = sa.create_engine(url, connect_args={"options": "-c search_path=public"})
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO geofences.tenants (name) VALUES ('acme')"))
        connection.execute(
            sa.text(
                "INSERT INTO geofences.devices (device_id, tenant_id, external_id, external_user_id)"
                " SELECT 1, tenant_id, 'phone', 'anna' FROM geofences.tenants"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO offers.campaigns (tenant_id, name, trigger_type, definition, created_by, updated_by)"
                " SELECT tenant_id, 'x', 'enter', CAST(:said AS jsonb), 'a', 'a' FROM geofences.tenants"
            ),
            {"said": json.dumps(BEFORE)},
        )
    upgrade(url)
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT definition, starts_at, ends_at FROM offers.campaigns")).one()
        vouched = connection.execute(sa.text("SELECT user_vouched FROM geofences.devices")).scalar_one()
    definition = CampaignDefinition.model_validate(row.definition)
    said = [fill(text, {Placeholder.STORE: "Joe's"}) for one in definition.creatives for text in (one.title, one.body)]
    assert said == ["Joe's: {20} %", "", "plain", "a { and a }"]
    assert [creative.locale for creative in definition.creatives] == ["fi", "en"]
    assert (row.starts_at, row.ends_at) == (definition.windows.starts_at, definition.windows.ends_at)
    assert vouched is True
    downgrade(url, "0006")
    with engine.connect() as connection:
        back = connection.execute(sa.text("SELECT definition -> 'creatives' -> 0 ->> 'title' FROM offers.campaigns"))
        assert back.scalar_one() == "{store}: {20} %"
    engine.dispose()
