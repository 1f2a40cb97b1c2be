"""The OpenAPI document is complete, and whatever is sent to the routes it names, none answers 5xx."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lbs.app import create_app
from tests.support.api import HELSINKI, Api, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: dict[str, Any] = create_app(settings_for("postgresql://nowhere/x", "redis://nowhere/0")).openapi()
OPERATIONS = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
OPEN = {"healthz", "readyz", "metrics", "take_pairing"}
SIGNING_IN = {"sign_in", "accept_invitation", "begin_provider_sign_in", "finish_provider_sign_in"}
"""Open too, and they refuse like all others."""
PEOPLE_ONLY = {"who_am_i", "sign_out", "list_tenants"}
KEYS_ONLY = {
    "send_positions", "register_device", "change_device", "erase_device", "read_inbox", "stream_inbox", "post_receipt",
    "push_key", "claim_offer", "list_claims", "get_claim", "get_claim_qr",
    "send_owntracks", "send_osmand", "send_osmand_query", "pair_device",
}  # fmt: skip
PHONE_WAYS = {"send_owntracks": "basic", "send_osmand": "token_as_id", "send_osmand_query": "token_as_id"}
"""Besides a key: how the apps send a device's token."""
EXAMPLES = int(os.environ.get("LBS_TEST_EXAMPLES", "4"))
"""Requests an operation; more find more, and take longer."""
ENDLESS = "stream_inbox"
"""An event stream has no end to wait for."""


@schemathesis.serializer("application/msgpack")
def packed(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Bodies of the ingest route's other format; what it cannot hold is sent as text."""
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, TypeError, ValueError):
        return str(value).encode("utf-8", "replace")


schema = schemathesis.openapi.from_dict(DOCUMENT).exclude(operation_id=ENDLESS)


def ids() -> Iterator[str]:
    for _, _, operation in OPERATIONS:
        yield operation["operationId"]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=list(ids()))
def test_an_operation_says_what_it_takes_and_answers(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation.get("description"), "the docstring of the route"
    assert operation["tags"]
    answers = operation["responses"]
    assert any(status.startswith(("2", "303")) for status in answers)
    if operation["operationId"] in OPEN:
        return
    name = operation["operationId"]
    ways: list[dict[str, list[str]]] = [{"key": []}] if name not in PEOPLE_ONLY else []
    ways += [{"session": []}] if name not in KEYS_ONLY else []
    ways += [{PHONE_WAYS[name]: []}] if name in PHONE_WAYS else []
    assert operation.get("security") == (None if name in SIGNING_IN else ways)
    for status in ("401", "403", "500", "503"):
        assert "application/problem+json" in answers[status]["content"]
    if "{" in path:
        assert "422" in answers
    if method in {"post", "put", "patch"} and "requestBody" in operation:
        assert {"413", "415", "422"} <= answers.keys()
    for status, answer in answers.items():
        if status >= "400" and operation["operationId"] != "readyz":
            assert set(answer["content"]) == {"application/problem+json"}


def test_operation_ids_are_unique_and_no_schema_of_the_framework_is_left() -> None:
    assert len(set(ids())) == len(OPERATIONS)
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]
    assert "Problem" in DOCUMENT["components"]["schemas"]


def test_the_document_is_served(api: Api) -> None:
    assert api.client().get("/openapi.json").json()["paths"].keys() == DOCUMENT["paths"].keys()


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    """A secret key of a tenant with something of each kind."""
    tenant = api.tenant()
    store = tenant.store("1", opening_hours="Mo-Fr 08:00-18:00")
    fence = {"external_id": "1", "store_id": store["store_id"], "center": HELSINKI, "radius_m": 100}
    assert tenant.secret.post("/v1/fences", json=fence).status_code == 201
    assert tenant.secret.post("/v1/webhooks", json={"url": "https://partner.example/"}).status_code == 201
    tenant.device("1")
    return tenant.secret.headers["Authorization"]


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_is_answered_with_a_server_error(case: schemathesis.Case[Any], api: Api, key: str) -> None:
    response = case.call(base_url=api.url, headers={"Authorization": key})
    case.validate_response(
        response,
        checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance],
    )
