"""`lbs import`, `lbs export` and `lbs tenant` as people and scripts use them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

STORES = """\
external_id,name,brand,category,lat,lng,address,opening_hours,floor
007,Café Ä,Brand,cafe;bakery,60.1699,24.9384,"Street 1, Helsinki",Mo-Fr 08:00-18:00,2
broken,row
8,No place,,,,,,,
9,Odd hours,,,41.15,-8.61,,whenever we like,
"""


@pytest.fixture
def stores_file(tmp_path: Path) -> Path:
    path = tmp_path / "stores.csv"
    path.write_text(STORES, encoding="utf-8")
    return path


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_importing_again_changes_nothing(cli: Cli, stores_file: Path) -> None:
    tenant = cli.json("tenant", "create", "acme")
    assert tenant["keys"]["publishable"].startswith("lbs_pk_")
    assert tenant["keys"]["secret"].startswith("lbs_sk_")

    rehearsal = cli.json("import", "stores", stores_file, "--tenant", "acme", "--fence-radius-m", 100, "--dry-run")
    assert rehearsal["created"] == 2
    assert cli.query("SELECT * FROM geofences.stores") == []

    first = cli.json("import", "stores", stores_file, "--tenant", "acme", "--fence-radius-m", 100)
    assert {name: first[name] for name in ("created", "updated", "unchanged", "duplicates")} == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "duplicates": 0,
    }
    assert first["refused"] == [
        {"row": 2, "external_id": None, "reason": "2 fields, but the header has 9"},
        {"row": 3, "external_id": "8", "reason": "lat is missing"},
    ]
    assert first["warnings"][0]["external_id"] == "9"
    assert first["fences"]["created"] == 2
    changes = cli.query("SELECT count(*) FROM geofences.changes")

    # by the tenant's number as well as by its name
    again = cli.json("import", "stores", stores_file, "--tenant", tenant["tenant_id"], "--fence-radius-m", 100)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2)
    assert again["fences"] == {"created": 0, "updated": 0, "unchanged": 2}
    assert cli.query("SELECT count(*) FROM geofences.changes") == changes

    exported = table(cli.ok("export", "stores", "--tenant", "acme"))
    assert list(exported[0]) == ["store_id", "external_id", "name", "lat", "lng", "timezone"]
    assert [(row["external_id"], row["name"], row["timezone"]) for row in exported] == [
        ("007", "Café Ä", "Europe/Helsinki"),
        ("9", "Odd hours", "Europe/Lisbon"),
    ]
    assert (float(exported[0]["lat"]), float(exported[0]["lng"])) == (60.1699, 24.9384)


def test_people_read_what_happened_and_programs_read_one_object(cli: Cli, stores_file: Path) -> None:
    cli.tenant("acme")
    done = cli.run("import", "stores", stores_file, "--tenant", "acme")
    assert done.stdout == "4 rows: 2 created, 0 updated, 0 unchanged, 0 duplicates, 2 refused\n"
    assert "row 2 refused: 2 fields, but the header has 9" in done.stderr
    done = cli.run("import", "stores", stores_file, "--tenant", "acme", "--json")
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["unchanged"] == 2


def test_fences_go_out_and_come_back_unchanged(cli: Cli, tmp_path: Path, stores_file: Path) -> None:
    cli.tenant("acme")
    cli.ok("import", "stores", stores_file, "--tenant", "acme")
    ring = [[24.9, 60.1], [25.0, 60.1], [25.0, 60.2], [24.9, 60.2], [24.9, 60.1]]
    features = [
        fence({"type": "Polygon", "coordinates": [ring]}, external_id="area", name="Area", store_id="007", dwell_s=60),
        fence({"type": "Point", "coordinates": [24.9, 60.1]}, external_id="circle", radius_m=75.5),
        fence({"type": "Point", "coordinates": [24.9, 60.1]}, external_id="lost", radius_m=75.5, store_id="nowhere"),
    ]
    path = tmp_path / "fences.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    first = cli.json("import", "fences", path, "--tenant", "acme", "--profile", "plain")
    assert first["created"] == 2
    assert first["refused"] == [{"row": 3, "external_id": "lost", "reason": "the tenant has no store 'nowhere'"}]

    back = tmp_path / "back.geojson"
    cli.ok("export", "fences", "--tenant", "acme", "--format", "geojson", "--output", back)
    again = cli.json("import", "fences", back, "--tenant", "acme")
    assert (again["unchanged"], again["updated"], again["refused"]) == (2, 0, [])


def fence(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def test_every_format_holds_the_same(cli: Cli, tmp_path: Path, stores_file: Path) -> None:
    cli.tenant("acme")
    cli.ok("import", "stores", stores_file, "--tenant", "acme", "--fence-radius-m", 100)
    files = {form: tmp_path / f"out.{form}" for form in ("csv", "geojson", "parquet")}
    for form, path in files.items():
        found = cli.json("export", "stores", "--tenant", "acme", "--format", form, "--output", path)
        assert found["rows"] == 2
    rows = table(files["csv"].read_text(encoding="utf-8"))
    features = json.loads(files["geojson"].read_text(encoding="utf-8"))["features"]
    columns = parquet.read_table(files["parquet"]).to_pylist()  # type: ignore[no-untyped-call]
    assert [f["properties"]["external_id"] for f in features] == [row["external_id"] for row in rows]
    assert [f["geometry"]["coordinates"] for f in features] == [[c["lng"], c["lat"]] for c in columns]
    assert [{name: str(value) for name, value in c.items()} for c in columns] == rows
    # what was asked for is there, and nothing else
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(
        [stores_file.name, *(path.name for path in files.values())]
    )


def test_mistakes_are_answered_in_one_line(cli: Cli, stores_file: Path) -> None:
    cli.tenant("acme")
    assert cli.fails("tenant", "create", "acme") == "lbs: a tenant named 'acme' exists already\n"
    assert cli.fails("import", "stores", stores_file, "--tenant", "nobody") == "lbs: no tenant 'nobody'\n"
    assert "no field 'x'" in cli.fails("import", "stores", stores_file, "--tenant", "acme", "--map", "x=y", code=2)
    assert "idd" in cli.fails("import", "stores", stores_file, "--tenant", "acme", "--map", "external_id=idd")
    assert "--output" in cli.fails("export", "stores", "--tenant", "acme", "--json", code=2)
    assert "not a sandbox tenant" in cli.fails("replay", stores_file, "--tenant", "acme")


def test_a_store_key_belongs_to_a_store(cli: Cli, stores_file: Path) -> None:
    cli.tenant("acme")
    cli.ok("import", "stores", stores_file, "--tenant", "acme")
    made = cli.json("key", "create", "--kind", "store", "--store", "007", "--tenant", "acme")
    assert made["key"].startswith("lbs_st_")
    assert "no store '7'" in cli.fails("key", "create", "--kind", "store", "--store", "7", "--tenant", "acme")
    assert "--store" in cli.fails("key", "create", "--kind", "store", "--tenant", "acme", code=2)
