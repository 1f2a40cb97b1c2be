"""Fixtures that give tests a real PostgreSQL and Redis, shared by all workers of a run, and each its own part of them.

`servers`, `admin_url`, `redis_url`: the run's servers: those of LBS_DATABASE_URL and LBS_REDIS_URL, else private ones,
started by the first test that asks and gone with the run.
`database_url`: a migrated database of this worker, for tests that roll back or clean up after themselves.
`fresh_database_url`: a migrated database of this test alone, for tests that commit.
`redis_prefix`: what every Redis key of this test starts with.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
import redis
from psycopg2 import sql

from lbs.local import Servers, remove_servers, start_servers
from lbs.local_process import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUN_DIR: Final = "LBS_TEST_RUN_DIR"
_RUN_DIR_PREFIX: Final = "lbs-tests-"


def pytest_configure(config: pytest.Config) -> None:
    """Name the run's folder; the workers, which are started later, inherit the name."""
    if hasattr(config, "workerinput"):
        return
    _sweep_dead_runs()
    run_dir = Path(tempfile.mkdtemp(prefix=f"{_RUN_DIR_PREFIX}{os.getpid()}-"))
    run_dir.chmod(0o755)  # as root, the servers' own account must get in
    os.environ[_RUN_DIR] = str(run_dir)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove all that the run made, once every worker has ended."""
    if hasattr(config, "workerinput") or _RUN_DIR not in os.environ:
        return
    run_dir = Path(os.environ.pop(_RUN_DIR))
    given_url = os.environ.get("LBS_DATABASE_URL")
    if given_url and _template_marker(run_dir).exists():
        drop_database(given_url, _template_name(run_dir))
    _remove_run(run_dir)


def _sweep_dead_runs() -> None:
    """End what earlier runs left that were killed before they could tidy up."""
    for run_dir in Path(tempfile.gettempdir()).glob(f"{_RUN_DIR_PREFIX}*"):
        pid = run_dir.name.removeprefix(_RUN_DIR_PREFIX).partition("-")[0]
        if pid.isdigit() and run_dir.stat().st_uid == os.geteuid() and not _is_running(int(pid)):
            _remove_run(run_dir)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove_run(run_dir: Path) -> None:
    remove_servers(run_dir / "home")
    shutil.rmtree(run_dir, ignore_errors=True)  # a second run may be sweeping the same one


def _template_name(run_dir: Path) -> str:
    # mkdtemp's names may hold capitals, and differ between runs at the same time.
    return f"lbs_template_{run_dir.name.removeprefix(_RUN_DIR_PREFIX).replace('-', '_').lower()}"


def _template_marker(run_dir: Path) -> Path:
    return run_dir / "template-ready"


def with_database(url: str, name: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _execute(url: str, statement: sql.Composable) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True  # databases are not made in a transaction
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def create_database(admin_url: str, name: str, *, template: str = "template1") -> str:
    """Make a database as a copy of the template, and return its URL."""
    _execute(
        admin_url,
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)),
    )
    return with_database(admin_url, name)


def drop_database(admin_url: str, name: str) -> None:
    """Remove a database, whoever is still connected to it."""
    _execute(admin_url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def servers() -> Servers:
    """The run's servers; starting is idempotent and locked, so that whichever worker comes first starts them."""
    return start_servers(
        Path(os.environ[_RUN_DIR]) / "home",
        database_url=os.environ.get("LBS_DATABASE_URL") or None,
        redis_url=os.environ.get("LBS_REDIS_URL") or None,
        durable=False,  # dropping a database flushes all of them, which took seconds each
    )


@pytest.fixture(scope="session")
def admin_url(servers: Servers) -> str:
    """The superuser's URL; the database it names is empty and nobody's."""
    return servers.database_url


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """The URL of the run's Redis, shared by all tests: see `redis_prefix`."""
    return servers.redis_url


@pytest.fixture(scope="session")
def migrated_template(admin_url: str) -> str:
    """The name of a database with the newest schema, migrated once in a run; only ever copied."""
    # Imported here, so that a broken migration fails the tests that need one and no others.
    import migrations  # noqa: PLC0415

    run_dir = Path(os.environ[_RUN_DIR])
    name = _template_name(run_dir)
    with locked(run_dir / "template.lock"):
        if not _template_marker(run_dir).exists():
            drop_database(admin_url, name)  # of a worker that died halfway
            # SQLAlchemy would take another driver for a URL that names none.
            url = create_database(admin_url, name)
            migrations.upgrade(url.replace("postgresql://", "postgresql+psycopg2://", 1))
            _template_marker(run_dir).touch()
    return name


@pytest.fixture(scope="session")
def new_database_url(admin_url: str, migrated_template: str) -> Iterator[Callable[[], str]]:
    """Makes one more migrated database at each call, about 0.1 s each; all are dropped when the worker ends."""
    names: list[str] = []

    def make() -> str:
        names.append(f"lbs_test_{secrets.token_hex(6)}")
        return create_database(admin_url, names[-1], template=migrated_template)

    yield make
    for name in names:
        drop_database(admin_url, name)


@pytest.fixture(scope="session")
def database_url(new_database_url: Callable[[], str]) -> str:
    """This worker's migrated database: roll back, or leave no rows behind."""
    return new_database_url()


@pytest.fixture
def fresh_database_url(admin_url: str, migrated_template: str) -> Iterator[str]:
    """This test's own migrated database, dropped after it: commit at will."""
    name = f"lbs_test_{secrets.token_hex(6)}"
    yield create_database(admin_url, name, template=migrated_template)
    drop_database(admin_url, name)


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """What every key of this test starts with; those keys are removed after it."""
    prefix = f"test:{secrets.token_hex(6)}:"
    yield prefix
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)
