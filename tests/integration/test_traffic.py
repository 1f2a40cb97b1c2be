"""Foot traffic in a real PostgreSQL: the roller's figures are those of a recount, whatever happens to the ledger."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy as sa

from geofences.heat import heat
from geofences.index import cell_of
from geofences.model import LatLng, StoreId
from geofences.periods import Grain
from geofences.places import StoreInput, put_stores
from geofences.roller import Roller
from geofences.sql import queries
from geofences.store import create_devices, create_tenant, device_id_for, use_tenant
from geofences.tables import ConsentSource, Purpose, consents, device_last, visits
from geofences.traffic import Place, Rules, Told, as_of, find_place, series
from geofences.traffic_tables import traffic, traffic_areas, traffic_due, traffic_seen
from lbs.connections import sqlalchemy_url
from tests.support.data import PROJECT
from tests.support.footfall import Clock, Recount, Visit, put_visits, random_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.servers

FIRST, LAST, MONTH = date(2026, 3, 2), date(2026, 4, 6), date(2026, 3, 1)
"""Whole weeks around the change of the clock in Helsinki on 29 March."""
LATER: Final = datetime(2030, 1, 1, tzinfo=UTC)
RULES: Final = Rules(k=5, settled_before=LATER)
HELSINKI: Final = LatLng(lat=60.1699, lng=24.9384)
FIGURES: Final = ("visits", "visitors", "new_visitors", "returning_visitors", "passers_by", "dwell")
_numbers = count(1)


class Shop:
    """A store of a tenant of its own, its ledger, and a roller with a clock that does not stand in the way."""

    def __init__(self, database: sa.Engine, *, timezone: str = "Europe/Helsinki") -> None:
        self.database = database
        self.now = datetime(2026, 7, 1, tzinfo=UTC)
        self.roller = Roller(database, now=lambda: self.now, k=5, months_rest=timedelta(days=-10_000))
        self.ledger: dict[Visit, int] = {}
        with database.begin() as connection:
            name = f"shop-{next(_numbers)}"
            self.tenant_id = create_tenant(connection, name=name, sandbox=False).tenant_id
            made = put_stores(connection, tenant_id=self.tenant_id, rows=[self.described(timezone)], now=self.now)
        self.store_id = made["s"][0]

    def described(self, timezone: str) -> StoreInput:
        return StoreInput(external_id="s", name="Shop", location=HELSINKI, timezone=timezone)

    def come(self, ledger: Sequence[Visit]) -> None:
        with self.database.begin() as connection:
            first_id = next(_numbers) * 1_000_000
            self.ledger |= put_visits(connection, self.tenant_id, self.store_id, ledger, first_id=first_id)

    def roll(self) -> None:
        while self.roller.roll_traffic(turn_s=30):
            pass

    def place(self, connection: sa.Connection) -> Place:
        use_tenant(connection, self.tenant_id)
        return find_place(connection, StoreId(self.store_id))

    def told(self, grain: Grain, first: date = FIRST, last: date = LAST, *, rules: Rules = RULES) -> list[Told]:
        with self.database.begin() as connection:
            connection.execute(sa.text("SET LOCAL ROLE lbs_api"))
            return series(connection, self.place(connection), grain, first, last, rules=rules)

    def check(self, *, without: frozenset[int] = frozenset()) -> None:
        """Rolls up, and compares everything that is told with a recount."""
        self.roll()
        with self.database.begin() as connection:
            local = self.place(connection).zone
        counted = Recount(
            [visit for visit in self.ledger if visit.device not in without], Clock(local, MONTH, LAST), k=5
        )
        spans = {Grain.MONTH: (MONTH, MONTH + timedelta(days=31))}
        for grain in Grain:
            for one in self.told(grain, *spans.get(grain, (FIRST, LAST))):
                key = one.period.starts_at if grain is Grain.HOUR else one.period.first_day
                expected = counted.told(grain, key)
                found = {name: getattr(one, name) for name in FIGURES}
                if grain is Grain.HOUR or not any(found["dwell"]):
                    found["dwell"], expected["dwell"] = None, None if not any(expected["dwell"] or ()) else 1
                assert found == {name: expected[name] for name in FIGURES}, (grain, key)


@pytest.fixture(scope="module")
def database(new_database_url: Callable[[], str]) -> Iterator[sa.Engine]:
    url = sqlalchemy_url(new_database_url())
    engine = sa.create_engine(url, connect_args={"options": "-c timezone=UTC -c search_path=public"})
    yield engine
    engine.dispose()


@pytest.fixture
def shop(database: sa.Engine) -> Shop:
    return Shop(database)


def test_figures_follow_late_visits_corrections_and_retractions(shop: Shop) -> None:
    dice = random.Random(1)
    ledger = random_ledger(1, FIRST, 35, devices=60, a_day=14)
    dice.shuffle(ledger)
    shop.come(ledger[:200])
    shop.check()
    shop.come(ledger[200:])  # late ones come between
    shop.check()
    corrected = dice.sample(list(shop.ledger), 40)
    with shop.database.begin() as connection:
        for visit in corrected[:20]:
            number = shop.ledger.pop(visit)
            longer = Visit(visit.device, visit.entered_at, visit.dwell_s + 400, visit.ended_by)
            shop.ledger[longer] = number
            own = visits.c.visit_id == number
            connection.execute(sa.update(visits).where(own).values(dwell_s=longer.dwell_s))
        for visit in corrected[20:30]:
            own = visits.c.visit_id == shop.ledger.pop(visit)
            connection.execute(sa.update(visits).where(own).values(status="retracted"))
        for visit in corrected[30:]:
            connection.execute(sa.delete(visits).where(visits.c.visit_id == shop.ledger.pop(visit)))
    shop.check()


def test_who_takes_consent_back_leaves_what_was_rolled_up_and_may_return(shop: Shop) -> None:
    ledger = random_ledger(2, FIRST, 35, devices=12, a_day=20)
    with shop.database.begin() as connection:
        create_devices(
            connection,
            tenant_id=shop.tenant_id,
            external_ids=["anna"],
            purposes=[Purpose.LOCATION],
            source=ConsentSource.APP,
            at=shop.now,
        )
    anna = int(device_id_for(shop.tenant_id, "anna"))
    shop.come([Visit(anna if v.device == 1 else v.device, v.entered_at, v.dwell_s, v.ended_by) for v in ledger])
    shop.check()
    said = {
        "device_id": anna, "purpose": "analytics", "tenant_id": shop.tenant_id, "version": "1", "source": "app",
        "at": shop.now, "granted": False,
    }  # fmt: skip
    with shop.database.begin() as connection:
        connection.execute(sa.insert(consents).values(**said))
    shop.check(without=frozenset({anna}))
    with shop.database.begin() as connection:
        connection.execute(sa.update(consents).where(consents.c.device_id == anna).values(granted=True))
    shop.check()


@pytest.mark.parametrize("timezone", ["Asia/Kathmandu", "America/New_York"])
def test_a_store_that_moves_to_another_zone_gets_other_days(database: sa.Engine, timezone: str) -> None:
    shop = Shop(database)
    shop.come(random_ledger(3, FIRST, 35, devices=40, a_day=12))
    shop.check()
    with database.begin() as connection:
        put_stores(connection, tenant_id=shop.tenant_id, rows=[shop.described(timezone)], now=shop.now)
    shop.roll()
    with database.begin() as connection:
        local = shop.place(connection).zone
        assert local.key == timezone
        left = sa.text("SELECT DISTINCT starts_at FROM geofences.traffic WHERE store_id = :store_id AND grain = 'day'")
        days = connection.execute(left, {"store_id": shop.store_id}).scalars().all()
    assert all(day.astimezone(local).hour == 0 for day in days), "no day of the old zone is left"


def test_figures_say_since_when_something_waits(shop: Shop) -> None:
    shop.roll()

    def known() -> datetime:
        with shop.database.begin() as connection:
            place = shop.place(connection)
            return as_of(connection, [place.store_id], Grain.DAY, now=LATER)

    assert known() == LATER
    before = datetime.now(UTC)
    shop.come([Visit(1, datetime(2026, 3, 10, 9, tzinfo=UTC), 600)])
    assert before - timedelta(seconds=5) < known() < LATER
    shop.roll()
    assert known() == LATER


def test_visits_that_a_tenant_keeps_no_longer_stay_in_the_figures(shop: Shop) -> None:
    shop.come(random_ledger(4, FIRST, 35, devices=40, a_day=20))
    shop.roll()
    before = shop.told(Grain.DAY)
    with shop.database.begin() as connection:
        connection.execute(
            sa.text("UPDATE geofences.tenants SET retention = '{\"visits\": 30}' WHERE tenant_id = :tenant_id"),
            {"tenant_id": shop.tenant_id},
        )
        connection.execute(sa.delete(visits).where(visits.c.store_id == shop.store_id))
    shop.roll()
    assert shop.told(Grain.DAY) == before


def test_another_k_works_everything_out_anew(shop: Shop) -> None:
    shop.come(random_ledger(5, FIRST, 35, devices=40, a_day=20))
    shop.roll()
    stricter = Rules(k=8, settled_before=LATER)
    assert all(one.visits is None for one in shop.told(Grain.DAY, rules=stricter)), "sums of a smaller k are not told"
    shop.roller = Roller(shop.database, now=lambda: shop.now, k=8, months_rest=timedelta(days=-10_000))
    shop.roll()
    found = [one for one in shop.told(Grain.DAY, rules=stricter) if one.visits is not None]
    assert found
    assert all((one.visitors or 8) % 8 == 0 for one in found)


def test_no_tenant_sees_anothers_figures(database: sa.Engine, shop: Shop) -> None:
    shop.come(random_ledger(6, FIRST, 35, devices=40, a_day=20))
    shop.roll()
    other = Shop(database)
    with database.begin() as connection:
        use_tenant(connection, other.tenant_id)
        connection.execute(sa.text("SET LOCAL ROLE lbs_api"))
        for table in (traffic, traffic_due, traffic_areas, traffic_seen):
            rows = connection.execute(sa.select(table.c.tenant_id).distinct()).scalars().all()
            assert set(rows) <= {other.tenant_id}
        asked = {"store_id": shop.store_id, "grain": "day", "start": datetime(2026, 1, 1, tzinfo=UTC), "end": LATER}
        assert connection.execute(queries("geofences")["figures"], asked).all() == []


# The roller is killed in the middle: nothing is lost, nothing is doubled.

SLOWLY: Final = """
CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
CREATE TRIGGER dawdle BEFORE INSERT ON geofences.traffic FOR EACH ROW
WHEN (NEW.grain <> 'hour') EXECUTE FUNCTION public.dawdle()
"""


def test_a_killed_roller_loses_nothing_and_doubles_nothing(fresh_database_url: str) -> None:
    database = sa.create_engine(sqlalchemy_url(fresh_database_url), connect_args={"options": "-c timezone=UTC"})
    shops = [Shop(database) for _ in range(4)]
    for number, shop in enumerate(shops):
        shop.come(random_ledger(number, FIRST, 35, devices=40, a_day=8))
    with database.begin() as connection:
        connection.execute(sa.text(SLOWLY))
    command = [sys.executable, "-m", "tests.support.doomed_roller", fresh_database_url]
    waiting = sa.text("SELECT count(*) FROM geofences.traffic_due")
    dice, before = random.Random(7), 0
    for _ in range(3):
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(dice.uniform(0.3, 1.2))  # dies somewhere in its work
            process.kill()
        with database.begin() as connection:
            left = connection.execute(waiting).scalar_one()
            before = max(before, left)
    assert before > 0, "none was killed before it was done"
    with database.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER dawdle ON geofences.traffic"))
    for shop in shops:
        shop.check()
    with database.begin() as connection:
        assert connection.execute(waiting).scalar_one() == 0
    database.dispose()


def _look(shop: Shop, device_id: int, at: LatLng, seen_at: datetime) -> None:
    """Where the engine says a device is."""
    cells = {f"cell_r{resolution}": cell_of(at, resolution) for resolution in (9, 10)}
    values = {"tenant_id": shop.tenant_id, "lat": at.lat, "lng": at.lng, "seen_at": seen_at, **cells}
    with shop.database.begin() as connection:
        own = device_last.c.device_id == device_id
        if not connection.execute(sa.update(device_last).where(own).values(**values)).rowcount:
            connection.execute(sa.insert(device_last).values(device_id=device_id, **values))


def test_a_heat_map_shows_where_k_devices_were_and_only_around_stores(shop: Shop) -> None:
    shop.roll()  # the surroundings of the store are known from now on
    noon = datetime(2026, 6, 10, 12, tzinfo=UTC)
    near, far = LatLng(lat=60.1702, lng=24.9390), LatLng(lat=60.3, lng=25.2)
    for device in range(7):
        _look(shop, 9_000 + device, near, noon)
        _look(shop, 9_000 + device, far, noon + timedelta(minutes=20))
        _look(shop, 9_000 + device, near, noon + timedelta(minutes=40))
    for device in range(3):
        _look(shop, 9_100 + device, LatLng(lat=60.1650, lng=24.9300), noon)
    with shop.database.begin() as connection:
        place = shop.place(connection)
        connection.execute(sa.text("SET LOCAL ROLE lbs_api"))
        for resolution in (8, 9, 10):
            _, cells = heat(connection, place, Grain.DAY, date(2026, 6, 10), resolution, k=5)
            assert sum(devices for _, devices in cells) == 5
        assert heat(connection, place, Grain.DAY, date(2026, 6, 11), 9, k=5)[1] == []
        assert len(heat(connection, place, Grain.MONTH, date(2026, 6, 11), 9, k=5)[1]) == 1
    with shop.database.begin() as connection:
        kept = sa.select(sa.func.count()).where(traffic_seen.c.tenant_id == shop.tenant_id)
        assert connection.execute(kept).scalar_one() == 10, (
            "what is far from every store is not kept, nor twice on a day"
        )


HOT: Final = {
    "figures": "pk_traffic",
    "figures_of_stores": "ix_traffic_tenant_id_grain_first_day",
    "stays": "ix_visits_tenant_id_store_id_entered_at",
}


@pytest.mark.parametrize("name", HOT)
def test_a_hot_question_uses_its_index_as_the_role_that_asks_it(shop: Shop, name: str) -> None:
    shop.come(random_ledger(8, FIRST, 35, devices=40, a_day=30))
    shop.roll()
    asked = {
        "tenant_id": shop.tenant_id, "store_id": shop.store_id, "store_ids": [shop.store_id], "grain": "day",
        "first_day": FIRST, "first_days": [FIRST],
        "start": datetime(2026, 3, 10, tzinfo=UTC), "end": datetime(2026, 3, 12, tzinfo=UTC),
    }  # fmt: skip
    statement = queries("geofences")[name]
    explained = sa.text(f"EXPLAIN {statement.text}").bindparams(**{key: asked[key] for key in statement._bindparams})
    with shop.database.begin() as connection:
        for table in ("visits", "traffic"):
            connection.execute(sa.text(f"ANALYZE geofences.{table}"))
        use_tenant(connection, shop.tenant_id)
        role = "lbs_system" if name == "stays" else "lbs_api"
        connection.execute(sa.text(f"SET LOCAL ROLE {role}"))
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(connection.execute(explained).scalars())
    assert HOT[name] in plan


def test_marks_cost_the_writer_nothing_while_visits_are_open(shop: Shop) -> None:
    """Rows of visits that are not over are most of what the engine writes: they leave no mark."""
    shop.roll()
    at = datetime(2026, 3, 10, 9, tzinfo=UTC)
    shop.come([Visit(1, at, 600)])
    shop.roll()
    (number,) = shop.ledger.values()
    waiting = sa.text("SELECT count(*) FROM geofences.traffic_due WHERE store_id = :store_id AND what = 'week'")
    marks: list[Any] = []
    for change in ({"positions": 9}, {"status": "open"}, {"confidence": 0.5}, {"status": "closed"}):
        with shop.database.begin() as connection:
            connection.execute(sa.update(visits).where(visits.c.visit_id == number).values(**change))
            marks.append(connection.execute(waiting, {"store_id": shop.store_id}).scalar_one())
    assert marks == [0, 1, 1, 2]
