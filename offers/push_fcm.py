"""Firebase Cloud Messaging, HTTP v1: an OAuth2 token of a service account, then one POST a message.

Source: Firebase, "FCM HTTP v1 API", "ErrorCode" and "Understanding message delivery quotas"; Google, "Using OAuth 2.0
for server to server applications".
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from offers.errors import InvalidCredentialsError
from offers.push import (
    Address,
    Answer,
    ChannelPaused,
    ChannelType,
    Conversation,
    DeadAddress,
    Failed,
    Message,
    Refused,
    Request,
    Retry,
    Urgency,
)
from offers.push_status import Action, StatusTable, outcome_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from offers.push import Outcome

BASE_URL: Final = "https://fcm.googleapis.com"
TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
MAX_PAYLOAD_BYTES: Final = 4096
ASSERTION_LIFE: Final = timedelta(hours=1)
RENEW_BEFORE: Final = timedelta(minutes=5)

STATUSES: Final[StatusTable] = {
    200: (Action.SENT, "accepted"),
    "UNREGISTERED": (Action.DEAD, "unregistered"),
    "SENDER_ID_MISMATCH": (Action.REFUSED, "sender_id_mismatch"),  # the app's address may be right, our project wrong
    "INVALID_ARGUMENT": (Action.REFUSED, "invalid_argument"),
    "QUOTA_EXCEEDED": (Action.SLOW_DOWN, "rate_limited"),
    "THIRD_PARTY_AUTH_ERROR": (Action.PAUSED, "third_party_auth"),
    "UNAVAILABLE": (Action.RETRY_MAYBE_ARRIVED, "unavailable"),
    "INTERNAL": (Action.RETRY_MAYBE_ARRIVED, "server_error"),
    401: (Action.PAUSED, "unauthorized"),
    403: (Action.PAUSED, "forbidden"),
    404: (Action.PAUSED, "no_project"),
    413: (Action.REFUSED, "too_large"),
    429: (Action.SLOW_DOWN, "rate_limited"),
    3: (Action.REFUSED, "redirected"),
    4: (Action.REFUSED, "client_error"),
    5: (Action.RETRY_MAYBE_ARRIVED, "server_error"),
}
"""Codes of the answer's body first, then statuses."""

