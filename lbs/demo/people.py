"""People who may sign in to the demo's tenant, one of each role, and where they and shoppers go."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lbs.tables import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbs.demo.home import Owner
    from lbs.demo.setup import Api

PASSWORD_BYTES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where a browser gets into the demo, and as whom. All people have one password, made for this run."""

    console_url: str
    app_url: str
    emails: Mapping[Role, str]
    password: str = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "console_url": self.console_url,
            "app_url": self.app_url,
            "people": [
                {"role": str(role), "email": email, "password": self.password} for role, email in self.emails.items()
            ],
        }

    def lines(self) -> list[str]:
        """For a person to read."""
        return [
            f"console: {self.console_url}   shopper's app: {self.app_url}",
            f"sign in as {', '.join(self.emails.values())} with the password {self.password}",
        ]


def invite_people(api: Api, owner: Owner, api_url: str, *, managed: str) -> Doors:
    """Over HTTP, as an operator invites and people accept; `managed` is the store manager's store."""
    (store,) = api.call("GET", f"/v1/stores?external_id={managed}", key=owner.secret)["items"]
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    emails = {}
    for role in Role:
        body = {
            "email": f"{role}@{owner.name}.example",
            "name": str(role).replace("_", " ").capitalize(),
            "role": role,
            "store_ids": [store["store_id"]] if role is Role.STORE_MANAGER else [],
        }
        link = api.call("POST", "/v1/users", body, key=owner.secret)["invitation_url"]
        accepted = {"token": link.partition("#token=")[2], "password": password}
        emails[role] = api.call("POST", "/v1/invitations/accept", accepted, key=owner.secret)["email"]
    return Doors(
        console_url=f"{api_url}/console/",
        app_url=f"{api_url}/app/?key={owner.publishable}",
        emails=emails,
        password=password,
    )
