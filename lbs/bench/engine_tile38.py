"""A running Tile38 under the protocol: every fence a channel, every position a SET, pipelined.

What is timed finds the fences, keeps the state of devices and publishes enter and exit, to nobody.
Tile38's circles lie on a sphere of 6,371,000 m and are tested as polygons of 64 corners, so near to a border its
verdict may be another. Everything it is given has names that begin with `lbs-bench:` and is removed at the end.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from lbs.bench.engine_answers import Answers
from lbs.bench.engine_peer import EXACT_M, ROUNDING_M, Peer
from lbs.bench.engine_wire import Wire, command
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from geofences.model import Floats
    from lbs.bench.engine_workload import Fences, Workload

PREFIX = "lbs-bench:"
DEVICES, LAST = f"{PREFIX}devices", f"{PREFIX}last"
SPHERE_AND_CORNERS = 0.0075
"""Of the radius: 0.6 % for the sphere, 0.12 % for the corners."""
LISTEN_S = 60.0


class Channels(Peer):
    name = "tile38"
    sample = 20_000

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._wire = Wire(host, port)
        self._sets: list[bytes] = []
        self._places: list[tuple[str, str]] = []

    def prepare(self, workload: Workload) -> None:
        self._remove()
        fences = workload.fences
        self._wire.send([_channel(fences, i, DEVICES) for i in range(len(fences))])
        n = min(self.sample, len(workload.lat))
        self._places = [
            (repr(y), repr(x)) for y, x in zip(workload.lat[:n].tolist(), workload.lng[:n].tolist(), strict=True)
        ]
        device_ids = workload.positions["device_id"][:n].tolist()
        self._sets = [
            command("SET", DEVICES, str(device), "POINT", *place)
            for device, place in zip(device_ids, self._places, strict=True)
        ]

    def answers(self, n: int) -> Answers:
        """Every position as a device of its own, which must enter each fence that it lies in."""
        heard: list[tuple[int, int]] = []
        listener = Wire(self._host, self._port)
        listener.send([command("PSUBSCRIBE", f"{PREFIX}*")])
        ended = threading.Event()
        threading.Thread(target=_hear, args=(listener, heard, ended), daemon=True).start()
        self._wire.send([command("SET", DEVICES, f"p{i}", "POINT", *place) for i, place in enumerate(self._places[:n])])
        # the last word on a channel of its own: whatever was published before it has been heard by then
        self._wire.send([command("PUBLISH", LAST, "end")])
        told = ended.wait(LISTEN_S)
        listener.close()
        if not told:
            raise CommandError("tile38 did not publish what it was told to")
        self._wire.send([command("DROP", DEVICES)])
        columns = np.array(heard, dtype=np.int64).reshape(-1, 2)
        return Answers(position=columns[:, 0], fence=columns[:, 1])

    def tolerance_m(self, fences: Fences) -> Floats:
        return np.where(fences.is_circle, EXACT_M + SPHERE_AND_CORNERS * fences.radius_m, ROUNDING_M)

    def run(self, n: int) -> None:
        self._wire.send(self._sets[:n])

    def explain(self) -> str:
        return "SET device POINT against SETCHAN ... INTERSECTS ... FENCE DETECT enter,exit, 500 in a pipeline"

    def close(self) -> None:
        self._remove()
        self._wire.close()

    def _remove(self) -> None:
        self._wire.send([command("PDELCHAN", f"{PREFIX}*"), command("DROP", DEVICES)])


def _channel(fences: Fences, i: int, key: str) -> bytes:
    if fences.is_circle[i]:
        area = ("CIRCLE", *(repr(float(column[i])) for column in (fences.lat, fences.lng, fences.radius_m)))
    else:
        area = ("OBJECT", json.dumps({"type": "Polygon", "coordinates": [fences.ring(i).tolist()]}))
    return command("SETCHAN", f"{PREFIX}{i}", "INTERSECTS", key, "FENCE", "DETECT", "enter,exit", *area)


def _hear(listener: Wire, heard: list[tuple[int, int]], ended: threading.Event) -> None:
    while True:
        try:
            message: Any = listener.receive()
        except (CommandError, OSError):
            return  # nobody waits any more
        channel, text = message[-2].decode(), message[-1]
        if channel == LAST:
            ended.set()
            return
        told = json.loads(text)
        if told["detect"] == "enter":
            heard.append((int(told["id"].removeprefix("p")), int(channel.removeprefix(PREFIX))))
