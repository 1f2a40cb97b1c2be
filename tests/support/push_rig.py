"""A push sender and its far end, for tests that hold all senders to the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from offers.push import Address, ChannelType, Message
from offers.push_apns import ApnsSender
from offers.push_fcm import FcmSender
from offers.push_http import HttpTransport, send
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender
from offers.ssrf import AddressGuard
from tests.support.receivers import Drip, Fault, Slow

if TYPE_CHECKING:
    from offers.push import Outcome, PushSender

KEY = VapidKey.derive(b"a secret of this installation")
CHANNELS = [ChannelType.WEBPUSH, ChannelType.WEBHOOK, ChannelType.APNS, ChannelType.FCM]
OVER_HTTP2 = {ChannelType.APNS, ChannelType.FCM}
TOTAL_TIMEOUT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A sender and its far end, which has not moved unless `at` says so."""

    channel: ChannelType
    transport: HttpTransport
    receiver: Any
    at: str | None = None
    sender: PushSender = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sender", self._sender())

    def _sender(self) -> PushSender:
        base_url = self.at or self.receiver.url("")
        match self.channel:
            case ChannelType.WEBPUSH:
                return WebPushSender(key=KEY, contact="mailto:ops@shop.example", origin=self.transport.origin)
            case ChannelType.APNS:
                return ApnsSender(production_url=base_url)
            case ChannelType.FCM:
                return FcmSender(base_url=base_url, token_url=self.receiver.url("/token"))
            case _:
                return WebhookSender()

    def lose(self, fault: Fault) -> int:
        """Make the connection of the next message misbehave; returns how often the message may be written to it.

        libcurl may repeat at once what it wrote to a kept connection that turned out dead. FCM has a kept one, of the
        sign-in, even for the first message.
        """
        most = 1 if isinstance(fault, Slow | Drip) or self.channel is not ChannelType.FCM else 2
        self.receiver.misbehave(*[fault] * most)
        return most

    @property
    def address(self) -> Address:
        value = self.receiver.subscription() if self.channel is ChannelType.WEBPUSH else self.receiver.address()
        if self.at is not None:
            value |= {"endpoint": self.at + "/x", "url": self.at + "/x"}
        return Address(channel=self.channel, value=value)

    def send(self, message_id: str = "m-1", *, title: str = "Two for one") -> Outcome:
        now = datetime.now(tz=UTC)
        message = Message(
            message_id=message_id,
            title=title,
            body="Espresso until noon, 100 m from you: Caffè Größe",
            data={"claim_url": "https://shop.example/c/1", "tags": ["coffee"]},
            expires_at=now + timedelta(hours=1),
        )
        return send(self.sender, message, self.address, transport=self.transport, now=now)


def transport(*, allow_private: bool = True, **more: Any) -> HttpTransport:
    return HttpTransport(
        guard=AddressGuard(allow_private=allow_private), connect_timeout_s=1.0, total_timeout_s=TOTAL_TIMEOUT_S, **more
    )
