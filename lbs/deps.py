"""What routes ask for: who calls, one transaction as the caller's tenant, and what is to happen after it.

A route asks for `Permitted` or `Tx`, which asks for it: who may not is refused before a connection is taken. The
transaction is committed before the answer leaves (`scope="function"`): a commit that fails answers 500.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from geofences.model import DeviceId, StoreId
from geofences.store import device_id_for, use_tenant
from lbs.access import check_access, operation_name
from lbs.audit import is_audited, object_of, record
from lbs.auth import INSTALLATION, TOKEN_PREFIX, Caller, CallerKind
from lbs.errors import ForbiddenError, UnauthorizedError
from lbs.origin import SAFE_METHODS, check_origin
from lbs.problems import request_id_of
from lbs.remembered import Told, recall
from lbs.services import Services
from lbs.sessions import COOKIE

TENANT_HEADER = "LBS-Tenant"
"""Names the tenant that an operator of the installation looks after."""


def services_of(request: Request) -> Services:
    """The services of the application that handles the request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def get_services(request: Request) -> Services:
    return services_of(request)


ServicesDep = Annotated[Services, Depends(get_services)]


async def authenticate(request: Request, services: Services) -> Caller:
    """Whoever sent a good key or has a session; UnauthorizedError."""
    authorization = request.headers.get("authorization")
    if authorization is None and COOKIE in request.cookies:
        caller = await _person_caller(request, services, request.cookies[COOKIE])
    else:
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise UnauthorizedError("send a key as `Authorization: Bearer KEY`, or sign in")
        return await authenticate_key(request, services, text)
    request.scope["state"]["caller"] = caller
    return caller


async def authenticate_key(request: Request, services: Services, text: str) -> Caller:
    """Whoever holds a key or a device token, however it was sent; UnauthorizedError."""
    caller = await (_device_caller if text.startswith(TOKEN_PREFIX) else _key_caller)(services, text)
    request.scope["state"]["caller"] = caller
    return caller


async def permitted(request: Request, services: ServicesDep) -> Caller:
    """Whoever asks, once `lbs.access` lets that caller ask for this operation."""
    caller = await authenticate(request, services)
    check_access(caller, operation_of(request))
    return caller


Permitted = Annotated[Caller, Depends(permitted)]


def operation_of(request: Request) -> str:
    """What the access table and the audit call the operation that is asked for."""
    return operation_name(request.scope["route"].operation_id, request.path_params)


async def _person_caller(request: Request, services: Services, text: str) -> Caller:
    sessions = services.sessions
    known = sessions.remembered(text)
    caller = known if known is not None else await run_in_threadpool(sessions.find, text)
    if request.method not in SAFE_METHODS:
        check_origin(request.headers, public_url=services.settings.public_url)
    named = request.headers.get(TENANT_HEADER)
    if named is not None and caller.tenant_id == INSTALLATION:
        caller = await run_in_threadpool(sessions.in_tenant, caller, named)
    return caller


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


def public_url_of(request: Request, services: Services) -> str:
    """How clients reach this installation: by setting, else as this request did."""
    return (services.settings.public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


def own_device(caller: Caller, external_id: str) -> DeviceId:
    """The device a caller names; ForbiddenError if it is another than its token's."""
    device_id = device_id_for(caller.tenant_id, external_id)
    if caller.kind is CallerKind.DEVICE and caller.device_id != device_id:
        raise ForbiddenError("this token belongs to another device")
    return device_id


def own_store(caller: Caller, store_id: int) -> StoreId:
    """The store a caller names; ForbiddenError if it sees others only."""
    only = caller.only_stores
    if only is not None and store_id not in only:
        whose = "this key belongs to another store" if caller.kind is CallerKind.STORE else "this store is not yours"
        raise ForbiddenError(whose)
    return StoreId(store_id)


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
    caller: Permitted,
    _slot: Annotated[None, Depends(tx_slot, scope="function")],
    services: ServicesDep,
    body: Annotated[bytes, Depends(raw_body)],
    calls: AfterCommit,
) -> Iterator[sa.Connection]:
    """One transaction that sees the caller's tenant and nothing else.

    A write of a key or a person leaves its row in the audit, in this same transaction.

    With an Idempotency-Key it answers a repeated write from memory, by raising RememberedAnswer, and else remembers
    what the route answers, in this same transaction (see `lbs.routes`).
    """
    with services.api.begin() as connection:
        use_tenant(connection, caller.tenant_id)
        remember = recall(
            connection, request=request, body=body, caller=caller, vault=services.vault, now=services.now()
        )
        told = [_note(request, connection, caller, services), remember]
        request.scope["state"]["told"] = [tell for tell in told if tell is not None]
        yield connection
    for call in calls:
        call()


Tx = Annotated[sa.Connection, Depends(tx, scope="function")]


def _note(request: Request, connection: sa.Connection, caller: Caller, services: Services) -> Told | None:
    """What puts the write into the audit, once its answer is known."""
    if request.method in SAFE_METHODS or not is_audited(caller):
        return None
    operation = operation_of(request)

    def note(response: Response) -> None:
        record(
            connection,
            tenant_id=caller.tenant_id,
            at=services.now(),
            actor=caller.actor,
            operation=operation,
            object_id=object_of(operation, request.path_params, response),
            request_id=request_id_of(request.scope),
        )

    return note
