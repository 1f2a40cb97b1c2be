"""Imports of stores and fences into one tenant: rows are read, then written in transactions of some thousand.

If the database goes away in the middle, what was committed stays; importing the same file again goes on from there,
because rows that are unchanged are left alone.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa

from geofences.geo import circle
from geofences.import_columns import FENCE_FIELDS, STORE_FIELDS, ColumnMap
from geofences.import_fences import FenceRow, read_fences
from geofences.import_files import open_upload, read_rows
from geofences.importing import Refused, Remark, Upload, read_stores
from geofences.model import FenceKind, StoreId
from geofences.places import ALWAYS, FenceInput, StoreInput, Upsert, put_fences, put_stores
from geofences.store import Tenant, find_tenant, use_tenant
from geofences.tables import stores
from geofences.zones import zone
from lbs import clock
from lbs.connections import Role, database
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from geofences.import_rows import Broken, Row
    from geofences.model import TenantId
    from lbs.settings import Settings

T = TypeVar("T")

CHUNK = 2_000
"""Rows a transaction."""


class Progress(Protocol):
    """Shows how far something of a known size has come: yields what to call with each step forward."""

    def __call__(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]: ...


def quiet(what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    del what, total
    return nullcontext(lambda _: None)


@dataclass(slots=True, kw_only=True)
class Report:
    """What became of every row of a file."""

    rows: int
    duplicates: int
    refused: list[Refused]
    warnings: list[Remark]
    dry_run: bool
    outcomes: list[Upsert] = field(default_factory=list)
    fence_outcomes: list[Upsert] | None = None

    def counts(self) -> dict[str, int]:
        return _counts(self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """The promised keys, and more."""
        return {
            **self.counts(),
            "duplicates": self.duplicates,
            "refused": [asdict(refusal) for refusal in self.refused],
            "rows": self.rows,
            "warnings": [asdict(remark) for remark in self.warnings],
            "dry_run": self.dry_run,
            **({} if self.fence_outcomes is None else {"fences": _counts(self.fence_outcomes)}),
        }


def _counts(outcomes: Sequence[Upsert]) -> dict[str, int]:
    return {str(outcome): outcomes.count(outcome) for outcome in Upsert}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The tenant that a file is imported into."""

    engine: sa.Engine
    tenant_id: TenantId
    effective_at: Callable[[datetime], datetime]
    """When a change of a fence takes effect that is made now."""

    @contextmanager
    def transaction(self, *, dry_run: bool) -> Iterator[sa.Connection]:
        with transaction(self.engine, dry_run=dry_run) as connection:
            use_tenant(connection, self.tenant_id)
            yield connection


def import_stores(
    settings: Settings,
    tenant_name: str,
    file: Path,
    *,
    fence_radius_m: float | None = None,
    profile: str = "standard",
    column_map: str = "",
    dry_run: bool = False,
    progress: Progress = quiet,
) -> Report:
    """Upserts the stores of a file; with a radius also a circle fence for each, under the store's external id."""
    columns = ColumnMap.parse(column_map, STORE_FIELDS)
    with target(settings, tenant_name) as (engine, tenant):
        return stores_into(
            _destination(settings, engine, tenant),
            file,
            columns=columns,
            fence_radius_m=fence_radius_m,
            profile=profile,
            dry_run=dry_run,
            progress=progress,
        )


def stores_into(
    into: Destination,
    file: Path,
    *,
    columns: ColumnMap,
    fence_radius_m: float | None,
    profile: str,
    dry_run: bool,
    progress: Progress,
    on_read: Callable[[Upload[StoreInput]], None] = lambda _: None,
) -> Report:
    """As `import_stores`; `on_read` is told what the whole file says before any of it is written."""
    with _rows(file, progress) as rows:
        upload = read_stores(rows, columns=columns, at=clock.now(), hours_remark=hours_remark)
    on_read(upload)
    report = _report(upload, dry_run=dry_run)
    report.fence_outcomes = None if fence_radius_m is None else []
    with progress("Importing stores", len(upload.accepted)) as advance:
        for chunk in _chunks([store for _, store in upload.accepted.values()]):
            with into.transaction(dry_run=dry_run) as connection:
                done = put_stores(connection, tenant_id=into.tenant_id, rows=chunk, now=clock.now())
                if fence_radius_m is not None:
                    circles = [_circle(store, done[store.external_id][0], fence_radius_m, profile) for store in chunk]
                    report.fence_outcomes = [*(report.fence_outcomes or []), *_put_fences(connection, into, circles)]
            report.outcomes.extend(outcome for _, outcome in done.values())
            advance(len(chunk))
    return report


def import_fences(
    settings: Settings,
    tenant_name: str,
    file: Path,
    *,
    profile: str = "standard",
    column_map: str = "",
    dry_run: bool = False,
    progress: Progress = quiet,
) -> Report:
    """Upserts the fences of a file; those that name a store are linked to it."""
    columns = ColumnMap.parse(column_map, FENCE_FIELDS)
    with target(settings, tenant_name) as (engine, tenant):
        return fences_into(
            _destination(settings, engine, tenant),
            file,
            columns=columns,
            profile=profile,
            dry_run=dry_run,
            progress=progress,
        )


