"""Sets the stage: everything up, a tenant with the city's stores, receivers, phones, campaigns; nobody walks yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from lbs import clock
from lbs.connections import Role, database, redis_client
from lbs.demo.campaigns import definitions, next_full_minute
from lbs.demo.city import City, load_city
from lbs.demo.figures import Books
from lbs.demo.home import Quarter, import_city, make_tenant
from lbs.demo.people import invite_people
from lbs.demo.phones import Crowd, Phone
from lbs.demo.receivers import Partner, PushService
from lbs.demo.result import Setting
from lbs.demo.setup import Api, ApiError, make_phones, register_phones, register_webhook, take_live
from lbs.demo.tally import Tally
from lbs.demo_walkers import PublishedWalker, publish_walkers
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from datetime import datetime

    from lbs.demo.home import Home, Owner
    from lbs.demo.people import Doors
    from lbs.demo.screen import Screen

PLAIN_RADIUS_M: Final = 60.0
STANDARD_RADIUS_M: Final = 80.0
REGISTRATIONS_PER_MINUTE: Final = 600
"""What the service allows by default; a larger crowd gets its own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything in place."""

    api_url: str
    has_console: bool
    city: City
    setting: Setting
    campaigns: dict[str, str]
    """Names by id."""
    scheduled_id: str
    scheduled_at: datetime
    phones: list[Phone]
    crowd: Crowd
    tally: Tally
    books: Books
    doors: Doors
    show_walkers: Callable[[], None]
    """Tells the console where everybody is; asks Redis."""


def set_up(home: Home, screen: Screen, undo: ExitStack, *, walkers: int) -> Stage:
    """One step after the other, each told on the screen; what must be undone goes onto `undo`. CommandError."""
    tally, city = Tally(), load_city()
    plain = Quarter(profile="plain", radius_m=PLAIN_RADIUS_M, shops=list(city.shops[::2]))
    standard = Quarter(profile="standard", radius_m=STANDARD_RADIUS_M, shops=list(city.shops[1::2]))
    phones = make_phones(city, plain, count=walkers)
    with screen.step("Servers and processes") as note:
        limit = max(REGISTRATIONS_PER_MINUTE, 2 * walkers)
        settings = home.up(registrations_per_minute=limit, say=screen.say)
        note(home.api_url)
    crowd = Crowd(api_url=home.api_url, phones=phones, plane=city.plane, tally=tally)
    api = undo.enter_context(Api(home.api_url))
    push_service = undo.enter_context(PushService(crowd.on_push))
    partner = undo.enter_context(Partner(crowd.on_webhook))
    with screen.step("A tenant of its own") as note:
        owner = make_tenant(settings)
        note(owner.name)
    with screen.step("A push service and a partner's webhook") as note:
        _register_webhook(api, home, owner, partner)
        note(f"on {push_service.address} and {partner.address}")
    with screen.step("Stores with circle fences") as note:
        stores, fences = import_city(settings, owner, city, (plain, standard))
        note(f"{stores:,} stores, {fences:,} fences")
    with screen.step("People, invited over HTTP") as note:
        doors = invite_people(api, owner, home.api_url, managed=city.busiest(plain.shops).external_id)
        note(f"one of each role, {len(doors.emails)}")
    with screen.step("Phones, registered over HTTP") as note:
        register_phones(api, owner, phones, push_service=push_service, partner=partner)
        note(f"{len(phones):,}")
    with screen.step("Campaigns, submitted and approved") as note:
        scheduled_at = next_full_minute(clock.now())
        campaigns = take_live(api, owner, definitions(city, scheduled_at=scheduled_at))
        note(f"{len(campaigns)} live")
    reader = database(settings, Role.READER, pool_size=2)
    undo.callback(reader.dispose)
    client = redis_client(settings)
    undo.callback(client.close)

    def show_walkers() -> None:
        # made up here: what phones then report, and the service then knows, has no part in it
        places = [(phone.name, city.plane.place(phone.walker.at)) for phone in phones]
        shown = [PublishedWalker(id=name, lat=round(at.lat, 6), lng=round(at.lng, 6)) for name, at in places]
        publish_walkers(client, settings.redis_prefix, owner.tenant_id, shown)

    for line in doors.lines():
        screen.say(line)
    return Stage(
        api_url=home.api_url,
        has_console=_has_console(home.api_url),
        city=city,
        setting=Setting(tenant=owner.name, stores=stores, fences=fences, devices=len(phones)),
        campaigns=campaigns,
        scheduled_id=next(reversed(campaigns)),
        scheduled_at=scheduled_at,
        phones=phones,
        crowd=crowd,
        tally=tally,
        books=Books(reader, tenant_id=owner.tenant_id, campaign_ids=campaigns),
        doors=doors,
        show_walkers=show_walkers,
    )


def _register_webhook(api: Api, home: Home, owner: Owner, partner: Partner) -> None:
    try:
        register_webhook(api, owner, partner)
    except ApiError as error:
        if error.slug != "forbidden-address":
            raise
        raise CommandError(
            f"{home.folder} is up, and its processes may not call receivers on loopback, as the demo's are: run"
            " `lbs down` and then the demo again, or give the demo a home of its own with LBS_HOME"
        ) from error


def _has_console(api_url: str) -> bool:
    with httpx.Client(base_url=api_url, timeout=10, trust_env=False) as client:
        return client.get("/console/", follow_redirects=True).is_success
