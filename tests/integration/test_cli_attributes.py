"""`lbs import attributes`, `lbs tenant set` and the user hash key, as people and scripts use them."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = pytest.mark.servers


def test_attributes_are_merged_rehearsed_and_told_row_by_row(cli: Cli, tmp_path: Path) -> None:
    cli.json("tenant", "create", "acme")
    file = tmp_path / "people.csv"
    file.write_text("external_user_id,tier,age\nanna,gold,41\nbert,silver,\nanna,gold,42\n,gold,1\n")
    stored = "SELECT external_user_id, attributes FROM offers.user_attributes ORDER BY 1"
    rehearsal = cli.json("import", "attributes", file, "--tenant", "acme", "--dry-run")
    assert (rehearsal["created"], rehearsal["dry_run"], cli.query(stored)) == (2, True, [])
    first = cli.json("import", "attributes", file, "--tenant", "acme")
    assert first == {
        "rows": 4, "created": 2, "updated": 0, "unchanged": 0, "duplicates": 1, "dry_run": False,
        "refused": [
            {"row": 4, "external_id": None, "reason": "external_user_id is empty, or longer than 200 characters"}
        ],
    }  # fmt: skip
    assert [tuple(row) for row in cli.query(stored)] == [
        ("anna", {"tier": "gold", "age": 42}), ("bert", {"tier": "silver"}),
    ]  # fmt: skip
    file.write_text("external_user_id,age,vip\nanna,,true\nbert,,\n")
    again = cli.json("import", "attributes", file, "--tenant", "acme")
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 1, 1)
    assert tuple(cli.query(stored)[0]) == ("anna", {"tier": "gold", "vip": True})
    file.write_text("device_id,tier\nnobody,gold\n")
    unknown = cli.json("import", "attributes", file, "--tenant", "acme", "--types", "tier=text")
    assert unknown["refused"] == [{"row": 1, "external_id": "nobody", "reason": "the tenant has no such device"}]


def test_a_tenant_can_want_people_to_approve(cli: Cli) -> None:
    cli.json("tenant", "create", "acme")
    assert cli.json("tenant", "set", "acme", "--approval", "people")["approval"] == "people"
    assert [tuple(row) for row in cli.query("SELECT approval FROM geofences.tenants")] == [("people",)]
    assert cli.run("tenant", "set", "acme", "--approval", "nobody").returncode == 2


def test_a_tenant_can_keep_its_rows_for_a_shorter_time(cli: Cli) -> None:
    cli.json("tenant", "create", "acme")
    made = cli.json("tenant", "set", "acme", "--retain", "positions=2,visits=90")
    assert (made["retention"], made["approval"]) == ({"positions": 2, "visits": 90}, "anyone")
    assert cli.json("tenant", "set", "acme", "--retain", "positions=")["retention"] == {"visits": 90}
    for wrong in ("positions=1", "stores=5", "visits=x"):
        assert cli.run("tenant", "set", "acme", "--retain", wrong).returncode == 2, wrong
    assert cli.run("tenant", "set", "acme").returncode == 2


def test_the_user_hash_key_is_always_the_same_and_each_tenants_own(cli: Cli) -> None:
    for name in ("acme", "other"):
        cli.json("tenant", "create", name)
    keys = [cli.json("tenant", "user-hash-key", name)["user_hash_key"] for name in ("acme", "other", "acme")]
    assert keys[0] == keys[2] != keys[1]
    assert len(hmac.new(keys[0].encode(), b"anna", hashlib.sha256).hexdigest()) == 64
