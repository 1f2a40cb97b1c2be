"""Who a device's person is: an app may say so only with a hash that the tenant's server made.

The key of the hash follows from the installation's secret key and the tenant, so nothing is stored.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from lbs.secrets import derive

if TYPE_CHECKING:
    from geofences.model import TenantId
    from lbs.settings import Settings


def user_hash_key(settings: Settings, tenant_id: TenantId) -> str:
    """What the tenant's server signs with; as text, so that every language takes the same bytes."""
    return derive(settings, f"user hash {tenant_id}").hex()


def user_hash(key: str, external_user_id: str) -> str:
    """HMAC-SHA256 in hexadecimal.

    >>> user_hash("00", "anna")[:16]
    '58d14bb53d0f74b5'
    """
    return hmac.new(key.encode(), external_user_id.encode(), sha256).hexdigest()


def is_vouched(key: str, external_user_id: str, given: str) -> bool:
    return hmac.compare_digest(user_hash(key, external_user_id).encode(), given.lower().encode())
