"""`lbs import stores`, `fences` and `attributes`: files in, an account of every row out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lbs.commands import terminal
from lbs.commands.terminal import Json, MapOption, ProfileOption, TenantName, answer, say
from lbs.runtime import resolve
from lbs.settings import Settings

if TYPE_CHECKING:
    from lbs.uploads import Report

SHOWN = 10
"""Refused rows and warnings that people are shown; `--json` has them all."""

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="GeoJSON, GeoJSONSeq or CSV, gzip or not.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Import stores, fences and attributes: new, changed and unchanged rows by their external id.",
        no_args_is_help=True,
    )
    group.command("stores")(import_stores)
    group.command("fences")(import_fences)
    group.command("attributes")(import_attributes)
    app.add_typer(group, name="import", rich_help_panel="Data")


def import_stores(
    file: File,
    *,
    tenant: TenantName,
    fence_radius_m: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            max=100_000.0,
            metavar="METRES",
            help="Also make a circle fence about each store, with the store's external id.",
        ),
    ] = None,
    profile: ProfileOption = "standard",
    map_: MapOption = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import stores.

    Known columns: external_id (or id), name, brand, category, lat, lng (or latitude, longitude, lon), address,
    timezone, opening_hours (as in OpenStreetMap), phone, url; others become attributes. A store without a time zone
    gets that of its place.

    A row without an external id gets one made of its content, so that importing again changes nothing. Of two rows with
    one external id the last wins. Refused rows are told by number, from 1: data rows, without header and empty lines.
    """
    from lbs import uploads  # noqa: PLC0415

    report = uploads.import_stores(
        resolve(Settings(), with_redis=False),
        tenant,
        file,
        fence_radius_m=fence_radius_m,
        profile=profile,
        column_map=map_,
        dry_run=dry_run,
        progress=terminal.progress,
    )
    _tell(report, as_json=as_json)


def import_fences(
    file: File,
    *,
    tenant: TenantName,
    profile: ProfileOption = "standard",
    map_: MapOption = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import fences: polygons, multipolygons, and points with a radius.

    Known columns: external_id (or id), name, lat, lng, radius_m, store_external_id (or store_id: the store's external
    id), profile, and single settings: enter_after_s, exit_after_s, exit_buffer_m, min_confidence, dwell_s, hold_s,
    gap_s, crossed_within_s.

    A row without an external id gets one made of its content. Refused rows are told by number, from 1: data rows,
    without header and empty lines.
    """
    from lbs import uploads  # noqa: PLC0415

    report = uploads.import_fences(
        resolve(Settings(), with_redis=False),
        tenant,
        file,
        profile=profile,
        column_map=map_,
        dry_run=dry_run,
        progress=terminal.progress,
    )
    _tell(report, as_json=as_json)


def import_attributes(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, or a JSON object a line; gzip or not.")
    ],
    *,
    tenant: TenantName,
    types: Annotated[
        str,
        typer.Option(metavar="COLUMN=TYPE,...", help="text, number or boolean, where the cells do not say it."),
    ] = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import attributes of people or devices, for audiences.

    A column external_user_id (for all devices of a person, later ones too) or device_id says whom a row is about;
    every other column is an attribute. A CSV column of numbers, or of true and false, holds such; other cells are text.
    What a row does not name stays; null, or an empty cell, takes an attribute away.
    """
    from lbs import attribute_uploads  # noqa: PLC0415

    report = attribute_uploads.import_attributes(
        resolve(Settings(), with_redis=False),
        tenant,
        file,
        types=types,
        dry_run=dry_run,
        progress=terminal.progress,
    )
    for refusal in report.refused[:SHOWN]:
        say(f"row {refusal.row} refused: {refusal.reason}")
    text = (
        f"{report.rows} rows: {report.created} created, {report.updated} updated, {report.unchanged} unchanged,"
        f" {report.duplicates} duplicates, {len(report.refused)} refused"
        f"{' (dry run: nothing was changed)' if dry_run else ''}"
    )
    answer(report.as_json(), as_json=as_json, text=text)


def _tell(report: "Report", *, as_json: bool) -> None:
    for refusal in report.refused[:SHOWN]:
        say(f"row {refusal.row} refused: {refusal.reason}")
    for remark in report.warnings[:SHOWN]:
        say(f"row {remark.row} ({remark.external_id}): {remark.warning}")
    hidden = max(0, len(report.refused) - SHOWN) + max(0, len(report.warnings) - SHOWN)
    if hidden:
        say(f"... and {hidden} more; --json lists all of them")
    words = [f"{count} {name}" for name, count in report.counts().items()]
    words += [f"{report.duplicates} duplicates", f"{len(report.refused)} refused"]
    text = f"{report.rows} rows: {', '.join(words)}{' (dry run: nothing was changed)' if report.dry_run else ''}"
    answer(report.as_json(), as_json=as_json, text=text)
