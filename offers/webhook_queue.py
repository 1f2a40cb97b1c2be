"""What waits for each webhook, and what attempts came to. Takes the caller's transaction; bodies are made when they go.

Rows come from triggers, in the transaction of what happened, so that none can be missed: a reader by number would pass
over a row whose transaction commits later than that of a higher number. A row goes when its receiver has the event.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.sql import queries
from offers import cloud_events
from offers.push import DeadAddress, Retry, Sent, Unknown
from offers.rhythm import ATTEMPTS, next_attempt_at
from offers.tables import webhooks
from offers.webhook_tables import webhook_attempts, webhook_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from geofences.model import TenantId
    from offers.push import Outcome

NEW_WEBHOOK_EVENTS_CHANNEL: Final = "lbs_webhook_events"
GONE: Final = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where events go, and the sealed secrets that sign them, newest first."""

    webhook_id: int
    tenant_id: int
    url: str = field(repr=False)
    sealed: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One event that may go now."""

    seq: int
    device_id: int
    attempts: int
    """That failed before."""
    event_id: str
    type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    receiver: Receiver
    events: Sequence[Waiting]
    """In the order of each device."""
    lost: Sequence[int]
    """Rows about what is no longer stored: the device was erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    event: Waiting
    at: datetime
    duration_ms: float
    status: int | None
    """None: no answer came."""
    outcome: Outcome

    @property
    def delivered(self) -> bool:
        return isinstance(self.outcome, Sent)


def due_batch(connection: sa.Connection, webhook_id: int, *, now: datetime, limit: int, source: str) -> Batch | None:
    """The events that may go to a webhook now; None if nothing is due, or it is paused or gone.

    A batch may be empty because all that was due waits behind older events of its devices: look again.
    """
    receiver = _receiver(connection, webhook_id, now=now)
    if receiver is None:
        return None
    named = {"webhook_id": webhook_id, "now": now}
    due = connection.execute(queries("offers")["due_webhook_events"], {**named, "limit": limit}).all()
    if not due:
        return None
    behind = [row for row in due if row.behind is not None]
    if behind:
        times = {"seqs": [row.seq for row in behind], "times": [row.behind for row in behind]}
        connection.execute(queries("offers")["put_behind"], {"webhook_id": webhook_id, **times})
    rows = [row for row in due if row.behind is None]
    data = _data(connection, webhook_id, rows)
    events = [_waiting(row, data[row.seq], source=source) for row in rows if row.seq in data]
    return Batch(receiver=receiver, events=events, lost=[row.seq for row in rows if row.seq not in data])


def _receiver(connection: sa.Connection, webhook_id: int, *, now: datetime) -> Receiver | None:
    row = _locked(connection, webhook_id)
    if row is None or row.paused_reason is not None:
        return None
    over = row.old_secret_until is not None and row.old_secret_until <= now
    sealed = tuple(bytes(secret) for secret in row.secrets)
    return Receiver(webhook_id=webhook_id, tenant_id=row.tenant_id, url=row.url, sealed=sealed[:1] if over else sealed)


def _locked(connection: sa.Connection, webhook_id: int) -> Any:
    """The row of a webhook, locked before what waits for it, as whoever changes it does; None if it is gone."""
    statement = sa.select(webhooks).where(webhooks.c.webhook_id == webhook_id)
    return connection.execute(statement.with_for_update(key_share=True)).one_or_none()


def _data(connection: sa.Connection, webhook_id: int, rows: Sequence[Any]) -> dict[int, tuple[str, dict[str, Any]]]:
    """Subject and data of each row whose event is still stored."""
    by_kind: dict[str, list[int]] = {}
    names = {row.seq: row.type for row in rows}
    for seq, name in names.items():
        by_kind.setdefault(cloud_events.kind_of(name), []).append(seq)

    def found(kind: str) -> Iterable[Any]:
        if kind not in by_kind:
            return ()
        named = {"webhook_id": webhook_id, "seqs": by_kind[kind]}
        return connection.execute(queries("offers")[f"{kind}s_to_tell"], named)

    told: dict[int, tuple[str, dict[str, Any]]] = {seq: ("test", {}) for seq in by_kind.get("webhook", ())}
    for row in found("visit"):
        told[row.seq] = f"visits/{row.visit_id}", cloud_events.visit_data(row)
    for row in found("decision"):
        told[row.seq] = f"decisions/{row.decision_id}", cloud_events.decision_data(row)
    for row in found("redemption"):
        cancelled = names[row.seq] == cloud_events.CANCELLED
        told[row.seq] = f"redemptions/{row.redemption_id}", cloud_events.redemption_data(row, cancelled=cancelled)
    return told


def _waiting(row: Any, told: tuple[str, dict[str, Any]], *, source: str) -> Waiting:
    subject, data = told
    event_id, body = cloud_events.encode(
        row.type, row.ref_id, source=f"{source}/tenants/{row.tenant_id}", subject=subject, at=row.at, data=data
    )
    return Waiting(
        seq=row.seq, device_id=row.device_id, attempts=row.attempts, event_id=event_id, type=row.type, body=body
    )


