"""Apple Push Notification service: HTTP/2, provider tokens (JWT, ES256), typed reasons.

Source: Apple, "Sending notification requests to APNs", "Establishing a token-based connection to APNs" and "Handling
notification responses from APNs".
"""

from __future__ import annotations

import math
import re
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from offers.errors import InvalidCredentialsError
from offers.push import (
    Address,
    Answer,
    ChannelPaused,
    ChannelType,
    Conversation,
    DeadAddress,
    Message,
    Refused,
    Request,
    Urgency,
)
from offers.push_status import Action, StatusTable, outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PRODUCTION_URL: Final = "https://api.push.apple.com"
SANDBOX_URL: Final = "https://api.sandbox.push.apple.com"
MAX_PAYLOAD_BYTES: Final = 4096
TOKEN_LIFE: Final = timedelta(minutes=40)
"""Apple refuses tokens older than an hour, and those that are renewed more often than every 20 minutes."""

STATUSES: Final[StatusTable] = {
    200: (Action.SENT, "accepted"),
    # a wrong environment or topic is answered the same: the address may be right, our app wrong
    "BadDeviceToken": (Action.REFUSED, "bad_device_token"),
    "DeviceTokenNotForTopic": (Action.REFUSED, "not_for_topic"),
    "MissingDeviceToken": (Action.DEAD, "bad_device_token"),
    "ExpiredToken": (Action.DEAD, "expired"),
    "Unregistered": (Action.DEAD, "unregistered"),
    410: (Action.DEAD, "gone"),
    "BadTopic": (Action.PAUSED, "bad_topic"),
    "MissingTopic": (Action.PAUSED, "bad_topic"),
    "TopicDisallowed": (Action.PAUSED, "topic_disallowed"),
    "ExpiredProviderToken": (Action.RETRY, "expired_provider_token"),  # ours are young: clocks differ, or a fresh one
    403: (Action.PAUSED, "forbidden"),
    "IdleTimeout": (Action.RETRY, "idle_timeout"),
    "TooManyRequests": (Action.RETRY, "rate_limited"),  # to one device token
    "TooManyProviderTokenUpdates": (Action.SLOW_DOWN, "too_many_tokens"),
    429: (Action.RETRY, "rate_limited"),
    413: (Action.REFUSED, "too_large"),
    "Shutdown": (Action.RETRY, "shutdown"),  # this server is going away, another one takes the next connection
    3: (Action.REFUSED, "redirected"),
    4: (Action.REFUSED, "client_error"),
    5: (Action.RETRY_MAYBE_ARRIVED, "server_error"),
}
"""Reasons of the answer's body first, then statuses."""

