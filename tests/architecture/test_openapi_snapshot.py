"""The committed OpenAPI document is the one that the application answers with."""

from __future__ import annotations

import json

from tests.architecture.openapi_snapshot import SNAPSHOT, document

HOW = "the routes changed: run `.venv/bin/python -m tests.architecture.openapi_snapshot` and read the difference"


def test_the_snapshot_is_the_document() -> None:
    written = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    present = document()
    for part in ("paths", "components"):
        old, new = written[part], present[part]
        if part == "components":
            old, new = old["schemas"], new["schemas"]
        changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        assert not changed, f"{HOW}: {changed}"
    assert written == present, HOW
