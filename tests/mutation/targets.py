"""Which tests answer for which module: pytest's arguments, the quickest first."""

from __future__ import annotations

from typing import Final

TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "offers/windows.py": ("tests/unit/test_windows.py", "tests/unit/test_schedule.py"),
    "offers/schedule.py": ("tests/unit/test_schedule.py", "tests/unit/test_preview.py"),
    "offers/recurrence.py": ("tests/unit/test_windows.py", "tests/unit/test_schedule.py"),
    "offers/hours.py": ("tests/unit/test_hours.py",),
    "offers/rules.py": ("tests/unit/test_rules.py", "tests/unit/test_redemption_rules.py"),
    "offers/facts.py": ("tests/unit/test_facts.py", "tests/unit/test_rules.py"),
    "offers/audience.py": ("tests/unit/test_audience.py",),
}
