"""Faults that change nothing anyone could observe: (file, the line's text, the fault), and why."""

from __future__ import annotations

from typing import Final

EQUIVALENT: Final[dict[tuple[str, str, str], str]] = {}
