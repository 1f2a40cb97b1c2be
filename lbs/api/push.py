"""What a browser needs before it can subscribe to Web Push."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lbs.deps import Permitted, ServicesDep
from lbs.routes import OF_EVERY_READ, Route

router = APIRouter(prefix="/v1/push", tags=["devices"], route_class=Route)


class PushKey(BaseModel):
    """The installation's VAPID key."""

    public_key: str = Field(description="`applicationServerKey` of `pushManager.subscribe`, base64url.")


@router.get("/key", operation_id="push_key", responses=OF_EVERY_READ)
async def push_key(_: Permitted, services: ServicesDep) -> PushKey:
    """Get the key that browsers subscribe with."""
    return PushKey(public_key=services.push_key)
