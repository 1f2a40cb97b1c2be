"""Being woken by NOTIFY. A wake says only "look": losing one costs a poll interval, never work."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Self

import psycopg2
import sqlalchemy as sa

if TYPE_CHECKING:
    from types import TracebackType


class Listener:
    """Listens on one channel over a connection of its own."""

    def __init__(self, database: sa.Engine, channel: str) -> None:
        self._database = database
        self._channel = channel

    def __enter__(self) -> Self:
        self._connection = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection.execute(sa.text(f"LISTEN {self._channel}"))
        self._raw: Any = self._connection.connection.driver_connection
        return self

    def __exit__(
        self, type_: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # a connection that listens must not go back to the pool
        self._connection.invalidate()
        self._connection.close()

    def wait(self, timeout_s: float) -> bool:
        """True if woken within `timeout_s`; OperationalError if the server is gone."""
        raw = self._raw
        if select.select([raw], [], [], timeout_s) == ([], [], []):
            return False
        try:
            raw.poll()
        except psycopg2.Error as error:
            # as any other statement of SQLAlchemy would say it
            raise sa.exc.OperationalError("LISTEN", None, error) from error
        woken = bool(raw.notifies)
        raw.notifies.clear()
        return woken
