"""What operators see: one JSON line a request and an event, and the numbers at `/metrics`.

Nothing here is handed a key, a query string, a body or a coordinate, so nothing here can write one.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from typing import TextIO

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def configure_logging(level: str, *, stream: TextIO | None = None) -> None:
    """JSON lines on standard error; called once, by the command line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def hear_libraries() -> None:
    """Of libraries only what is wrong, as lines like ours; called once, by a process."""
    heard = logging.StreamHandler(sys.stderr)
    heard.setFormatter(JsonLines())
    logging.basicConfig(level="WARNING", handlers=[heard])
    logging.getLogger("uvicorn.error").setLevel("INFO")  # says where it listens: the port may be a free one


class JsonLines(logging.Formatter):
    """What a library says, as a line like ours. Of an error only its kind: its text may quote what it was about."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, sort_keys=True)


class Metrics:
    """The numbers of one API process, in a registry of their own, so that two apps in one test do not meet."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.request_seconds = Histogram(
            "lbs_http_request_seconds",
            "Time to answer, by route.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self.positions_accepted = Counter(
            "lbs_positions_accepted", "Positions that the log has taken.", registry=registry
        )
        self.positions_rejected = Counter(
            "lbs_positions_rejected", "Positions that were refused, by reason.", ["reason"], registry=registry
        )
        self.log_bytes = Gauge("lbs_log_bytes", "Memory of the position log in Redis, by samples.", registry=registry)
        self.log_entries = Gauge("lbs_log_entries", "Entries in the position log.", registry=registry)
        self.server_up = Gauge("lbs_server_up", "Whether a server answers this process.", ["server"], registry=registry)
        self.memory_age_s = Gauge("lbs_memory_age_seconds", "Since the snapshots were in step.", registry=registry)
        self.memory_size = Gauge("lbs_memory_size", "Things held in memory, by kind.", ["kind"], registry=registry)

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self.registry)
