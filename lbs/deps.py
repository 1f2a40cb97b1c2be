"""What routes ask for: who calls, one transaction as the caller's tenant, and what is to happen after it.

A route names the kind of caller it takes first, so that a wrong key is refused before a connection is taken. The
transaction is committed before the answer leaves (`scope="function"`): a commit that fails answers 500.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from geofences.model import DeviceId
from geofences.store import device_id_for, use_tenant
from lbs.auth import TOKEN_PREFIX, Caller, CallerKind
from lbs.errors import ForbiddenError, UnauthorizedError
from lbs.remembered import recall
from lbs.services import Services

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    bearerFormat="lbs_{pk|sk|st|dt}_...",
    description="A publishable key, a device token, a secret key or a store's key.",
)


def services_of(request: Request) -> Services:
    """The services of the application that handles the request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def get_services(request: Request) -> Services:
    return services_of(request)


ServicesDep = Annotated[Services, Depends(get_services)]


async def authenticate(request: Request, services: Services) -> Caller:
    """Whoever sent a good key; UnauthorizedError."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise UnauthorizedError("send a key as `Authorization: Bearer KEY`")
    if text.startswith(TOKEN_PREFIX):
        caller = await _device_caller(services, text)
    else:
        caller = await _key_caller(services, text)
    request.scope["state"]["caller"] = caller
    return caller


async def authenticated(
    request: Request, services: ServicesDep, _: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
) -> Caller:
    """As `authenticate`, declared to OpenAPI."""
    return await authenticate(request, services)


async def _key_caller(services: Services, text: str) -> Caller:
    known = services.keys.remembered(text)
    return known if known is not None else await run_in_threadpool(services.keys.find, text)


async def _device_caller(services: Services, token: str) -> Caller:
    claims = services.tokens.read(token)
    directory = services.directory
    facts = directory.remembered(claims.device_id) or await run_in_threadpool(directory.load, claims.device_id)
    if facts is None or facts.tenant_id != claims.tenant_id or facts.generation != claims.generation:
        raise UnauthorizedError("this device token was revoked")
    return Caller(tenant_id=claims.tenant_id, kind=CallerKind.DEVICE, sandbox=facts.sandbox, device_id=claims.device_id)


Authenticated = Annotated[Caller, Depends(authenticated)]


def check_kind(caller: Caller, *kinds: CallerKind) -> None:
    """ForbiddenError unless the caller is of one of these kinds."""
    if caller.kind not in kinds:
        words = (f"a {kind} key" if kind is not CallerKind.DEVICE else "a device token" for kind in kinds)
        raise ForbiddenError(f"this needs {' or '.join(words)}")


def _only(*kinds: CallerKind) -> Callable[[Caller], object]:
    async def check(caller: Authenticated) -> Caller:
        check_kind(caller, *kinds)
        return caller

    return check


SecretCaller = Annotated[Caller, Depends(_only(CallerKind.SECRET))]
StoreCaller = Annotated[Caller, Depends(_only(CallerKind.STORE, CallerKind.SECRET))]
"""A store key sees its own store only: the route checks which."""
DeviceCaller = Annotated[Caller, Depends(_only(CallerKind.DEVICE, CallerKind.SECRET))]
"""Which device a token speaks for is checked by `own_device`."""
AppCaller = Annotated[Caller, Depends(_only(CallerKind.PUBLISHABLE, CallerKind.DEVICE, CallerKind.SECRET))]


def own_device(caller: Caller, external_id: str) -> DeviceId:
    """The device a caller names; ForbiddenError if it is another than its token's."""
    device_id = device_id_for(caller.tenant_id, external_id)
    if caller.kind is CallerKind.DEVICE and caller.device_id != device_id:
        raise ForbiddenError("this token belongs to another device")
    return device_id


async def raw_body(request: Request) -> bytes:
    """The bytes of the body; the outermost middleware has read them already."""
    return await request.body()


async def after_commit(request: Request) -> list[Callable[[], None]]:
    """Calls to make once the transaction is committed; append to it."""
    calls: list[Callable[[], None]] = request.scope["state"].setdefault("after_commit", [])
    return calls


AfterCommit = Annotated[list[Callable[[], None]], Depends(after_commit)]


async def tx_slot(services: ServicesDep) -> AsyncIterator[None]:
    """Waits without a thread until a connection is surely free."""
    async with services.tx_slots:
        yield


def tx(
    request: Request,
    _slot: Annotated[None, Depends(tx_slot, scope="function")],
    caller: Authenticated,
    services: ServicesDep,
    body: Annotated[bytes, Depends(raw_body)],
    calls: AfterCommit,
) -> Iterator[sa.Connection]:
    """One transaction that sees the caller's tenant and nothing else.

    With an Idempotency-Key it answers a repeated write from memory, by raising RememberedAnswer, and else remembers
    what the route answers, in this same transaction (see `lbs.routes`).
    """
    with services.api.begin() as connection:
        use_tenant(connection, caller.tenant_id)
        request.scope["state"]["remember"] = recall(
            connection, request=request, body=body, caller=caller, vault=services.vault, now=services.now()
        )
        yield connection
    for call in calls:
        call()


Tx = Annotated[sa.Connection, Depends(tx, scope="function")]
