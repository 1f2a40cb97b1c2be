"""From a decision to Apple and Google: credentials that a command stored, over real HTTP/2."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from lbs import clock
from offers.push import ChannelType
from offers.push_apns import ApnsSender
from offers.push_fcm import FcmSender
from offers.push_http import HttpTransport
from offers.push_tables import push_apps
from offers.ssrf import AddressGuard
from offers.tables import channels
from tests.support.certificates import Authority
from tests.support.providers import ApnsReceiver, FcmReceiver, fcm_error, pem
from tests.support.receivers import Respond
from tests.support.road import HELSINKI, Road, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from offers.push import PushSender
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

STATES = "SELECT channel, state FROM offers.notifications WHERE channel <> 'inbox' ORDER BY channel"


@dataclass
class Phones:
    road: Road
    apple: ApnsReceiver
    google: FcmReceiver

    def device(self, name: str, *types: ChannelType, app: str | None = None) -> None:
        """A phone with these channels, which reports that it is at the store."""
        device_id = self.road.device(name)
        tokens = {ChannelType.APNS: self.apple.device_token, ChannelType.FCM: self.google.registration}
        with self.road.database.begin() as connection:
            for type_ in types:
                address = {"token": tokens[type_]} | ({} if app is None else {"app": app})
                connection.execute(
                    sa.insert(channels).values(
                        tenant_id=self.road.tenant_id,
                        device_id=device_id,
                        type=type_,
                        address=address,
                        address_hash=f"{name} {type_}".encode(),
                    )
                )
        self.road.report(device_id, HELSINKI)

    def credentials(self, type_: ChannelType, name: str) -> None:
        """The provider's credentials, as they are stored but for the seal."""
        receiver = self.apple if type_ is ChannelType.APNS else self.google
        settings = dict(receiver.address()["credentials"])
        key = settings.pop("private_key")
        with self.road.database.begin() as connection:
            connection.execute(
                sa.insert(push_apps).values(
                    tenant_id=self.road.tenant_id,
                    provider=type_,
                    name=name,
                    settings=settings,
                    sealed_key=key.encode(),
                )
            )


@pytest.fixture
def phones(fresh_database_url: str, redis_url: str, redis_prefix: str, tmp_path: Path) -> Iterator[Phones]:
    authority = Authority(tmp_path, protocols=("h2",))
    with ApnsReceiver(ssl_context=authority.server) as apple, FcmReceiver(ssl_context=authority.server) as google:
        carrier = HttpTransport(guard=AddressGuard(allow_private=True), ca_file=authority.ca_file)
        senders: dict[ChannelType, PushSender] = {
            ChannelType.APNS: ApnsSender(production_url=apple.base_url),
            ChannelType.FCM: FcmSender(base_url=google.base_url, token_url=google.url("/token")),
        }
        with open_road(
            fresh_database_url, redis_url, redis_prefix, clock=clock.now, senders=senders, transport=carrier
        ) as road:
            road.store("s1")
            road.campaign()
            yield Phones(road=road, apple=apple, google=google)


def test_one_offer_reaches_the_apps_of_both_providers(phones: Phones) -> None:
    phones.credentials(ChannelType.APNS, phones.apple.topic)
    phones.credentials(ChannelType.FCM, phones.google.project_id)
    phones.device("anna", ChannelType.APNS, ChannelType.FCM)
    phones.road.eventually(STATES, [("apns", "sent"), ("fcm", "sent")])
    for receiver in (phones.apple, phones.google):
        assert [message.title for message in receiver.received] == ["Coffee at Shop s1"]
        assert receiver.received[0].data["store_name"] == "Shop s1"


def test_an_address_may_name_its_app_and_one_that_is_not_there_waits(phones: Phones) -> None:
    phones.credentials(ChannelType.APNS, "com.example.shop")
    phones.device("anna", ChannelType.APNS, app="com.example.other")
    phones.road.eventually(
        "SELECT state, reason FROM offers.notifications WHERE channel = 'apns'", [("queued", "no_credentials")]
    )
    phones.device("bert", ChannelType.APNS, app="com.example.shop")
    phones.road.eventually(
        "SELECT state, count(*) FROM offers.notifications WHERE channel = 'apns' GROUP BY state ORDER BY state",
        [("queued", 1), ("sent", 1)],
    )


