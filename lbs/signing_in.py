"""Signing in, out, and by invitation: what a person proves, and the session that follows.

An unknown address, a wrong password and a disabled person get the same answer after the same work. Attempts are
counted in Redis, by address and by e-mail; if Redis is away nobody gets to guess: 503.
"""

from __future__ import annotations

import hmac
import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
import structlog

from geofences.errors import NotFoundError
from geofences.store import use_tenant
from lbs.audit import record
from lbs.errors import ForbiddenError, TooManyRequestsError, UnauthorizedError
from lbs.oidc import Departure
from lbs.people import add_invitation, end_sessions_of, find_person, known_email
from lbs.sessions import end_session, hash_of, new_token, open_session
from lbs.tables import UserStatus, invitations, sessions, users

if TYPE_CHECKING:
    from datetime import datetime

    from lbs.auth import Caller
    from lbs.oidc import Identity, OidcClient
    from lbs.people import Person
    from lbs.services import Services

log = structlog.get_logger(__name__)

INVITATION_LASTS: Final = timedelta(days=7)
WINDOW_S: Final = 900
AWAY_S: Final = 600
"""How long somebody may take at the provider."""
REFUSED: Final = "the e-mail address or the password is wrong"
NOT_INVITED: Final = "nobody has invited an address that the provider has verified as yours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """From where and under which number a request came."""

    address: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation at the only moment when its link is known."""

    link: str
    expires_at: datetime


def invite(connection: sa.Connection, person: Person, *, public_url: str, now: datetime) -> Invitation:
    """A link in which the token stands behind `#`, where no server and no log sees it."""
    token, expires_at = new_token(), now + INVITATION_LASTS
    add_invitation(connection, person, digest=hash_of(token, "invitation"), now=now, expires_at=expires_at)
    return Invitation(link=f"{public_url.rstrip('/')}/console/invite#token={token}", expires_at=expires_at)


def sign_in(services: Services, *, email: str, password: str, asked: Asked) -> tuple[Person, str]:
    """Somebody and the text of a new session; UnauthorizedError, which says nothing of which it was."""
    try:
        known = known_email(email)
    except ValueError:
        known = ""  # counted and refused like any other
    _limit(services, "email", known, services.settings.sign_ins_per_email)
    with services.reader.connect() as reader:
        person = find_person(reader, users.c.email == known)
        stored = reader.execute(sa.select(users.c.password_hash).where(users.c.email == known)).scalar()
    right = services.passwords.matches(stored, password)
    if not right or stored is None or person is None or person.status is not UserStatus.ACTIVE:
        log.info("session.refused", request_id=asked.request_id)
        raise UnauthorizedError(REFUSED)
    renewed = services.passwords.hash(password) if services.passwords.is_outdated(stored) else stored
    text = _open(services, person, asked, unchanged=users.c.password_hash == stored, password_hash=renewed)
    services.redis.delete(_counter(services, "email", known))
    return person, text


def signed_in(services: Services, text: str) -> Person:
    """Whose session it is, with the person's own tenant, whichever one the caller acts in; UnauthorizedError."""
    with services.reader.connect() as reader:
        own = sa.select(sessions.c.user_id).where(sessions.c.hash == hash_of(text, "session"))
        person = find_person(reader, users.c.user_id.in_(own))
    if person is None:
        raise UnauthorizedError("this session has ended")
    return person


def sign_out(services: Services, text: str, asked: Asked) -> None:
    person, now = signed_in(services, text), services.now()
    with services.api.begin() as connection:
        use_tenant(connection, person.tenant_id)
        end_session(connection, text)
        _record(connection, person.as_caller(), "sign_out", asked, now)
    services.sessions.forget(text)


def accept_invitation(services: Services, *, token: str, password: str, name: str | None, asked: Asked) -> str:
    """Gives somebody a password, once; all earlier sessions end. Answers the e-mail address to sign in with."""
    now = services.now()
    digest = hash_of(token, "invitation")
    with services.reader.connect() as reader:
        open_ = sa.and_(invitations.c.hash == digest, invitations.c.used_at.is_(None), invitations.c.expires_at > now)
        person = find_person(reader, users.c.user_id.in_(sa.select(invitations.c.user_id).where(open_)))
    if person is None or person.status is UserStatus.DISABLED:
        raise NotFoundError("this invitation was used, has expired, or never was one: ask for another")
    hashed = services.passwords.hash(password)
    with services.api.begin() as connection:
        use_tenant(connection, person.tenant_id)
        used = sa.update(invitations).where(open_).values(used_at=now)
        if connection.execute(used).rowcount != 1:
            raise NotFoundError("this invitation was used at this moment")
        values = {"password_hash": hashed, "status": UserStatus.ACTIVE, **({"name": name} if name else {})}
        mine = sa.and_(users.c.user_id == person.user_id, users.c.status != UserStatus.DISABLED)
        connection.execute(sa.update(users).where(mine).values(**values))
        end_sessions_of(connection, person.user_id)
        _record(connection, person.as_caller(), "accept_invitation", asked, now)
    services.sessions.forget_user(person.user_id)
    return person.email


