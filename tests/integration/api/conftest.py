"""One API process for all tests of a worker; every test makes its own tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.api import Api, TestTenant, running_api, settings_for, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def api(new_database_url: Callable[[], str], redis_url: str) -> Iterator[Api]:
    with running_api(settings_for(new_database_url(), redis_url, sign_ins_per_address=100_000)) as running:
        wait_for(lambda: running.services.memory.ready)
        yield running


@pytest.fixture
def tenant(api: Api) -> TestTenant:
    return api.tenant()
