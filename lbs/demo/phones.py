"""The phones of the sample city, as HTTP clients: they register, report where they are, and take offers in.

A phone whose request fails keeps its positions and sends them again with the next ones: they are a set, so nothing is
counted twice. A stream that breaks is opened again with the last event's id.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lbs import clock
from lbs.demo.receivers import Arrival
from lbs.demo.wire import Line, NoAnswerError
from offers.push import ChannelType

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from random import Random

    from lbs.demo.city import Plane
    from lbs.demo.tally import Tally
    from lbs.demo.walkers import Gps, Walker

FIX_EVERY_S: Final = 5.0
POLL_EVERY_S: Final = 8.0
GLANCE_EVERY_S: Final = 25.0
"""How often people look into the inbox whose phones tell them of offers anyway."""
KEPT_POSITIONS: Final = 1_000
"""As many as one request may carry."""
SEEN_AFTER_S: Final = (0.4, 1.5)
"""From a push's arrival to the phone saying that it was delivered."""
OPENED_SHARE: Final = 0.4
DISMISSED_SHARE: Final = 0.2
OPENED_AFTER_S: Final = (2.0, 9.0)
RETRY_S: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Phone:
    """One phone and who carries it."""

    name: str
    rng: Random
    walker: Walker
    gps: Gps
    channel: ChannelType
    streams: bool = False
    """Holds the stream of the inbox open; other phones look into it now and then."""
    batch: int = 1
    """Fixes that go out in one request."""
    token: str = ""
    unsent: list[dict[str, Any]] = field(default_factory=list)


