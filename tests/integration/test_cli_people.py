"""`lbs user create` and `lbs user invite`: links that let people choose a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lbs.sessions import hash_of
from tests.support.people import token_of

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

PUBLIC = "https://offers.example"


def test_the_first_operator_of_a_tenant_is_invited(cli: Cli) -> None:
    tenant_id = cli.tenant("acme")
    made = cli.json(
        "user", "create", "Anna@Example.org", "--tenant", "acme", "--role", "operator", LBS_PUBLIC_URL=PUBLIC
    )
    assert (made["email"], made["role"], made["tenant_id"]) == ("anna@example.org", "operator", tenant_id)
    link = made["invitation_url"]
    assert link.startswith("https://offers.example/console/invite#token=")
    (row,) = cli.query("SELECT hash, used_at FROM lbs.invitations")
    assert bytes(row.hash) == hash_of(token_of(link), "invitation")
    (entry,) = cli.query("SELECT actor, operation_id, object_id FROM lbs.audit")
    assert tuple(entry) == ("command line", "invite_user", str(made["user_id"]))


def test_without_a_tenant_it_is_an_operator_of_the_installation(cli: Cli) -> None:
    made = cli.json("user", "create", "root@example.org", LBS_PUBLIC_URL=PUBLIC)
    assert (made["role"], made["tenant_id"]) == ("operator", None)
    text = cli.ok("user", "invite", "ROOT@example.org", LBS_PUBLIC_URL=PUBLIC)
    assert "https://offers.example/console/invite#token=" in text
    assert [row.hash for row in cli.query("SELECT hash FROM lbs.invitations")] != [
        hash_of(token_of(made["invitation_url"]), "invitation")
    ]
    assert len(cli.query("SELECT hash FROM lbs.invitations")) == 1


def test_a_store_manager_gets_the_stores_that_are_named(cli: Cli) -> None:
    tenant_id = cli.tenant("acme")
    file = cli.home / "stores.csv"
    file.write_text("external_id,name,lat,lng\n007,A,60,24\n008,B,60,25\n")
    cli.ok("import", "stores", file, "--tenant", "acme")
    words = ("user", "create", "m@example.org", "--tenant", "acme", "--role", "store_manager")
    made = cli.json(*words, "--store", "007", "--store", "008", "--name", "Maija", LBS_PUBLIC_URL=PUBLIC)
    rows = cli.query(
        "SELECT s.external_id, u.tenant_id, p.name FROM lbs.user_stores u JOIN geofences.stores s USING (store_id)"
        " JOIN lbs.users p USING (user_id) WHERE user_id = :user_id ORDER BY 1",
        user_id=made["user_id"],
    )
    assert [tuple(row) for row in rows] == [("007", tenant_id, "Maija"), ("008", tenant_id, "Maija")]
    failed = cli.run(*words[:2], "n@example.org", *words[3:], "--store", "9", LBS_PUBLIC_URL=PUBLIC)
    assert (failed.returncode, "no store '9'" in failed.stderr) == (1, True)
    assert cli.query("SELECT user_id FROM lbs.users WHERE email = 'n@example.org'") == [], "nothing half-made"


def test_what_cannot_be_is_refused(cli: Cli) -> None:
    cli.tenant("acme")
    create = ("user", "create")
    assert "--store" in cli.fails(*create, "a@b.example", "--tenant", "acme", "--role", "store_manager", code=2)
    assert "--tenant" in cli.fails(*create, "a@b.example", "--role", "marketer", code=2)
    assert "e-mail" in cli.fails(*create, "nonsense", code=2)
    assert "LBS_PUBLIC_URL" in cli.fails(*create, "a@b.example")
    assert cli.query("SELECT user_id FROM lbs.users") == []
    assert cli.run(*create, "a@b.example", LBS_PUBLIC_URL=PUBLIC).returncode == 0
    again = cli.run(*create, "A@B.example", "--tenant", "acme", LBS_PUBLIC_URL=PUBLIC)
    assert (again.returncode, "has this address already" in again.stderr) == (1, True)
    assert "nobody has the address" in cli.fails("user", "invite", "c@b.example")
