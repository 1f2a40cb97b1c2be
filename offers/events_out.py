"""Events out: the loop that sends what waits for webhooks, signed as Standard Webhooks says. A thread of each worker.

A webhook is one worker's at a time, by an advisory lock on the connection that writes what came of it; its devices are
told in order, several devices at once. When something is down: Postgres away - waits and goes on; a receiver away - its
events wait in the rhythm, other receivers are not held up; kill -9 - the lock goes with the connection, another worker
sends again what was not written, with the same ids; NOTIFY lost - a poll later.
"""

from __future__ import annotations

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
import structlog

from geofences.sql import queries
from geofences.wake import Listener
from offers.cloud_events import CONTENT_TYPE
from offers.push import Answer, Retry
from offers.push_status import outcome_of
from offers.push_webhook import STATUSES, parse_secret, sign
from offers.webhook_queue import NEW_WEBHOOK_EVENTS_CHANNEL, Attempt, due_batch, finish

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from offers.push import Outcome
    from offers.push_http import HttpTransport
    from offers.webhook_queue import Batch, Receiver, Waiting

log = structlog.get_logger(__name__)

POLL_S: Final = 0.25
RETRY_S: Final = 1.0
WEBHOOKS_AT_ONCE: Final = 8
LANES: Final = 8
"""Devices that one receiver is told of at once."""
BATCH: Final = 256
BATCH_S: Final = 10.0
"""No attempt of a batch begins later: with the transport's own limit it bounds how long a webhook is held."""
TURN_S: Final = 5.0
"""How long a webhook with much to tell keeps its place before others get theirs."""
REST_S: Final = 5.0
"""How long a receiver is left alone by this worker after a first batch of which nothing arrived."""
MAX_REST_S: Final = 300.0
"""The rest doubles up to this while nothing arrives: receivers that are gone must not hold up those that are not."""
SILENT_FOR: Final = "2min"
"""A worker that stands still in the middle of a batch loses the webhook to others after so long."""


