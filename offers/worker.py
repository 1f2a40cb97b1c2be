"""The notification worker: one thread decides, one claims and writes down; a third speaks to all providers at once.

When something is down: Postgres away - both threads wait and go on; a provider away - its messages are queued again
with backoff until they end, the others are not held up; kill -9 - a decision's transaction did not happen and happens
again, a message in flight goes again with the same id after its lease; two workers - rows are claimed with SKIP LOCKED.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from geofences.visits import NEW_EVENTS_CHANNEL
from geofences.wake import Listener
from offers import outbox
from offers.decisions import NEW_NOTIFICATIONS_CHANNEL, Answer
from offers.lanes import Lanes
from offers.model import NotificationState
from offers.outbox import Claimed, Claims, Finished
from offers.push import ChannelPaused, ChannelType, Outcome, PushSender, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from offers.decider import Decider
    from offers.push_http import HttpTransport

log = structlog.get_logger(__name__)

POLL_S = 0.25
RETRY_S = 1.0
IN_FLIGHT = 1024
"""Messages at providers at once, in all lanes."""
CLAIM_AT_MOST = 256
RECLAIM_EVERY_S = 5.0
SLOW_DOWN_S = 5.0
"""How long a lane rests whose provider asks for less and does not say how long."""
ONE_ACCOUNT = frozenset({ChannelType.APNS, ChannelType.FCM})
"""Channels whose lane is one account: if its credentials are refused for one message, they are for all. A push service
may refuse one endpoint only, which anybody can bring."""


class Worker:
    """Decides and delivers until it is told to stop; then it finishes what is in flight."""

    def __init__(
        self,
        *,
        database: sa.Engine,
        decider: Decider,
        senders: Mapping[ChannelType, PushSender],
        transport: HttpTransport,
        unseal: Callable[[bytes], bytes],
        now: Callable[[], datetime],
        beat: Callable[[], None],
        on_decided: Callable[[Sequence[Answer]], None] = lambda _: None,
        on_finished: Callable[[Sequence[Finished]], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._decider = decider
        self._senders = senders
        self._transport = transport
        self._lanes = Lanes()
        self._claims = Claims(unseal=unseal, lanes=self._lanes)
        self._now = now
        self._beat = beat
        self._on_decided = on_decided
        self._on_finished = on_finished
        self._results: queue.SimpleQueue[tuple[Claimed, Outcome]] = queue.SimpleQueue()
        self._unwritten: list[Finished] = []
        self._in_flight = 0
        self._failure: BaseException | None = None
        self._reclaimed_s = -RECLAIM_EVERY_S
        self._look_again_s = 0.0

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set and nothing is in flight."""
        deciding = threading.Thread(target=self._decide_until, args=(stop,), name="decider")
        deciding.start()
        self._until(stop, NEW_NOTIFICATIONS_CHANNEL, lambda woken: self._deliver(stop, woken))
        while self._in_flight:
            self._finish(wait_s=POLL_S)
        deciding.join()
        self._transport.close()
        if self._failure is not None:
            raise self._failure

    def _decide_until(self, stop: threading.Event) -> None:
        try:
            self._until(stop, NEW_EVENTS_CHANNEL, lambda _: self._decider.work(self._on_decided))
        except BaseException as error:
            # a worker that only delivers would look healthy: it ends, and says why
            log.exception("worker.decider_failed", error=type(error).__name__)
            self._failure = error
            stop.set()

    def _until(self, stop: threading.Event, channel: str, work: Callable[[bool], int]) -> None:
        """Works whenever woken, which it tells, and every poll interval; waits out a database that is away."""
        while not stop.is_set():
            try:
                with Listener(self._database, channel) as listener:
                    woken = True
                    while not stop.is_set():
                        busy = work(woken)
                        self._beat()
                        woken = listener.wait(0 if busy else self._patience_s())
            except sa.exc.DBAPIError as error:
                log.warning("worker.waits", error=type(error).__name__, for_=channel)
                stop.wait(RETRY_S)

    def _patience_s(self) -> float:
        """While answers of providers are due, look for them often."""
        return 0.005 if self._in_flight else POLL_S

    def _deliver(self, stop: threading.Event, woken: bool) -> int:  # noqa: FBT001 - as it is told
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
        look = woken or time.monotonic() >= self._look_again_s or (finished and self._claims.cut_short)
        if room <= 0 or stop.is_set() or not look:
            return finished
        try:
            with self._database.begin() as connection:
                claimed = self._claims.claim(connection, now=self._now(), now_s=time.monotonic(), limit=room)
                inbox = [message for message in claimed if _is_for_inbox(message)]
                outbox.put_in_inbox(connection, inbox, now=self._now())
        except BaseException:
            self._claims.undo()
            raise
        self._look_again_s = 0 if claimed and self._claims.cut_short else time.monotonic() + POLL_S
        self._on_finished([Finished(claimed=one, state=NotificationState.SENT, reason=None) for one in inbox])
        self._start([message for message in claimed if not _is_for_inbox(message)])
        return finished + len(claimed)

    def _start(self, claimed: Sequence[Claimed]) -> None:
        """Messages that must not be sent any more end at once; the others go to their senders."""
        ended = []
        for message in claimed:
            sender = self._senders.get(message.channel)
            if message.unsendable is not None:
                state, reason = message.unsendable
                ended.append(Finished(claimed=message, state=state, reason=reason))
            elif message.unreadable:
                self._lanes.leave(message.lane)
                paused = ChannelPaused(reason="unreadable_secret", scope=message.lane)
                ended.append(outbox.judge(message, paused, now=self._now(), jitter=0.0))
            elif sender is None:
                self._lanes.leave(message.lane)
                ended.append(outbox.judge(message, Retry(reason="no_sender"), now=self._now(), jitter=0.0))
            else:
                self._in_flight += 1
                self._attempt(sender, message)
        if ended:
            with self._database.begin() as connection:
                outbox.finish(connection, ended, now=self._now())
            self._on_finished(ended)

    def _attempt(self, sender: PushSender, claimed: Claimed) -> None:
        """Begins one; it ends in the transport's thread."""

        def done(outcome: Outcome) -> None:
            self._results.put((claimed, outcome))

        def may_send() -> bool:
            return self._now() < claimed.expires_at

        conversation = sender.attempt(claimed.message, claimed.address, now=self._now())
        self._transport.start(conversation, done, may_send=may_send)

    def _judge(self, claimed: Claimed, outcome: Outcome) -> Finished:
        """What an attempt came to, for its message and for its lane."""
        now_s = time.monotonic()
        self._lanes.leave(claimed.lane)
        match outcome:
            case ChannelPaused(reason=reason) if claimed.channel in ONE_ACCOUNT:
                self._lanes.close(claimed.lane, until_s=now_s + outbox.PAUSE.total_seconds(), now_s=now_s)
                log.warning("worker.channel_paused", channel=claimed.channel, tenant=claimed.tenant_id, reason=reason)
            case Retry(slow_down=True, after_s=after_s):
                self._lanes.close(claimed.lane, until_s=now_s + (after_s or SLOW_DOWN_S), now_s=now_s)
            case Retry(reason="sender_broken", detail=detail):
                log.error("sender.broken", channel=claimed.channel, error=detail)
        return outbox.judge(claimed, outcome, now=self._now(), jitter=random.random())  # noqa: S311

    def _finish(self, *, wait_s: float) -> int:
        while len(self._unwritten) < CLAIM_AT_MOST:
            try:
                claimed, outcome = self._results.get(block=wait_s > 0, timeout=wait_s or None)
            except queue.Empty:
                break
            self._unwritten.append(self._judge(claimed, outcome))
            wait_s = 0
        batch = self._unwritten
        if batch:
            # if this fails, they wait: what came of them is known, and only their leases run on
            with self._database.begin() as connection:
                outbox.finish(connection, batch, now=self._now())
            self._unwritten = []
            self._in_flight -= len(batch)
            self._on_finished(batch)
        return len(batch)


def _is_for_inbox(message: Claimed) -> bool:
    return message.channel is ChannelType.INBOX and message.unsendable is None