def fences_into(
    into: Destination,
    file: Path,
    *,
    columns: ColumnMap,
    profile: str,
    dry_run: bool,
    progress: Progress,
    on_read: Callable[[Upload[FenceRow]], None] = lambda _: None,
) -> Report:
    """As `import_fences`; `on_read` is told what the whole file says before any of it is written."""
    with _rows(file, progress) as rows:
        upload = read_fences(rows, columns=columns, profile=profile)
    on_read(upload)
    outcomes: list[Upsert] = []
    with progress("Importing fences", len(upload.accepted)) as advance:
        for chunk in _chunks(list(upload.accepted.items())):
            with into.transaction(dry_run=dry_run) as connection:
                outcomes += _put_fences(connection, into, _link(connection, into.tenant_id, chunk, upload))
            advance(len(chunk))
    report = _report(upload, dry_run=dry_run)
    report.outcomes = outcomes
    return report


@contextmanager
def target(settings: Settings, tenant_name: str) -> Iterator[tuple[sa.Engine, Tenant]]:
    engine = database(settings, Role.SYSTEM)
    try:
        with engine.connect() as connection:
            tenant = find_tenant(connection, tenant_name)
        yield engine, tenant
    finally:
        engine.dispose()


@contextmanager
def _rows(file: Path, progress: Progress) -> Iterator[Iterable[Row | Broken]]:
    with (
        progress(f"Reading {file.name}", file.stat().st_size) as advance,
        open_upload(file, on_read=advance) as text,
    ):
        yield read_rows(text)


@contextmanager
def transaction(engine: sa.Engine, *, dry_run: bool) -> Iterator[sa.Connection]:
    with engine.connect() as connection, connection.begin() as begun:
        yield connection
        if dry_run:
            begun.rollback()


def hours_remark(text: str) -> str | None:
    """What an importer should know of opening hours; None for those that are read as they are written."""
    try:
        hours = OpeningHours.parse(text, zone=zone("UTC"))
    except InvalidHoursError as error:
        return f"kept but not understood: {error}"
    return hours.corrected_to and f"understood as {hours.corrected_to!r}"


def _chunks(rows: list[T]) -> Iterator[list[T]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def _destination(settings: Settings, engine: sa.Engine, tenant: Tenant) -> Destination:
    return Destination(
        engine=engine,
        tenant_id=tenant.tenant_id,
        effective_at=lambda now: effective_at(settings, tenant, now),
    )


def _put_fences(connection: sa.Connection, into: Destination, rows: Sequence[FenceInput]) -> list[Upsert]:
    now = clock.now()
    done = put_fences(connection, tenant_id=into.tenant_id, rows=rows, now=now, effective_at=into.effective_at(now))
    return [outcome for _, outcome in done.values()]


def effective_at(settings: Settings, tenant: Tenant, now: datetime) -> datetime:
    """When a change of a fence takes effect; in a sandbox tenant fences judge the past too."""
    return ALWAYS if tenant.sandbox else now + timedelta(seconds=settings.change_delay_s)


def _circle(store: StoreInput, store_id: StoreId, radius_m: float, profile: str) -> FenceInput:
    return FenceInput(
        external_id=store.external_id,
        kind=FenceKind.CIRCLE,
        shape=circle(store.location, radius_m),
        profile=profile,
        name=store.name,
        store_id=store_id,
    )


def _link(
    connection: sa.Connection,
    tenant_id: TenantId,
    chunk: Sequence[tuple[str, tuple[int, FenceRow]]],
    upload: Upload[FenceRow],
) -> list[FenceInput]:
    """The fences of a chunk with their stores; one whose store is unknown is refused."""
    wanted = {row.store_external_id for _, (_, row) in chunk if row.store_external_id is not None}
    found = connection.execute(
        sa.select(stores.c.external_id, stores.c.store_id).where(
            stores.c.tenant_id == tenant_id, stores.c.external_id.in_(wanted), stores.c.deleted_at.is_(None)
        )
    )
    known = {row.external_id: StoreId(row.store_id) for row in found}
    linked = []
    for external_id, (number, row) in chunk:
        if row.store_external_id is None:
            linked.append(row.fence)
        elif row.store_external_id in known:
            linked.append(replace(row.fence, store_id=known[row.store_external_id]))
        else:
            upload.refuse(number, external_id, f"the tenant has no store {row.store_external_id!r}")
    return linked


def _report(upload: Upload[Any], *, dry_run: bool) -> Report:
    return Report(
        rows=upload.rows,
        duplicates=upload.duplicates,
        refused=sorted(upload.refused, key=lambda refusal: refusal.row),
        warnings=upload.remarks,
        dry_run=dry_run,
    )
