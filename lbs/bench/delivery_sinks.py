"""Where the delivery benchmark's messages end: servers in a process of their own that count what they are given.

`python -m lbs.bench.delivery_sinks CHAIN` listens at two ports of 127.0.0.1, HTTP/1.1 and HTTP/2 over TLS with the
certificate chain in that file, prints both and serves until its input ends. `GET /tally` tells and forgets what came.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import zlib
from dataclasses import dataclass
from typing import Final

import h2.config
import h2.connection
import h2.events

TOKEN: Final = b'{"access_token":"bench","expires_in":3599,"token_type":"Bearer"}'


@dataclass(slots=True)
class Tally:
    """What came: how many messages, how many bytes, and a sum that tells whether they were the same bytes."""

    messages: int = 0
    size: int = 0
    checksum: int = 0

    def add(self, body: bytes) -> None:
        self.messages += 1
        self.size += len(body)
        self.checksum = (self.checksum + zlib.crc32(body)) & 0xFFFFFFFF

    def take(self) -> bytes:
        told = json.dumps({"messages": self.messages, "bytes": self.size, "checksum": self.checksum}).encode()
        self.messages = self.size = self.checksum = 0
        return told


TALLY: Final = Tally()


def answer_to(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    if method == "GET":
        return 200, TALLY.take()
    if path == "/token":
        return 200, TOKEN
    TALLY.add(body)
    return 200, b"{}"


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """HTTP/1.1, as much of it as the clients here speak."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.split(b" ", 2)
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 : lower.index(b"\r\n", at)]) if at >= 0 else 0
            body = await reader.readexactly(length)
            status, told = answer_to(method.decode(), path.decode(), body)
            writer.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(told)) + told)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def multiplexed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """HTTP/2, spoken by h2."""
    http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    http.initiate_connection()
    http.increment_flow_control_window(2**30)
    streams: dict[int, tuple[str, str, bytearray]] = {}
    try:
        while True:
            writer.write(http.data_to_send())
            data = await reader.read(65536)
            if not data:
                return
            for event in http.receive_data(data):
                match event:
                    case h2.events.RequestReceived(stream_id=stream_id, headers=headers):
                        named = {str(name): str(value) for name, value in headers}
                        streams[stream_id] = (named[":method"], named[":path"], bytearray())
                    case h2.events.DataReceived(stream_id=stream_id, data=chunk):
                        streams[stream_id][2].extend(chunk)
                    case h2.events.StreamEnded(stream_id=stream_id):
                        method, path, body = streams.pop(stream_id)
                        status, told = answer_to(method, path, bytes(body))
                        http.send_headers(stream_id, [(":status", str(status))])
                        http.send_data(stream_id, told, end_stream=True)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(chain: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.set_alpn_protocols(["h2"])
    first = await asyncio.start_server(plain, "127.0.0.1", 0, limit=2**20)
    second = await asyncio.start_server(multiplexed, "127.0.0.1", 0, ssl=context)
    print(first.sockets[0].getsockname()[1], second.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - its answer
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    first.close()
    second.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
