"""What an engine tells whoever watches it: numbers only, told as things happen. The watcher must not raise."""

from __future__ import annotations

from typing import Protocol


class EngineWatch(Protocol):
    """Told by the engine's own thread."""

    def owns(self, shards: int) -> None:
        """So many shards are leased to this engine now."""

    def log_waits(self, *, entries: int, oldest_s: float) -> None:
        """So many entries of its shards wait in the log, the oldest for so long by Redis's clock."""

    def handled(self, *, entries: int, positions: int, seconds: float) -> None:
        """A batch of entries was matched, folded and committed; repeats count as positions too."""

    def committed(self, *, seconds: float) -> None:
        """A transaction of the ledger took so long."""

    def fences_polled(self, *, late_s: float | None) -> None:
        """The fences are in step. If any changed: how long after its taking effect the latest one was heard of."""

    def buried(self) -> None:
        """An entry went to the dead letters."""

    def log_lost(self, *, shards: int, entries_at_least: int) -> None:
        """The log has lost entries that nobody had handled; more than were counted may be gone."""


class NoWatch:
    """Nobody watches."""

    def owns(self, shards: int) -> None:
        pass

    def log_waits(self, *, entries: int, oldest_s: float) -> None:
        pass

    def handled(self, *, entries: int, positions: int, seconds: float) -> None:
        pass

    def committed(self, *, seconds: float) -> None:
        pass

    def fences_polled(self, *, late_s: float | None) -> None:
        pass

    def buried(self) -> None:
        pass

    def log_lost(self, *, shards: int, entries_at_least: int) -> None:
        pass
