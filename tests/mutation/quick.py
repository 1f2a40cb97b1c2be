"""A pytest plugin for runs that only ask whether a test fails: no shrinking, always the same examples."""

from __future__ import annotations

import hypothesis
from hypothesis import HealthCheck, Phase


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
