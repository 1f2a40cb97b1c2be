"""From an HTTP answer to an outcome. Pure; what each answer means is one table a provider, beside its sender."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, assert_never

from offers.push import Answer, ChannelPaused, DeadAddress, Outcome, Refused, Retry, Sent, Unknown
from offers.retry import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_PROVIDER_ID_CHARACTERS = 128


class Action(StrEnum):
    SENT = "sent"
    RETRY = "retry"
    SLOW_DOWN = "slow_down"
    RETRY_MAYBE_ARRIVED = "retry_maybe_arrived"
    DEAD = "dead"
    REFUSED = "refused"
    PAUSED = "paused"
    UNKNOWN = "unknown"


StatusTable: TypeAlias = "Mapping[int | str, tuple[Action, str]]"
"""What the provider said -> (action, reason). A text is the provider's own error code, a number the status; a number of
one digit stands for the rest of its class: 5 is every 5xx not named. The first of the three that is there decides."""

_BROKEN_SERVER = (Action.UNKNOWN, "odd_status")


def outcome_of(
    answer: Answer,
    table: StatusTable,
    *,
    now: datetime,
    code: str | None = None,
    provider_id: str | None = None,
    scope: str | None = None,
) -> Outcome:
    """Turn an answer into the one action its provider's table asks for.

    `now` (aware) is what a Retry-After date is measured from; `code` is the provider's own word for the error, `scope`
    what a refusal of credentials stops (none: the origin that refused). A status that is in no class says nothing.
    """
    action, reason = (
        (table.get(code) if code else None)
        or table.get(answer.status)
        or table.get(answer.status // 100)
        or _BROKEN_SERVER
    )
    detail = f"HTTP {answer.status}"
    after_s = None if action is Action.SENT else retry_after_s(answer.header("retry-after"), now=now)
    outcome: Outcome
    match action:
        case Action.SENT:
            named = provider_id or _last_segment(answer.header("location"))
            outcome = Sent(provider_id=(named or "")[:MAX_PROVIDER_ID_CHARACTERS] or None, reason=reason, detail=detail)
        case Action.RETRY:
            outcome = Retry(reason=reason, after_s=after_s, detail=detail)
        case Action.SLOW_DOWN:
            # without a time it may be about one phone only
            outcome = Retry(reason=reason, after_s=after_s, detail=detail, slow_down=after_s is not None)
        case Action.RETRY_MAYBE_ARRIVED:
            outcome = Retry(reason=reason, after_s=after_s, detail=detail, may_have_arrived=True)
        case Action.DEAD:
            outcome = DeadAddress(reason=reason, detail=detail)
        case Action.REFUSED:
            outcome = Refused(reason=reason, detail=detail)
        case Action.PAUSED:
            outcome = ChannelPaused(reason=reason, scope=scope or answer.origin, detail=detail)
        case Action.UNKNOWN:
            outcome = Unknown(reason=reason, after_s=after_s, detail=detail)
        case _:
            assert_never(action)
    return outcome


def _last_segment(location: str | None) -> str:
    """Return the provider's name of a message; the rest of a Location says where, which the provider knows."""
    return (location or "").split("?", 1)[0].rstrip("/").rpartition("/")[2]
