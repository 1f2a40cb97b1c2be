"""Who may do what over HTTP: one table, from each operation to those who may ask for it.

A caller is one word: the kind of its key, or a person's role. What cannot stand in a table stays in the routes: that a
device token speaks for its own device only, and that a store key and a store manager see their own stores only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbs.auth import INSTALLATION, Caller, CallerKind
from lbs.errors import ForbiddenError
from lbs.tables import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PUBLISHABLE, SECRET, STORE, DEVICE = CallerKind.PUBLISHABLE, CallerKind.SECRET, CallerKind.STORE, CallerKind.DEVICE
MARKETER, APPROVER, MANAGER = Role.MARKETER, Role.APPROVER, Role.STORE_MANAGER
ANALYST, OPERATOR = Role.ANALYST, Role.OPERATOR
INSTALLER: Final = "installation"
"""The operator of the installation while no tenant is named; in a tenant, an operator like its own."""
ANYBODY: Final[frozenset[str]] = frozenset({"anybody"})
"""No key and no session needed."""

WORDS: Final[Mapping[str, str]] = {
    SECRET: "a secret key",
    PUBLISHABLE: "a publishable key",
    DEVICE: "a device token",
    STORE: "a store key",
    MARKETER: "a marketer",
    APPROVER: "an approver",
    MANAGER: "a store manager",
    ANALYST: "an analyst",
    OPERATOR: "an operator",
    INSTALLER: "an operator of the installation",
}
"""Everybody there is, in the order of the documents."""

_PEOPLE: Final = {MARKETER, APPROVER, MANAGER, ANALYST, OPERATOR, INSTALLER}
_READERS: Final = {SECRET, MARKETER, APPROVER, ANALYST, OPERATOR}
_APPS: Final = {SECRET, PUBLISHABLE, DEVICE}
_OF_STORES: Final = {MANAGER, STORE}
_ADMINS: Final = {SECRET, OPERATOR}


def _table(*rows: tuple[Iterable[str], str]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for who, operations in rows:
        for operation in operations.split():
            assert operation not in found, f"{operation} has two rows"
            found[operation] = frozenset(who)
    return found


ACCESS: Final[Mapping[str, frozenset[str]]] = _table(
    (ANYBODY, "healthz readyz metrics"),
    (ANYBODY, "take_pairing"),
    (ANYBODY, "sign_in accept_invitation begin_provider_sign_in finish_provider_sign_in"),
    (_PEOPLE, "who_am_i sign_out"),
    # phones; a publishable key gets as far as hearing that it needs a token
    (_APPS, "send_positions register_device push_key"),
    ({SECRET, DEVICE}, "send_owntracks send_osmand send_osmand_query pair_device"),
    ({SECRET, DEVICE}, "change_device erase_device read_inbox stream_inbox post_receipt"),
    ({SECRET, DEVICE, OPERATOR}, "get_device export_device"),
    (_ADMINS, "revoke_device_tokens"),
    # search
    (_APPS | _READERS, "stores_nearby match_fences"),
    # what shoppers find, a store may know of itself and of its neighbours
    (_APPS | _READERS | {MANAGER}, "offers_nearby"),
    (_APPS | _READERS | _OF_STORES, "store_open get_store"),
    # stores and their figures
    (_READERS | _OF_STORES, "list_stores"),
    (_READERS | _OF_STORES, "hourly_traffic traffic_series traffic_today traffic_dwell traffic_live traffic_heat"),
    (_READERS | _OF_STORES, "traffic_overview"),
    ({SECRET, MARKETER}, "create_store replace_store delete_store"),
    (_READERS, "list_fences get_fence"),
    (_READERS | _OF_STORES, "map_tile map_bounds"),
    ({SECRET, MARKETER}, "import_stores import_fences get_import"),
    ({SECRET, MARKETER}, "create_fence replace_fence delete_fence preview_fence"),
    # campaigns: who writes them does not let them loose
    (_READERS, "list_campaigns get_campaign preview_windows preview_draft_windows"),
    (_READERS, "report_campaign lift_of_campaign"),
    (_READERS, "explain_campaign dry_run_campaign campaign_history campaign_triggers"),
    ({SECRET, MARKETER}, "create_campaign replace_campaign clone_campaign"),
    ({SECRET, MARKETER}, "move_campaign:submit move_campaign:withdraw move_campaign:archive move_campaign:unarchive"),
    ({SECRET, MARKETER, APPROVER}, "test_send_campaign"),
    ({SECRET, APPROVER}, "reject_campaign"),
    ({SECRET, APPROVER}, "move_campaign:approve move_campaign:pause move_campaign:resume move_campaign:stop"),
    # claims are the shopper's, tills the store's
    ({SECRET, DEVICE}, "claim_offer list_claims get_claim get_claim_qr"),
    (_OF_STORES | {SECRET}, "prepare_redemption verify_redemption cancel_redemption"),
    (_OF_STORES | {SECRET, ANALYST}, "redemption_statement"),
    # running it
    (_ADMINS, "create_webhook list_webhooks get_webhook move_webhook delete_webhook rotate_webhook_secret"),
    (_ADMINS, "replay_webhook test_webhook list_webhook_attempts"),
    (_ADMINS, "create_key list_keys revoke_key"),
    (_ADMINS | {INSTALLER}, "invite_user list_users get_user change_user delete_user invite_user_again"),
    (_ADMINS | {INSTALLER}, "list_audit"),
    (_ADMINS | {INSTALLER}, "operations"),
    ({INSTALLER}, "list_tenants"),
    (_READERS | {MANAGER}, "demo_walkers"),
)


def operation_name(operation_id: str | None, path_params: Mapping[str, object]) -> str:
    """The name that the table knows an operation by: routes that take a `{move}` have one for each."""
    move = path_params.get("move")
    return str(operation_id) if move is None else f"{operation_id}:{move}"


def who_is(caller: Caller) -> str:
    """The caller in the words of the table."""
    if caller.role is None:
        return caller.kind
    return INSTALLER if caller.tenant_id == INSTALLATION else caller.role


def check_access(caller: Caller, operation: str) -> None:
    """ForbiddenError unless the table lets the caller ask for the operation.

    What has no row is for secret keys: a move that does not exist, which the route then refuses by name.
    """
    allowed = ACCESS.get(operation, frozenset({SECRET}))
    if who_is(caller) not in allowed:
        raise ForbiddenError(f"this needs {_listed(allowed)}")


def operations_of(caller: Caller) -> list[str]:
    """All that the caller may ask for and not everybody may."""
    who = who_is(caller)
    return sorted(operation for operation, allowed in ACCESS.items() if who in allowed)


def _listed(allowed: frozenset[str]) -> str:
    words = [text for who, text in WORDS.items() if who in allowed]
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