def depart(services: Services, *, redirect_uri: str) -> tuple[str, str]:
    """The state that the browser keeps, and the provider's URL to send it to."""
    departure, url = provider_of(services).depart(redirect_uri)
    sealed = services.vault.seal(msgspec.json.encode(departure))
    services.redis.set(_away(services, departure.state), sealed, ex=AWAY_S)
    return departure.state, url


def arrive(services: Services, *, state: str, kept: str | None, code: str, asked: Asked) -> str:
    """The text of a new session for somebody who was invited; ForbiddenError for everybody else.

    A state counts once, and only in the browser that left with it.
    """
    provider = provider_of(services)
    if kept is None or not hmac.compare_digest(kept.encode(), state.encode()):
        raise UnauthorizedError("this sign-in was not begun in this browser: begin again")
    sealed = services.redis.getdel(_away(services, state))
    if not isinstance(sealed, bytes):
        raise UnauthorizedError("this sign-in was finished already, or took too long: begin again")
    departure = msgspec.json.decode(services.vault.unseal(sealed), type=Departure)
    identity = provider.arrive(departure, code)
    person = _invited(services, identity)
    values = {"oidc_subject": identity.subject, "status": UserStatus.ACTIVE}
    fits = sa.or_(users.c.oidc_subject.is_(None), users.c.oidc_subject == identity.subject)
    return _open(services, person, asked, unchanged=fits, **values)


def provider_of(services: Services) -> OidcClient:
    if services.provider is None:
        raise NotFoundError("this installation has no sign-in provider")
    return services.provider


def limit_address(services: Services, asked: Asked) -> None:
    """TooManyRequestsError once an address has tried as often as it may. Neighbours in IPv6 count as one."""
    network = asked.address
    with suppress(ValueError):
        found = ipaddress.ip_address(asked.address)
        network = str(ipaddress.ip_network((found, 64 if found.version == 6 else 32), strict=False))  # noqa: PLR2004
    _limit(services, "address", network, services.settings.sign_ins_per_address)


def _invited(services: Services, identity: Identity) -> Person:
    with services.reader.connect() as reader:
        person = find_person(reader, users.c.oidc_subject == identity.subject)
        if person is None and identity.email is not None:
            same = users.c.email == identity.email.strip().lower()
            person = find_person(reader, sa.and_(same, users.c.oidc_subject.is_(None)))
    if person is None or person.status is UserStatus.DISABLED:
        raise ForbiddenError(NOT_INVITED)
    return person


def _open(
    services: Services, person: Person, asked: Asked, *, unchanged: sa.ColumnElement[bool], **values: object
) -> str:
    """A session, if what was proved still holds: a password that was changed meanwhile opens nothing."""
    now, settings = services.now(), services.settings
    with services.api.begin() as connection:
        use_tenant(connection, person.tenant_id)
        mine = sa.and_(users.c.user_id == person.user_id, users.c.status != UserStatus.DISABLED, unchanged)
        if connection.execute(sa.update(users).where(mine).values(**values)).rowcount != 1:
            raise UnauthorizedError(REFUSED)
        text = open_session(
            connection,
            person,
            now=now,
            lasts=timedelta(seconds=settings.session_s),
            idle=timedelta(seconds=settings.session_idle_s),
        )
        _record(connection, person.as_caller(), "sign_in", asked, now)
    return text


def _record(connection: sa.Connection, caller: Caller, operation: str, asked: Asked, now: datetime) -> None:
    record(
        connection,
        tenant_id=caller.tenant_id,
        at=now,
        actor=caller.actor,
        operation=operation,
        object_id=str(caller.user_id),
        request_id=asked.request_id,
    )


def _limit(services: Services, what: str, value: str, most: int) -> None:
    pipeline = services.redis.pipeline(transaction=False)
    key = _counter(services, what, value)
    pipeline.incr(key)
    pipeline.expire(key, 2 * WINDOW_S)
    if int(pipeline.execute()[0]) > most:
        now_s = int(services.now().timestamp())
        raise TooManyRequestsError("too many attempts to sign in; wait", retry_after_s=WINDOW_S - now_s % WINDOW_S)


def _counter(services: Services, what: str, value: str) -> str:
    """Redis is told neither addresses nor e-mails."""
    window = int(services.now().timestamp()) // WINDOW_S
    digest = blake2b(f"{what}:{value}".encode(), digest_size=16, key=services.counter_key).hexdigest()
    return f"{services.settings.redis_prefix}:signing-in:{digest}:{window}"


def _away(services: Services, state: str) -> str:
    return f"{services.settings.redis_prefix}:away:{hash_of(state, 'away').hex()}"