class EventsOut:
    """Tells webhooks what they subscribe to, until it is told to stop; then it writes what is under way."""

    def __init__(
        self,
        *,
        database: sa.Engine,
        transport: HttpTransport,
        unseal: Callable[[bytes], bytes],
        source: str,
        now: Callable[[], datetime],
        on_attempts: Callable[[Sequence[Attempt]], None] = lambda _: None,
        rest_s: float = REST_S,
    ) -> None:
        """`source` is what this installation is called in every event, e.g. its public URL."""
        self._database = database
        self._transport = transport
        self._unseal = unseal
        self._source = source
        self._now = now
        self._on_attempts = on_attempts
        self._rest_s = rest_s
        self._busy: set[int] = set()
        self._rests_until_s: dict[int, float] = {}
        self._rested_s: dict[int, float] = {}
        self._failure: BaseException | None = None

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set and nothing is under way."""
        with (
            ThreadPoolExecutor(WEBHOOKS_AT_ONCE * LANES, thread_name_prefix="lane") as lanes,
            ThreadPoolExecutor(WEBHOOKS_AT_ONCE, thread_name_prefix="webhook") as pool,
        ):
            while not stop.is_set():
                try:
                    with Listener(self._database, NEW_WEBHOOK_EVENTS_CHANNEL) as listener:
                        while not stop.is_set():
                            self._start(pool, lanes, stop)
                            listener.wait(POLL_S)
                except sa.exc.DBAPIError as error:
                    log.warning("events_out.waits", error=type(error).__name__)
                    stop.wait(RETRY_S)
        self._transport.close()
        if self._failure is not None:
            raise self._failure

    def _start(self, pool: ThreadPoolExecutor, lanes: ThreadPoolExecutor, stop: threading.Event) -> None:
        with self._database.connect() as connection:
            due = connection.execute(queries("offers")["webhooks_due"], {"now": self._now()}).scalars().all()
        now_s = time.monotonic()
        for webhook_id in due:
            if webhook_id not in self._busy and self._rests_until_s.get(webhook_id, now_s) <= now_s:
                self._busy.add(webhook_id)
                pool.submit(self._attend, webhook_id, lanes, stop)

    def _attend(self, webhook_id: int, lanes: ThreadPoolExecutor, stop: threading.Event) -> None:
        """One webhook's turn."""
        try:
            self._take_turn(webhook_id, lanes, stop)
        except sa.exc.DBAPIError as error:
            log.warning("events_out.waits", webhook_id=webhook_id, error=type(error).__name__)
            self._rests_until_s[webhook_id] = time.monotonic() + RETRY_S
        except BaseException as error:
            # a worker that tells nobody would look healthy: it ends, and says why
            log.exception("events_out.failed", webhook_id=webhook_id, error=type(error).__name__)
            self._failure = error
            stop.set()
        finally:
            self._busy.discard(webhook_id)

    def _take_turn(self, webhook_id: int, lanes: ThreadPoolExecutor, stop: threading.Event) -> None:
        named = {"webhook_id": webhook_id}
        with self._database.connect() as connection:
            try:
                with connection.begin():
                    held = connection.execute(queries("offers")["hold_webhook"], {**named, "silent_for": SILENT_FOR})
                    if held.scalar_one() is None:
                        return
                over_s = time.monotonic() + TURN_S
                while self._tell(connection, webhook_id, lanes) and time.monotonic() < over_s and not stop.is_set():
                    pass
                with connection.begin():
                    connection.execute(queries("offers")["let_webhook_go"], named)
            except BaseException:
                # the lock must not go back to the pool with it
                connection.invalidate()
                raise

    def _tell(self, connection: sa.Connection, webhook_id: int, lanes: ThreadPoolExecutor) -> bool:
        """One batch; False once there is nothing to send now."""
        with connection.begin():
            batch = due_batch(connection, webhook_id, now=self._now(), limit=BATCH, source=self._source)
        if batch is None:
            return False
        attempts = self._send(batch, lanes)
        with connection.begin():
            paused = finish(connection, batch, attempts, now=self._now(), jitter=random.random())  # noqa: S311
        self._on_attempts(attempts)
        if paused is not None:
            log.warning("webhook.paused", webhook_id=webhook_id, reason=paused)
        if attempts and not any(attempt.delivered for attempt in attempts):
            rest_s = min(self._rested_s.get(webhook_id, self._rest_s / 2) * 2, MAX_REST_S)
            self._rested_s[webhook_id] = rest_s
            self._rests_until_s[webhook_id] = time.monotonic() + rest_s
            return False
        self._rested_s.pop(webhook_id, None)
        return True

    def _send(self, batch: Batch, lanes: ThreadPoolExecutor) -> list[Attempt]:
        """No transaction is open meanwhile."""
        devices = {device_id: i for i, device_id in enumerate(dict.fromkeys(e.device_id for e in batch.events))}
        over_s = time.monotonic() + BATCH_S

        def tell(lane: int) -> list[Attempt]:
            told: list[Attempt] = []
            for event in batch.events:
                if devices[event.device_id] % LANES == lane:
                    if time.monotonic() > over_s:
                        break
                    told.append(self._attempt(batch.receiver, event))
                    if not told[-1].delivered:
                        # what comes after may be of the same device; the rest is still due
                        break
            return told

        return [attempt for told in lanes.map(tell, range(min(LANES, len(devices)))) for attempt in told]

    def _attempt(self, receiver: Receiver, event: Waiting) -> Attempt:
        at = self._now()
        began_s = time.monotonic()
        status = None
        outcome: Outcome
        try:
            answer = self._transport.post(receiver.url, headers=self._headers(receiver, event, at), body=event.body)
            if isinstance(answer, Answer):
                status, outcome = answer.status, outcome_of(answer, STATUSES, now=self._now())
            else:
                outcome = answer
        except Exception as error:  # noqa: BLE001 - whatever it is, the event must be accounted for
            # e.g. the installation's key was changed, and the secrets cannot be read any more
            log.error("sender.broken", channel="webhook", error=type(error).__name__)  # noqa: TRY400
            outcome = Retry(reason="sender_broken", may_have_arrived=True)
        duration_ms = (time.monotonic() - began_s) * 1000
        return Attempt(event=event, at=at, duration_ms=duration_ms, status=status, outcome=outcome)

    def _headers(self, receiver: Receiver, event: Waiting, at: datetime) -> dict[str, str]:
        secrets = [parse_secret(self._unseal(sealed).decode()) for sealed in receiver.sealed]
        timestamp_s = math.floor(at.timestamp())
        return {
            "Content-Type": CONTENT_TYPE,
            "webhook-id": event.event_id,
            "webhook-timestamp": str(timestamp_s),  # of this attempt: receivers refuse old ones as replayed
            "webhook-signature": sign(secrets, message_id=event.event_id, timestamp_s=timestamp_s, body=event.body),
        }
