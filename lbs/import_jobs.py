"""Imports over HTTP: one at a time in each process, in a thread of its own, and how far they are in Postgres.

A process that ends leaves its import half done, by whole rows; after a while everybody sees that it was interrupted.
The same file sent again goes on from there, as what is unchanged is left alone. If Postgres is away the import fails.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import structlog

from geofences.errors import GeofencesError, NotFoundError
from geofences.geo import to_geojson
from geofences.import_columns import FENCE_FIELDS, STORE_FIELDS, ColumnMap
from geofences.import_fences import FenceRow
from lbs.tables import ImportKind, ImportState, imports
from lbs.uploads import fences_into, stores_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from geofences.importing import Upload
    from geofences.model import TenantId
    from geofences.places import StoreInput
    from lbs.uploads import Destination, Report

log = structlog.get_logger(__name__)

KEPT: Final = timedelta(days=30)
SILENT: Final = timedelta(minutes=2)
"""An import of which nothing was heard for so long has ended with its process."""
TOLD_EVERY_S: Final = 1.0
TOLD_ROWS: Final = 1_000
"""Refused rows and warnings that are kept; all are counted."""
PREVIEWED: Final = 20
FIELDS: Final = {ImportKind.STORES: STORE_FIELDS, ImportKind.FENCES: FENCE_FIELDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is to be done with a file."""

    kind: ImportKind
    columns: ColumnMap
    profile: str
    fence_radius_m: float | None
    dry_run: bool


class _InterruptedError(Exception):
    """The process is to end."""


