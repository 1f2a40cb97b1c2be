"""The phones' own HTTP: kept connections that are closed under it, and streams cut into chunks anywhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lbs.demo.wire import Line, NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def against(server: Any, use: Callable[[Line], Awaitable[Any]]) -> Any:
    """What `use` makes of a line to a server of our own."""

    async def run() -> Any:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            line = Line(f"http://127.0.0.1:{port}")
            try:
                return await use(line)
            finally:
                line.close()

    return asyncio.run(run())


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().partition("content-length: ")[2].partition("\r")[0] or 0)
    return head, await reader.readexactly(length)


def test_a_request_carries_its_token_and_body() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        said = body + b" " + str("Authorization: Bearer lbs_dt_x" in head).encode()
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
        writer.close()

    answer = against(echo, lambda line: line.request("POST", "/v1/positions", token="lbs_dt_x", body={"a": 1}))

    assert (answer.status, answer.ok, answer.body) == (202, True, b'{"a": 1} True')


def test_a_kept_connection_that_the_server_closed_is_opened_again() -> None:
    connections = 0

    async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async def twice(line: Line) -> list[int]:
        first = await line.request("GET", "/", token="t")
        await asyncio.sleep(0.05)
        second = await line.request("GET", "/", token="t")
        return [first.status, second.status]

    assert against(impatient, twice) == [200, 200]
    assert connections == 2


def test_a_server_that_hangs_up_at_once_is_no_answer() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.close()

    with pytest.raises(NoAnswerError):
        against(rude, lambda line: line.request("GET", "/", token="t"))


def test_events_are_whole_however_they_are_cut() -> None:
    stream = 'id: 7\r\nevent: offer\r\ndata: {"title": "Café"}\r\n\r\n: ping\r\n\r\nid: 8\r\ndata: x\r\n\r\n'.encode()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        assert "Last-Event-ID: 6" in head
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(stream), 3):
            piece = stream[start : start + 3]
            writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        writer.close()

    async def listen(line: Line) -> list[dict[str, str]]:
        return [event async for event in line.events("/stream", token="t", last_id="6")]

    events = against(drip, listen)

    assert events[0] == {"id": "7", "event": "offer", "data": '{"title": "Café"}'}
    assert events[-1] == {"id": "8", "data": "x"}


def test_a_stream_that_breaks_is_no_answer() -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nda")
        writer.close()

    async def listen(line: Line) -> list[dict[str, str]]:
        return [event async for event in line.events("/stream", token="t", last_id=None)]

    with pytest.raises(NoAnswerError):
        against(broken, listen)
