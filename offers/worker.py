"""The notification worker: one thread decides, one feeds the senders; providers are spoken to by a pool.

When something is down: Postgres away - both threads wait and go on; a provider away - its messages are queued again
with backoff until they end, the others are not held up; kill -9 - a decision's transaction did not happen and happens
again, a message in flight goes again with the same id after its lease; two workers - rows are claimed with SKIP LOCKED.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from geofences.visits import NEW_EVENTS_CHANNEL
from geofences.wake import Listener
from offers import outbox
from offers.decisions import NEW_NOTIFICATIONS_CHANNEL, Answer
from offers.model import NotificationState
from offers.outbox import Claimed, Finished
from offers.push import ChannelType, Outcome, PushSender, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from offers.decider import Decider

log = structlog.get_logger(__name__)

POLL_S = 0.25
RETRY_S = 1.0
IN_FLIGHT = 64
"""Messages at providers at once; also the size of the pool."""
CLAIM_AT_MOST = 256
RECLAIM_EVERY_S = 5.0


class Worker:
    """Decides and delivers until it is told to stop; then it finishes what is in flight."""

    def __init__(
        self,
        *,
        database: sa.Engine,
        decider: Decider,
        senders: Mapping[ChannelType, PushSender],
        unseal: Callable[[bytes], bytes],
        now: Callable[[], datetime],
        beat: Callable[[], None],
        on_decided: Callable[[Sequence[Answer]], None] = lambda _: None,
        on_finished: Callable[[Sequence[Finished]], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._decider = decider
        self._senders = senders
        self._unseal = unseal
        self._now = now
        self._beat = beat
        self._on_decided = on_decided
        self._on_finished = on_finished
        self._results: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._in_flight = 0
        self._failure: BaseException | None = None
        self._reclaimed_s = -RECLAIM_EVERY_S

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set and nothing is in flight."""
        deciding = threading.Thread(target=self._decide_until, args=(stop,), name="decider")
        deciding.start()
        with ThreadPoolExecutor(max_workers=IN_FLIGHT, thread_name_prefix="sender") as pool:
            self._until(stop, NEW_NOTIFICATIONS_CHANNEL, lambda: self._deliver(pool, stop))
            while self._in_flight:
                self._finish(wait_s=POLL_S)
        deciding.join()
        for sender in self._senders.values():
            sender.close()
        if self._failure is not None:
            raise self._failure

    def _decide_until(self, stop: threading.Event) -> None:
        try:
            self._until(stop, NEW_EVENTS_CHANNEL, lambda: self._decider.work(self._on_decided))
        except BaseException as error:
            # a worker that only delivers would look healthy: it ends, and says why
            log.exception("worker.decider_failed", error=type(error).__name__)
            self._failure = error
            stop.set()

    def _until(self, stop: threading.Event, channel: str, work: Callable[[], int]) -> None:
        """Works whenever woken, and every poll interval; waits out a database that is away."""
        while not stop.is_set():
            try:
                with Listener(self._database, channel) as listener:
                    while not stop.is_set():
                        busy = work()
                        self._beat()
                        if not busy:
                            listener.wait(self._patience_s())
            except sa.exc.DBAPIError as error:
                log.warning("worker.waits", error=type(error).__name__, for_=channel)
                stop.wait(RETRY_S)

    def _patience_s(self) -> float:
        """While answers of providers are due, look for them often."""
        return 0.005 if self._in_flight else POLL_S

    def _deliver(self, pool: ThreadPoolExecutor, stop: threading.Event) -> int:
        """One round: write what attempts came to, claim more, start them. Answers how many it claimed or finished."""
        finished = self._finish(wait_s=0)
        if time.monotonic() - self._reclaimed_s > RECLAIM_EVERY_S:
            self._reclaimed_s = time.monotonic()
            with self._database.begin() as connection:
                again = outbox.reclaim(connection, now=self._now())
            if again:
                log.warning("worker.reclaimed", notifications=again)
        # none is claimed to wait for a sender: it would go even to who takes the consent back meanwhile
        room = min(IN_FLIGHT - self._in_flight, CLAIM_AT_MOST)
        if room <= 0 or stop.is_set():
            return finished
        with self._database.begin() as connection:
            claimed = outbox.claim(connection, now=self._now(), limit=room, unseal=self._unseal)
        self._start(pool, claimed)
        return finished + len(claimed)

    def _start(self, pool: ThreadPoolExecutor, claimed: Sequence[Claimed]) -> None:
        """Inbox messages and those that must not be sent any more end at once; the others go to their senders."""
        inbox = []
        ended = []
        for message in claimed:
            sender = self._senders.get(message.channel)
            if message.unsendable is not None:
                state, reason = message.unsendable
                ended.append(Finished(claimed=message, state=state, reason=reason))
            elif message.channel is ChannelType.INBOX:
                inbox.append(message)
            elif sender is None:
                ended.append(outbox.judge(message, Retry(reason="no_sender"), now=self._now(), jitter=0.0))
            else:
                self._in_flight += 1
                pool.submit(self._attempt, sender, message)
        if inbox or ended:
            with self._database.begin() as connection:
                outbox.put_in_inbox(connection, inbox, now=self._now())
                outbox.finish(connection, ended, now=self._now())
            delivered = [Finished(claimed=message, state=NotificationState.SENT, reason=None) for message in inbox]
            self._on_finished([*delivered, *ended])

    def _attempt(self, sender: PushSender, message: Claimed) -> None:
        """Runs in the pool. A sender that breaks its promise not to raise costs one attempt, not the worker."""
        try:
            outcome: Outcome = sender.send(message.message, message.address, now=self._now())
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must be accounted for
            # the traceback could show an address: its kind and the sender's name must do
            log.error("sender.broken", channel=message.channel, error=type(error).__name__)  # noqa: TRY400
            outcome = Retry(reason="sender_broken", may_have_arrived=True)
        self._results.put(outbox.judge(message, outcome, now=self._now(), jitter=random.random()))  # noqa: S311

    def _finish(self, *, wait_s: float) -> int:
        batch: list[Finished] = []
        try:
            batch.append(self._results.get(timeout=wait_s) if wait_s else self._results.get_nowait())
            while len(batch) < CLAIM_AT_MOST:
                batch.append(self._results.get_nowait())
        except queue.Empty:
            pass
        if batch:
            try:
                with self._database.begin() as connection:
                    outbox.finish(connection, batch, now=self._now())
            except sa.exc.DBAPIError:
                for finished in batch:
                    self._results.put(finished)
                raise
            self._in_flight -= len(batch)
            self._on_finished(batch)
        return len(batch)
