"""Imports of attributes of people and devices into one tenant, with the same account of every row as other imports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from geofences.import_attributes import parse_types, read_attributes
from geofences.import_files import open_upload, read_records
from lbs import clock
from lbs.uploads import CHUNK, quiet, target, transaction
from offers.attributes import MOST, Merged, merge_devices, merge_users

if TYPE_CHECKING:
    from pathlib import Path

    from geofences.importing import Refused
    from lbs.settings import Settings
    from lbs.uploads import Progress

REFUSED: Final = {
    Merged.UNKNOWN: "the tenant has no such device",
    Merged.TOO_MANY: f"more than {MOST} attributes",
}


@dataclass(slots=True, kw_only=True)
class AttributeReport:
    """What became of every row of a file."""

    rows: int
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int
    refused: list[Refused]
    dry_run: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def import_attributes(
    settings: Settings,
    tenant_name: str,
    file: Path,
    *,
    types: str = "",
    dry_run: bool = False,
    progress: Progress = quiet,
) -> AttributeReport:
    """Merges the rows of a file into what is said of people or devices."""
    meant = parse_types(types)
    with target(settings, tenant_name) as (engine, tenant):
        with progress("Reading", file.stat().st_size) as advance, open_upload(file, on_read=advance) as text:
            key, upload = read_attributes(read_records(text), types=meant)
        merge = merge_devices if key == "device_id" else merge_users
        report = AttributeReport(
            rows=upload.rows, duplicates=upload.duplicates, refused=upload.refused, dry_run=dry_run
        )
        with progress("Importing attributes", len(upload.accepted)) as advance:
            for chunk in _chunks(list(upload.accepted)):
                rows = {known_as: upload.accepted[known_as][1] for known_as in chunk}
                with transaction(engine, dry_run=dry_run) as connection:
                    done = merge(connection, tenant_id=tenant.tenant_id, rows=rows, now=clock.now())
                for known_as, outcome in done.items():
                    if outcome in REFUSED:
                        upload.refuse(upload.accepted[known_as][0], known_as, REFUSED[outcome])
                    else:
                        setattr(report, outcome, getattr(report, outcome) + 1)
                advance(len(chunk))
    report.refused.sort(key=lambda refusal: refusal.row)
    return report


def _chunks(names: list[str]) -> list[list[str]]:
    return [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
