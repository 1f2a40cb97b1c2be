"""Files of stores and fences over HTTP: the body is the file, and the answer an account of every row."""

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from geofences.import_columns import ColumnMap
from geofences.store import use_tenant
from lbs.audit import is_audited, record
from lbs.auth import Caller
from lbs.deps import Permitted, ServicesDep, Tx, operation_of
from lbs.errors import BodyTooLargeError
from lbs.fields import id_of
from lbs.import_jobs import FIELDS, Options, begin_import, get_import
from lbs.problems import declared, request_id_of
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from lbs.tables import ImportKind, ImportState
from lbs.uploads import Destination

router = APIRouter(prefix="/v1/imports", tags=["imports"], route_class=Route)

ANSWERED_WITHIN_S: Final = 10.0
"""A file that takes longer is answered 202, and asked after."""
DRAINED: Final = 4
"""A body is read to this multiple of what is taken, so that its sender gets to read the refusal."""


class RefusedRow(BaseModel):
    row: int = Field(description="From 1: data rows, without header and empty lines.")
    external_id: str | None
    reason: str


class RowWarning(BaseModel):
    row: int
    external_id: str
    warning: str


class UnderstoodColumn(BaseModel):
    column: str
    field: str | None = Field(description="What `map` calls the field that it holds; null for none.")
    use: Literal["field", "attribute", "ignored"]


class ImportPreview(BaseModel):
    """How a file was understood."""

    columns: list[UnderstoodColumn]
    accepted: int = Field(description="Rows that would be stored.")
    rows: list[dict[str, Any]] = Field(
        description="The first 20 of them as they would be stored, each with its `row`: stores with `lat` and `lng`,"
        " fences with `geometry` and, of a circle, `radius_m`."
    )
    refused: list[RefusedRow] = Field(description="The first 1000.")


class FenceCounts(BaseModel):
    created: int
    updated: int
    unchanged: int


class ImportReport(FenceCounts):
    """What became of every row, as `lbs import --json` has it."""

    rows: int
    duplicates: int = Field(description="Rows whose external id came again later: the last one counts.")
    refused: list[RefusedRow] = Field(description="The first 1000.")
    refused_count: int
    warnings: list[RowWarning] = Field(description="The first 1000.")
    warnings_count: int
    dry_run: bool
    fences: FenceCounts | None = Field(default=None, description="Of `fence_radius_m`.")


class ImportView(BaseModel):
    """An import, under way or over."""

    import_id: str
    kind: ImportKind
    dry_run: bool
    state: ImportState = Field(
        description="`failed` says why in `error`. `interrupted`: its process ended; what was written stays, and the"
        " same file again goes on from there."
    )
    done: int = Field(description="Bytes while it is `reading`, rows while it is `writing`.")
    total: int | None = Field(description="Of as many; null: not begun.")
    created_at: datetime
    created_by: str
    error: str | None
    preview: ImportPreview | None = Field(description="Of a dry run, as soon as the file is read.")
    report: ImportReport | None = Field(description="Once it is `done`.")


DryRun = Annotated[bool, Query(description="Say what would happen, and change nothing.")]
Profile = Annotated[Literal["standard", "plain"], Query(description="Of the fences that do not name their own.")]
MapText = Annotated[
    str,
    Query(
        alias="map",
        max_length=2_000,
        description="Which column holds which field, `lat=y,lng=x`; an empty right side ignores a column.",
    ),
]
BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "The file itself: GeoJSON, GeoJSONSeq or CSV, gzip or not; known by its content.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    **OF_EVERY_WRITE,
    200: {"description": "It is over."},
    202: {"model": ImportView, "description": "It is under way: ask for it by its id."},
}


