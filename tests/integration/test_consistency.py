"""The doctor calls ledgers that agree so, and names each that is made to disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from lbs import clock
from lbs.connections import sqlalchemy_url
from lbs.consistency import DEEP, QUICK, examine_ledgers, examine_sequences
from lbs.diagnosis import examine
from lbs.erasure import KEPT_WITHOUT_DEVICE, STEPS
from lbs.secrets import Vault
from lbs.settings import Settings
from lbs.sql import block
from lbs.wiring import code_book
from offers.claiming import claim
from offers.tables import webhooks
from tests.support.road import HELSINKI, open_road

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbs.checks import Check

pytestmark = pytest.mark.servers

SECRET = "a secret that only the tests know, and nobody else"
SETTINGS = Settings.model_validate({"secret_key": SECRET})


@pytest.fixture(scope="module")
def ledgers(new_database_url: Callable[[], str], redis_url: str) -> Iterator[sa.Engine]:
    """Somebody entered a shop, was offered something, and claimed it."""
    url = new_database_url()
    with open_road(url, redis_url, "test-consistency", clock=clock.now) as road:
        road.store("s1")
        euros = {"kind": "amount", "value": 2, "currency": "EUR"}
        campaign_id = road.campaign(stock=10, offer=euros, budget={"total": 50, "currency": "EUR"})
        anna = road.device("anna")
        road.report(anna, HELSINKI)
        road.eventually("SELECT state FROM offers.notifications", [("sent",)])
        with road.database.begin() as connection:
            sealed = [Vault(SETTINGS).seal(b"whsec_x")]
            hook = {"tenant_id": road.tenant_id, "url": "https://example.org/hook", "secrets": sealed}
            connection.execute(sa.insert(webhooks).values(**hook))
            claim(
                connection,
                tenant_id=road.tenant_id,
                device_id=anna,
                campaign_id=campaign_id,
                store_id=None,
                book=code_book(SETTINGS),
                now=clock.now(),
            )
    engine = sa.create_engine(sqlalchemy_url(url))
    yield engine
    engine.dispose()


def examined(connection: sa.Connection, settings: Settings = SETTINGS) -> dict[str, Check]:
    checks = [*examine_ledgers(connection, settings, deep=True), examine_sequences(connection, connection)]
    return {check.name: check for check in checks}


def doubtful(connection: sa.Connection, settings: Settings = SETTINGS) -> set[str]:
    return {name for name, check in examined(connection, settings).items() if not check.ok}


def test_ledgers_that_agree_are_said_to(ledgers: sa.Engine) -> None:
    with ledgers.connect() as connection:
        checks = examined(connection)
    assert [check for check in checks.values() if not check.ok] == []
    assert {question.name for question in (*QUICK, *DEEP)} < set(checks)
    assert checks["sealed secrets"].found == "2 looked at, all open"
    assert checks["sequences"].found == "above all numbers"


CORRUPTED = {
    "cursors": "UPDATE offers.cursors SET seq = 1000000 WHERE shard = 7",
    "event numbers": "UPDATE geofences.shards SET seq = 0",
    "open visits": (
        "INSERT INTO geofences.visits"
        " SELECT (jsonb_populate_record(v, '{\"visit_id\": 1}')).* FROM geofences.visits AS v"
    ),
    "events": "INSERT INTO geofences.events SELECT * FROM geofences.events",
    "decisions": "INSERT INTO offers.decisions SELECT * FROM offers.decisions",
    "decided events": "UPDATE geofences.events SET event_id = event_id + 1",
    "reservations": (
        "INSERT INTO offers.reservations"
        " SELECT (jsonb_populate_record(r, '{\"decision_id\": 1}')).* FROM offers.reservations AS r"
    ),
    "offers": "UPDATE offers.decisions SET decision_id = decision_id + 1",
    "stock": "UPDATE offers.campaigns SET reserved = reserved + 1",
    "budgets": "UPDATE offers.budgets SET reserved = reserved - 1",
    "notifications": "UPDATE offers.notifications SET state = 'sending', lease_until = NULL",
    "claims": "UPDATE offers.claims SET state = 'redeemed'",
    "zones in use": "UPDATE geofences.stores SET timezone = 'Europe/Atlantis'",
    "sealed secrets": "UPDATE offers.webhooks SET secrets = ARRAY[decode(repeat('00', 40), 'hex')]",
    "sequences": (
        "INSERT INTO geofences.tenants OVERRIDING SYSTEM VALUE"
        " SELECT 1000000, 'another', sandbox, created_at, approval FROM geofences.tenants"
    ),
}


@pytest.mark.parametrize("name", CORRUPTED)
def test_what_was_corrupted_by_hand_is_named(ledgers: sa.Engine, name: str) -> None:
    with ledgers.connect() as connection, connection.begin() as transaction:
        changed = connection.execute(sa.text(CORRUPTED[name]))
        assert changed.rowcount > 0
        check = examined(connection)[name]
        transaction.rollback()
    assert not check.ok
    assert check.advice
    assert not check.found.startswith("agree")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE offers.notifications SET lease_until = now()",
        "UPDATE offers.notifications SET decision_id = 1",
    ],
)
def test_every_message_in_an_impossible_state_is_found(ledgers: sa.Engine, statement: str) -> None:
    with ledgers.connect() as connection, connection.begin() as transaction:
        connection.execute(sa.text(statement))
        assert doubtful(connection) == {"notifications"}
        transaction.rollback()


def test_every_question_has_its_corruption() -> None:
    assert {question.name for question in (*QUICK, *DEEP)} <= set(CORRUPTED)


def test_another_key_is_noticed(ledgers: sa.Engine) -> None:
    other = Settings.model_validate({"secret_key": "a secret of another installation than the one of before"})
    with ledgers.connect() as connection:
        assert doubtful(connection, other) == {"sealed secrets"}


def test_an_erased_device_leaves_ledgers_that_agree(ledgers: sa.Engine) -> None:
    with ledgers.connect() as connection, connection.begin() as transaction:
        row = connection.execute(sa.text("SELECT tenant_id, device_id FROM geofences.devices")).one()
        who = {"tenant_id": row.tenant_id, "device_id": row.device_id, "user_key": 0, "shard": 0}
        who |= {"packed": b"no entry", "written": b"no entry"}
        for name in (*(f"unname_{table}" for table in KEPT_WITHOUT_DEVICE), *(f"erase_{table}" for table in STEPS)):
            connection.execute(block(name), {one: who[one] for one in block(name)._bindparams})
        assert doubtful(connection) == set()
        transaction.rollback()


def test_servers_that_are_away_are_said_to_be() -> None:
    away = {"database_url": "postgresql://nobody@127.0.0.1:1/lbs", "redis_url": "redis://127.0.0.1:1/0"}
    checks = {check.name: check for check in examine(Settings.model_validate({**away, "secret_key": SECRET}))}
    for name in ("postgresql", "redis", "lag"):
        assert not checks[name].ok
        assert "refused" in checks[name].found
        assert checks[name].advice
