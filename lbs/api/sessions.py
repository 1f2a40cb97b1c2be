"""Signing in and out. The session is a cookie that no script can read and no other site can send."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from starlette.concurrency import run_in_threadpool

from lbs.access import operations_of
from lbs.deps import Permitted, ServicesDep, public_url_of
from lbs.errors import ForbiddenError, UnauthorizedError
from lbs.fields import ShortText
from lbs.origin import check_origin_if_any
from lbs.people import Person
from lbs.problems import declared, request_id_of
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from lbs.sessions import COOKIE
from lbs.signing_in import (
    AWAY_S,
    Asked,
    accept_invitation,
    arrive,
    depart,
    limit_address,
    sign_in,
    sign_out,
    signed_in,
)
from lbs.tables import Role
from lbs.versions import program_version

router = APIRouter(prefix="/v1", tags=["sessions"], route_class=Route)

PROVIDER_PATH = "/v1/sessions/provider"
AWAY_COOKIE = "lbs_away"
CONSOLE_PATH = "/console/"


class Credentials(BaseModel):
    """What somebody signs in with."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, StringConstraints(max_length=254), Field(examples=["anna@example.org"])]
    password: SecretStr


class Acceptance(BaseModel):
    """What somebody who was invited begins with."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, StringConstraints(max_length=100), Field(description="What follows `#token=` in the link.")]
    password: Annotated[SecretStr, Field(description="At least 12 characters of any kind, at most 1024 bytes.")]
    name: ShortText | None = None


class Accepted(BaseModel):
    """Whom to sign in as."""

    email: str


class TenantOfUser(BaseModel):
    tenant_id: str
    name: str
    sandbox: bool


class InstallationView(BaseModel):
    """What the console needs to know of the installation."""

    name: str
    version: str
    k: int = Field(description="No published figure rests on fewer devices.")
    map_style_url: str | None = Field(description="MapLibre style beneath the maps; null: no background.")


class SessionView(BaseModel):
    """Who is signed in."""

    user_id: str
    email: str
    name: str
    role: Role
    store_ids: list[str] = Field(description="The stores of a store manager; nobody else has any.")
    tenant: TenantOfUser | None = Field(description="Null: an operator of the installation.")
    may: list[str] = Field(description="Ids of the operations that this person may ask for.")
    installation: InstallationView


@router.post("/sessions", operation_id="sign_in", status_code=201, responses={**OF_EVERY_WRITE, **declared(429)})
async def post_session(body: Credentials, request: Request, response: Response, services: ServicesDep) -> SessionView:
    """Sign in with e-mail address and password. The answer sets the cookie `lbs_session`."""
    check_origin_if_any(request.headers, public_url=services.settings.public_url)
    asked = _asked(request)
    await run_in_threadpool(limit_address, services, asked)
    password = body.password.get_secret_value()
    async with services.hashing:
        person, text = await run_in_threadpool(sign_in, services, email=body.email, password=password, asked=asked)
    await run_in_threadpool(_leave, request, services, asked)
    _set_cookie(response, text, services)
    return _view(person, operations_of(person.as_caller()), services)


@router.get("/sessions", operation_id="who_am_i", responses=OF_EVERY_READ)
def get_session(request: Request, caller: Permitted, services: ServicesDep) -> SessionView:
    """Say who is signed in, and what that person may do."""
    return _view(signed_in(services, request.cookies[COOKIE]), operations_of(caller), services)


@router.delete("/sessions", operation_id="sign_out", status_code=204, responses=OF_EVERY_WRITE)
def delete_session(request: Request, _: Permitted, services: ServicesDep) -> Response:
    """Sign out: the session ends at once here, and within 5 s in every other process."""
    sign_out(services, request.cookies[COOKIE], _asked(request))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=_is_https(services))
    return response


@router.post(
    "/invitations/accept", operation_id="accept_invitation", responses={**OF_EVERY_WRITE, **declared(404, 429)}
)
async def post_acceptance(body: Acceptance, request: Request, services: ServicesDep) -> Accepted:
    """Choose a password, once for each invitation. All earlier sessions of the person end; sign in next."""
    check_origin_if_any(request.headers, public_url=services.settings.public_url)
    asked = _asked(request)
    await run_in_threadpool(limit_address, services, asked)
    async with services.hashing:
        email = await run_in_threadpool(
            accept_invitation,
            services,
            token=body.token,
            password=body.password.get_secret_value(),
            name=body.name,
            asked=asked,
        )
    return Accepted(email=email)


@router.get(
    "/sessions/provider",
    operation_id="begin_provider_sign_in",
    status_code=303,
    response_class=RedirectResponse,
    responses={303: {"description": "To the provider."}, **OF_EVERY_READ, **declared(404, 429)},
)
def begin(request: Request, services: ServicesDep) -> RedirectResponse:
    """Go to the sign-in provider of the installation, if it has one."""
    limit_address(services, _asked(request))
    state, url = depart(services, redirect_uri=f"{public_url_of(request, services)}{PROVIDER_PATH}/callback")
    response = RedirectResponse(url, 303)
    # Lax: the provider's redirect comes from another site, and must bring it
    response.set_cookie(
        AWAY_COOKIE,
        state,
        max_age=AWAY_S,
        path=PROVIDER_PATH,
        httponly=True,
        samesite="lax",
        secure=_is_https(services),
    )
    return response


@router.get(
    "/sessions/provider/callback",
    operation_id="finish_provider_sign_in",
    status_code=303,
    response_class=RedirectResponse,
    responses={303: {"description": "To the console, signed in."}, **OF_EVERY_READ, **declared(404, 429)},
)
def finish(
    request: Request,
    services: ServicesDep,
    state: Annotated[str, Query(max_length=200)],
    code: Annotated[str | None, Query(max_length=4000)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
    iss: Annotated[str | None, Query(max_length=2000)] = None,
) -> RedirectResponse:
    """Come back from the provider. Only who was invited gets in, by an address that the provider has verified."""
    asked = _asked(request)
    limit_address(services, asked)
    if error is not None or code is None:
        raise UnauthorizedError("the provider did not sign anybody in")
    if iss is not None and services.provider is not None and iss != services.provider.issuer:
        raise ForbiddenError("this answer is of another provider")
    text = arrive(services, state=state, kept=request.cookies.get(AWAY_COOKIE), code=code, asked=asked)
    _leave(request, services, asked)
    response = RedirectResponse(f"{public_url_of(request, services)}{CONSOLE_PATH}", 303)
    _set_cookie(response, text, services)
    response.delete_cookie(AWAY_COOKIE, path=PROVIDER_PATH, httponly=True, samesite="lax", secure=_is_https(services))
    return response


def _leave(request: Request, services: Services, asked: Asked) -> None:
    """Whoever signs in anew leaves the session that the browser had."""
    before = request.cookies.get(COOKIE)
    if before is not None:
        try:
            sign_out(services, before, asked)
        except UnauthorizedError:
            return  # it had ended


def _set_cookie(response: Response, text: str, services: Services) -> None:
    response.set_cookie(
        COOKIE,
        text,
        max_age=int(services.settings.session_s),
        path="/",
        httponly=True,
        samesite="strict",
        secure=_is_https(services),
    )


def _is_https(services: Services) -> bool:
    return (services.settings.public_url or "").startswith("https://")


def _asked(request: Request) -> Asked:
    return Asked(address="" if request.client is None else request.client.host, request_id=request_id_of(request.scope))


def _view(person: Person, may: list[str], services: Services) -> SessionView:
    settings = services.settings
    return SessionView(
        user_id=str(person.user_id),
        email=person.email,
        name=person.name,
        role=person.role,
        store_ids=[str(store_id) for store_id in sorted(person.store_ids)],
        tenant=None
        if person.tenant_name is None
        else TenantOfUser(tenant_id=str(person.tenant_id), name=person.tenant_name, sandbox=person.sandbox),
        may=may,
        installation=InstallationView(
            name=settings.installation_name,
            version=program_version(),
            k=settings.k_anonymity,
            map_style_url=settings.map_style_url or None,
        ),
    )