class Crowd:
    """All phones at work, in one event loop; receivers call `on_push` and `on_webhook` from threads of their own."""

    def __init__(self, *, api_url: str, phones: Sequence[Phone], plane: Plane, tally: Tally) -> None:
        self._phones = {phone.name: phone for phone in phones}
        self._plane = plane
        self._tally = tally
        self._lines = {phone.name: Line(api_url) for phone in phones}
        self._tasks: set[asyncio.Task[None]] = set()
        self._still = asyncio.Event()
        self._walks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Set everybody in motion; needs the running loop."""
        self._loop = asyncio.get_running_loop()
        for phone in self._phones.values():
            self._walks.append(self._begin(self._report(phone)))
            self._begin(self._stream(phone) if phone.streams else self._poll(phone))

    async def stand_still(self) -> None:
        """Nobody reports any more, and every report has its answer; offers still arrive and are acknowledged."""
        self._still.set()
        await asyncio.wait(self._walks)

    async def stop(self) -> None:
        """No request is left under way, and no push begins another."""
        self._loop = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for line in self._lines.values():
            line.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def raise_defect(self) -> None:
        """Raises what a task died of, if one did: whatever may happen to a phone is handled, so it is a defect."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def on_push(self, arrival: Arrival) -> None:
        """A push reached a phone; called from the push service's threads."""
        self._tally.arrived(ChannelType.WEBPUSH, arrival, timed=True)
        if self._loop is not None and arrival.phone in self._phones:
            self._loop.call_soon_threadsafe(self._take_in, self._phones[arrival.phone], arrival.message_id)

    def _take_in(self, phone: Phone, message_id: str) -> None:
        if self._loop is not None:
            self._begin(self._acknowledge(phone, message_id))

    def on_webhook(self, arrival: Arrival) -> None:
        """A partner was told; its 2xx is all the receipt there is."""
        self._tally.arrived(ChannelType.WEBHOOK, arrival, timed=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that died of a defect is kept, for `raise_defect` to find."""
        if task.cancelled() or task.exception() is None:
            self._tasks.discard(task)

    async def _report(self, phone: Phone) -> None:
        pause_s = phone.rng.uniform(0, FIX_EVERY_S)
        last_s = time.monotonic()
        while not await self._stands_still(pause_s):
            now_s = time.monotonic()
            passed_s, last_s = now_s - last_s, now_s
            phone.walker.walk(passed_s)
            fix = phone.gps.see(phone.walker.at, after_s=passed_s)
            place = self._plane.place(fix.spot)
            phone.unsent.append(
                {
                    "lat": round(place.lat, 7),
                    "lng": round(place.lng, 7),
                    "recorded_at": clock.now().isoformat(),
                    "accuracy_m": round(fix.accuracy_m, 1),
                }
            )
            if len(phone.unsent) >= phone.batch:
                await self._send(phone)
            pause_s = FIX_EVERY_S * phone.rng.uniform(0.9, 1.1)

    async def _stands_still(self, within_s: float) -> bool:
        try:
            await asyncio.wait_for(self._still.wait(), within_s)
        except TimeoutError:
            return False
        return True

    async def _send(self, phone: Phone) -> None:
        sent = phone.unsent[:KEPT_POSITIONS]
        answer = await self._call(phone, "POST", "/v1/positions", {"device_id": phone.name, "positions": sent})
        if answer is not None:
            del phone.unsent[: len(sent)]
            self._tally.positions += answer["accepted"]
            self._tally.rejected += len(answer["rejected"])

    async def _poll(self, phone: Phone) -> None:
        every_s = POLL_EVERY_S if phone.channel is ChannelType.INBOX else GLANCE_EVERY_S
        while True:
            await asyncio.sleep(every_s * phone.rng.uniform(0.5, 1.0))
            page = await self._call(phone, "GET", f"/v1/devices/{phone.name}/inbox", None)
            for item in page["items"] if page is not None else ():
                self._found(phone, item, timed=False)

    async def _stream(self, phone: Phone) -> None:
        path, last_id = f"/v1/devices/{phone.name}/stream", None
        while True:
            try:
                async for event in self._lines[phone.name].events(path, token=phone.token, last_id=last_id):
                    if event.get("event") == "offer":
                        last_id = event.get("id")
                        self._found(phone, json.loads(event["data"]), timed=True)
            except NoAnswerError as error:
                self._tally.failures[f"stream: {error}"] += 1
            await asyncio.sleep(RETRY_S)

    def _found(self, phone: Phone, item: Mapping[str, Any], *, timed: bool) -> None:
        """A message in the inbox; one that was polled may have lain there for seconds, so only streams are timed."""
        arrival = Arrival(
            message_id=item["message_id"], at_s=time.time(), title=item["title"], data=item["data"], phone=phone.name
        )
        if self._tally.arrived(ChannelType.INBOX, arrival, timed=timed):
            self._take_in(phone, arrival.message_id)

    async def _acknowledge(self, phone: Phone, message_id: str) -> None:
        """The phone shows it at once; some people open it, some wipe it away, and most do neither."""
        await asyncio.sleep(phone.rng.uniform(*SEEN_AFTER_S))
        at = clock.now().isoformat()
        seen = [{"message_id": message_id, "event": event, "at": at} for event in ("delivered", "displayed")]
        await self._call(phone, "POST", "/v1/receipts", {"receipts": seen})
        drawn = phone.rng.random()
        if drawn < OPENED_SHARE + DISMISSED_SHARE:
            await asyncio.sleep(phone.rng.uniform(*OPENED_AFTER_S))
            event = "opened" if drawn < OPENED_SHARE else "dismissed"
            await self._call(phone, "POST", "/v1/receipts", {"message_id": message_id, "event": event})

    async def _call(self, phone: Phone, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """The answer; None if there was none worth the name, which the caller makes up for later."""
        try:
            answer = await self._lines[phone.name].request(method, path, token=phone.token, body=body)
        except NoAnswerError as error:
            self._tally.failures[f"{method} {path.replace(phone.name, '{id}')}: {error}"] += 1
            return None
        if not answer.ok:
            self._tally.failures[f"{method} {path.replace(phone.name, '{id}')}: {answer.status}"] += 1
            return None
        return answer.json()
