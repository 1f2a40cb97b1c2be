"""What processes of their own do to one code at once, without HTTP; in a module that they can import."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from geofences.model import StoreId, TenantId
from geofences.store import use_tenant
from lbs.connections import Role, database
from lbs.secrets import Vault, derive
from offers.codes import CodeBook
from offers.errors import RefusedError
from offers.redemption import Order, Till, find_code, verify

if TYPE_CHECKING:
    from lbs.settings import Settings


def verify_in_sql(settings: Settings, at: tuple[int, int], code: str, number: int, times: int) -> Counter[str]:
    """The same without HTTP, one transaction each; `at` is the tenant and the store."""
    engine = database(settings, Role.API)
    vault = Vault(settings)
    book = CodeBook(key=derive(settings, "codes"), seal=vault.seal, unseal=vault.unseal)
    till = Till(tenant_id=TenantId(at[0]), store_id=StoreId(at[1]), key_id=number)
    said: Counter[str] = Counter()
    for i in range(times):
        try:
            with engine.begin() as connection:
                use_tenant(connection, till.tenant_id)
                found = find_code(connection, code, tenant_id=till.tenant_id, book=book)
                verify(connection, found, till=till, order=Order(order_id=f"{number}-{i}"), now=datetime.now(UTC))
            said["200"] += 1
        except RefusedError as error:
            said[error.reason] += 1
    engine.dispose()
    return said