SIGN_IN: Final[StatusTable] = {
    3: (Action.PAUSED, "redirected"),
    408: (Action.RETRY, "sign_in_unavailable"),
    429: (Action.SLOW_DOWN, "rate_limited"),
    4: (Action.PAUSED, "sign_in_refused"),
    5: (Action.RETRY, "sign_in_unavailable"),
}
"""Of the token server: nothing of the message has left yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FcmApp:
    """The service account of one Firebase project."""

    project_id: str
    client_email: str
    private_key: str = field(repr=False)
    """PKCS#8 in PEM, RSA, as in the service account's JSON."""

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> FcmApp:
        """Read the credentials as they are stored; InvalidCredentialsError says what is wrong with them."""
        try:
            app = msgspec.convert(value, cls)
            app.key()
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise InvalidCredentialsError("FCM needs project_id, client_email and an RSA key in PEM") from error
        return app

    def key(self) -> rsa.RSAPrivateKey:
        key = load_pem_private_key(self.private_key.encode(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise InvalidCredentialsError("the key of a service account is an RSA key")
        return key


@dataclass(slots=True)
class _Held:
    """What is known of one service account."""

    app: FcmApp
    token: str = field(default="", repr=False)
    good_until: datetime | None = None
    renewing_since: datetime | None = None


class FcmSender:
    """Sends through Firebase; an address is `{token, credentials}`."""

    channel: Final = ChannelType.FCM

    def __init__(self, *, base_url: str = BASE_URL, token_url: str = TOKEN_URL) -> None:
        self._base_url = base_url.rstrip("/")
        self._token_url = token_url
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        """Hold the conversation of one attempt; see PushSender."""
        token = address.value.get("token")
        if not isinstance(token, str) or not token:
            return DeadAddress(reason="invalid_address", detail="not a registration token")
        payload = payload_of(message, token=token, now=now)
        if len(payload) > MAX_PAYLOAD_BYTES + len(token):
            return Refused(reason="too_large", detail=f"{len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
        credentials = address.value.get("credentials")
        if credentials is None:
            return ChannelPaused(reason="no_credentials", scope=self.channel)
        try:
            held = self._account(credentials)
        except InvalidCredentialsError as error:
            return ChannelPaused(reason="bad_credentials", scope=self.channel, detail=str(error))
        if self._must_sign_in(held, now=now):
            failed = yield from self._sign_in(held, now=now)
            if failed is not None:
                return failed
        answer = yield Request(
            url=f"{self._base_url}/v1/projects/{quote(held.app.project_id, safe='')}/messages:send",
            headers={"authorization": f"Bearer {held.token}", "content-type": "application/json"},
            body=payload,
        )
        if not isinstance(answer, Answer):
            return answer
        code, name = _said(answer.body)
        if answer.status == _UNAUTHORIZED and code != "THIRD_PARTY_AUTH_ERROR":
            self._drop(held)
        return outcome_of(answer, STATUSES, now=now, code=code, provider_id=name, scope=held.app.project_id)

    def _account(self, credentials: Mapping[str, Any]) -> _Held:
        name = f"{credentials.get('project_id')} {credentials.get('client_email')}"
        with self._lock:
            held = self._held.get(name)
            if held is None or held.app.private_key != credentials.get("private_key"):
                held = self._held[name] = _Held(FcmApp.parse(credentials))
            return held

    def _must_sign_in(self, held: _Held, *, now: datetime) -> bool:
        """Whether this conversation gets the next token; while one does, the others go on with the last if they can."""
        with self._lock:
            left = timedelta(0) if held.good_until is None else held.good_until - now
            if left > RENEW_BEFORE:
                return False
            renewing = held.renewing_since is not None and timedelta(0) <= now - held.renewing_since < RENEW_BEFORE / 5
            if left > timedelta(0) and renewing:
                return False
            held.renewing_since = now
            return True

    def _sign_in(self, held: _Held, *, now: datetime) -> Generator[Request, Answer | Failed, Outcome | None]:
        """Gets a token; returns None, or the outcome if there is none to be had now."""
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": assertion(held.app, token_url=self._token_url, now=now),
        }
        answer = yield Request(
            url=self._token_url,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        with self._lock:
            held.renewing_since = None
        if not isinstance(answer, Answer):
            # whatever became of that request, nothing of the message has left
            return answer if isinstance(answer, Refused) else Retry(reason=answer.reason, detail=answer.detail)
        if answer.status != _OK:
            return outcome_of(answer, SIGN_IN, now=now, scope=held.app.project_id)
        try:
            given = msgspec.json.decode(answer.body, type=_Token)
        except msgspec.DecodeError:
            return outcome_of(Answer(status=502, origin=answer.origin), SIGN_IN, now=now)
        with self._lock:
            held.token, held.good_until = given.access_token, now + timedelta(seconds=given.expires_in)
        return None

    def _drop(self, held: _Held) -> None:
        with self._lock:
            held.good_until = None


_OK: Final = 200
_UNAUTHORIZED: Final = 401


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float


def assertion(app: FcmApp, *, token_url: str, now: datetime) -> str:
    """Sign the JWT that is exchanged for an access token (RFC 7523)."""
    issued_s = math.floor(now.timestamp())
    claims = {
        "iss": app.client_email,
        "scope": SCOPE,
        "aud": token_url,
        "iat": issued_s,
        "exp": issued_s + math.floor(ASSERTION_LIFE.total_seconds()),
    }
    return jwt.encode(claims, app.key(), algorithm="RS256")


def payload_of(message: Message, *, token: str, now: datetime) -> bytes:
    """Return the JSON of one message: `notification` is shown, `data` is for the app (texts only, as FCM demands)."""
    ttl_s = max(0, math.floor((message.expires_at - now).total_seconds()))
    high = message.urgency in {Urgency.NORMAL, Urgency.HIGH}
    return msgspec.json.encode(
        {
            "message": {
                "token": token,
                "notification": {"title": message.title, "body": message.body},
                "data": {
                    "id": message.message_id,
                    "data": msgspec.json.encode(message.data, enc_hook=dict).decode(),
                },
                "android": {
                    "ttl": f"{min(ttl_s, MAX_TTL_S)}s",
                    "priority": "HIGH" if high else "NORMAL",
                    # a repeat replaces what is shown; of collapse keys Firebase keeps but four for a phone that is off
                    "notification": {"tag": message.message_id},
                },
                "apns": {
                    "headers": {
                        "apns-collapse-id": message.message_id,
                        "apns-expiration": str(max(0, math.floor(message.expires_at.timestamp()))),
                        "apns-priority": "10" if high else "5",
                    }
                },
            }
        }
    )


MAX_TTL_S: Final = 28 * 86400
"""Four weeks: Firebase keeps nothing longer."""


def _said(body: bytes) -> tuple[str | None, str | None]:
    """The error's code (FcmError's, else the status' name) and the name of a message that was taken."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None, None
    if not isinstance(said, dict):
        return None, None
    error = said.get("error")
    if not isinstance(error, dict):
        name = said.get("name")
        return None, name.rpartition("/")[2] if isinstance(name, str) else None
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("google.firebase.fcm.v1.FcmError"):
            return str(detail.get("errorCode")), None
    status = error.get("status")
    return (status if isinstance(status, str) else None), None
