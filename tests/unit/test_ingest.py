"""Decoding and judging positions; the route's own tests show the answers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofences.model import DeviceId, Flag, TenantId
from lbs.errors import MalformedError
from lbs.ingest import PositionBody, decode, judge, warm_up

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    warm_up()


def judged(*positions: PositionBody) -> tuple[np.ndarray, list[tuple[int, str]]]:
    packed, rejected = judge(
        list(positions),
        tenant_id=TenantId(3),
        device_id=DeviceId(5),
        received_us=NOW_US,
        horizon_s=86_400,
        future_s=60,
    )
    return packed, [(refused.index, refused.reason) for refused in rejected]


@given(st.datetimes(NOW.replace(tzinfo=None) - timedelta(hours=23), NOW.replace(tzinfo=None)), st.integers(-720, 840))
def test_every_microsecond_survives(naive: datetime, offset_min: int) -> None:
    at = naive.replace(tzinfo=UTC)
    local = at.astimezone(timezone(timedelta(minutes=offset_min)))
    body = b'{"device_id":"d","positions":[{"lat":1,"lng":2,"recorded_at":"%s"}]}' % local.isoformat().encode()
    packed, rejected = judged(*decode(body, packed=False).positions)
    assert rejected == []
    assert packed["recorded_us"][0] == (at - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-86_400, None), (-86_400.001, "too_old"), (60, None), (60.001, "in_future"), (1e300, "in_future")],
)
def test_the_edges_of_time(seconds: float, reason: str | None) -> None:
    _, rejected = judged(PositionBody(lat=1.0, lng=1.0, recorded_at=NOW.timestamp() + seconds))
    assert rejected == ([] if reason is None else [(0, reason)])


@pytest.mark.parametrize(
    ("lat", "lng", "reason"),
    [
        (90.0, 180.0, None),
        (-90.0, -180.0, None),
        (0.0, 1e-9, None),
        (90.1, 0.0, "out_of_range"),
        (0.0, -180.1, "out_of_range"),
        (0.0, 0.0, "null_island"),
        (-0.0, 0.0, "null_island"),
        (math.nan, 0.0, "not_finite"),
        (0.0, math.inf, "not_finite"),
    ],
)
def test_the_edges_of_the_earth(lat: float, lng: float, reason: str | None) -> None:
    _, rejected = judged(PositionBody(lat=lat, lng=lng, recorded_at=NOW))
    assert rejected == ([] if reason is None else [(0, reason)])


def test_only_the_first_reason_counts() -> None:
    _, rejected = judged(PositionBody(lat=math.nan, lng=999.0, recorded_at=0.0))
    assert rejected == [(0, "not_finite")]


def test_what_is_said_of_a_position_is_packed() -> None:
    packed, _ = judged(
        PositionBody(lat=1.5, lng=2.5, recorded_at=NOW, accuracy_m=8.0, speed_mps=0.0, mocked=True),
        PositionBody(lat=99.0, lng=2.5, recorded_at=NOW, accuracy_m=1.0),
        PositionBody(lat=1.5, lng=2.5, recorded_at=NOW, accuracy_m=-1.0, speed_mps=math.inf),
    )
    assert packed.shape == (2,)
    assert packed["tenant_id"].tolist() == [3, 3]
    assert packed["device_id"].tolist() == [5, 5]
    assert packed["received_us"].tolist() == [NOW_US, NOW_US]
    assert packed["flags"].tolist() == [Flag.MOCKED, 0]
    assert packed["accuracy_m"].tolist()[0] == 8.0
    assert packed["speed_mps"].tolist()[0] == 0.0
    assert np.isnan([packed["accuracy_m"][1], packed["speed_mps"][1]]).all()


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(body: bytes, packed: bool) -> None:  # noqa: FBT001
    with pytest.raises(MalformedError) as refused:
        decode(body, packed=packed)
    assert refused.value.faults


def test_both_formats_say_the_same() -> None:
    said = {"device_id": "d", "positions": [{"lat": 1, "lng": 2.5, "recorded_at": "2026-06-01T12:00:00Z", "id": "x"}]}
    assert decode(msgspec.json.encode(said), packed=False) == decode(msgspec.msgpack.encode(said), packed=True)
