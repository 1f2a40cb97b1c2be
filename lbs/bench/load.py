"""A load generator and a sink that cost next to nothing beside what they measure: plain asyncio, prepared bytes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 32


@dataclass(slots=True)
class Tally:
    """What came back."""

    answers: int = 0
    refused: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)


def request_bytes(
    url: str, path: str, body: bytes, *, key: str, content_type: str = "application/json", method: str = "POST"
) -> bytes:
    host = urlsplit(url).netloc
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def status_of(reader: asyncio.StreamReader) -> bytes:
    """Reads one response; its status line."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        length = int(lower[at + 15 : lower.index(b"\r\n", at)])
        await reader.readexactly(length)
    return head[:12]


async def hammer(
    url: str, requests: Sequence[bytes], *, seconds: float, at_least: int = 0, expect: bytes = b"202"
) -> Tally:
    """Sends prepared requests over CONNECTIONS connections for so long; one request at a time on each."""
    parts = urlsplit(url)
    tally = Tally()
    begin = time.perf_counter()

    async def one(start: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        i = start
        while time.perf_counter() - begin < seconds or tally.answers < at_least:
            sent = time.perf_counter()
            writer.write(requests[i % len(requests)])
            status = await status_of(reader)
            tally.latencies_s.append(time.perf_counter() - sent)
            if status.endswith(expect):
                tally.answers += 1
            else:
                tally.refused += 1
            i += CONNECTIONS
        writer.close()

    await asyncio.gather(*(one(start) for start in range(CONNECTIONS)))
    tally.seconds = time.perf_counter() - begin
    return tally


class Sink:
    """Answers 204 to every POST and notes when its first byte came, by path."""

    def __init__(self) -> None:
        self.arrived_s: dict[str, float] = {}
        self.url = ""
        self._server: asyncio.Server | None = None
        self._served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._served.values():
            connection.close()
        await asyncio.gather(*self._served)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served[task] = writer
        try:
            while True:
                first = await reader.readexactly(1)
                came_s = time.perf_counter()
                head = first + await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                lower = head.lower()
                at = lower.find(b"content-length:")
                await reader.readexactly(int(lower[at + 15 : lower.index(b"\r\n", at)]))
                self.arrived_s.setdefault(path, came_s)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the sender has gone, or the sink closes
        finally:
            del self._served[task]
            writer.close()
