"""The far ends of all four channels in one process of their own, fast enough for a hundred thousand messages.

`python -m tests.support.unruly_sinks PLAN` listens at two ports of 127.0.0.1, HTTP/1.1 for webhooks and Web Push,
HTTP/2 for APNs and FCM, both over TLS, prints both and serves until its input ends. Which messages meet which fault
follows from the plan's seed and their ids alone. All that comes is written to the plan's journal.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import ssl
import struct
import sys
import time
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import http_ece
import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

TOKEN: Final = b'{"access_token":"test","expires_in":3599,"token_type":"Bearer"}'
UNREGISTERED: Final = b'{"error":{"details":[{"@type":"google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}'
SLOW_S: Final = 1.0
WHOLE_CONNECTION: Final = 0.05
"""Share of the garbage over HTTP/2 that ends the connection, with all that shares it."""


class Fault(StrEnum):
    NONE = "none"
    SLOW = "slow"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    FAILED = "failed"
    TAKEN_503 = "taken_503"
    GONE = "gone"
    BUSY = "busy"
    GARBAGE = "garbage"


TAKEN: Final = frozenset({Fault.NONE, Fault.SLOW, Fault.RESET_AFTER, Fault.TAKEN_503, Fault.GARBAGE})
"""The phone shows the message, whatever is answered."""
FAULTS: Final = [fault for fault in Fault if fault is not Fault.NONE]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    chain: str
    journal: str
    seed: int
    fault_share: float
    browser_key: str
    """PEM."""
    browser_auth: bytes


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as the journal has it."""

    at_s: float
    channel: str
    """Empty for a request that makes no sense; the id says why."""
    message_id: str
    digest: str
    """Of what a phone would show."""
    fault: Fault

    @property
    def taken(self) -> bool:
        return self.fault in TAKEN


class Ends:
    """What both protocols share: what came, and what happens to it."""

    def __init__(self, plan: Plan, journal: IO[bytes]) -> None:
        self._plan = plan
        self._journal = journal
        self._key = load_pem_private_key(plan.browser_key.encode(), password=None)
        self._times: Counter[str] = Counter()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[str, Fault, random.Random]:
        """Writes an arrival down; answers its channel, and what happens to it."""
        try:
            channel, message_id, shown = self._read(path, headers, body)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a request, the test must hear of it
            channel, message_id, shown = "", repr(error), body
        self._times[message_id] += 1
        dice = random.Random(f"{self._plan.seed} {message_id}")
        fault = Fault.NONE
        if dice.random() < self._plan.fault_share:
            fault, times = dice.choice(FAULTS), dice.choice([1, 1, 2])
            if self._times[message_id] > times and fault is not Fault.GONE:
                fault = Fault.NONE
        arrival = Arrival(
            at_s=time.time(),
            channel=channel,
            message_id=message_id,
            digest=hashlib.blake2b(shown, digest_size=12).hexdigest(),
            fault=fault,
        )
        self._journal.write(msgspec.json.encode(arrival) + b"\n")
        return channel, fault, dice

    def _read(self, path: str, headers: dict[str, str], body: bytes) -> tuple[str, str, bytes]:
        """The channel, the message's id, and what does not change between repeats."""
        if path == "/hook":
            message_id = json.loads(body)["data"]["id"]
            assert message_id == headers["webhook-id"]
            return "webhook", message_id, body
        if path.startswith("/push/"):
            shown = http_ece.decrypt(body, private_key=self._key, auth_secret=self._plan.browser_auth)  # type: ignore[no-untyped-call]
            message_id = json.loads(shown)["id"]
            assert message_id == headers["topic"]
            return "webpush", message_id, shown
        if path.startswith("/3/device/"):
            message_id = json.loads(body)["lbs"]["id"]
            assert message_id == headers["apns-collapse-id"]
            return "apns", message_id, body
        message = json.loads(body)["message"]
        message_id = message["data"]["id"]
        assert message_id == message["android"]["notification"]["tag"]
        return "fcm", message_id, json.dumps([message["notification"], message["data"]]).encode()


