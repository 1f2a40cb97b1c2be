"""How often something may be done a minute, counted in Redis for all API processes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbs.errors import TooManyRequestsError

if TYPE_CHECKING:
    from lbs.services import Services

MINUTE_S: Final = 60


def count(services: Services, what: str, *, whose: object, at_most: int, told: str) -> None:
    """Counts one more; TooManyRequestsError, with the words `told`, once there were more than `at_most` this minute."""
    now_s = int(services.now().timestamp())
    key = f"{services.settings.redis_prefix}:{what}:{whose}:{now_s // MINUTE_S}"
    pipeline = services.redis.pipeline(transaction=False)
    pipeline.incr(key)
    pipeline.expire(key, 2 * MINUTE_S)
    if int(pipeline.execute()[0]) > at_most:
        raise TooManyRequestsError(told, retry_after_s=MINUTE_S - now_s % MINUTE_S)
