"""HTTP/1.1 as a phone needs it: one kept connection for requests, another for a stream of events.

A few hundred phones live in one event loop, beside the service they call; a general client would cost them ten times as
much of the processor as this one, and the demo would measure itself.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

TIMEOUT_S: Final = 15.0
SILENCE_S: Final = 60.0
"""The API pings its streams every 15 s; one that is silent for longer is dead."""
OK: Final = range(200, 300)


class NoAnswerError(Exception):
    """The server is away, did not answer in time, or not in HTTP: ask again later."""


class HungUpError(NoAnswerError):
    """The server closed the connection instead of answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status in OK

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One phone's way to the API. Requests go one after the other; a connection that was closed is opened again."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "the API's own URL"
        self._host, self._port = parts.hostname, parts.port or 80
        self._lock = asyncio.Lock()
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, *, token: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Ask and wait; NoAnswerError. Asks twice if a kept connection turns out to be closed."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Length": str(len(data))}
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._lock:
            kept = self._open is not None
            try:
                return await self._exchange(_head(method, path, self._host, headers) + data)
            except HungUpError:
                if not kept:
                    raise
                return await self._exchange(_head(method, path, self._host, headers) + data)

    async def _exchange(self, request: bytes) -> Answer:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if self._open is None:
                    self._open = await asyncio.open_connection(self._host, self._port)
                reader, writer = self._open
                writer.write(request)
                status, headers = await _read_head(reader)
                length = int(headers.get("content-length", "0"))
                answer = Answer(status=status, body=await reader.readexactly(length))
                if headers.get("connection") == "close":
                    self.close()
                return answer
        except (TimeoutError, ValueError) as error:
            self.close()
            raise NoAnswerError(type(error).__name__) from error
        except (OSError, EOFError) as error:
            self.close()
            raise HungUpError(type(error).__name__) from error
        except asyncio.CancelledError:
            # half an answer would be taken for the next one's
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    async def events(self, path: str, *, token: str, last_id: str | None) -> AsyncIterator[dict[str, str]]:
        """Server-sent events over a connection of its own, until it ends; NoAnswerError."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        writer = None
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            writer.write(_head("GET", path, self._host, headers))
            status, found = await _read_head(reader)
            if status not in OK or found.get("transfer-encoding") != "chunked":
                raise NoAnswerError(f"no stream: {status}")
            event: dict[str, str] = {}
            async for line in _lines(reader):
                if line:
                    name, _, value = line.partition(":")
                    event[name] = value.removeprefix(" ")
                else:
                    yield event
                    event = {}
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            raise NoAnswerError(type(error).__name__) from error
        finally:
            if writer is not None:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


def _head(method: str, path: str, host: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """The status and the headers, their names in lower case."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = text.split("\r\n")
    pairs = (line.partition(":") for line in rest if line)
    return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines of a chunked body as they come; chunks end where they like."""
    rest = b""
    while True:
        async with asyncio.timeout(SILENCE_S):
            size = int(await reader.readline(), 16)
            chunk = await reader.readexactly(size)
            await reader.readexactly(2)
        if size == 0:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode()
