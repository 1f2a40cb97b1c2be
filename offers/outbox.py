"""The notification row as the queue: claim, ask again, finish. Every state change is compare-and-set.

    queued -> sending -> sent -> delivered -> opened
       ^         |-----> failed | expired | suppressed
       `- retry -'   (a worker that dies leaves `sending` behind; after its lease the row is queued again, same id)

A phone's receipt (`receipts`) makes `delivered` of any of the first three, and then no attempt changes the row.

Nothing committed is lost: a row stays `queued` until an attempt ends it. Nothing is sent after `expires_at`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

import sqlalchemy as sa
import structlog

from geofences.model import LatLng
from geofences.sql import queries
from geofences.zones import zone
from offers import ledger, rules
from offers.catalogue import hours_of
from offers.definition import CampaignDefinition, QuietPolicy
from offers.facts import OwnQuietTimes
from offers.lanes import FIRST_ROOM
from offers.messages import to_message
from offers.model import CampaignStatus, NotificationState, ReservationState
from offers.pacing import is_paced, lock_rates, put_back, take_slot
from offers.push import (
    TOO_LATE,
    Address,
    ChannelPaused,
    ChannelType,
    DeadAddress,
    Message,
    Outcome,
    Refused,
    Retry,
    Sent,
    Unknown,
)
from offers.retry import next_attempt_at
from offers.schedule import is_live
from offers.tables import ChannelStatus, channels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from offers.lanes import Lanes
    from offers.schedule import WindowAnswer
    from offers.windows import Schedule

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
"""Longer than any attempt may take: connect, write and read time limits together."""
LONGEST_LEASE = 2 * LEASE
"""A lease that ends later was taken by a clock that ran ahead, and its worker is not waited for; clocks of workers may
differ by what is left of it."""
PAUSE = timedelta(seconds=60)
"""How long a message waits whose provider refuses our credentials before it asks again."""
PARKED_AT_MOST = 20
"""How often one claim looks again while it meets messages over their rate: behind them wait others."""
KNOWN_CAMPAIGNS = 10_000
NEW_INBOX_CHANNEL = "lbs_inbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One message that this worker, and no other, may attempt now."""

    notification_id: int
    tenant_id: int
    decision_id: int | None
    """None for a test."""
    device_id: int
    channel_id: int | None
    channel: ChannelType
    lane: str
    """Whom it goes to: `offers.lanes`."""
    attempts: int
    expires_at: datetime
    message: Message
    address: Address
    unsendable: tuple[NotificationState, str] | None
    """Asked again, it must not be sent any more: the state it ends in, and why."""
    unreadable: bool = False
    """What it is sent with does not open under this installation's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What an attempt, or asking again, came to."""

    claimed: Claimed
    state: NotificationState
    reason: str | None
    not_before: datetime | None = None
    outcome_unknown: bool = False
    dead_address: bool = False


class Known(NamedTuple):
    """What messages of one campaign have in common."""

    version: int
    definition: CampaignDefinition
    schedule: Schedule


@dataclass(slots=True)
class Definitions:
    """Campaigns' definitions, each read once a version: a thousand messages of one campaign need it once."""

    _known: dict[int, Known] = field(default_factory=dict)

    def learn(self, connection: sa.Connection, rows: Sequence[Any]) -> None:
        """Reads those of these claimed rows that are not known yet."""
        missing = {
            row.campaign_id
            for row in rows
            if row.campaign_id not in self._known or self._known[row.campaign_id].version != row.campaign_version
        }
        if not missing:
            return
        if len(self._known) > KNOWN_CAMPAIGNS:
            self._known.clear()
            missing = {row.campaign_id for row in rows}
        named = {"campaign_ids": sorted(missing)}
        for row in connection.execute(queries("offers")["definitions_of"], named):
            definition = CampaignDefinition.model_validate(row.definition)
            self._known[row.campaign_id] = Known(row.version, definition, definition.windows.schedule())

    def __getitem__(self, campaign_id: int) -> Known:
        return self._known[campaign_id]


