"""A pytest plugin for runs that only ask whether a test fails: no shrinking, always the same examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import hypothesis
from hypothesis import HealthCheck, Phase

if TYPE_CHECKING:
    import pytest

EXAMPLES: Final = 60
"""More would find little more, and a fault that survives has cost all of them."""


def pytest_configure() -> None:
    hypothesis.settings.register_profile(
        "mutation",
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        test = getattr(item, "obj", None)
        settings = getattr(test, "_hypothesis_internal_use_settings", None)
        if settings is not None and settings.max_examples > EXAMPLES:
            vars(test)["_hypothesis_internal_use_settings"] = hypothesis.settings(settings, max_examples=EXAMPLES)
