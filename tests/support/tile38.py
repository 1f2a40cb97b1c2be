"""A stand-in for Tile38: as much of its protocol as `lbs bench engine --tile38` speaks, answered by brute force."""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import hiredis
import shapely
from shapely.geometry import Point

from tests.support.shapes import GEOD

if TYPE_CHECKING:
    from collections.abc import Iterator


class Server(socketserver.ThreadingTCPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.channels: dict[str, Any] = {}
        self.objects: dict[str, set[str]] = {}
        """Ids by key."""
        self.inside: dict[str, set[str]] = {}
        """Channels that a device is in."""
        self.listeners: list[tuple[str, _Connection]] = []
        self.wrong = False
        """Whether it forgets every second fence."""

    def publish(self, channel: str, text: str) -> None:
        for pattern, listener in self.listeners:
            if fnmatchcase(channel, pattern):
                listener.reply([b"pmessage", pattern.encode(), channel.encode(), text.encode()])


class _Connection(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        reader = hiredis.Reader()
        while data := self.request.recv(1 << 16):
            reader.feed(data)
            while (words := reader.gets()) is not False:
                self._obey([word.decode() for word in words])
        self.server.listeners = [(pattern, other) for pattern, other in self.server.listeners if other is not self]

    def reply(self, value: Any) -> None:
        self.request.sendall(_encoded(value))

    def _obey(self, words: list[str]) -> None:
        server = self.server
        match words:
            case ["SETCHAN", name, "INTERSECTS", key, "FENCE", "DETECT", "enter,exit", *area]:
                server.channels[name] = (key, area)
                self.reply(1)
            case ["SET", key, name, "POINT", lat, lng]:
                server.objects.setdefault(key, set()).add(name)
                self.reply("OK")
                self._moved(key, name, float(lat), float(lng))
            case ["PSUBSCRIBE", pattern]:
                server.listeners.append((pattern, self))
                self.reply([b"psubscribe", pattern.encode(), 1])
            case ["PUBLISH", channel, text]:
                self.reply(1)
                server.publish(channel, text)
            case ["PDELCHAN", pattern]:
                gone = [name for name in server.channels if fnmatchcase(name, pattern)]
                for name in gone:
                    del server.channels[name]
                self.reply(len(gone))
            case ["DROP", key]:
                self.reply(int(server.objects.pop(key, None) is not None))
                server.inside.clear()
            case _:
                self.reply(hiredis.ReplyError(f"ERR unknown command {words[0]}"))

    def _moved(self, key: str, name: str, lat: float, lng: float) -> None:
        was = self.server.inside.get(name, set())
        now = {
            channel
            for i, (channel, (wanted, area)) in enumerate(self.server.channels.items())
            if wanted == key and _holds(area, lat, lng) and not (self.server.wrong and i % 2)
        }
        self.server.inside[name] = now
        for channel, what in [*((c, "enter") for c in now - was), *((c, "exit") for c in was - now)]:
            self.server.publish(channel, json.dumps({"command": "set", "detect": what, "key": key, "id": name}))


def _holds(area: list[str], lat: float, lng: float) -> bool:
    if area[0] == "CIRCLE":
        center_lat, center_lng, radius_m = map(float, area[1:])
        return bool(GEOD.inv(center_lng, center_lat, lng, lat)[2] <= radius_m)
    return bool(shapely.from_geojson(area[1]).covers(Point(lng, lat)))


def _encoded(value: Any) -> bytes:
    match value:
        case int():
            return b":%d\r\n" % value
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case str():
            return b"+%b\r\n" % value.encode()
        case Exception():
            return b"-%b\r\n" % str(value).encode()
        case _:
            return b"*%d\r\n%b" % (len(value), b"".join(map(_encoded, value)))


@contextmanager
def stand_in() -> Iterator[Server]:
    """A server on a free port of this machine."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
