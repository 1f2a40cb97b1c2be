"""What a push sender is, what it is given, and everything that can come of one attempt. Pure: no HTTP, no clock.

A sender never raises for what a provider or the network did: every attempt ends in one of the outcomes below, and each
outcome asks its caller for exactly one action.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from datetime import datetime

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

BROKEN: Final = "sender_broken"
"""The reason of an attempt that ended by a defect of ours."""
TOO_LATE: Final = "too_late"
"""The reason of what ended before it could be sent."""

_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


class ChannelType(StrEnum):
    WEBPUSH = "webpush"
    WEBHOOK = "webhook"
    INBOX = "inbox"
    APNS = "apns"
    FCM = "fcm"


class Urgency(StrEnum):
    """How much battery the message is worth, in the words of RFC 8030, section 5.3."""

    VERY_LOW = "very-low"
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notification, the same on every channel and every repeat.

    Raises ValueError for an id that some channel could not carry and for a time without a zone.
    """

    message_id: str
    """1..32 base64url characters: the narrowest field that must hold it is Topic (RFC 8030, section 5.4)."""
    title: str = field(repr=False)
    body: str = field(repr=False)
    data: Mapping[str, JSON] = field(repr=False)
    expires_at: datetime
    urgency: Urgency = Urgency.NORMAL
    created_at: datetime | None = None
    """When the decision was made; a channel that must state a time falls back to the attempt's."""

    def __post_init__(self) -> None:
        if _MESSAGE_ID.fullmatch(self.message_id) is None:
            raise ValueError("message_id must be 1 to 32 base64url characters")
        for at in (self.expires_at, self.created_at):
            if at is not None and at.tzinfo is None:
                raise ValueError("a message's times must have a zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    channel: ChannelType
    value: Mapping[str, Any] = field(repr=False)
    """As the client registered it; holds keys and capability URLs, so it is never printed."""


def hash_of_address(address: Mapping[str, Any]) -> bytes:
    """What makes two addresses of a channel the same."""
    return blake2b(msgspec.json.encode(address, order="deterministic"), digest_size=32).digest()


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The provider took the message over."""

    provider_id: str | None = None
    """The provider's own name for the message, at most 128 characters; for support, never needed to go on."""
    reason: str = "accepted"
    detail: str = ""
    may_have_arrived: ClassVar[bool] = True


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Temporary: try again with the same message id, not before `after_s` seconds if the provider named a time."""

    reason: str
    after_s: float | None = None
    detail: str = ""
    may_have_arrived: bool = False
    """A server that answers 5xx may have delivered all the same; one that was never reached has not."""
    slow_down: bool = False
    """The provider wants less of everything that goes this way, not only of this message."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """The request left, the answer never came: it may have arrived. Repeat with the same message id."""

    reason: str
    after_s: float | None = None
    detail: str = ""
    may_have_arrived: ClassVar[bool] = True


class DeadAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing will ever arrive at this address: drop it."""

    reason: str
    detail: str = ""
    may_have_arrived: ClassVar[bool] = False


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """This message can never be sent to this address: give up, and keep the address."""

    reason: str
    detail: str = ""
    may_have_arrived: ClassVar[bool] = False


class ChannelPaused(msgspec.Struct, frozen=True, kw_only=True):
    """The provider refuses our credentials: stop sending to `scope` until somebody looks.

    `scope` is the origin that refused. Anybody may register an address at a server of their own, so the refusal of one
    server must never pause the others.
    """

    reason: str
    scope: str
    detail: str = ""
    may_have_arrived: ClassVar[bool] = False


Outcome: TypeAlias = Sent | Retry | Unknown | DeadAddress | Refused | ChannelPaused
"""`reason` is a short machine word, fit for a label; `detail` says more, without addresses, payloads or secrets."""


Failed: TypeAlias = Retry | Unknown | Refused
"""What can come of one request that got no answer."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One POST."""

    url: str
    headers: dict[str, str]
    body: bytes
    connections: str = ""
    """Whose connections it may use: those of one name share theirs with nobody else."""

    def __repr__(self) -> str:
        return f"Request({len(self.body)} bytes)"  # the path may be a password


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an HTTP response that decides anything."""

    status: int
    origin: str
    head: bytes = b""
    """Status line and headers, as they came."""
    body: bytes = b""
    """Its first bytes, a few thousand at most."""

    def header(self, name: str) -> str | None:
        """The value of the first header of that name, which is given in lower case."""
        at = self.head.lower().find(b"\r\n%b:" % name.encode())
        if at < 0:
            return None
        start = at + len(name) + 3
        end = self.head.find(b"\r\n", start)
        return self.head[start : end if end >= 0 else None].decode("latin-1").strip()

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, origin={self.origin!r})"


Conversation: TypeAlias = "Generator[Request, Answer | Failed, Outcome]"
"""What a sender holds with its provider about one message: it yields requests, and is sent what came of each."""


class PushSender(Protocol):
    """One channel: what is said to its provider, and what the answers mean. Pure: no input or output, no clock."""

    @property
    def channel(self) -> ChannelType: ...

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        """Hold the conversation of one attempt at `now` (aware); `HttpTransport` carries it."""
        ...