@router.post("/stores", operation_id="import_stores", responses=RESPONSES, openapi_extra=BODY)
async def post_stores(
    request: Request,
    response: Response,
    caller: Permitted,
    services: ServicesDep,
    *,
    fence_radius_m: Annotated[
        float | None,
        Query(ge=1, le=100_000, allow_inf_nan=False, description="Also make a circle fence about each store."),
    ] = None,
    profile: Profile = "standard",
    dry_run: DryRun = False,
    column_map: MapText = "",
) -> ImportView:
    """Import stores: new, changed and unchanged rows by their external id. Rows that cannot be read are refused."""
    columns = ColumnMap.parse(column_map, FIELDS[ImportKind.STORES])
    options = Options(
        kind=ImportKind.STORES, columns=columns, profile=profile, fence_radius_m=fence_radius_m, dry_run=dry_run
    )
    return await _import(request, response, caller, services, options)


@router.post("/fences", operation_id="import_fences", responses=RESPONSES, openapi_extra=BODY)
async def post_fences(
    request: Request,
    response: Response,
    caller: Permitted,
    services: ServicesDep,
    *,
    profile: Profile = "standard",
    dry_run: DryRun = False,
    column_map: MapText = "",
) -> ImportView:
    """Import fences: polygons, multipolygons, and points with a radius."""
    columns = ColumnMap.parse(column_map, FIELDS[ImportKind.FENCES])
    options = Options(kind=ImportKind.FENCES, columns=columns, profile=profile, fence_radius_m=None, dry_run=dry_run)
    return await _import(request, response, caller, services, options)


@router.get("/{import_id}", operation_id="get_import", responses={**OF_EVERY_READ, **declared(404)})
def read_import(import_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> ImportView:
    """Get an import: how far it is, and in the end what came of it. Kept for 30 days."""
    return _view(get_import(connection, caller.tenant_id, id_of(import_id, "import"), now=services.now()))


async def _import(
    request: Request, response: Response, caller: Caller, services: Services, options: Options
) -> ImportView:
    file = await _received(request, limit=services.settings.max_import_bytes)
    try:
        import_id = await run_in_threadpool(_begin, request, caller, services, options)
        job = services.imports.add(import_id, options, file, _destination(caller, services))
    except BaseException:
        await run_in_threadpool(file.unlink)
        raise
    try:
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(job)), ANSWERED_WITHIN_S)
    except TimeoutError:
        response.status_code = 202
    return _view(await run_in_threadpool(_now_of, caller, services, import_id))


def _begin(request: Request, caller: Caller, services: Services, options: Options) -> int:
    """With its row in the audit, as every write."""
    now = services.now()
    with services.api.begin() as connection:
        use_tenant(connection, caller.tenant_id)
        import_id = begin_import(
            connection, tenant_id=caller.tenant_id, options=options, created_by=caller.actor, now=now
        )
        if is_audited(caller):
            record(
                connection,
                tenant_id=caller.tenant_id,
                at=now,
                actor=caller.actor,
                operation=operation_of(request),
                object_id=str(import_id),
                request_id=request_id_of(request.scope),
            )
    return import_id


def _now_of(caller: Caller, services: Services, import_id: int) -> dict[str, Any]:
    with services.api.begin() as connection:
        use_tenant(connection, caller.tenant_id)
        return get_import(connection, caller.tenant_id, import_id, now=services.now())


def _destination(caller: Caller, services: Services) -> Destination:
    return Destination(
        engine=services.api,
        tenant_id=caller.tenant_id,
        effective_at=lambda now: services.effective_at(now, sandbox=caller.sandbox),
    )


async def _received(request: Request, *, limit: int) -> Path:
    """The body as a file of its own. BodyTooLargeError."""
    size = 0
    with tempfile.NamedTemporaryFile(prefix="lbs-import-", delete=False) as file:
        path = Path(file.name)
        try:
            async for part in request.stream():
                size += len(part)
                if size <= limit:
                    file.write(part)
                elif size > limit * DRAINED:
                    break
            _check_size(size, limit)
        except BaseException:
            await run_in_threadpool(path.unlink)
            raise
    return path


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BodyTooLargeError(f"at most {limit} bytes are accepted")


def _view(found: dict[str, Any]) -> ImportView:
    names = ("kind", "dry_run", "state", "done", "total", "created_at", "created_by", "error", "preview", "report")
    return ImportView(import_id=str(found["import_id"]), **{name: found[name] for name in names})
