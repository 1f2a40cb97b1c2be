"""A process that rolls up foot traffic until somebody kills it: `python -m tests.support.doomed_roller URL`."""

from __future__ import annotations

import sys
from datetime import timedelta

import sqlalchemy as sa

from geofences.roller import Roller
from lbs import clock
from lbs.connections import sqlalchemy_url

if __name__ == "__main__":
    database = sa.create_engine(sqlalchemy_url(sys.argv[1]), connect_args={"options": "-c timezone=UTC"})
    roller = Roller(database, now=clock.now, k=5, months_rest=timedelta(0))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        roller.roll_traffic()
