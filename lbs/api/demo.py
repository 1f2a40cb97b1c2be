"""Where the simulated people of `lbs demo` are, as the demo itself tells it. No position of a device gets here."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lbs.demo_walkers import published_walkers
from lbs.deps import Permitted, ServicesDep
from lbs.routes import OF_EVERY_READ, Route

router = APIRouter(prefix="/v1/demo", tags=["demo"], route_class=Route)


class WalkerView(BaseModel):
    id: str = Field(examples=["walker-001"])
    lat: float
    lng: float


class Walkers(BaseModel):
    items: list[WalkerView]


@router.get("/walkers", operation_id="demo_walkers", responses=OF_EVERY_READ)
def demo_walkers(caller: Permitted, services: ServicesDep) -> Walkers:
    """Get where the demo's simulated people are at this moment; nobody unless `lbs demo` runs for this tenant."""
    found = published_walkers(services.redis, services.settings.redis_prefix, caller.tenant_id)
    return Walkers(items=[WalkerView(id=one.id, lat=one.lat, lng=one.lng) for one in found])
