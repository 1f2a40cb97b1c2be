"""What phone apps send, as their sources write it, and what becomes of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lbs.errors import MalformedError
from lbs.ingest import MAX_POSITIONS, PositionBody
from lbs.phones import ENCRYPTED, NOT_A_POSITION, read_owntracks, read_parameters, read_traccar_json

NOON_S = 1_780_315_200
"""2026-06-01T12:00:00Z."""
LATER_S = NOON_S + 77.0


def owntracks(message: object) -> list[PositionBody | str]:
    return read_owntracks(json.dumps(message).encode()).said


def parameters(text: str) -> PositionBody | str:
    (said,) = read_parameters(text, now_s=LATER_S).said
    return said


def at(text: str) -> object:
    said = parameters(f"lat=60&lon=24&timestamp={text}")
    assert isinstance(said, PositionBody)
    return said.recorded_at


# owntracks/android 2.5, MessageLocation.kt: `acc`, `vel`, `alt` and `batt` are integers, `vel` in km/h
ANDROID: dict[str, Any] = {
    "_type": "location", "BSSID": "02:00:00:00:00:00", "SSID": "home", "acc": 12, "alt": 26, "batt": 81, "bs": 1,
    "conn": "w", "created_at": NOON_S + 3, "lat": 60.1699, "lon": 24.9384, "m": 1, "t": "u", "tid": "ab",
    "topic": "owntracks/phone-1/pixel", "tst": NOON_S, "vac": 3, "vel": 36, "_id": "9f3c2d11",
}  # fmt: skip


def test_a_location_of_owntracks_is_a_position() -> None:
    assert owntracks(ANDROID) == [
        PositionBody(lat=60.1699, lng=24.9384, recorded_at=float(NOON_S), accuracy_m=12.0, speed_mps=10.0)
    ]


def test_what_a_location_does_not_say_is_not_known() -> None:
    """Elements are left out where they are zero (booklet, tech/json); iOS says `vel: -1` for what it does not know."""
    bare = {"_type": "location", "lat": 60.1699, "lon": 24.9384, "tst": NOON_S}
    assert owntracks(bare) == [PositionBody(lat=60.1699, lng=24.9384, recorded_at=float(NOON_S))]
    (said,) = owntracks({**bare, "acc": 0, "vel": -1})
    assert isinstance(said, PositionBody)
    assert said.accuracy_m is None
    assert said.speed_mps is not None
    assert said.speed_mps < 0, "which is how positions say that it is not known"


def test_numbers_may_be_quoted() -> None:
    """As senders do that fill a template, such as GPSLogger's `"lat": "%LAT"`."""
    quoted = {"_type": "location", "lat": "60.1699", "lon": "24.9384", "tst": str(NOON_S), "acc": "12"}
    assert owntracks(quoted) == [PositionBody(lat=60.1699, lng=24.9384, recorded_at=float(NOON_S), accuracy_m=12.0)]


@pytest.mark.parametrize(
    "kind", ["transition", "waypoint", "waypoints", "lwt", "status", "cmd", "dump", "card", "steps", "beacon", "new"]
)
def test_messages_of_other_kinds_are_nothing_and_no_fault(kind: str) -> None:
    assert owntracks({**ANDROID, "_type": kind}) == []


def test_a_list_of_messages_is_read_in_its_order() -> None:
    other = {**ANDROID, "_type": "lwt"}
    secret = {"_type": "encrypted", "data": "hqHk"}
    said = owntracks([ANDROID, other, secret, {"_type": "location", "lat": 1}, 7, {}])
    assert [one if isinstance(one, str) else "position" for one in said] == [
        "position", ENCRYPTED, NOT_A_POSITION, NOT_A_POSITION, NOT_A_POSITION,
    ]  # fmt: skip


def test_an_empty_body_is_a_deleted_friend() -> None:
    """Booklet, tech/http: "the length of the payload may be zero if a friend is deleted from the app"."""
    assert read_owntracks(b"").said == []
    assert read_owntracks(b" \n").said == []


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"lat":NaN}', b"[" * 5000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError, match="malformed JSON"):
        read_owntracks(body)


def test_too_many_messages_are_refused() -> None:
    assert len(owntracks([ANDROID] * MAX_POSITIONS)) == MAX_POSITIONS
    with pytest.raises(MalformedError, match="more than 1000"):
        owntracks([ANDROID] * (MAX_POSITIONS + 1))


