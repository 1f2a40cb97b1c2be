"""`lbs traffic`: a store's foot traffic by hour, day, week or month, as the API tells it."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import typer

from lbs.commands.terminal import TenantName
from lbs.runtime import CommandError, resolve
from lbs.settings import Settings

DEFAULT_DAYS = {"hour": 1, "day": 7, "week": 28, "month": 180}
SHOWN = ("visits", "visitors", "new_visitors", "median_dwell_s", "passers_by", "capture_rate", "redemptions")


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Data")(traffic)


def traffic(
    store: Annotated[str, typer.Argument(metavar="STORE", help="The store's external id.")],
    *,
    tenant: TenantName,
    grain: Annotated[Literal["hour", "day", "week", "month"], typer.Option(help="How long a period is.")] = "day",
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first local day. [default: some back]")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The day after the last. [default: tomorrow]")
    ] = None,
    form: Annotated[
        Literal["table", "csv", "parquet", "json"], typer.Option("--format", help="What is printed.")
    ] = "table",
) -> None:
    """Tell what a store's visits came to: visitors, dwell, passers-by, redemptions.

    Figures that would rest on fewer than LBS_K_ANONYMITY devices are withheld; days that cut a period take all of it.
    """
    if form == "parquet" and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is not for terminals: redirect the output")
    settings = resolve(Settings(), with_redis=False)
    days = (None if first is None else first.date(), None if last is None else last.date())
    sys.stdout.flush()
    sys.stdout.buffer.write(_answer(settings, tenant, store, grain=grain, days=days, form=form))
    sys.stdout.buffer.flush()


def _answer(
    settings: Settings, tenant: str, store: str, *, grain: str, days: Sequence[date | None], form: str
) -> bytes:
    import sqlalchemy as sa  # noqa: PLC0415 - and the rest: `lbs --help` loads no database driver

    from geofences.periods import DAY, Grain, day_of  # noqa: PLC0415
    from geofences.store import find_tenant, use_tenant  # noqa: PLC0415
    from geofences.tables import stores  # noqa: PLC0415
    from geofences.traffic import Rules, as_of, find_place  # noqa: PLC0415
    from lbs import clock, footfall  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.footfall_views import Series  # noqa: PLC0415

    asked = Grain(grain)
    now = clock.now().astimezone(UTC)
    rules = Rules.of(k=settings.k_anonymity, horizon_s=settings.horizon_s, now=now)
    with database(settings, Role.API).begin() as connection:
        with database(settings, Role.SYSTEM).connect() as system:
            tenant_id = find_tenant(system, tenant).tenant_id
        use_tenant(connection, tenant_id)
        found = connection.execute(sa.select(stores.c.store_id).where(stores.c.external_id == store)).scalar()
        if found is None:
            raise CommandError(f"no store {store!r}")
        place = find_place(connection, found)
        end = days[1] or day_of(now, place.zone) + DAY
        begin = days[0] or end - DEFAULT_DAYS[grain] * DAY
        try:
            rows = footfall.series(connection, place, asked, begin, end, rules=rules)
        except ValueError as error:
            raise CommandError(str(error)) from error
        known = as_of(connection, [place.store_id], asked, now=now)
    flat = footfall.table(rows, place)
    match form:
        case "csv":
            return footfall.as_csv(flat, list(flat[0]))
        case "parquet":
            return footfall.as_parquet(flat, list(flat[0]), place.zone.key)
        case "json":
            return Series.of(rows, place, asked, k=rules.k, as_of=known).model_dump_json().encode() + b"\n"
        case _:
            return "\n".join(_lines(flat)).encode() + b"\n"


def _lines(flat: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"{'from':<18}" + "".join(f"{name:>15}" for name in SHOWN)
    for row in flat:
        figures = ("withheld" if row[name] is None else f"{row[name]:g}" for name in SHOWN)
        yield f"{row['starts_at']:%Y-%m-%d %H:%M}  " + "".join(f"{text:>15}" for text in figures)