class Claims:
    """What one worker may attempt next. Remembers definitions and asks `lanes`; used by one thread."""

    def __init__(self, *, unseal: Callable[[bytes], bytes], lanes: Lanes) -> None:
        self._unseal = unseal
        self._lanes = lanes
        self._definitions = Definitions()
        self._entered: list[str] = []
        """Lanes that the last claim took places in, once for each."""
        self.cut_short = False
        """Whether the last claim may have left due messages, for want of room."""

    def claim(self, connection: sa.Connection, *, now: datetime, now_s: float, limit: int) -> list[Claimed]:
        """Takes up to `limit` due messages, oldest first, in the caller's transaction.

        Those whose campaign's send rate is used up are queued again for their turn, those whose lane is full for any
        later claim. What is to be sent has a place in its lane, which the caller gives back.
        """
        self._entered = []
        self.cut_short = False
        rates = lock_rates(connection, now=now)
        claimed: list[Claimed] = []
        for _ in range(PARKED_AT_MOST):
            room = limit - len(claimed)
            named = {"now": now, "limit": room, "lease_until": now + LEASE}
            rooms = self._lanes.rooms(now_s)
            ways = {
                "campaign_ids": sorted(rates),
                "closed_lanes": [lane for lane, room in rooms.items() if room == 0],
                "lanes": list(rooms),
                "rooms": list(rooms.values()),
                "first_room": FIRST_ROOM,
            }
            rows = connection.execute(queries("offers")["claim_due"], named | ways).all()
            taken = Counter(row.lane for row in rows if row.lane is not None)
            self.cut_short = (
                len(rows) >= room
                or 0 in rooms.values()
                or any(n >= rooms.get(lane, FIRST_ROOM) for lane, n in taken.items())
            )
            self._definitions.learn(connection, rows)
            parked: list[tuple[int, datetime]] = []
            deferred: list[tuple[int, datetime]] = []
            crowded: list[int] = []
            for row in rows:
                known = self._definitions[row.campaign_id]
                message = _claimed(row, known, now, self._unseal)
                until = None if message.unsendable else _quiet_until(row, known.definition, now)
                if until is not None:
                    deferred.append((row.notification_id, until))
                    continue
                if message.unsendable is None and not self._enter(message, now_s):
                    crowded.append(row.notification_id)
                    continue
                rate = rates.get(row.campaign_id) if is_paced(row) and message.unsendable is None else None
                slot = now if rate is None else take_slot(rate, row, now=now)
                if slot is not None and slot <= now:
                    claimed.append(message)
                    continue
                self._leave(message)
                if slot is None:
                    claimed.append(replace(message, unsendable=(NotificationState.EXPIRED, TOO_LATE)))
                else:
                    parked.append((row.notification_id, slot))
            put_back(connection, parked, rates)
            if crowded:
                connection.execute(queries("offers")["put_back"], {"notification_ids": crowded})
                self.cut_short = True
            if deferred:
                ends = {"notification_ids": [one for one, _ in deferred], "times": [until for _, until in deferred]}
                connection.execute(queries("offers")["defer"], ends)
            if not (parked or deferred or crowded) or len(claimed) >= limit:
                break
        return claimed

    def undo(self) -> None:
        """The transaction of the last claim did not happen: its places are free."""
        while self._entered:
            self._lanes.leave(self._entered.pop())

    def _enter(self, message: Claimed, now_s: float) -> bool:
        if not self._lanes.enter(message.lane, message.channel, now_s):
            return False
        self._entered.append(message.lane)
        return True

    def _leave(self, message: Claimed) -> None:
        if message.lane in self._entered:
            self._entered.remove(message.lane)
            self._lanes.leave(message.lane)


def reclaim(connection: sa.Connection, *, now: datetime) -> int:
    """Queues again what workers left behind that are gone; answers how many."""
    return connection.execute(queries("offers")["reclaim"], {"now": now, "longest": now + LONGEST_LEASE}).rowcount


def _claimed(row: Any, known: Known, now: datetime, unseal: Callable[[bytes], bytes]) -> Claimed:
    address = dict(row.address or {})
    unreadable = False
    try:
        if row.secrets:
            address["secrets"] = [unseal(bytes(secret)).decode() for secret in row.secrets]
        if row.app_key is not None:
            address["credentials"] = {**row.app_settings, "private_key": unseal(bytes(row.app_key)).decode()}
    except Exception as error:  # noqa: BLE001 - one secret that does not open must not stop all the others
        log.error("worker.unreadable_secret", channel=row.channel, error=type(error).__name__)  # noqa: TRY400
        unreadable = True
    return Claimed(
        notification_id=row.notification_id,
        tenant_id=row.tenant_id,
        decision_id=row.decision_id,
        device_id=row.device_id,
        channel_id=row.channel_id,
        channel=ChannelType(row.channel),
        lane=row.lane or row.channel,
        attempts=row.attempts,
        expires_at=row.expires_at,
        message=to_message(row.notification_id, row.payload, expires_at=row.expires_at, created_at=row.created_at),
        address=Address(channel=ChannelType(row.channel), value=address),
        unsendable=_why_not(row, known, now),
        unreadable=unreadable,
    )


def _why_not(row: Any, known: Known, now: datetime) -> tuple[NotificationState, str] | None:
    """Asks again, because the world may have moved on since the decision."""
    state = NotificationState
    if row.expires_at <= now:
        return state.EXPIRED, TOO_LATE
    if row.decision_id is not None and (over := _over(row, known.schedule, now)) is not None:
        return over
    if not row.push_consent:
        return state.SUPPRESSED, "no_consent"
    if row.channel != ChannelType.INBOX and row.channel_status != ChannelStatus.ACTIVE:
        return state.FAILED, "dead_address"
    quiet = _quiet(row, known.definition, now)
    if quiet is not None and quiet.live:
        late = quiet.next_change is None or quiet.next_change >= row.expires_at
        if late or known.definition.quiet_hours.policy is not QuietPolicy.DEFER:
            return state.SUPPRESSED, "quiet_hours"
    return None