# traccar/traccar-client 9.x, preferences.dart: `locationTemplate`, with the id that the person has set, and its habit
# of repeating it for servers that look for parameters
TRACCAR: dict[str, Any] = {
    "location": {
        "timestamp": "2026-06-01T12:00:00.000Z",
        "coords": {
            "latitude": 60.1699, "longitude": 24.9384, "accuracy": 4.7, "speed": 1.25, "heading": 181.0, "altitude": 26,
        },
        "is_moving": True,
        "odometer": 1220,
        "event": "motionchange",
        "battery": {"level": 0.81, "is_charging": False},
        "activity": {"type": "walking"},
        "extras": {},
        "_": "&id=lbs_dt_x&lat=60.1699&lon=24.9384&timestamp=2026-06-01T12:00:00.000Z&",
    },
    "device_id": "lbs_dt_x",
}  # fmt: skip


def test_a_location_of_traccar_client_9_is_a_position() -> None:
    heard = read_traccar_json(json.dumps(TRACCAR).encode())
    assert heard.name == "lbs_dt_x"
    assert heard.said == [
        PositionBody(lat=60.1699, lng=24.9384, recorded_at=float(NOON_S), accuracy_m=4.7, speed_mps=1.25)
    ]


def test_its_locations_may_come_together_or_be_made_up() -> None:
    fix = TRACCAR["location"]
    heard = read_traccar_json(json.dumps({"location": [fix, {**fix, "mock": True}, {}], "device_id": "x"}).encode())
    first, second, third = heard.said
    assert isinstance(first, PositionBody)
    assert isinstance(second, PositionBody)
    assert (first.mocked, second.mocked, third) == (False, True, NOT_A_POSITION)


def test_json_that_is_no_object_is_refused_and_an_empty_one_has_no_position() -> None:
    with pytest.raises(MalformedError, match="expected an object"):
        read_traccar_json(b"[]")
    assert read_traccar_json(b'{"device_id":7}').name is None
    assert read_traccar_json(b"{}").said == [NOT_A_POSITION]


# traccar/traccar-client-android 8.x, ProtocolFormatter.kt and Position.kt: `speed = location.speed * 1.943844`
OLD_TRACCAR = (
    "id=lbs_dt_x&timestamp=1780315200&lat=60.1699&lon=24.9384&speed=19.43844&bearing=181.0&altitude=26.0"
    "&accuracy=4.7&batt=81.0"
)


def test_the_parameters_of_old_traccar_clients_are_a_position_and_its_speed_is_in_knots() -> None:
    heard = read_parameters(OLD_TRACCAR, now_s=LATER_S)
    assert heard.name == "lbs_dt_x"
    (said,) = heard.said
    assert isinstance(said, PositionBody)
    assert (said.lat, said.lng, said.recorded_at, said.accuracy_m, said.mocked) == (
        60.1699,
        24.9384,
        NOON_S,
        4.7,
        False,
    )
    assert said.speed_mps == pytest.approx(10.0, abs=1e-5)


def test_an_accuracy_of_zero_is_not_known() -> None:
    """It says 0 for the GPS provider (Position.kt)."""
    said = parameters("lat=60&lon=24&accuracy=0.0&mock=true")
    assert isinstance(said, PositionBody)
    assert said.accuracy_m is None
    assert said.mocked


def test_hdop_is_no_length() -> None:
    said = parameters("lat=60&lon=24&hdop=1.5")
    assert isinstance(said, PositionBody)
    assert said.accuracy_m is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1780315200", NOON_S),
        ("1780315200.25", NOON_S + 0.25),
        ("1780315200250", NOON_S + 0.25),
        ("2026-06-01T12:00:00Z", NOON_S),
        ("2026-06-01T12:00:00.000Z", NOON_S),
        ("2026-06-01T15:00:00%2B03:00", NOON_S),
        ("2026-06-01%2012:00:00", NOON_S),
        ("2026-06-01+12:00:00", NOON_S),
        ("", LATER_S),
    ],
)
def test_a_time_is_read_however_it_is_written(text: str, seconds: float) -> None:
    assert at(text) == seconds


def test_two_places_are_named_in_one_and_devices_by_two_names() -> None:
    assert parameters("location=60.5,24.5") == parameters("lat=60.5&lon=24.5")
    assert read_parameters("deviceid=a&lat=1&lon=1", now_s=0).name == "a"
    assert read_parameters("id=a&id=b", now_s=0).name == "a"
    assert read_parameters("", now_s=0).name is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lat=60",
        "lat=north&lon=24",
        "location=60",
        "lat=60&lon=24&timestamp=soon",
        "lat=60&lon=24&timestamp=0001-01-01T00:00:00%2B14:00x",
        "lat=60&lon=24&speed=fast",
        "lat=60&lon=24&valid=false",
        "lat=60&lon=24&valid=0",
        "batt=50",
    ],
)
def test_parameters_that_are_no_position_say_so(text: str) -> None:
    assert parameters(text) == NOT_A_POSITION


def test_endless_parameters_are_refused() -> None:
    with pytest.raises(MalformedError, match="more than 100 parameters"):
        parameters("&".join(f"a{i}=1" for i in range(101)))
