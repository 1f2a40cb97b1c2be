"""A code is used once: by many processes at once, and whenever the API is killed."""

from __future__ import annotations

import multiprocessing
import random
import secrets
import subprocess
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from lbs.local_process import choose_port
from lbs.settings import Settings
from tests.support.api import HELSINKI, wait_for
from tests.support.cli import Cli, command_environment
from tests.support.hammer_http import verify_over_http
from tests.support.hammer_sql import verify_in_sql
from tests.support.tills import BUDGET, OFFER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("single_use")]

PROCESSES = 4
VERIFIES = 1_000
KILLS, CODES = 3, 20
SECRET = "a secret that only the tests know, and nobody else"


@dataclass
class Town:
    """A real API process with a tenant, a store and its till; the process may be killed and started again."""

    cli: Cli
    url: str
    port: int
    tenant_id: int = 0
    store_id: str = ""
    till_key: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    transport: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)
    """One for all clients, because making one takes as long as many requests."""

    def start(self) -> None:
        environment = {**self.cli.environment, "LBS_PORT": str(self.port), "LBS_SECRET_KEY": SECRET}
        with (self.cli.home / "api.out").open("ab") as log:
            self.process = subprocess.Popen(self.cli.command("api"), env=environment, stdout=log, stderr=log)
        wait_for(self._ready, give_up_s=180)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.transport.close()
        self.transport = httpx.HTTPTransport()

    def client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, transport=self.transport)

    def settle(self) -> None:
        made = self.cli.json("tenant", "create", "town")
        self.tenant_id, self.keys = made["tenant_id"], made["keys"]
        store = self._made("/v1/stores", external_id="s", name="Shop", **HELSINKI)
        self.store_id = str(store["store_id"])
        self.till_key = str(self._made("/v1/keys", kind="store", store_id=self.store_id)["key"])

    def campaign(self, **more: Any) -> str:
        campaign_id = str(self._made("/v1/campaigns", **{**OFFER, **more})["campaign_id"])
        for move in ("submit", "approve"):
            self._made(f"/v1/campaigns/{campaign_id}/{move}")
        return campaign_id

    def claim(self, campaign_id: str, device: str) -> str:
        self._made("/v1/devices", device_id=device)
        return str(self._made("/v1/claims", campaign_id=campaign_id, device_id=device)["code"])

    def _made(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.client(self.keys["secret"]).post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def counters(self, campaign_id: str) -> tuple[int, str, int]:
        """Units of stock and money that are held, and redemptions."""
        [row] = self.cli.query(
            "SELECT c.reserved, (SELECT trim_scale(sum(b.reserved))::text FROM offers.budgets b"
            " WHERE b.campaign_id = c.campaign_id AND b.scope = 'total') AS money,"
            " (SELECT count(*) FROM offers.redemptions r WHERE r.campaign_id = c.campaign_id) AS redemptions"
            " FROM offers.campaigns c WHERE c.campaign_id = :id",
            id=int(campaign_id),
        )
        return row.reserved, row.money, row.redemptions


@pytest.fixture(scope="module")
def town(
    new_database_url: Callable[[], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    home, port = tmp_path_factory.mktemp("town"), choose_port(None)
    environment = command_environment(
        home,
        LBS_DATABASE_URL=new_database_url(),
        LBS_REDIS_URL=redis_url,
        LBS_REDIS_PREFIX=f"test-{secrets.token_hex(6)}",
    )
    cli = Cli(environment, home)
    made = Town(cli, f"http://127.0.0.1:{port}", port)
    try:
        made.start()
        made.settle()
        yield made
    finally:
        made.kill()


@contextmanager
def _at_once(work: Callable[..., Counter[str]], *arguments: Any) -> Iterator[Counter[str]]:
    """The sum of what several processes saw, each with its number and its part of the calls."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        parts = [pool.submit(work, *arguments, number, VERIFIES // PROCESSES) for number in range(PROCESSES)]
        yield sum((part.result() for part in parts), Counter())


def test_a_thousand_verifies_of_one_code_over_http_redeem_it_once(town: Town) -> None:
    campaign_id = town.campaign(stock=3, budget=BUDGET)
    code = town.claim(campaign_id, "phone")
    with _at_once(verify_over_http, town.url, town.till_key, code) as said:
        assert said == {"200": 1, "already_redeemed": VERIFIES - 1}
    assert town.counters(campaign_id) == (1, "2", 1)


def test_a_thousand_verifies_of_one_code_in_postgres_redeem_it_once(town: Town) -> None:
    campaign_id = town.campaign(stock=3, budget=BUDGET)
    code = town.claim(campaign_id, "phone")
    settings = Settings.model_validate(
        {
            "database_url": town.cli.environment["LBS_DATABASE_URL"],
            "redis_url": "redis://nowhere/0",
            "secret_key": SECRET,
        }
    )
    with _at_once(verify_in_sql, settings, (town.tenant_id, int(town.store_id)), code) as said:
        assert said == {"200": 1, "already_redeemed": VERIFIES - 1}
    assert town.counters(campaign_id) == (1, "5", 1)


@dataclass
class Sales:
    """Codes that one till is to redeem, an order each, with what it has heard so far."""

    town: Town
    codes: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def sell(self, order: str) -> None:
        """As often as the till likes: it prepares once, and repeats `verify` with what it has."""
        till = self.town.client(self.town.till_key)
        if order not in self.tokens:
            answer = till.post("/v1/redemptions/prepare", json={"code": self.codes[order]})
            assert answer.status_code == 200, answer.text
            self.tokens[order] = answer.json()["prepare_token"]
        body = {"prepare_token": self.tokens[order], "order_id": order, "amount": "10", "currency": "EUR"}
        answer = till.post("/v1/redemptions/verify", json=body)
        assert answer.status_code == 200, answer.text
        assert self.answers.setdefault(order, answer.text) == answer.text

    def has_sold(self, n: int) -> bool:
        return len(self.answers) >= n


def test_a_kill_leaves_no_half_redemption_and_repeats_end_well(town: Town) -> None:
    """Tills prepare and verify while the API is killed; then each repeats what it did not hear the answer of."""
    campaign_id = town.campaign(stock=500, budget={"currency": "EUR", "total": 5_000})
    dice = random.Random(11)
    interrupted = 0
    for kill in range(KILLS):
        sales = Sales(town, {f"{kill}-{i}": town.claim(campaign_id, f"phone-{kill}-{i}") for i in range(CODES)})
        with ThreadPoolExecutor(8) as pool:
            under_way = [pool.submit(sales.sell, order) for order in sales.codes]
            wait_for(partial(sales.has_sold, dice.randrange(CODES // 2)))
            town.kill()
        interrupted += sum(sale.exception() is not None for sale in under_way)
        _no_half_state(town, campaign_id)
        town.start()
        for order in sales.codes:
            sales.sell(order)
    assert interrupted > 0
    _no_half_state(town, campaign_id)
    total = KILLS * CODES
    assert town.counters(campaign_id) == (total, str(2 * total), total)


def _no_half_state(town: Town, campaign_id: str) -> None:
    rows = town.cli.query(
        "SELECT c.state AS claim, r.state AS reservation, x.state AS redemption, trim_scale(r.cost)::text AS cost"
        " FROM offers.claims c JOIN offers.reservations r USING (decision_id)"
        " LEFT JOIN offers.redemptions x ON x.claim_id = c.claim_id WHERE c.campaign_id = :id",
        id=int(campaign_id),
    )
    assert {tuple(row) for row in rows} <= {
        ("claimed", "held", None, "5"),
        ("redeemed", "confirmed", "redeemed", "2"),
    }
    [sums] = town.cli.query(
        "SELECT sum(r.cost) = (SELECT reserved FROM offers.budgets WHERE campaign_id = :id AND scope = 'total') AS same"
        " FROM offers.reservations r WHERE r.campaign_id = :id AND r.state IN ('held', 'confirmed')",
        id=int(campaign_id),
    )
    assert sums.same
