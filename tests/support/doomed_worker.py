"""A worker process that kills itself (-9) at one step of its work: `python -m tests.support.doomed_worker STEP`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geofences.sql import queries
from lbs import clock
from lbs.connections import Role, database
from lbs.runtime import resolve
from lbs.secrets import Vault
from lbs.settings import Settings
from lbs.wiring import senders, transport
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from offers.push import Address, ChannelType, Conversation, Message, PushSender


class Step(StrEnum):
    """Each is the last thing that the process did."""

    DECIDING = "deciding"
    """A decision is written, and not committed."""
    DECIDED = "decided"
    CLAIMING = "claiming"
    """Messages are claimed, and that is not committed."""
    CLAIMED = "claimed"
    """Nothing has been sent."""
    SENT = "sent"
    """The answer has not come; whoever started the process kills it."""
    ANSWERED = "answered"
    """Nothing of it is written."""
    FINISHING = "finishing"
    """What came of it is written, and not committed."""


STATEMENTS = {Step.DECIDING: "advance_cursors", Step.CLAIMING: "claim_due", Step.FINISHING: "finish"}
"""The last statement of a transaction."""


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class DoomedSender:
    """Another sender, but for the moment in which the process dies."""

    inner: PushSender
    step: Step

    @property
    def channel(self) -> ChannelType:
        return self.inner.channel

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        if self.step is Step.CLAIMED:
            die()
        outcome = yield from self.inner.attempt(message, address, now=now)
        if self.step is Step.ANSWERED:
            die()
        return outcome


def die_after(system: sa.Engine, name: str) -> None:
    """Once that statement has found something to do."""
    fatal = str(queries("offers")[name].compile(system))

    def check(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if statement == fatal and cursor.rowcount > 0:
            die()

    sa.event.listen(system, "after_cursor_execute", check)


def main(step: Step) -> None:
    settings = resolve(Settings())
    system = database(settings, Role.SYSTEM)
    if step in STATEMENTS:
        die_after(system, STATEMENTS[step])
    carrier = transport(settings)
    doomed: Mapping[ChannelType, PushSender] = {
        type_: DoomedSender(sender, step) for type_, sender in senders(settings, carrier).items()
    }
    worker = Worker(
        database=system,
        decider=Decider(database=system, catalogue=Catalogue()),
        senders=doomed,
        transport=carrier,
        unseal=Vault(settings).unseal,
        now=clock.now,
        beat=lambda: None,
        on_decided=lambda answers: die() if step is Step.DECIDED and answers else None,
    )
    worker.run(threading.Event())


if __name__ == "__main__":
    main(Step(sys.argv[1]))