_DEVICE_TOKEN = re.compile(r"[0-9a-fA-F]{16,400}", re.ASCII)  # "variable length": Apple names none
_NAME = re.compile(r"[A-Za-z0-9.-]{1,255}", re.ASCII)
_PRIORITIES: Final = {Urgency.VERY_LOW: "1", Urgency.LOW: "5", Urgency.NORMAL: "10", Urgency.HIGH: "10"}
_NAMESPACE: Final = uuid.UUID("6f0f1d3c-7a3a-5b0e-9f0c-0c5f9d6a2b11")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApnsApp:
    """The credentials of one app: a key of its team, and the bundle id as the topic."""

    team_id: str
    key_id: str
    topic: str
    sandbox: bool
    private_key: str = field(repr=False)
    """The `.p8` file's text: PKCS#8 in PEM, P-256."""

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> ApnsApp:
        """Read the credentials as they are stored; InvalidCredentialsError says what is wrong with them."""
        try:
            app = msgspec.convert(value, cls)
            app.key()
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise InvalidCredentialsError("APNs needs team_id, key_id, topic and a P-256 key in PEM") from error
        if not all(_NAME.fullmatch(name) for name in (app.team_id, app.key_id, app.topic)):
            raise InvalidCredentialsError("team_id, key_id and topic have letters, digits, dots and hyphens only")
        return app

    def key(self) -> ec.EllipticCurvePrivateKey:
        key = load_pem_private_key(self.private_key.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise InvalidCredentialsError("the key of APNs is a P-256 key")
        return key


class ApnsSender:
    """Sends to Apple's devices; an address is `{token, credentials}`."""

    channel: Final = ChannelType.APNS

    def __init__(self, *, production_url: str = PRODUCTION_URL, sandbox_url: str = SANDBOX_URL) -> None:
        self._urls = {False: production_url.rstrip("/"), True: sandbox_url.rstrip("/")}
        self._tokens = _ProviderTokens()

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        """Hold the conversation of one attempt; see PushSender."""
        payload = payload_of(message)
        if len(payload) > MAX_PAYLOAD_BYTES:
            return Refused(reason="too_large", detail=f"{len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
        device_token = address.value.get("token")
        if not isinstance(device_token, str) or _DEVICE_TOKEN.fullmatch(device_token) is None:
            return DeadAddress(reason="invalid_address", detail="not a device token")
        credentials = address.value.get("credentials")
        if credentials is None:
            return ChannelPaused(reason="no_credentials", scope=self.channel)
        try:
            app = _app(tuple(sorted(credentials.items())))
        except InvalidCredentialsError as error:
            return ChannelPaused(reason="bad_credentials", scope=self.channel, detail=str(error))
        answer = yield Request(
            url=f"{self._urls[app.sandbox]}/3/device/{device_token}",
            headers={
                "authorization": self._tokens.authorization(app, now=now),
                "apns-topic": app.topic,
                "apns-push-type": "alert",
                "apns-id": apns_id(message.message_id),  # the same for every repeat
                "apns-collapse-id": message.message_id,  # a repeat replaces what is shown
                "apns-expiration": str(max(0, math.floor(message.expires_at.timestamp()))),
                "apns-priority": _PRIORITIES[message.urgency],
                "content-type": "application/json",
            },
            body=payload,
            connections=f"apns {app.team_id}",  # Apple takes tokens of one team only over a connection
        )
        if not isinstance(answer, Answer):
            return answer
        reason = _reason(answer.body)
        if reason in {"ExpiredProviderToken", "InvalidProviderToken"}:
            self._tokens.forget(app, now=now)
        return outcome_of(answer, STATUSES, now=now, code=reason, provider_id=answer.header("apns-id"), scope=app.topic)


def payload_of(message: Message) -> bytes:
    """Return the JSON: `aps` is Apple's, `lbs` is for the app: which message it is, and what comes with it."""
    return msgspec.json.encode(
        {
            "aps": {"alert": {"title": message.title, "body": message.body}, "mutable-content": 1},
            "lbs": {"id": message.message_id, "data": message.data},
        },
        enc_hook=dict,
    )


def apns_id(message_id: str) -> str:
    """A UUID of version 5 (RFC 9562, section 5.5); Python's own takes longer than all else that is said of a message.

    >>> apns_id("a") == str(uuid.uuid5(_NAMESPACE, "a"))
    True
    """
    named = sha1(_NAMESPACE.bytes + message_id.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(named[16], 16) & 3]
    return f"{named[:8]}-{named[8:12]}-5{named[13:16]}-{variant}{named[17:20]}-{named[20:32]}"


def provider_token(app: ApnsApp, *, now: datetime) -> str:
    """Sign the JWT by which Apple knows the team."""
    return jwt.encode(
        {"iss": app.team_id, "iat": math.floor(now.timestamp())},
        app.key(),
        algorithm="ES256",
        headers={"kid": app.key_id},
    )


class _ProviderTokens:
    """One token a key, used for TOKEN_LIFE: Apple counts them by team."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], tuple[str, datetime, str]] = {}

    def authorization(self, app: ApnsApp, *, now: datetime) -> str:
        with self._lock:
            held = self._held.get((app.team_id, app.key_id))
            if held is not None:
                private_key, signed_at, header = held
                # a clock that was set back makes a token from the future
                if private_key == app.private_key and timedelta(0) <= now - signed_at < TOKEN_LIFE:
                    return header
            header = f"bearer {provider_token(app, now=now)}"
            self._held[app.team_id, app.key_id] = (app.private_key, now, header)
            return header

    def forget(self, app: ApnsApp, *, now: datetime) -> None:
        """Sign anew next time, unless the token is younger than Apple lets it be renewed."""
        with self._lock:
            held = self._held.get((app.team_id, app.key_id))
            if held is not None and now - held[1] >= TOKEN_LIFE / 2:
                del self._held[app.team_id, app.key_id]


@lru_cache(maxsize=1_000)
def _app(items: tuple[tuple[str, Any], ...]) -> ApnsApp:
    """Reading a key takes longer than sending a message."""
    return ApnsApp.parse(dict(items))


def _reason(body: bytes) -> str | None:
    try:
        return str(msgspec.json.decode(body)["reason"]) if body else None
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
