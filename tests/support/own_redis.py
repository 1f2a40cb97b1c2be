"""A Redis of one test alone, for what a shared one would not forgive: FLUSHALL, a memory limit, its death."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import redis

from lbs.local_process import choose_port
from lbs.local_redis import find_redis

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def own_redis(*options: str, port: int | None = None) -> Iterator[str]:
    """Its URL, until the block ends, which is its death; `options` as on its command line."""
    port = choose_port(port)
    command = [str(find_redis()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--logfile", "/dev/null"]
    command += options
    # Python ignores SIGXFSZ, and so does the child then: a file that may not grow is an error, as a full disk is
    with subprocess.Popen(command, restore_signals=False) as process:
        try:
            with redis.Redis(port=port) as client:
                _wait(client)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()


def _wait(client: redis.Redis) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "the test's own Redis does not answer"
            time.sleep(0.02)
        else:
            return
