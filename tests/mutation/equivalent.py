"""Faults that change nothing anyone could observe: (file, the line's text, the fault), and why."""

from __future__ import annotations

from typing import Final

EQUIVALENT: Final[dict[tuple[str, str, str], str]] = {
    (
        "offers/rules.py",
        "return all(mine < count for mine, count in zip(used, counts, strict=True)), list(used), counts",
        "True -> False",
    ): "there is always one count a cap: strict is an assertion",
}
