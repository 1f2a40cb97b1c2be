"""kill -9 of a worker between sending and committing: everything is told, some of it twice, with the same ids."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from lbs.connections import sqlalchemy_url
from lbs.secrets import Vault
from lbs.settings import Settings
from offers.tables import webhooks
from tests.support.api import wait_for
from tests.support.data import PROJECT
from tests.support.events_out import EventReceiver, Happenings, telling
from tests.support.receivers import EXAMPLE_SECRET, Slow

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

SECRET_KEY = "a secret that only the tests know, and nobody else"
SOURCE = "https://lbs.example"
"""As the loop of this process is called too."""
EVENTS = 120
KILLED_AFTER = 40


def test_a_killed_worker_loses_nothing_and_repeats_with_the_same_ids(cli: Cli) -> None:
    cli.environment.update(
        {"LBS_SECRET_KEY": SECRET_KEY, "LBS_ALLOW_PRIVATE_ADDRESSES": "true", "LBS_PUBLIC_URL": SOURCE}
    )
    engine = sa.create_engine(sqlalchemy_url(cli.environment["LBS_DATABASE_URL"]))
    world = Happenings.begin(engine, "anna", "bert")
    vault = Vault(Settings.model_validate({"secret_key": SECRET_KEY}))
    sealed = vault.seal(EXAMPLE_SECRET.encode())
    with EventReceiver() as receiver:
        world.webhook(receiver.hook, "visit.*")
        with engine.begin() as connection:
            connection.execute(sa.update(webhooks).values(secrets=[sealed]))
        for number in range(1, EVENTS + 1, 2):
            world.enter("anna", number)
            world.enter("bert", number + 1)
        receiver.misbehave(*[Slow(seconds=0.02)] * EVENTS)
        killed = subprocess.Popen(cli.command("worker"), env=cli.environment, cwd=PROJECT)
        try:
            wait_for(lambda: len(receiver.received) >= KILLED_AFTER)
        finally:
            killed.kill()
            killed.wait()
        sent = set(receiver.ids)
        left = {f"event-{row[0]}" for row in world.rows("SELECT ref_id FROM offers.webhook_events")}
        assert sent & left, "it was killed after sending and before committing"
        with telling(cli.environment["LBS_DATABASE_URL"], unseal=vault.unseal):
            wait_for(lambda: world.rows("SELECT count(*) FROM offers.webhook_events") == [(0,)])
    engine.dispose()
    assert set(receiver.ids) == {f"event-{number}" for number in range(1, EVENTS + 1)}
    assert len(receiver.ids) > EVENTS
    first: dict[str, bytes] = {}
    for event in receiver.received:
        assert first.setdefault(event.message_id, event.raw) == event.raw
    for device, remainder in (("anna", 1), ("bert", 0)):
        told = [int(id_.removeprefix("event-")) for id_ in first]
        mine = [number for number in told if number % 2 == remainder]
        assert mine == sorted(mine), device
