"""Senders that reach nobody: for development, for copies of an installation, and for tests of what sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from offers.push import Sent

if TYPE_CHECKING:
    from datetime import datetime

    from offers.push import Address, ChannelType, Conversation, Message

log = structlog.get_logger(__name__)


class LogSender:
    """Writes a line for each message: which one and its title, nothing of the phone."""

    def __init__(self, channel: ChannelType) -> None:
        self.channel = channel

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        """Say nothing to anybody; see PushSender."""
        del address, now
        log.info("push.not_sent", channel=self.channel, message_id=message.message_id, title=message.title)
        yield from ()
        return Sent(reason="logged")


class MemorySender:
    """Keeps the messages, oldest first."""

    def __init__(self, channel: ChannelType) -> None:
        self.channel = channel
        self.sent: list[tuple[Message, Address]] = []

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        """Say nothing to anybody; see PushSender."""
        del now
        self.sent.append((message, address))
        yield from ()
        return Sent(reason="kept")
