"""Bare HTTP clients of three makers: they send prepared bytes and do nothing else. What the senders are measured by."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
import httpx
import pycurl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from offers.push import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What sending so many messages took this process."""

    messages: int
    cpu_s: float
    wall_s: float

    @property
    def per_core_s(self) -> float:
        """Messages a second of one core's time."""
        return self.messages / self.cpu_s


def cost_of(messages: int, work: Callable[[], object]) -> Cost:
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    work()
    return Cost(messages=messages, cpu_s=time.process_time() - cpu_s, wall_s=time.perf_counter() - wall_s)


def by_curl(requests: Iterator[Request], *, in_flight: int, ca_file: str) -> None:
    """Libcurl's multi interface: one handle for each that is under way."""
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1 if ca_file else in_flight)
    handles = []
    for _ in range(in_flight):
        handle = pycurl.Curl()
        handle.setopt(pycurl.WRITEFUNCTION, len)
        if ca_file:
            handle.setopt(pycurl.CAINFO, ca_file)
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
            handle.setopt(pycurl.PIPEWAIT, 1)
        handles.append(handle)
    idle, busy = list(handles), 0
    done = False
    while not done or busy:
        while idle and not done:
            request = next(requests, None)
            if request is None:
                done = True
                break
            handle = idle.pop()
            handle.setopt(pycurl.URL, request.url)
            headers = [f"{name}: {value}" for name, value in request.headers.items()]
            handle.setopt(pycurl.HTTPHEADER, [*headers, "Expect:"])
            handle.setopt(pycurl.POSTFIELDS, request.body)
            multi.add_handle(handle)
            busy += 1
        multi.perform()
        more = 1
        while more:
            more, good, bad = multi.info_read(in_flight)
            assert not bad, bad
            for handle in good:
                multi.remove_handle(handle)
                idle.append(handle)
                busy -= 1
        if busy and not (idle and not done):
            multi.select(1.0)
    for handle in handles:
        handle.close()
    multi.close()


def by_aiohttp(requests: Iterator[Request], *, in_flight: int, ca_file: str) -> None:
    """Aiohttp, which speaks HTTP/1.1 only."""
    assert not ca_file

    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one() -> None:
                for request in requests:
                    async with session.post(request.url, data=request.body, headers=request.headers) as answer:
                        await answer.read()

            await asyncio.gather(*(one() for _ in range(in_flight)))

    asyncio.run(run())


def by_stdlib(requests: Iterator[Request], *, in_flight: int, ca_file: str) -> None:
    """http.client: one connection, one request at a time; nothing is cheaper in Python alone."""
    assert not ca_file
    del in_flight
    connection: http.client.HTTPConnection | None = None
    for request in requests:
        parts = urlsplit(request.url)
        if connection is None:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        connection.request("POST", parts.path, request.body, dict(request.headers))
        connection.getresponse().read()
    if connection is not None:
        connection.close()


def by_httpx(requests: Iterator[Request], *, in_flight: int, ca_file: str) -> None:
    """Httpx with h2: HTTP/2 in Python."""

    async def run() -> None:
        context = ssl.create_default_context(cafile=ca_file)
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(http2=True, verify=context, limits=limits, timeout=60) as client:

            async def one() -> None:
                for request in requests:
                    await client.post(request.url, content=request.body, headers=dict(request.headers))

            await asyncio.gather(*(one() for _ in range(in_flight)))

    asyncio.run(run())


HTTP_1: Final[Sequence[tuple[str, Callable[..., None]]]] = (
    ("pycurl", by_curl),
    ("aiohttp", by_aiohttp),
    ("http.client", by_stdlib),
)
HTTP_2: Final[Sequence[tuple[str, Callable[..., None]]]] = (("pycurl", by_curl), ("httpx", by_httpx))
"""Few clients speak it: of those in Python alone, httpx is the one in use."""