def _quiet(row: Any, definition: CampaignDefinition, now: datetime) -> WindowAnswer | None:
    """The quiet times of a push that a decision brought: it may have waited since then, for its turn or a provider."""
    zone_name = row.device_timezone or row.timezone
    if row.channel == ChannelType.INBOX or row.decision_id is None or zone_name is None:
        return None
    own = None if row.quiet_times is None else OwnQuietTimes(**row.quiet_times)
    return rules.quiet(definition, own, zone=zone(zone_name), at=now)


def _quiet_until(row: Any, definition: CampaignDefinition, now: datetime) -> datetime | None:
    """When the quiet ends in which a push may not go; None: it may."""
    quiet = _quiet(row, definition, now)
    return quiet.next_change if quiet is not None and quiet.live else None


def _over(row: Any, schedule: Schedule, now: datetime) -> tuple[NotificationState, str] | None:
    """What ends an offer, and no test."""
    state = NotificationState
    if row.campaign_status in {CampaignStatus.ENDED, CampaignStatus.ARCHIVED}:
        return state.EXPIRED, "campaign_ended"
    if row.campaign_status != CampaignStatus.LIVE:
        # whoever edits it has paused it before
        return state.SUPPRESSED, "campaign_paused"
    if row.reservation_state == ReservationState.RELEASED:
        return state.EXPIRED, "reservation_released"
    if row.timezone is not None and not _still_on(row, schedule, now):
        return state.EXPIRED, "window_over"
    return None


def _still_on(row: Any, schedule: Schedule, now: datetime) -> bool:
    hours = hours_of(row.opening_hours, row.timezone, LatLng(lat=row.lat, lng=row.lng))
    return is_live(schedule, at=now, zone=zone(row.timezone), hours=hours).live


def judge(claimed: Claimed, outcome: Outcome, *, now: datetime, jitter: float) -> Finished:
    """The one action each outcome asks for."""
    state = NotificationState
    match outcome:
        case Sent():
            # a webhook's 2xx is its receiver's word; a push service only takes the message over
            arrived = claimed.channel is ChannelType.WEBHOOK
            return Finished(claimed=claimed, state=state.DELIVERED if arrived else state.SENT, reason=None)
        case Retry(reason=reason) if reason == TOO_LATE:
            return Finished(claimed=claimed, state=state.EXPIRED, reason=reason)
        case Retry() | Unknown():
            again = next_attempt_at(
                claimed.attempts, now=now, expires_at=claimed.expires_at, after_s=outcome.after_s, jitter=jitter
            )
            return Finished(
                claimed=claimed,
                state=state.FAILED if again is None else state.QUEUED,
                reason=outcome.reason,
                not_before=again,
                outcome_unknown=outcome.may_have_arrived,
            )
        case DeadAddress():
            return Finished(claimed=claimed, state=state.FAILED, reason=outcome.reason, dead_address=True)
        case Refused():
            return Finished(claimed=claimed, state=state.FAILED, reason=outcome.reason)
        case ChannelPaused():
            again = now + PAUSE
            late = again >= claimed.expires_at
            return Finished(
                claimed=claimed,
                state=state.FAILED if late else state.QUEUED,
                reason=outcome.reason,
                not_before=None if late else again,
            )
    assert_never(outcome)


def finish(connection: sa.Connection, batch: Sequence[Finished], *, now: datetime) -> None:
    """Writes what attempts came to, in the caller's transaction."""
    if not batch:
        return
    done = sorted(batch, key=lambda finished: finished.claimed.notification_id)
    connection.execute(
        queries("offers")["finish"],
        {
            "notification_ids": [finished.claimed.notification_id for finished in done],
            "attempts_each": [finished.claimed.attempts for finished in done],
            "states": [finished.state.value for finished in done],
            "reasons": [finished.reason for finished in done],
            "times": [finished.not_before for finished in done],
            "unknown": [finished.outcome_unknown for finished in done],
            "now": now,
        },
    )
    dead = [finished.claimed.channel_id for finished in done if finished.dead_address]
    if dead:
        connection.execute(sa.update(channels).where(channels.c.channel_id.in_(dead)).values(status=ChannelStatus.DEAD))
    nothing = {NotificationState.FAILED, NotificationState.EXPIRED, NotificationState.SUPPRESSED}
    decisions = {finished.claimed.decision_id for finished in done if finished.state in nothing}
    ledger.release_refused(connection, sorted(one for one in decisions if one is not None), now=now)


def put_in_inbox(connection: sa.Connection, batch: Sequence[Claimed], *, now: datetime) -> None:
    """Numbers inbox messages in commit order for each device, so that a stream can resume after any of them."""
    if not batch:
        return
    ordered = sorted(batch, key=lambda claimed: claimed.notification_id)
    connection.execute(queries("offers")["lock_inboxes"], {"device_ids": [claimed.device_id for claimed in ordered]})
    connection.execute(
        queries("offers")["put_in_inbox"],
        {
            "notification_ids": [claimed.notification_id for claimed in ordered],
            "attempts_each": [claimed.attempts for claimed in ordered],
            "now": now,
        },
    )
    connection.execute(sa.text(f"NOTIFY {NEW_INBOX_CHANNEL}"))
