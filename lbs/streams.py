"""Inbox streams: one thread listens for new inbox messages and hands them to the open streams of this process.

A client that was away resumes with `Last-Event-ID`: what it missed comes from Postgres, so nothing depends on this
process having lived in between. Postgres away: the streams stay open and quiet, and catch up when it is back.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from geofences.sql import queries
from geofences.wake import Listener
from lbs.sql import block
from offers.inbox import InboxItem, arrived_after
from offers.outbox import NEW_INBOX_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from geofences.model import DeviceId

log = structlog.get_logger(__name__)

POLL_S = 1.0
RETRY_S = 1.0


class Stream:
    """One open stream: the items of one device that came after `seq`. Items arrive on the event loop."""

    def __init__(self, device_id: DeviceId, seq: int) -> None:
        self.device_id = device_id
        self.seq = seq
        self.items: asyncio.Queue[InboxItem | None] = asyncio.Queue()
        """None ends the stream."""
        self.loop = asyncio.get_running_loop()

    def put(self, item: InboxItem) -> None:
        """From the listener's thread."""
        if item.seq > self.seq:
            self.seq = item.seq
            self.loop.call_soon_threadsafe(self.items.put_nowait, item)

    def end(self) -> None:
        """From any thread."""
        self.loop.call_soon_threadsafe(self.items.put_nowait, None)


class StreamHub:
    """All open streams of this process, fed by one query a wake."""

    def __init__(self, database: sa.Engine, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._streams: dict[DeviceId, set[Stream]] = defaultdict(set)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def open(self, device_id: DeviceId, *, after: int) -> Stream:
        """A stream of what arrives after `after`; what arrived before this call is sent at the next look."""
        stream = Stream(device_id, after)
        with self._lock:
            self._streams[device_id].add(stream)
        return stream

    def is_open(self, device_id: DeviceId) -> bool:
        with self._lock:
            return device_id in self._streams

    def end_erased(self, connection: sa.Connection, device_ids: Sequence[int] | None) -> None:
        """Ends the streams of those of the devices that are gone; None: of any."""
        with self._lock:
            asked = self._streams.keys() if device_ids is None else self._streams.keys() & set(device_ids)
            open_ = {device_id: tuple(self._streams[device_id]) for device_id in asked}
        if not open_:
            return
        left = set(connection.execute(block("devices_left"), {"device_ids": sorted(open_)}).scalars())
        for device_id in open_.keys() - left:
            for stream in open_[device_id]:
                stream.end()

    def newest(self) -> int:
        """The newest message of anybody: a stream without a memory of its own begins after it."""
        with self._database.connect() as connection:
            return int(connection.execute(queries("offers")["newest_inbox_seq"]).scalar_one())

    def close(self, stream: Stream) -> None:
        with self._lock:
            self._streams[stream.device_id].discard(stream)
            if not self._streams[stream.device_id]:
                del self._streams[stream.device_id]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with Listener(self._database, NEW_INBOX_CHANNEL) as listener:
                    while not self._stop.is_set():
                        self._deliver()
                        listener.wait(POLL_S)
            except sa.exc.DBAPIError as error:
                log.warning("streams.wait", error=type(error).__name__)
                self._stop.wait(RETRY_S)

    def _deliver(self) -> None:
        with self._lock:
            streams = {device_id: tuple(open_) for device_id, open_ in self._streams.items()}
        if not streams:
            return
        after = min(stream.seq for open_ in streams.values() for stream in open_)
        with self._database.connect() as connection:
            items = arrived_after(connection, list(streams), after=after, now=self._now())
        for item in items:
            for stream in streams[item.device_id]:  # type: ignore[index]
                stream.put(item)
