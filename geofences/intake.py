"""How an engine reads the log of its shards: in rounds of bearable size, in turn, and with an eye on what goes missing.

Knows the streams and how far they are handled; nothing of what entries mean, nor of who owns a shard. If Redis is away
every call raises LogUnavailableError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from geofences.log import Look, PositionLog, id_after, lost_entries
from geofences.model import POSITION_DTYPE, SHARDS, Shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RawEntry = tuple[str, dict[bytes, bytes]]
Found = dict[Shard, list[RawEntry]]

READ_COUNT: Final = 32
"""Entries of a shard in one round."""
READ_SHARDS: Final = 16
READ_BYTES: Final = 16_000_000
"""Once a round has read so much of the log, the other shards wait for the next one."""
POSITIONS_A_COMMIT: Final = 60_000
"""Shards of a round share a transaction until it holds about so many."""


class Intake:
    """Belongs to one engine's loop."""

    def __init__(self, log: PositionLog) -> None:
        self._log = log
        self._looks: dict[Shard, Look] = {}
        self._handled: dict[Shard, int] = {}
        """Entries since the last look."""
        self._turn = Shard(0)

    def read(self, offsets: Mapping[Shard, str]) -> tuple[Found, set[Shard]]:
        """What waits after these offsets, and the shards of which more may wait. Every shard has its turn."""
        found: Found = {}
        unread = sorted(offsets, key=lambda shard: (shard - self._turn) % SHARDS)
        while unread and packed_bytes(found) < READ_BYTES:
            some, unread = unread[:READ_SHARDS], unread[READ_SHARDS:]
            found |= self._log.read({shard: offsets[shard] for shard in some}, count=READ_COUNT)
        if unread:
            self._turn = unread[0]
        return found, {*unread, *(shard for shard, entries in found.items() if len(entries) == READ_COUNT)}

    def handled(self, entries: Found, offsets: Mapping[Shard, str]) -> int:
        """Of entries that were read: those up to the committed offset of their shard are done. Answers how many."""
        total = 0
        for shard, offset in offsets.items():
            done = sum(not id_after(entry_id, offset) for entry_id, _ in entries.get(shard, ()))
            self._handled[shard] = self._handled.get(shard, 0) + done
            total += done
        return total

    def look(self, offsets: Mapping[Shard, str]) -> dict[Shard, int]:
        """Forgets what is handled; answers the shards whose log has lost data, with the entries surely lost."""
        lost = {}
        for shard, look in self._log.look(offsets).items():
            entries = lost_entries(
                self._looks.get(shard), look, offset=offsets[shard], handled=self._handled.pop(shard, 0)
            )
            self._looks[shard] = look
            if entries is not None:
                lost[shard] = entries
        return lost

    def waiting(self) -> tuple[int, float]:
        """Entries that waited when the log was last looked at, and the age of the oldest, seconds."""
        looks = self._looks.values()
        return sum(look.length for look in looks), max((look.oldest_s for look in looks), default=0.0)

    def forget(self, shard: Shard) -> None:
        """The shard is another engine's."""
        self._looks.pop(shard, None)
        self._handled.pop(shard, None)


def packed_bytes(found: Found) -> int:
    return sum(len(fields.get(b"d", b"")) for entries in found.values() for _, fields in entries)


def packed_positions(found: Found) -> int:
    return packed_bytes(found) // POSITION_DTYPE.itemsize


def groups(found: Found) -> Iterator[Found]:
    """A round cut into transactions of bearable size, shards in order."""
    group: Found = {}
    size = 0
    for shard, entries in sorted(found.items()):
        group[shard] = entries
        size += packed_positions({shard: entries})
        if size >= POSITIONS_A_COMMIT:
            yield group
            group, size = {}, 0
    if group:
        yield group
