"""What the demo shows and says: when a run ends, what it comes to, and that the screen fits its terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from rich.style import Style

from geofences.model import TenantId
from lbs.demo.campaigns import definitions, next_full_minute
from lbs.demo.city import Spot, load_city
from lbs.demo.figures import Figures, SeenDecision, SeenVisit
from lbs.demo.home import Owner
from lbs.demo.map import CityMap, Frame, Layer
from lbs.demo.panels import goodbye
from lbs.demo.receivers import Arrival
from lbs.demo.result import Bounds, Setting, summary
from lbs.demo.scene import Kind, Pace, Scene, plain_line
from lbs.demo.tally import Tally
from lbs.demo.view import render
from offers.definition import CampaignDefinition
from offers.model import Outcome
from offers.push import ChannelType

NOW = datetime(2026, 6, 1, 9, 0, 30, tzinfo=UTC)
CITY = load_city()


def scene() -> Scene:
    """A busy moment with the longest names of the city."""
    longest = sorted((shop.name for shop in CITY.shops), key=len)[-30:]
    tally = Tally(positions=1_234_567)
    for number, name in enumerate(longest):
        channel = (ChannelType.WEBPUSH, ChannelType.WEBHOOK, ChannelType.INBOX)[number % 3]
        arrival = Arrival(
            message_id=f"m{number}",
            at_s=NOW.timestamp() - number / 10,
            title=f"20 % off at {name}",
            data={"store_name": name, "campaign_id": "7"},
            phone="walker-001",
        )
        tally.arrived(channel, arrival, timed=True)
    tally.add_delays(tally.take_untimed(), {f"m{number}": NOW.timestamp() - 5 for number in range(30)})
    decisions = [
        SeenDecision(
            at=NOW - timedelta(milliseconds=100 * number),
            campaign_id="7",
            store=name,
            device="walker-001",
            outcome=(Outcome.OFFERED, Outcome.SUPPRESSED)[number % 2],
            reason=(None, "cap")[number % 2],
        )
        for number, name in enumerate(longest)
    ]
    pace = Pace()
    for second in range(30):
        pace.note(second, second * 48)
    reasons = ("consent", "confidence", "already_inside", "window", "open", "cap", "stock")
    counts: Counter[tuple[str, str | None]] = Counter()
    counts["offered", None] = 12_345
    for reason in reasons:
        counts["suppressed", reason] = 98_765
    return Scene(
        now=NOW,
        elapsed_s=3_599,
        api_url="http://127.0.0.1:28999",
        has_console=True,
        city=CITY,
        setting=Setting(tenant="demo-12", stores=1_009, fences=1_009, devices=5_000),
        campaigns={"7": "While the doors are open"},
        figures=Figures(
            visits=123_456,
            inside=4_999,
            decisions=counts,
            notifications=Counter({("inbox", "delivered"): 123_456, ("webpush", "failed"): 7}),
            latest_visits=[SeenVisit(at=NOW, store=name, device="walker-001") for name in longest],
            latest_decisions=decisions,
        ),
        tally=tally,
        pace=pace,
        walkers=[shop.spot for shop in CITY.shops[::4]],
    )


def shown(width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(render(scene(), width=width, height=height), height=height)
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 40), (220, 60)])
def test_the_screen_fills_its_terminal_and_no_more(width: int, height: int) -> None:
    lines = shown(width, height)

    assert len(lines) == height
    assert max(map(len, lines)) == width


@pytest.mark.parametrize(("width", "height"), [(100, 30), (140, 40)])
def test_no_number_and_no_heading_is_cut(width: int, height: int) -> None:
    text = "\n".join(shown(width, height))

    for needed in (
        "http://127.0.0.1:28999",
        "/openapi.json",
        "/console/",
        "1.2M",
        "123k",
        "5.0k inside",
        "arrived",
        "deliv'd",
        "webpush",
        "12,345",
        "outside its hours",
        "no consent to push",
        "98,765",
        "Ctrl-C",
    ):
        assert needed in text


def test_every_kind_of_news_has_its_place_in_the_feed() -> None:
    feed = scene().feed(8)

    assert Counter(item.kind for item in feed) == dict.fromkeys(Kind, 2)
    assert [item.at for item in feed] == sorted((item.at for item in feed), reverse=True)


def test_the_feed_of_a_quiet_moment_is_short() -> None:
    quiet = replace(scene(), figures=Figures(), tally=Tally())

    assert quiet.feed(8) == []
    assert "0 visits" in plain_line(quiet)


def test_the_goodbye_names_every_channel() -> None:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(goodbye(scene()))

    assert all(str(channel) in capture.get() for channel in ("webpush", "webhook", "inbox"))


def test_a_dot_of_the_map_is_where_its_place_is() -> None:
    corners = [Spot(x_m=0, y_m=0), Spot(x_m=79, y_m=79)]
    city_map = CityMap(frame=Frame.about(corners), layers=[Layer(spots=corners, style=Style(color="red"))])

    rows = ["".join(text for text, _ in row) for row in city_map.cells(4, 2)]

    # the south-west corner is the lowest left dot, the north-east corner the highest right one
    assert rows == ["   ⠈", "⡀   "]


def test_the_later_layer_gives_a_character_its_style() -> None:
    spot = Spot(x_m=50, y_m=50)
    frame = Frame.about([Spot(x_m=0, y_m=0), Spot(x_m=100, y_m=100)])
    layers = [Layer(spots=[spot], style=Style(color="red")), Layer(spots=[spot], style=Style(color="blue"))]

    styles = {style for row in CityMap(frame=frame, layers=layers).cells(5, 5) for _, style in row}

    assert styles == {None, Style(color="blue")}


def test_a_run_once_ends_when_all_has_arrived_but_not_before_20_s() -> None:
    bounds = Bounds.of(once=True, seconds=None, scheduled_in_s=30)

    assert not bounds.over(19, all_channels=True, scheduled=True)
    assert bounds.over(20, all_channels=True, scheduled=True)


def test_a_run_once_waits_for_the_scheduled_offer_but_not_for_ever() -> None:
    bounds = Bounds.of(once=True, seconds=None, scheduled_in_s=70)

    assert not bounds.over(60, all_channels=True, scheduled=False)
    assert bounds.over(70, all_channels=True, scheduled=False)


def test_a_run_once_gives_a_silent_channel_180_s() -> None:
    bounds = Bounds.of(once=True, seconds=None, scheduled_in_s=30)

    assert not bounds.over(179, all_channels=False, scheduled=True)
    assert bounds.over(180, all_channels=False, scheduled=True)


def test_given_seconds_hold() -> None:
    bounds = Bounds.of(once=True, seconds=10, scheduled_in_s=70)

    assert bounds.over(10, all_channels=False, scheduled=False)
    assert not Bounds.of(once=False, seconds=600, scheduled_in_s=70).over(599, all_channels=True, scheduled=True)


def test_without_once_nothing_ends_it_but_its_user() -> None:
    assert not Bounds.of(once=False, seconds=None, scheduled_in_s=30).over(1e6, all_channels=True, scheduled=True)


def test_the_summary_keeps_its_promise() -> None:
    moment = scene()

    found = summary(moment.setting, moment.figures, moment.tally, stored=1_234_567, seconds=44.44)

    promised = ("stores", "fences", "devices", "positions", "visits", "events", "decisions", "notifications")
    assert list(found)[:9] == [*promised, "delivery_ms"]
    assert found["decisions"] == {"offered": 12_345, "held_out": 0, "suppressed": 7 * 98_765}
    assert found["notifications"]["inbox"] == {"sent": 123_456, "delivered": 123_456, "failed": 0}
    assert found["notifications"]["webpush"]["failed"] == 7
    assert found["positions_stored"] == found["positions"] == 1_234_567
    assert found["arrived"] == {"webpush": 10, "webhook": 10, "inbox": 10}
    assert set(found["delivery_ms"]) == {"p50", "p99"}


def test_a_delivery_is_as_late_as_its_first_byte() -> None:
    tally = Tally()
    for number, at_s in enumerate((100.010, 100.020, 100.900)):
        arrival = Arrival(message_id=f"m{number}", at_s=at_s, title="", data={}, phone=None)
        tally.arrived(ChannelType.WEBHOOK, arrival, timed=True)

    tally.add_delays(tally.take_untimed(), {"m0": 100.0, "m1": 100.0, "m2": 100.0})

    assert tally.delay_ms(0.50) == pytest.approx(20)
    assert tally.delay_ms(0.99) == pytest.approx(900)


def test_a_message_found_twice_is_one_arrival() -> None:
    tally = Tally()
    arrival = Arrival(message_id="m", at_s=1, title="", data={}, phone="walker-001")

    assert tally.arrived(ChannelType.INBOX, arrival, timed=False)
    assert not tally.arrived(ChannelType.INBOX, arrival, timed=False)
    assert tally.silent_channels() == [ChannelType.WEBPUSH, ChannelType.WEBHOOK]


def test_the_scheduled_offer_leaves_time_to_get_ready() -> None:
    for second in range(60):
        now = NOW.replace(second=second)

        assert timedelta(seconds=15) < next_full_minute(now) - now <= timedelta(seconds=75)


def test_every_campaign_is_one_that_the_service_takes() -> None:
    made = [
        CampaignDefinition.model_validate(definition)
        for definition in definitions(CITY, scheduled_at=next_full_minute(NOW))
    ]

    known = {shop.external_id for shop in CITY.shops}
    assert {campaign.trigger.type for campaign in made} == {"enter", "dwell", "exit", "scheduled"}
    assert all(campaign.stores and set(campaign.stores) <= known for campaign in made)
    assert made[-1].trigger.type == "scheduled"
    always_on = [
        campaign
        for campaign in made
        if campaign.trigger.type == "enter" and not campaign.windows.weekly and not campaign.windows.only_while_open
    ]
    assert len(always_on) >= 2, "offers must be made at night too"


def test_keys_are_not_printed() -> None:
    owner = Owner(tenant_id=TenantId(1), name="demo", publishable="lbs_pk_x", secret="lbs_sk_x")

    assert "lbs_" not in repr(owner)