class ImportJobs:
    """Of one process. `add` hands a file over, and it is deleted when it was taken in."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lbs-import")

    def add(self, import_id: int, options: Options, file: Path, into: Destination) -> Future[None]:
        """Ends with the error that made the import fail, if one did."""
        return self._thread.submit(self._run, import_id, options, file, into)

    def close(self) -> None:
        """Ends what is under way between two transactions; what waits does not begin."""
        self._stop.set()
        self._thread.shutdown(wait=True)

    def _run(self, import_id: int, options: Options, file: Path, into: Destination) -> None:
        told = _Told(import_id, into, stop=self._stop, now=self._now)
        try:
            report = _take_in(options, file, into, told)
            told.say(state=ImportState.DONE, report=_report_json(report))
        except _InterruptedError:
            told.say(state=ImportState.INTERRUPTED)
        except GeofencesError as error:  # of the file: its text is for who sent it
            told.say(state=ImportState.FAILED, error=str(error))
            raise
        except Exception as error:
            log.warning("import.failed", import_id=import_id, error=type(error).__name__)
            told.say(
                state=ImportState.FAILED, error="something went wrong here; the same file again goes on from there"
            )
            raise
        finally:
            file.unlink(missing_ok=True)


class _Told:
    """What the row of an import says; as progress of its steps, once a second."""

    def __init__(
        self, import_id: int, into: Destination, *, stop: threading.Event, now: Callable[[], datetime]
    ) -> None:
        self._import_id = import_id
        self._into = into
        self._stop = stop
        self._now = now
        self._steps = iter((ImportState.READING, ImportState.WRITING))

    def say(self, **values: Any) -> None:
        with self._into.transaction(dry_run=False) as connection:
            connection.execute(
                sa.update(imports)
                .where(imports.c.import_id == self._import_id)
                .values(seen_at=self._now(), **_readable(values))
            )

    @contextmanager
    def __call__(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """The next step, of so many bytes or rows."""
        del what
        done, next_s = 0, time.monotonic() + TOLD_EVERY_S
        self._check()
        self.say(state=next(self._steps), done=0, total=total)

        def advance(n: int) -> None:
            nonlocal done, next_s
            done += n
            self._check()
            if time.monotonic() >= next_s:
                self.say(done=done)
                next_s = time.monotonic() + TOLD_EVERY_S

        yield advance
        self.say(done=done)

    def _check(self) -> None:
        if self._stop.is_set():
            raise _InterruptedError


def _take_in(options: Options, file: Path, into: Destination, told: _Told) -> Report:
    columns = options.columns

    def on_read(upload: Upload[Any]) -> None:
        if options.dry_run:
            told.say(preview=_preview(options.kind, columns, upload))

    if options.kind is ImportKind.FENCES:
        return fences_into(
            into,
            file,
            columns=columns,
            profile=options.profile,
            dry_run=options.dry_run,
            progress=told,
            on_read=on_read,
        )
    return stores_into(
        into,
        file,
        columns=columns,
        fence_radius_m=options.fence_radius_m,
        profile=options.profile,
        dry_run=options.dry_run,
        progress=told,
        on_read=on_read,
    )


def _report_json(report: Report) -> dict[str, Any]:
    """As the command line has it, with as many rows told as are kept, and how many there are."""
    said = report.as_json()
    return {
        **said,
        "refused": said["refused"][:TOLD_ROWS],
        "refused_count": len(said["refused"]),
        "warnings": said["warnings"][:TOLD_ROWS],
        "warnings_count": len(said["warnings"]),
    }


def _preview(kind: ImportKind, columns: ColumnMap, upload: Upload[Any]) -> dict[str, Any]:
    rest = "attribute" if kind is ImportKind.STORES else "ignored"
    first = list(upload.accepted.values())[:PREVIEWED]
    return {
        "columns": [
            {
                "column": column,
                "field": field,
                "use": "ignored" if column in columns.ignored else "field" if field else rest,
            }
            for column, field in columns.understood().items()
        ],
        "rows": [{"row": number, **_shown(value)} for number, value in first],
        "accepted": len(upload.accepted),
        "refused": [asdict(refusal) for refusal in upload.refused[:TOLD_ROWS]],
    }


def _shown(value: StoreInput | FenceRow) -> dict[str, Any]:
    if isinstance(value, FenceRow):
        fence = value.fence
        return {
            "external_id": fence.external_id,
            "name": fence.name,
            "kind": fence.kind,
            "profile": fence.profile,
            "settings": dict(fence.settings),
            "store_external_id": value.store_external_id,
            "geometry": to_geojson(fence.shape),
            "radius_m": getattr(fence.shape, "radius_m", None),
        }
    said = asdict(value)
    location = said.pop("location")
    return {**said, "lat": location["lat"], "lng": location["lng"]}


def _readable(value: Any) -> Any:
    """The same with a mark in place of what PostgreSQL cannot hold: NUL, and bytes that were not UTF-8."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        case dict():
            return {_readable(key): _readable(member) for key, member in value.items()}
        case list() | tuple():
            return [_readable(member) for member in value]
        case _:
            return value


def begin_import(
    connection: sa.Connection, *, tenant_id: TenantId, options: Options, created_by: str, now: datetime
) -> int:
    """The row of a new import; those of the tenant that are long over go."""
    connection.execute(sa.delete(imports).where(imports.c.tenant_id == tenant_id, imports.c.created_at < now - KEPT))
    values = {
        "tenant_id": tenant_id,
        "kind": options.kind,
        "dry_run": options.dry_run,
        "state": ImportState.WAITING,
        "created_by": created_by,
        "created_at": now,
        "seen_at": now,
    }
    return int(connection.execute(sa.insert(imports).values(values).returning(imports.c.import_id)).scalar_one())


def get_import(connection: sa.Connection, tenant_id: TenantId, import_id: int, *, now: datetime) -> dict[str, Any]:
    """Its row, with what follows from silence; NotFoundError."""
    wanted = sa.select(imports).where(imports.c.tenant_id == tenant_id, imports.c.import_id == import_id)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise NotFoundError(f"no import {import_id}")
    found = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a mapping
    silent = found["state"] in {ImportState.READING, ImportState.WRITING} and found["seen_at"] < now - SILENT
    return {**found, "state": ImportState.INTERRUPTED} if silent else found
