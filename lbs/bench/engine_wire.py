"""Many commands at once to a server that speaks Redis' protocol: prepared bytes out, hiredis reads what comes back.

So cheap a client that the server is what is measured.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import hiredis

from lbs.runtime import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

SENT_AT_ONCE = 500
READ_BYTES = 1 << 18
PATIENCE_S = 120.0


def command(*words: str | bytes) -> bytes:
    r"""One command as bytes.

    >>> command("GET", "key")
    b'*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n'
    """
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class Wire:
    """One connection."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=PATIENCE_S)
        except OSError as error:
            raise CommandError(f"nothing answers at {host}:{port}: {error.strerror or error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def send(self, commands: Sequence[bytes]) -> list[Any]:
        """All replies, in order; the first error among them is raised."""
        replies: list[Any] = []
        for start in range(0, len(commands), SENT_AT_ONCE):
            part = commands[start : start + SENT_AT_ONCE]
            self._socket.sendall(b"".join(part))
            replies.extend(self.receive() for _ in part)
        return replies

    def receive(self) -> Any:
        """The next reply or message."""
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise CommandError("the server closed the connection")
            self._reader.feed(data)
        if isinstance(reply, Exception):
            raise CommandError(f"the server refused: {reply}")
        return reply

    def close(self) -> None:
        self._socket.close()
