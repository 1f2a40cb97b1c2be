"""Listening: woken, not woken, and told when the server is gone, in the words that every loop waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from geofences.wake import Listener
from lbs.connections import sqlalchemy_url

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers


@pytest.fixture
def database(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(sqlalchemy_url(database_url))
    yield engine
    engine.dispose()


def test_a_notification_wakes_and_silence_does_not(database: sa.Engine) -> None:
    with Listener(database, "lbs_test_wake") as listener:
        assert not listener.wait(0.01)
        with database.begin() as connection:
            connection.execute(sa.text("NOTIFY lbs_test_wake"))
        assert listener.wait(5)
        assert not listener.wait(0.01)


def test_a_server_that_ends_the_session_is_an_error_of_the_database(database: sa.Engine) -> None:
    with Listener(database, "lbs_test_wake") as listener:
        with database.begin() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": listener._raw.info.backend_pid})
        with pytest.raises(sa.exc.DBAPIError):
            _wait_again_and_again(listener)


def _wait_again_and_again(listener: Listener) -> None:
    """The server's last words may come before the end of its connection."""
    for _ in range(10):
        listener.wait(1)
