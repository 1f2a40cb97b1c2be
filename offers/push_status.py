"""From an HTTP answer to an outcome. Pure; what each status means is one table a provider, beside its sender."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, assert_never

from offers.push import ChannelPaused, DeadAddress, Outcome, Refused, Retry, Sent, Unknown
from offers.retry import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_PROVIDER_ID_CHARACTERS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The part of an HTTP response that decides anything. The body never does."""

    status: int
    origin: str
    retry_after: str | None = None
    location: str | None = None


class Action(StrEnum):
    SENT = "sent"
    RETRY = "retry"
    RETRY_MAYBE_ARRIVED = "retry_maybe_arrived"
    DEAD = "dead"
    REFUSED = "refused"
    PAUSED = "paused"
    UNKNOWN = "unknown"


StatusTable: TypeAlias = "Mapping[int, tuple[Action, str]]"
"""Status -> (action, reason). A key of one digit stands for the rest of its class: 5 is every 5xx not named."""

_BROKEN_SERVER = (Action.UNKNOWN, "odd_status")


def outcome_of(answer: Answer, table: StatusTable, *, now: datetime) -> Outcome:
    """Turn an answer into the one action its provider's table asks for.

    `now` (aware) is what a Retry-After date is measured from. A status that is in no class of the table says nothing.
    """
    action, reason = table.get(answer.status) or table.get(answer.status // 100) or _BROKEN_SERVER
    detail = f"HTTP {answer.status}"
    after_s = retry_after_s(answer.retry_after, now=now)
    outcome: Outcome
    match action:
        case Action.SENT:
            outcome = Sent(provider_id=_provider_id(answer.location), reason=reason, detail=detail)
        case Action.RETRY:
            outcome = Retry(reason=reason, after_s=after_s, detail=detail)
        case Action.RETRY_MAYBE_ARRIVED:
            outcome = Retry(reason=reason, after_s=after_s, detail=detail, may_have_arrived=True)
        case Action.DEAD:
            outcome = DeadAddress(reason=reason, detail=detail)
        case Action.REFUSED:
            outcome = Refused(reason=reason, detail=detail)
        case Action.PAUSED:
            outcome = ChannelPaused(reason=reason, scope=answer.origin, detail=detail)
        case Action.UNKNOWN:
            outcome = Unknown(reason=reason, after_s=after_s, detail=detail)
        case _:
            assert_never(action)
    return outcome


def _provider_id(location: str | None) -> str | None:
    """Return the last segment of a Location; the rest of it says where, which the provider knows."""
    name = (location or "").split("?", 1)[0].rstrip("/").rpartition("/")[2]
    return name[:MAX_PROVIDER_ID_CHARACTERS] or None
