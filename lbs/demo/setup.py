"""What an operator and the apps do over HTTP before anybody walks: webhook, campaigns, phones."""

from __future__ import annotations

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any, Final

import httpx

from lbs.demo.campaigns import ALWAYS_ON
from lbs.demo.city import TIMEZONE
from lbs.demo.phones import Phone
from lbs.demo.walkers import ACCURACY_M, Gps, Walker
from lbs.runtime import CommandError
from offers.push import ChannelType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from lbs.demo.city import City
    from lbs.demo.home import Owner, Quarter
    from lbs.demo.receivers import Partner, PushService

AT_ONCE: Final = 6
"""Phones that register at the same time."""
CHANNELS: Final = (ChannelType.WEBPUSH, ChannelType.WEBHOOK, ChannelType.INBOX)
LOCALES: Final = ("en", "fi")
WITHOUT_CONSENT: Final = 8
"""Every so many phones do not consent to push."""
IN_BATCHES: Final = 4
"""Every so many phones send several fixes at once, as apps do that save battery."""
BATCH: Final = 3
CLOSE_M: Final = (2.0, 25.0)
FAR_M: Final = (10.0, 120.0)
"""How far outside a fence people start: most of them close, so that offers come within seconds."""
SEED: Final = 60_170


class Api:
    """The API as the operator's scripts call it. An answer that says no is a CommandError with the API's reason."""

    def __init__(self, url: str) -> None:
        # no proxy of the environment may come between loopback and us
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.Client(base_url=url, verify=tls, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str) -> Any:
        """The JSON of the answer; waits when it is told to."""
        while True:
            try:
                answer = self._client.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})
            except httpx.HTTPError as error:
                raise CommandError(f"{method} {path} was not answered: {type(error).__name__}") from error
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        if answer.is_error:
            raise ApiError(method, path, answer)
        return answer.json()


class ApiError(CommandError):
    """The API refused; `slug` is the last part of the problem's type."""

    def __init__(self, method: str, path: str, answer: httpx.Response) -> None:
        problem = answer.json() if answer.headers.get("content-type", "").startswith("application/problem") else {}
        self.slug = str(problem.get("type", "")).rpartition("/")[2]
        super().__init__(f"{method} {path} was answered {answer.status_code}: {problem.get('detail', '')}")


def register_webhook(api: Api, owner: Owner, partner: Partner) -> None:
    """Tell the service where the partner listens, and the partner its secret."""
    partner.secret = api.call("POST", "/v1/webhooks", {"url": partner.url}, key=owner.secret)["secret"]


def take_live(api: Api, owner: Owner, definitions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Create, submit and approve campaigns; their names by id."""
    names = {}
    for definition in definitions:
        campaign_id = api.call("POST", "/v1/campaigns", definition, key=owner.secret)["campaign_id"]
        for move in ("submit", "approve"):
            api.call("POST", f"/v1/campaigns/{campaign_id}/{move}", key=owner.secret)
        names[campaign_id] = str(definition["name"])
    return names


def make_phones(city: City, plain: Quarter, *, count: int) -> list[Phone]:
    """People with phones, most of them a few steps outside a fence where offers are made at any hour."""
    goals = [shop.spot for shop in city.shops]
    doors = [shop.spot for shop in plain.shops if shop.category in ALWAYS_ON]
    phones = []
    for number in range(count):
        rng = Random(SEED + number)
        close = number % 3 != 0
        walker = Walker.outside(
            rng,
            doors if close else goals,
            radius_m=plain.radius_m,
            gap_m=rng.uniform(*(CLOSE_M if close else FAR_M)),
        )
        walker.goals = goals
        channel = CHANNELS[number // 3 % len(CHANNELS)]
        phones.append(
            Phone(
                name=f"walker-{number + 1:03d}",
                rng=rng,
                walker=walker,
                gps=Gps(rng=rng, accuracy_m=rng.uniform(*ACCURACY_M)),
                channel=channel,
                streams=channel is ChannelType.INBOX and number % 2 == 0,
                batch=BATCH if number % IN_BATCHES == IN_BATCHES - 1 else 1,
            )
        )
    return phones


def register_phones(
    api: Api, owner: Owner, phones: Sequence[Phone], *, push_service: PushService, partner: Partner
) -> None:
    """As apps do it: with the publishable key, the consents people gave, and the channel their phone has."""
    push_service.server_key = api.call("GET", "/v1/push/key", key=owner.publishable)["public_key"]

    def register(numbered: tuple[int, Phone]) -> None:
        number, phone = numbered
        purposes = ["location"] if number % WITHOUT_CONSENT == WITHOUT_CONSENT - 1 else ["location", "push"]
        body = {
            "device_id": phone.name,
            "attributes": {"app": "demo"},
            "timezone": TIMEZONE,
            "locale": LOCALES[number % len(LOCALES)],
            "channels": _channels(phone, push_service, partner),
            "consents": [{"purpose": purpose, "version": "demo-1"} for purpose in purposes],
        }
        phone.token = api.call("POST", "/v1/devices", body, key=owner.publishable)["device_token"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(register, enumerate(phones)))


def _channels(phone: Phone, push_service: PushService, partner: Partner) -> list[dict[str, Any]]:
    if phone.channel is ChannelType.WEBPUSH:
        return [{"type": "webpush", "address": push_service.subscribe(phone.name)}]
    if phone.channel is ChannelType.WEBHOOK:
        return [{"type": "webhook", "address": {"url": partner.url}}]
    return []