def finish(
    connection: sa.Connection, batch: Batch, attempts: Sequence[Attempt], *, now: datetime, jitter: float
) -> str | None:
    """Writes what a batch came to; answers why the webhook is paused now, if it is.

    Failures count only if the webhook is still what was called: nobody moved, paused or removed it meanwhile.
    """
    receiver = batch.receiver
    now_there = _locked(connection, receiver.webhook_id)
    done = [attempt.event.seq for attempt in attempts if attempt.delivered]
    _delete(connection, receiver.webhook_id, [*done, *batch.lost])
    if now_there is None or not attempts:
        return None
    again = {
        attempt.event.seq: _again(attempt, now=now, jitter=jitter) for attempt in attempts if not attempt.delivered
    }
    _note(connection, receiver, attempts, again)
    if not again or now_there.url != receiver.url or now_there.paused_reason is not None:
        return None
    times = {"seqs": list(again), "times": list(again.values())}
    connection.execute(queries("offers")["wait_for_webhook"], {"webhook_id": receiver.webhook_id, **times})
    reason = _why_pause(attempts)
    if reason is not None:
        connection.execute(
            sa.update(webhooks).where(webhooks.c.webhook_id == receiver.webhook_id).values(paused_reason=reason)
        )
    return reason


def _again(attempt: Attempt, *, now: datetime, jitter: float) -> datetime | None:
    outcome = attempt.outcome
    if isinstance(outcome, DeadAddress):
        return None
    after_s = outcome.after_s if isinstance(outcome, Retry | Unknown) else None
    return next_attempt_at(attempt.event.attempts + 1, now=now, after_s=after_s, jitter=jitter)


def _why_pause(attempts: Sequence[Attempt]) -> str | None:
    for attempt in attempts:
        if isinstance(attempt.outcome, DeadAddress):
            return GONE
        if not attempt.delivered and attempt.event.attempts + 1 >= ATTEMPTS:
            return f"{attempt.outcome.reason} after {ATTEMPTS} attempts"
    return None


def _delete(connection: sa.Connection, webhook_id: int, seqs: Sequence[int]) -> None:
    if seqs:
        mine = (webhook_events.c.webhook_id == webhook_id, webhook_events.c.seq.in_(seqs))
        connection.execute(sa.delete(webhook_events).where(*mine))


def _note(
    connection: sa.Connection, receiver: Receiver, attempts: Sequence[Attempt], again: dict[int, datetime | None]
) -> None:
    connection.execute(
        sa.insert(webhook_attempts),
        [
            {
                "webhook_id": receiver.webhook_id,
                "tenant_id": receiver.tenant_id,
                "event_id": attempt.event.event_id,
                "type": attempt.event.type,
                "attempt": attempt.event.attempts + 1,
                "at": attempt.at,
                "duration_ms": attempt.duration_ms,
                "status": attempt.status,
                "reason": attempt.outcome.reason,
                "delivered": attempt.delivered,
                "next_attempt_at": again.get(attempt.event.seq),
            }
            for attempt in sorted(attempts, key=lambda attempt: attempt.at)
        ],
    )


def put_test(connection: sa.Connection, *, tenant_id: TenantId, webhook_id: int, now: datetime) -> str:
    """Queues an event that says nothing, whatever the webhook subscribes to; answers its id."""
    ref_id = secrets.randbits(63)
    values = {"tenant_id": tenant_id, "webhook_id": webhook_id, "type": cloud_events.TEST, "ref_id": ref_id}
    connection.execute(sa.insert(webhook_events).values(**values, device_id=0, at=now))
    _wake(connection)
    return cloud_events.message_id(cloud_events.TEST, ref_id)


def tell_again(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    webhook_id: int,
    since: datetime,
    until: datetime,
    types: Sequence[str],
) -> int:
    """Queues all events of some types that became known from `since` on and before `until`; answers how many."""
    named = {"tenant_id": tenant_id, "webhook_id": webhook_id, "since": since, "until": until, "types": list(types)}
    queued = connection.execute(queries("offers")["tell_again"], named).rowcount
    _wake(connection)
    return queued


def go_on(connection: sa.Connection, *, webhook_id: int, types: Sequence[str]) -> None:
    """What waits is due at once, as if it had never failed; what is no longer subscribed to is dropped."""
    mine = webhook_events.c.webhook_id == webhook_id
    unwanted = sa.not_(sa.func.offers.patterns_of(webhook_events.c.type).op("&&")(sa.cast(list(types), _TEXTS)))
    connection.execute(sa.delete(webhook_events).where(mine, unwanted, webhook_events.c.type != cloud_events.TEST))
    connection.execute(
        sa.update(webhook_events)
        .where(mine, sa.or_(webhook_events.c.attempts > 0, webhook_events.c.due_at > sa.func.now()))
        .values(attempts=0, due_at=sa.func.now())
    )
    _wake(connection)


def forget_waiting(connection: sa.Connection, *, webhook_id: int) -> None:
    connection.execute(sa.delete(webhook_events).where(webhook_events.c.webhook_id == webhook_id))


def attempts_before(connection: sa.Connection, webhook_id: int, *, before: int, limit: int) -> Sequence[Any]:
    """Attempts of a webhook, newest first, those before an `attempt_id`."""
    columns = webhook_attempts.c
    return connection.execute(
        sa.select(webhook_attempts)
        .where(columns.webhook_id == webhook_id, columns.attempt_id < before)
        .order_by(columns.attempt_id.desc())
        .limit(limit)
    ).all()


def _wake(connection: sa.Connection) -> None:
    connection.execute(sa.text(f"NOTIFY {NEW_WEBHOOK_EVENTS_CHANNEL}"))


_TEXTS: Final = sa.ARRAY(sa.Text)