@pytest.mark.parametrize("type_", [ChannelType.APNS, ChannelType.FCM])
def test_an_app_that_is_gone_is_never_asked_again(phones: Phones, type_: ChannelType) -> None:
    receiver = phones.apple if type_ is ChannelType.APNS else phones.google
    phones.credentials(type_, "app")
    gone = {
        ChannelType.APNS: Respond(status=410, body=b'{"reason": "Unregistered", "timestamp": 1454948015990}'),
        ChannelType.FCM: fcm_error("UNREGISTERED", status=404, named="NOT_FOUND"),
    }
    receiver.misbehave(gone[type_])
    phones.device("anna", type_)
    phones.road.eventually(STATES, [(type_, "failed")])
    assert phones.road.rows("SELECT status FROM offers.channels") == [("dead",)]
    assert receiver.requests == 1


def test_refused_credentials_stop_the_lane_and_lose_nothing(phones: Phones) -> None:
    phones.credentials(ChannelType.APNS, "app")
    phones.apple.misbehave(*[Respond(status=403, body=b'{"reason": "InvalidProviderToken"}')] * 50)
    for n in range(5):
        phones.device(f"phone-{n}", ChannelType.APNS)
    phones.road.eventually("SELECT count(*) FROM offers.notifications WHERE channel = 'apns'", [(5,)])
    refused = "SELECT count(*) FROM offers.notifications WHERE channel = 'apns' AND reason = 'forbidden'"
    give_up_s = time.monotonic() + 60
    # several may be on their way when the first is refused
    while phones.apple.requests == 0 or phones.road.rows(refused) != [(phones.apple.requests,)]:
        assert time.monotonic() < give_up_s, (phones.road.rows(refused), phones.apple.requests)
        time.sleep(0.05)  # between two looks at the table
    phones.device("late", ChannelType.APNS)
    phones.road.eventually("SELECT count(*) FROM offers.notifications WHERE channel = 'apns'", [(6,)])
    assert phones.road.rows("SELECT DISTINCT state FROM offers.notifications WHERE channel = 'apns'") == [("queued",)]
    assert phones.apple.requests <= 5


def test_credentials_are_stored_sealed_listed_without_keys_and_forgotten(cli: Cli, tmp_path: Path) -> None:
    cli.tenant("acme")
    authority = Authority(tmp_path)
    with ApnsReceiver(ssl_context=authority.server) as apple, FcmReceiver(ssl_context=authority.server) as google:
        given = google.address()["credentials"]
    key_file, account = tmp_path / "AuthKey.p8", tmp_path / "account.json"
    key_file.write_text(pem(apple.key))
    account.write_text(json.dumps({"type": "service_account", **given}))
    apns = ("push-app", "add-apns", key_file, "--team-id", "TEAM123456", "--key-id", "KEY1234567")
    made = cli.json(*apns, "--topic", "com.example.shop", "--tenant", "acme")
    assert (made["provider"], made["name"], made["sandbox"]) == ("apns", "com.example.shop", False)
    cli.json("push-app", "add-fcm", account, "--tenant", "acme")
    listed = cli.json("push-app", "list", "--tenant", "acme")
    assert [(app["provider"], app["name"]) for app in listed["items"]] == [
        ("apns", "com.example.shop"),
        ("fcm", "shop-1"),
    ]
    assert "PRIVATE KEY" not in json.dumps(listed)
    assert all(b"PRIVATE" not in bytes(row.sealed_key) for row in cli.query("SELECT sealed_key FROM offers.push_apps"))
    cli.ok("push-app", "remove", "fcm", "shop-1", "--tenant", "acme")
    assert len(cli.json("push-app", "list", "--tenant", "acme")["items"]) == 1
    assert cli.json("dead-letter", "list", "--tenant", "acme") == {"items": []}
    assert cli.json("dead-letter", "replay", "--tenant", "acme") == {"queued": 0}
