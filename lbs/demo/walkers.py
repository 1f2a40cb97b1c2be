"""People who walk from store to store and stay a while, and phones that see them a little wrong. Pure.

All randomness comes from the generator handed in, so that a seed repeats a walk step by step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lbs.demo.city import Spot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

SPEED_MPS: Final = 1.4
"""How fast people walk on average."""
SPEED_SPREAD: Final = 0.15
STAY_S: Final = (20.0, 200.0)
"""The shortest and the longest stay in a store: some are longer than a dwell of 120 s."""
NEAR_M: Final = 350.0
"""Where people look for their next store."""
ACCURACY_M: Final = (5.0, 30.0)
CIRCLE_68: Final = 1.515
"""The circle that holds 68 % of a plane's normal distribution has this many sigmas as its radius."""
DRIFT_S: Final = 40.0
"""How long an error of a satellite fix lasts: errors wander, they do not jump."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What a phone believes: where it is, and how far off that may be."""

    spot: Spot
    accuracy_m: float


@dataclass(slots=True, kw_only=True)
class Walker:
    """One person: walks straight to the next store, stays, walks on."""

    rng: Random
    goals: Sequence[Spot]
    """Stores worth going to."""
    at: Spot
    goal: Spot
    speed_mps: float
    stays_s: float = 0.0
    """Seconds that are left of the present stay."""

    @classmethod
    def outside(cls, rng: Random, goals: Sequence[Spot], *, radius_m: float, gap_m: float) -> Walker:
        """Someone `gap_m` outside the circle of `radius_m` about one of the goals, on the way in."""
        goal = rng.choice(goals)
        bearing = rng.uniform(0, 2 * math.pi)
        away_m = radius_m + gap_m
        at = Spot(x_m=goal.x_m + away_m * math.cos(bearing), y_m=goal.y_m + away_m * math.sin(bearing))
        speed_mps = SPEED_MPS * rng.uniform(1 - SPEED_SPREAD, 1 + SPEED_SPREAD)
        return cls(rng=rng, goals=goals, at=at, goal=goal, speed_mps=speed_mps)

    def walk(self, seconds: float) -> None:
        """Let `seconds` pass."""
        while seconds > 0:
            if self.stays_s > 0:
                passed = min(seconds, self.stays_s)
                self.stays_s -= passed
                seconds -= passed
                if self.stays_s <= 0:
                    self.goal = self._next_goal()
                continue
            left_m = self.at.distance_m(self.goal)
            step_m = self.speed_mps * seconds
            if step_m < left_m:
                share = step_m / left_m
                self.at = Spot(
                    x_m=self.at.x_m + (self.goal.x_m - self.at.x_m) * share,
                    y_m=self.at.y_m + (self.goal.y_m - self.at.y_m) * share,
                )
                return
            self.at = self.goal
            seconds -= left_m / self.speed_mps
            self.stays_s = self.rng.uniform(*STAY_S)

    def _next_goal(self) -> Spot:
        near = [goal for goal in self.goals if goal != self.at and self.at.distance_m(goal) < NEAR_M]
        return self.rng.choice(near or self.goals)


@dataclass(slots=True, kw_only=True)
class Gps:
    """The satellite receiver of one phone: as good as it says, no better and no worse."""

    rng: Random
    accuracy_m: float
    _error: Spot = field(init=False)

    def __post_init__(self) -> None:
        self._error = Spot(x_m=self.rng.gauss(0, self.sigma_m), y_m=self.rng.gauss(0, self.sigma_m))

    @property
    def sigma_m(self) -> float:
        """Standard deviation along each axis."""
        return self.accuracy_m / CIRCLE_68

    def see(self, true: Spot, *, after_s: float) -> Fix:
        """A fix of someone at `true`, `after_s` after the last one."""
        keeps = math.exp(-after_s / DRIFT_S)
        fresh = self.sigma_m * math.sqrt(1 - keeps * keeps)
        self._error = Spot(
            x_m=self._error.x_m * keeps + self.rng.gauss(0, fresh),
            y_m=self._error.y_m * keeps + self.rng.gauss(0, fresh),
        )
        seen = Spot(x_m=true.x_m + self._error.x_m, y_m=true.y_m + self._error.y_m)
        return Fix(spot=seen, accuracy_m=self.accuracy_m)
