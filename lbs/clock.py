"""The only place that reads the wall clock; everything else is handed `now`."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, aware, UTC."""
    return datetime.now(UTC)
