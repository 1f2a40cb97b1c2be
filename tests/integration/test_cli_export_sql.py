"""The SQL of the exports plans."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from geofences.sql import queries
from lbs.connections import sqlalchemy_url
from lbs.exports import COLUMNS

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("name", queries("lbs.commands"))
def test_every_block_plans_as_the_role_that_runs_it(database_url: str, name: str) -> None:
    engine = sa.create_engine(sqlalchemy_url(database_url), connect_args={"options": "-c role=lbs_system"})
    statement = sa.text(f"EXPLAIN {queries('lbs.commands')[name].text}")
    with engine.connect() as connection:
        assert connection.execute(statement, {"tenant_id": 1}).all()
    engine.dispose()


def test_every_export_has_its_block() -> None:
    assert set(queries("lbs.commands")) == {f"export_{what}" for what in COLUMNS}