def answer(channel: str, fault: Fault) -> tuple[int, dict[str, str], bytes]:
    match fault:
        case Fault.FAILED:
            return 500, {}, b""
        case Fault.TAKEN_503:
            return 503, {}, b""
        case Fault.BUSY:
            return 429, {"retry-after": "1"}, b""
        case Fault.GONE:
            return (404, {}, UNREGISTERED) if channel == "fcm" else (410, {}, b"")
        case Fault.GARBAGE:
            return 999, {}, b""
        case _:
            return (201 if channel == "webpush" else 200), {}, b"{}"


def reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def over_http_1(ends: Ends, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As much of HTTP/1.1 as senders speak."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            channel, fault, _ = ends.take(first.split(" ")[1], headers, body)
            if fault in {Fault.RESET_BEFORE, Fault.RESET_AFTER}:
                reset(writer)
                return
            if fault is Fault.GARBAGE:
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                return
            if fault is Fault.SLOW:
                await asyncio.sleep(SLOW_S)
            status, more, told = answer(channel, fault)
            lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in more.items())]
            writer.write("\r\n".join([*lines, f"content-length: {len(told)}", "", ""]).encode() + told)
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


class OverHttp2:
    """One connection, spoken by h2."""

    def __init__(self, ends: Ends, writer: asyncio.StreamWriter) -> None:
        self._ends = ends
        self._writer = writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._loop = asyncio.get_running_loop()

    async def run(self, reader: asyncio.StreamReader) -> None:
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(2**30)
        try:
            while not self._writer.is_closing():
                self._flush()
                data = await reader.read(65536)
                if not data:
                    return
                for event in self._h2.receive_data(data):
                    self._handle(event)
        except (ConnectionError, ssl.SSLError, h2.exceptions.ProtocolError):
            pass
        finally:
            self._writer.close()

    def _flush(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(self._h2.data_to_send())

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream_id, headers=headers):
                self._streams[stream_id] = ({str(name): str(value) for name, value in headers}, bytearray())
            case h2.events.DataReceived(stream_id=stream_id, data=chunk):
                self._streams[stream_id][1].extend(chunk)
            case h2.events.StreamEnded(stream_id=stream_id):
                named, body = self._streams.pop(stream_id)
                self._request(stream_id, named, bytes(body))

    def _request(self, stream_id: int, headers: dict[str, str], body: bytes) -> None:
        if headers[":path"] == "/token":
            self._respond(stream_id, 200, {}, TOKEN)
            return
        channel, fault, dice = self._ends.take(headers[":path"], headers, body)
        match fault:
            case Fault.RESET_BEFORE:
                self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            case Fault.RESET_AFTER:
                self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
            case Fault.GARBAGE if dice.random() < WHOLE_CONNECTION:
                self._writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                self._writer.close()
            case Fault.SLOW:
                self._loop.call_later(SLOW_S, self._later, stream_id, channel)
            case _:
                self._respond(stream_id, *answer(channel, fault))

    def _later(self, stream_id: int, channel: str) -> None:
        try:
            self._respond(stream_id, *answer(channel, Fault.SLOW))
        except h2.exceptions.ProtocolError:
            return  # whoever asked has gone
        self._flush()

    def _respond(self, stream_id: int, status: int, headers: dict[str, str], body: bytes) -> None:
        self._h2.send_headers(stream_id, [(":status", str(status)), *headers.items()], end_stream=not body)
        if body:
            self._h2.send_data(stream_id, body, end_stream=True)


async def serve(ends: Ends, chain: str) -> None:
    def context(protocol: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(chain)
        made.set_alpn_protocols([protocol])
        return made

    async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over_http_1(ends, reader, writer)

    async def second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await OverHttp2(ends, writer).run(reader)

    servers = [
        await asyncio.start_server(first, "127.0.0.1", 0, limit=2**20, ssl=context("http/1.1")),
        await asyncio.start_server(second, "127.0.0.1", 0, ssl=context("h2")),
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)  # noqa: T201 - its answer
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for server in servers:
        server.close()


def arrivals(journal: Path) -> list[Arrival]:
    """What the sinks wrote down; whole once they have ended."""
    return [msgspec.json.decode(line, type=Arrival) for line in journal.read_bytes().splitlines()]


def main(plan: Plan) -> None:
    with Path(plan.journal).open("ab", buffering=2**20) as journal:
        asyncio.run(serve(Ends(plan, journal), plan.chain))


if __name__ == "__main__":
    main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
