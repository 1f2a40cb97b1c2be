"""The OpenAPI document as it is committed. To write it anew: `.venv/bin/python -m tests.architecture.openapi_snapshot`.

Read the difference before you commit it: others build on these routes, so names are added and never changed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from lbs.app import create_app
from lbs.settings import Settings

SNAPSHOT: Final = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def document() -> dict[str, Any]:
    """What the application answers at `/openapi.json`; nothing is connected to."""
    settings = Settings.model_construct(
        **{name: field.default for name, field in Settings.model_fields.items()}
        | {
            "database_url": SecretStr("postgresql://nowhere/lbs"),
            "redis_url": SecretStr("redis://nowhere/0"),
            "secret_key": SecretStr("for the document only, signs nothing"),
        }
    )
    made: dict[str, Any] = json.loads(json.dumps(create_app(settings).openapi()))
    return made


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {SNAPSHOT.name}\n")
