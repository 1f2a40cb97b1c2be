"""One line of what `lbs doctor` says: what was looked at, how grave it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Worth knowing; nothing is broken."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at; `advice` is empty where all is well."""

    name: str
    found: str
    level: Level = Level.OK
    advice: str = ""

    @property
    def ok(self) -> bool:
        return self.level is not Level.FAIL


def good_if(
    ok: bool,  # noqa: FBT001 - the condition is the subject
    name: str,
    found: object,
    advice: str,
    *,
    otherwise: Level = Level.FAIL,
) -> Check:
    return Check(name=name, found=str(found), level=Level.OK if ok else otherwise, advice="" if ok else advice)
