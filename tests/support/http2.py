"""A small HTTP/2 server over TLS, a thread a connection, that plays the faults of `receivers`; spoken by `h2`."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.support.receivers import Drip, Garbage, ResetAfterReading, ResetBeforeReading, Respond, Slow

if TYPE_CHECKING:
    import ssl

    from tests.support.providers import ProviderReceiver

_READ: Final = 65_536


class Http2Server:
    """Accepts connections, a thread each, and plays each request's fault."""

    def __init__(self, receiver: ProviderReceiver, context: ssl.SSLContext) -> None:
        self._receiver = receiver
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._open: set[_Connection] = set()

    def start(self) -> None:
        self._threads[0].start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._open):
            connection.cut(hard=False)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._receiver.closing.is_set():
            try:
                raw, _ = self._socket.accept()
            except OSError:
                return
            self._receiver.connections += 1
            thread = threading.Thread(target=self._serve, args=(raw,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            wrapped = self._context.wrap_socket(raw, server_side=True)
        except OSError:
            raw.close()
            return
        if wrapped.selected_alpn_protocol() != "h2":
            self._receiver.problems.append("not HTTP/2")
        connection = _Connection(self._receiver, wrapped)
        self._open.add(connection)
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            connection.run()
        self._open.discard(connection)
        connection.cut(hard=False)


class _Connection:
    def __init__(self, receiver: ProviderReceiver, wrapped: ssl.SSLSocket) -> None:
        self._receiver = receiver
        self._socket = wrapped
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._lock = threading.RLock()
        self._streams: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._to_send: dict[int, bytes] = {}

    def run(self) -> None:
        self._h2.initiate_connection()
        self._flush()
        while data := self._socket.recv(_READ):
            with self._lock:
                events = self._h2.receive_data(data)
                for event in events:
                    self._handle(event)
                self._flush()

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream_id, headers=headers):
                self._streams[stream_id] = (dict(headers), bytearray())  # type: ignore[arg-type]
            case h2.events.DataReceived(stream_id=stream_id, data=data, flow_controlled_length=length):
                self._streams[stream_id][1].extend(data)
                self._h2.acknowledge_received_data(length, stream_id)
            case h2.events.StreamEnded(stream_id=stream_id):
                self._request(stream_id)
            case h2.events.WindowUpdated():
                for stream_id in list(self._to_send):
                    self._send_body(stream_id)
            case h2.events.StreamReset(stream_id=stream_id):
                self._to_send.pop(stream_id, None)

    def _request(self, stream_id: int) -> None:
        headers, body = self._streams.pop(stream_id)
        aside = self._receiver.side_door(headers[":path"], headers, bytes(body))
        if aside is not None:
            self._respond(stream_id, aside)
            return
        fault = self._receiver.next_fault()
        if isinstance(fault, ResetBeforeReading):
            self.cut(hard=True)
            return
        status = self._receiver.accept(headers, bytes(body))
        usual = self._receiver.answer(status, headers)
        match fault:
            case None:
                self._respond(stream_id, usual)
            case Respond():
                self._respond(stream_id, fault)
            case Slow(seconds=seconds):
                threading.Thread(target=self._later, args=(seconds, stream_id, usual), daemon=True).start()
            case Drip(every_s=every_s):
                threading.Thread(target=self._drip, args=(every_s,), daemon=True).start()
            case Garbage(sent=sent):
                with contextlib.suppress(OSError):
                    self._socket.sendall(sent)
                self.cut(hard=False)
            case ResetAfterReading():
                self.cut(hard=True)

    def _respond(self, stream_id: int, respond: Respond) -> None:
        headers = [(":status", str(respond.status)), *((k.lower(), v) for k, v in respond.headers.items())]
        self._h2.send_headers(stream_id, headers, end_stream=not respond.body)
        if respond.body:
            self._to_send[stream_id] = respond.body
            self._send_body(stream_id)

    def _send_body(self, stream_id: int) -> None:
        """As much as the client's window takes; the rest when it opens."""
        left = self._to_send[stream_id]
        while left:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._to_send[stream_id] = left
                return
            self._h2.send_data(stream_id, left[:room], end_stream=len(left) <= room)
            left = left[room:]
        del self._to_send[stream_id]

    def _later(self, seconds: float, stream_id: int, respond: Respond) -> None:
        self._receiver.closing.wait(seconds)
        with self._lock, contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            self._respond(stream_id, respond)
            self._flush()

    def _drip(self, every_s: float) -> None:
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            while not self._receiver.closing.wait(every_s):
                with self._lock:
                    self._h2.ping(b"dripping")
                    self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._socket.sendall(data)

    def cut(self, *, hard: bool) -> None:
        with contextlib.suppress(OSError):
            if hard:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._socket.close()
            else:
                self._socket.shutdown(socket.SHUT_RDWR)
                self._socket.close()
