"""Partner webhooks, signed as Standard Webhooks 1.0.0 says (HMAC-SHA256, `v1`), over the very bytes that are sent."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from offers.errors import InvalidSubscriptionError
from offers.push import Address, Answer, ChannelType, Conversation, DeadAddress, Message, Refused, Request
from offers.push_status import Action, StatusTable, outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

EVENT_TYPE = "offer.notification"
MAX_BODY_BYTES = 20_000
SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of every secret

STATUSES: Final[StatusTable] = {
    2: (Action.SENT, "accepted"),
    3: (Action.REFUSED, "redirected"),  # following would let the receiver send us anywhere
    410: (Action.DEAD, "gone"),
    429: (Action.SLOW_DOWN, "rate_limited"),
    # The specification counts every other status as a failure to be repeated: a receiver that answers 404 or 401 is
    # usually being deployed. The end of the offer bounds the repeats.
    4: (Action.RETRY, "client_error"),
    5: (Action.RETRY_MAYBE_ARRIVED, "server_error"),
}
"""Standard Webhooks, "Delivery success and failure"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAddress:
    """Where a partner listens, and the secrets shared with them: several while one is being replaced, newest first."""

    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> WebhookAddress:
        """Read `{url, secrets: ["whsec_...", ...]}`; InvalidSubscriptionError says what is wrong with it.

        Whether the URL may be called is the guard's question.
        """
        url, secrets = value.get("url"), value.get("secrets")
        if not isinstance(url, str):
            raise InvalidSubscriptionError("a webhook needs a url")
        if not isinstance(secrets, list | tuple) or not secrets:
            raise InvalidSubscriptionError("a webhook needs a list of secrets")
        return cls(url=url, secrets=tuple(parse_secret(secret) for secret in secrets))


def parse_secret(text: Any) -> bytes:
    """Return the key in a `whsec_` secret; the prefix and base64 padding may be missing, as in the reference libraries.

    Raises InvalidSubscriptionError if it is not text, not base64, or empty.
    """
    if not isinstance(text, str):
        raise InvalidSubscriptionError("a webhook secret must be text")
    return _key_in(text)


@lru_cache(maxsize=1_000)
def _key_in(text: str) -> bytes:
    encoded = text.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidSubscriptionError("a webhook secret must be base64") from error
    if not secret:
        raise InvalidSubscriptionError("a webhook secret must not be empty")
    return secret


def sign(secrets: Sequence[bytes], *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the `webhook-signature` header: one `v1,` signature a secret, in their order, separated by spaces.

    Signed is `message_id.timestamp_s.body`; neither of the first two may contain a full stop.
    """
    signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    return " ".join([f"v1,{_mac(secret, signed)}" for secret in secrets])


def _mac(secret: bytes, signed: bytes) -> str:
    mac = _keyed(secret).copy()
    mac.update(signed)
    return binascii.b2a_base64(mac.digest(), newline=False).decode("ascii")


@lru_cache(maxsize=1_000)
def _keyed(secret: bytes) -> hmac.HMAC:
    """Setting up a key takes longer than signing a message with it."""
    return hmac.new(secret, digestmod="sha256")


class WebhookSender:
    """Sends to partners' servers. A server that is down is a Retry, a silent one an Unknown; STATUSES has the rest."""

    channel: Final = ChannelType.WEBHOOK

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        body = _body(message, now=now)
        if len(body) >= MAX_BODY_BYTES:
            return Refused(reason="too_large", detail=f"{len(body)} bytes, below {MAX_BODY_BYTES} needed")
        try:
            webhook = WebhookAddress.parse(address.value)
        except InvalidSubscriptionError as error:
            return DeadAddress(reason="invalid_address", detail=str(error))
        timestamp_s = math.floor(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(timestamp_s),  # of this attempt: receivers refuse old ones as replayed
            "webhook-signature": sign(
                webhook.secrets, message_id=message.message_id, timestamp_s=timestamp_s, body=body
            ),
        }
        answer = yield Request(url=webhook.url, headers=headers, body=body)
        return outcome_of(answer, STATUSES, now=now) if isinstance(answer, Answer) else answer


def _body(message: Message, *, now: datetime) -> bytes:
    """Return the JSON of one notification; its timestamp is the decision's, which repeats do not change."""
    return msgspec.json.encode(
        {
            "type": EVENT_TYPE,
            "timestamp": message.created_at or now,
            "data": {
                "id": message.message_id,
                "title": message.title,
                "body": message.body,
                "data": message.data,
                "expires_at": message.expires_at,
            },
        },
        enc_hook=dict,  # a read-only mapping is written as an object
    )
