"""The life of a campaign over HTTP: every state with every move, four eyes, what is written of it, and the stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import set_approval
from geofences.tables import Approval
from offers.errors import ApprovalError
from offers.lifecycle import MOVES, Move, move_campaign, move_due
from offers.model import CampaignId, CampaignStatus
from offers.store import create_campaign, get_campaign, update_campaign
from offers.tables import campaigns, notifications
from tests.support.api import Api, TestTenant, problem
from tests.support.people import person

if TYPE_CHECKING:
    import httpx

    from offers.definition import CampaignDefinition

pytestmark = pytest.mark.servers

COFFEE: dict[str, Any] = {
    "name": "Coffee",
    "offer": {"kind": "percentage", "value": 20},
    "creatives": [{"title": "Coffee at {store}"}],
}
FUTURE = {"windows": {"first_day": (datetime.now(UTC) + timedelta(days=30)).date().isoformat()}}
WAYS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "draft": ([], {}),
    "submitted": (["submit"], {}),
    "approved": (["submit", "approve"], FUTURE),
    "live": (["submit", "approve"], {}),
    "paused": (["submit", "approve", "pause"], {}),
    "ended": (["submit", "approve", "stop"], {}),
    "archived": (["archive"], {}),
}
ALLOWED = {
    ("draft", "submit"): "submitted",
    ("draft", "archive"): "archived",
    ("submitted", "withdraw"): "draft",
    ("submitted", "reject"): "draft",
    ("submitted", "approve"): "live",
    ("submitted", "archive"): "archived",
    ("approved", "pause"): "paused",
    ("approved", "stop"): "ended",
    ("live", "pause"): "paused",
    ("live", "stop"): "ended",
    ("paused", "resume"): "live",
    ("paused", "stop"): "ended",
    ("ended", "archive"): "archived",
    ("archived", "unarchive"): "draft",
}


def move(tenant: TestTenant, path: str, name: str) -> httpx.Response:
    body = {"json": {"reason": "too loud"}} if name == "reject" else {}
    return tenant.secret.post(f"{path}/{name}", **body)  # type: ignore[arg-type]


def campaign(tenant: TestTenant, status: str, **more: Any) -> str:
    """The path of a campaign that was taken to a state."""
    moves, body = WAYS[status]
    answer = tenant.secret.post("/v1/campaigns", json={**COFFEE, **body, **more})
    assert answer.status_code == 201, answer.text
    path = f"/v1/campaigns/{answer.json()['campaign_id']}"
    for name in moves:
        assert move(tenant, path, name).status_code == 200
    assert tenant.secret.get(path).json()["status"] == status
    return path


@pytest.mark.parametrize("name", list(Move))
@pytest.mark.parametrize("status", list(CampaignStatus))
def test_a_state_takes_the_moves_it_allows_and_refuses_all_others(tenant: TestTenant, status: str, name: str) -> None:
    path = campaign(tenant, status)
    answer = move(tenant, path, name)
    after = ALLOWED.get((status, name))
    if after is None:
        problem(answer, 409, "conflict")
        after = status
    else:
        assert answer.json()["status"] == after
    assert tenant.secret.get(path).json()["status"] == after


def test_the_table_of_moves_says_the_same() -> None:
    assert {(status, name) for name, (states, _) in MOVES.items() for status in states} == set(ALLOWED)


def test_what_was_ended_is_unarchived_as_ended(tenant: TestTenant) -> None:
    path = campaign(tenant, "ended")
    move(tenant, path, "archive")
    assert move(tenant, path, "unarchive").json()["status"] == "ended"


@pytest.mark.parametrize(
    ("status", "code", "after"),
    [("draft", 200, "draft"), ("submitted", 200, "draft"), ("approved", 200, "draft"), ("live", 409, "live"),
     ("paused", 200, "draft"), ("ended", 409, "ended"), ("archived", 409, "archived")],
)  # fmt: skip
def test_an_edit_takes_a_campaign_back_to_draft(tenant: TestTenant, status: str, code: int, after: str) -> None:
    path = campaign(tenant, status)
    assert tenant.secret.put(path, json={**COFFEE, "name": "Tea"}).status_code == code
    assert tenant.secret.get(path).json()["status"] == after


def test_a_paused_campaign_that_was_edited_cannot_be_resumed_unapproved(tenant: TestTenant) -> None:
    path = campaign(tenant, "paused")
    tenant.secret.put(path, json={**COFFEE, "name": "Tea"})
    problem(move(tenant, path, "resume"), 409, "conflict")
    assert [move(tenant, path, name).json()["status"] for name in ("submit", "approve")] == ["submitted", "live"]


def test_the_history_tells_every_version_and_step(tenant: TestTenant) -> None:
    path = campaign(tenant, "submitted")
    move(tenant, path, "reject")
    tenant.secret.put(path, json={**COFFEE, "name": "Tea"})
    for name in ("submit", "approve", "pause"):
        move(tenant, path, name)
    tenant.secret.put(path, json={**COFFEE, "name": "Soup"})
    told = tenant.secret.get(f"{path}/history").json()
    assert [version["version"] for version in told["versions"]] == [1, 2, 3]
    assert [(one["move"], one["status"], one["version"], one["reason"]) for one in told["moves"]] == [
        ("submit", "submitted", 1, None),
        ("reject", "draft", 1, "too loud"),
        ("submit", "submitted", 2, None),
        ("approve", "live", 2, None),
        ("pause", "paused", 2, None),
        ("edit", "draft", 3, None),
    ]
    assert [tenant.secret.get(path, params={"version": n}).json()["name"] for n in (1, 2, 3)] == [
        "Coffee", "Tea", "Soup",
    ]  # fmt: skip
    problem(tenant.secret.get(path, params={"version": 4}), 404, "not-found")


def test_any_step_may_take_a_word_with_it(tenant: TestTenant) -> None:
    path = campaign(tenant, "submitted")
    assert tenant.secret.post(f"{path}/approve", json={"reason": " reads well "}).json()["status"] == "live"
    assert tenant.secret.post(f"{path}/pause", json={"reason": "  "}).json()["status"] == "paused"
    problem(tenant.secret.post(f"{path}/resume", json={"comment": "go"}), 422, "malformed")
    problem(
        tenant.secret.post(f"{path}/resume", content=b"go", headers={"Content-Type": "text/plain"}),
        415,
        "unsupported-media-type",
    )
    assert tenant.secret.post(f"{path}/resume").json()["status"] == "live"
    told = [one["reason"] for one in tenant.secret.get(f"{path}/history").json()["moves"]]
    assert told == [None, "reads well", None, None]


def test_the_history_names_people_of_the_tenant_and_nobody_else(tenant: TestTenant) -> None:
    marketer = person(tenant, "marketer")
    path = f"/v1/campaigns/{marketer.post('/v1/campaigns', json=COFFEE).json()['campaign_id']}"
    assert marketer.post(f"{path}/submit").json()["status"] == "submitted"
    move(tenant, path, "approve")
    me = marketer.get("/v1/sessions").json()
    told = marketer.get(f"{path}/history").json()
    assert told["people"] == {f"user:{me['user_id']}": me["name"]}
    assert told["moves"][0]["actor"] == f"user:{me['user_id']}"


def test_a_rejection_needs_a_reason(tenant: TestTenant) -> None:
    path = campaign(tenant, "submitted")
    for body in ({}, {"reason": "  "}):
        problem(tenant.secret.post(f"{path}/reject", json=body), 422, "malformed")
    assert tenant.secret.get(path).json()["status"] == "submitted"


def test_a_tenant_that_wants_people_takes_no_servers_approval(api: Api, tenant: TestTenant) -> None:
    with api.system.begin() as connection:
        set_approval(connection, tenant.tenant_id, Approval.PEOPLE)
    path = campaign(tenant, "submitted")
    problem(move(tenant, path, "approve"), 403, "approval-refused")
    assert tenant.secret.get(path).json()["status"] == "submitted"


class Desk:
    """People at work on one campaign."""

    def __init__(self, api: Api, tenant: TestTenant) -> None:
        self.api, self.tenant_id = api, tenant.tenant_id
        with api.system.begin() as connection:
            self.campaign_id: CampaignId = create_campaign(
                connection, tenant_id=self.tenant_id, definition=_definition(), created_by="user:anna", now=_now()
            )

    def edit(self, actor: str) -> None:
        with self.api.system.begin() as connection:
            update_campaign(
                connection, tenant_id=self.tenant_id, campaign_id=self.campaign_id, definition=_definition(),
                actor=actor, now=_now(),
            )  # fmt: skip

    def move(self, name: str, actor: str) -> str:
        with self.api.system.begin() as connection:
            return move_campaign(
                connection, tenant_id=self.tenant_id, campaign_id=self.campaign_id, move=name, actor=actor, now=_now()
            )


@pytest.fixture
def desk(api: Api, tenant: TestTenant) -> Desk:
    return Desk(api, tenant)


def _definition() -> CampaignDefinition:
    from offers.definition import CampaignDefinition  # noqa: PLC0415

    return CampaignDefinition.model_validate(COFFEE)


def _now() -> datetime:
    return datetime.now(UTC)


def test_a_person_approves_neither_what_they_wrote_nor_what_they_submitted(desk: Desk) -> None:
    desk.move("submit", "user:bert")
    for who in ("user:anna", "user:bert"):
        with pytest.raises(ApprovalError):
            desk.move("approve", who)
    assert desk.move("approve", "user:carl") == "live"


def test_pausing_and_editing_does_not_get_round_the_other_eyes(desk: Desk) -> None:
    desk.move("submit", "user:anna")
    desk.move("approve", "user:bert")
    desk.move("pause", "user:bert")
    desk.edit("user:bert")
    desk.move("submit", "user:anna")
    with pytest.raises(ApprovalError):
        desk.move("approve", "user:bert")


def test_a_withdrawn_submission_leaves_its_first_submitter_free_to_approve(desk: Desk) -> None:
    desk.move("submit", "user:bert")
    desk.move("withdraw", "user:bert")
    desk.move("submit", "user:anna")
    assert desk.move("approve", "user:bert") == "live"


def test_a_servers_key_may_write_submit_and_approve(tenant: TestTenant) -> None:
    campaign(tenant, "live")


@pytest.mark.parametrize(
    ("status", "windows", "at", "after"),
    [
        ("approved", {"first_day": "2030-06-10"}, "2030-06-09T09:59:59Z", "approved"),
        # Kiritimati is 14 hours ahead
        ("approved", {"first_day": "2030-06-10"}, "2030-06-09T10:00:00Z", "live"),
        ("live", {"last_day": "2030-06-10"}, "2030-06-11T11:59:59Z", "live"),
        ("live", {"last_day": "2030-06-10"}, "2030-06-11T12:00:00Z", "ended"),
        ("paused", {"last_day": "2030-06-10"}, "2030-06-11T12:00:00Z", "ended"),
        (
            "live",
            {"recurring": [{"rule": "DTSTART:20300601T220000\nRRULE:FREQ=DAILY;COUNT=3", "duration_min": 180}]},
            "2030-06-04T13:00:00Z",
            "ended",
        ),
        (
            "live",
            {"recurring": [{"rule": "DTSTART:20300601T220000\nRRULE:FREQ=DAILY;COUNT=3", "duration_min": 180}]},
            "2030-06-04T12:59:59Z",
            "live",
        ),
        (
            "live",
            {
                "recurring": [{"rule": "DTSTART:20300601T220000\nRRULE:FREQ=DAILY;COUNT=3", "duration_min": 180}],
                "weekly": [{"days": ["mo"], "start": "10:00", "end": "11:00"}],
            },
            "2031-06-04T12:59:59Z",
            "live",
        ),
        (
            "live",
            {"recurring": [{"rule": "DTSTART:20300601T220000\nRRULE:FREQ=DAILY;UNTIL=20300603", "duration_min": 60}]},
            "2030-06-04T13:00:00Z",
            "ended",
        ),
    ],
)
def test_the_scheduler_begins_and_ends_campaigns_by_the_days_of_all_the_earth(  # noqa: PLR0917 - a row
    api: Api, tenant: TestTenant, status: str, windows: dict[str, Any], at: str, after: str
) -> None:
    path = campaign(tenant, status, windows=windows)
    with api.system.begin() as connection:
        move_due(connection, now=datetime.fromisoformat(at))
    assert tenant.secret.get(path).json()["status"] == after
    if after != status:
        newest = tenant.secret.get(f"{path}/history").json()["moves"][-1]
        assert (newest["move"], newest["actor"]) == ("begin" if after == "live" else "end", "scheduler")


def test_the_wall_clock_ends_nothing_in_a_sandbox(api: Api) -> None:
    tenant = api.tenant(sandbox=True)
    path = campaign(tenant, "live", windows={"first_day": "2035-01-01", "last_day": "2035-02-01"})
    with api.system.begin() as connection:
        move_due(connection, now=datetime(2036, 1, 1, tzinfo=UTC))
    assert tenant.secret.get(path).json()["status"] == "live"


def test_an_approved_campaign_is_offered_nowhere_before_it_begins(api: Api, tenant: TestTenant) -> None:
    path = campaign(tenant, "approved")
    move(tenant, path, "pause")
    assert move(tenant, path, "resume").json()["status"] == "approved"
    with api.system.begin() as connection:
        campaign_id = CampaignId(int(path.rpartition("/")[2]))
        connection.execute(sa.update(campaigns).where(campaigns.c.campaign_id == campaign_id).values(starts_at=_now()))
        move_due(connection, now=_now() + timedelta(seconds=1))
        stored = get_campaign(connection, tenant_id=tenant.tenant_id, campaign_id=campaign_id)
    assert stored.campaign.status == "live"


PUSHED = {"consents": [{"purpose": "push", "version": "1"}]}


@pytest.mark.parametrize("status", list(CampaignStatus))
def test_a_test_is_sent_in_any_state_and_marked_as_one(api: Api, tenant: TestTenant, status: str) -> None:
    store = tenant.store(name="Kahvila")
    tenant.device("phone", locale="fi-FI", **PUSHED)
    path = campaign(
        tenant, status, creatives=[{"title": "Coffee"}, {"locale": "fi", "title": "Kahvia: {store}", "body": "{code}"}]
    )
    answer = tenant.secret.post(f"{path}/test-send", json={"device_id": "phone", "store_id": store["store_id"]})
    assert answer.status_code == 202
    assert [one["channel"] for one in answer.json()["messages"]] == ["inbox"]
    with api.system.connect() as connection:
        (row,) = connection.execute(sa.select(notifications).where(notifications.c.tenant_id == tenant.tenant_id)).all()
    assert (row.state, row.decision_id, row.payload["title"]) == ("queued", None, "Kahvia: Kahvila")
    assert (row.payload["data"]["test"], row.payload["body"]) == (True, "TEST")
    assert timedelta(0) < row.expires_at - row.created_at <= timedelta(minutes=10)
    newest = tenant.secret.get(f"{path}/history").json()["moves"][-1]
    assert (newest["move"], newest["status"]) == ("test-send", status)
    assert tenant.secret.get(f"{path}/report").json()["notifications"] == {}


def test_a_test_needs_consent_a_store_and_moderation(tenant: TestTenant) -> None:
    path = campaign(tenant, "draft")
    tenant.device("shy")
    tenant.device("phone", **PUSHED)
    problem(tenant.secret.post(f"{path}/test-send", json={"device_id": "shy"}), 403, "no_consent")
    problem(tenant.secret.post(f"{path}/test-send", json={"device_id": "nobody"}), 404, "not-found")
    problem(tenant.secret.post(f"{path}/test-send", json={"device_id": "phone"}), 404, "not-found")
    tenant.store()
    answers = [tenant.secret.post(f"{path}/test-send", json={"device_id": "phone"}).status_code for _ in range(45)]
    assert set(answers) == {202, 429}
    # a new minute may begin in between
    assert 17 <= answers.count(202) <= 40


def test_a_step_or_an_edit_that_rests_on_an_older_version_changes_nothing(tenant: TestTenant) -> None:
    """Somebody edited and submitted again after the approver had read it."""
    path = campaign(tenant, "draft")
    definition = tenant.secret.get(path).json()
    body = {key: definition[key] for key in ("name", "offer", "creatives")}
    assert tenant.secret.put(path, params={"version": 1}, json=body).json()["version"] == 2
    problem(tenant.secret.put(path, params={"version": 1}, json=body), 409, "conflict")
    move(tenant, path, "submit")
    problem(tenant.secret.post(f"{path}/approve", params={"version": 1}), 409, "conflict")
    problem(tenant.secret.post(f"{path}/reject", params={"version": 1}, json={"reason": "no"}), 409, "conflict")
    assert tenant.secret.post(f"{path}/approve", params={"version": 2}).json()["status"] == "live"
