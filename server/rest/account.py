"""The REST routes of sessions, of the caller's own account, and of users for admins."""

import math
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Query
from pydantic import Field
from starlette.responses import Response

import models
from core.clock import utc_now
from core.errors import AccountGoneError
from core.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from graph.context import Context
from server.rest.entities import row_of
from server.rest.fields import (
    ANYTHING,
    NO_SPACE,
    Body,
    Deleted,
    Items,
    PageQuery,
    Row,
    ShownMoment,
    example,
    read_page,
    text,
)
from server.rest.problem import problems
from server.rest.route import Anyone, RestRoute, SignedIn
from services.accounts import users
from services.accounts.accounts import SessionTokens
from services.accounts.audit import audit_listing, audit_listing_of
from services.accounts.caller import Caller
from services.accounts.sessions import own_sessions
from services.accounts.users import MAX_EMAIL_LENGTH, MAX_IMAGE_LENGTH, MAX_NAME_LENGTH, user_listing, users_by_id

auth_router: Final = APIRouter(prefix="/api/auth", tags=["auth"], route_class=RestRoute)
users_router: Final = APIRouter(prefix="/api", route_class=RestRoute)

Name = Annotated[str, text("1 to 200 characters.", max_length=MAX_NAME_LENGTH)]
Image = Annotated[
    str | None,
    text("An http(s) address of a picture.", max_length=MAX_IMAGE_LENGTH, pattern=rf"^https?://(?![/?#]){NO_SPACE}+$"),
]

Address = Annotated[str, text("The address of the account.", max_length=MAX_EMAIL_LENGTH, format="email")]
Password = Annotated[
    str,
    text(
        "8 to 1,024 characters; none of the 10,000 most common passwords.",
        min_length=MIN_PASSWORD_LENGTH,
        max_length=MAX_PASSWORD_LENGTH,
        pattern=ANYTHING,
    ),
]


@row_of(models.User)
class User(Row):
    """A person with an account."""


class UserPage(Items[User]):
    """A page of users."""


@row_of(models.AuditEvent)
class AuditEvent(Row):
    """Something that happened to an account."""


class AuditEventPage(Items[AuditEvent]):
    """A page of the audit log."""


@row_of(models.Session)
class Session(Row):
    """A session of the caller's: a browser or a program that is signed in."""

    current: bool = Field(description="Whether this request is of it.")
    last_used_at: ShownMoment


class Sessions(Row):
    """The sessions of the caller."""

    items: list[Session] = Field(description="The one that was used last first.")


class Profile(Body):
    """What is to change of the profile: what is left out stays, null clears."""

    model_config = example(name="You")

    name: Name = Field(default_factory=str)
    image: Image = None


class Proof(Body):
    """What shows that it is the person themselves."""

    password: str = text(
        "The account's password; empty where somebody else keeps it, with a token of at most 5 minutes.",
        min_length=0,
        max_length=MAX_PASSWORD_LENGTH,
    )


class UserPatch(Body):
    """What is to change of a user."""

    model_config = example(is_active=True)

    is_active: bool = Field(description="Whether they may sign in.")


COLUMNS: Final = frozenset(User.model_fields)
_EVENT_COLUMNS: Final = frozenset(AuditEvent.model_fields)
_SESSION_COLUMNS: Final = frozenset(Session.model_fields)


@users_router.get("/me", tags=["me"], responses=problems(401))
async def read_me(context: SignedIn) -> User:
    """Read the caller's account."""
    caller = context.require_caller()
    async with context.database.read() as session:
        (row,) = await users_by_id(session, caller, [caller.user_id], COLUMNS)
    if row is None:
        raise AccountGoneError
    return User.model_validate(row)


@users_router.patch("/me", tags=["me"], responses=problems(401, 403, body=True))
async def update_me(context: SignedIn, body: Profile) -> User:
    """Change the caller's profile: what is left out stays, null clears."""
    work = partial(users.update_profile, changes=body.model_dump(exclude_unset=True))
    return User.model_validate(await context.write(work))


@users_router.delete("/me", tags=["me"], responses=problems(401, 403, body=True))
async def delete_me(context: SignedIn, body: Proof) -> Deleted:
    """Delete the caller's account and everything of theirs."""
    caller, client = context.require_caller(), context.client
    deleted = await context.runtime.accounts.delete_account(caller, password=body.password, client=client)
    return Deleted(deleted_ids=deleted)


@users_router.get("/me/audit-events", tags=["me"], responses=problems(401))
async def list_own_audit_events(context: SignedIn, query: Annotated[PageQuery, Query()]) -> AuditEventPage:
    """List what happened to the caller's account, the newest first."""
    listing = audit_listing(context.require_caller(), _EVENT_COLUMNS)
    return await read_page(context, listing, query, AuditEventPage)


@users_router.get("/sessions", tags=["me"], responses=problems(401))
async def list_sessions(context: SignedIn) -> Sessions:
    """List where the caller is signed in."""
    caller = context.require_caller()
    rows = await own_sessions(context.database.reader, caller, _SESSION_COLUMNS)
    return Sessions(items=[_session(row, caller) for row in rows])


@users_router.delete("/sessions/{session_id}", tags=["me"], responses=problems(401, 404))
async def revoke_session(context: SignedIn, session_id: str) -> Deleted:
    """End a session of the caller's; its tokens are refused from now on."""
    accounts, caller = context.runtime.accounts, context.require_caller()
    return Deleted(deleted_ids=await accounts.revoke_session(caller, session_id, context.client))


@users_router.get("/users/{user_id}/audit-events", tags=["users"], responses=problems(401, 403, 404))
async def list_audit_events(context: SignedIn, user_id: str, query: Annotated[PageQuery, Query()]) -> AuditEventPage:
    """List what happened to an account, the newest first; for admins."""
    caller = context.require_caller()
    listing = audit_listing_of(caller, user_id, _EVENT_COLUMNS)
    async with context.database.read() as session:
        if await users_by_id(session, caller, [user_id], ["id"]) == [None]:
            raise users.no_such_user()
    return await read_page(context, listing, query, AuditEventPage)


@users_router.get("/users", tags=["users"], responses=problems(401, 403))
async def list_users(context: SignedIn, query: Annotated[PageQuery, Query()]) -> UserPage:
    """List all users in the order of their signing up; for admins."""
    listing = user_listing(context.require_caller(), COLUMNS)
    return await read_page(context, listing, query, UserPage)


@users_router.patch("/users/{user_id}", tags=["users"], responses=problems(401, 403, 404, body=True))
async def update_user(context: SignedIn, user_id: str, body: UserPatch) -> User:
    """Let a user in or shut them out, at once; for admins."""
    accounts = context.runtime.accounts
    changed = await accounts.set_user_active(
        context.require_caller(), user_id, context.client, is_active=body.is_active
    )
    return User.model_validate(changed)


@users_router.delete("/users/{user_id}", tags=["users"], responses=problems(401, 403, 404))
async def delete_user(context: SignedIn, user_id: str) -> Deleted:
    """Delete a user and everything of theirs; for admins."""
    await context.runtime.accounts.delete_user(context.require_caller(), user_id, context.client)
    return Deleted(deleted_ids=[user_id])


class Tokens(Row):
    """The tokens of a session, as OAuth 2 names them, and whose it is."""

    access_token: str = Field(description="Sent as `Authorization: Bearer …`.")
    refresh_token: str | None = Field(
        description="Exchanged once for new tokens at /api/auth/refresh; null in cookie mode (`X-Auth-Mode: cookie`)."
    )
    token_type: Literal["bearer"] = Field(default="bearer", description="How it is sent.")
    expires_in: int = Field(description="For how many seconds the access token is good.")
    expires_at: ShownMoment = Field(description="Until when the access token is good.")
    user: User = Field(description="Who is signed in.")


class Registration(Body):
    """An account to make."""

    model_config = example(email="me@example.com", password="correct horse battery staple", name="You")  # noqa: S106

    email: Address
    password: Password
    name: Name


class PasswordGrant(Body):
    """OAuth 2's password grant: a form."""

    username: str = Field(description="The email address.", examples=["me@example.com"])
    password: str = text(
        "The password.", min_length=0, max_length=MAX_PASSWORD_LENGTH, examples=["correct horse battery staple"]
    )
    grant_type: Literal["password"] = Field(default="password", description="OAuth 2's name for it.")
    scope: str = Field(default="", description="Taken, and not heeded.")
    client_id: str = Field(default="", description="Taken, and not heeded.")
    client_secret: str = Field(default="", description="Taken, and not heeded.")


class Link(Body):
    """The link of an e-mail."""

    token: str = Field(description="What the link has as `token`.")


class AddressOfAccount(Body):
    """The address of an account."""

    model_config = example(email="me@example.com")

    email: Address


class NewPassword(Link):
    """A new password, by the link of an e-mail."""

    model_config = example(token="What the link has as token", new_password="correct horse battery staple")  # noqa: S106

    new_password: Password


class NewAddress(AddressOfAccount):
    """A new address of the caller's account."""

    model_config = example(email="new@example.com", password="correct horse battery staple")  # noqa: S106

    password: str = text("The account's password.", min_length=0, max_length=MAX_PASSWORD_LENGTH)


class Refresh(Body):
    """A session to go on with."""

    refresh_token: str = Field(default="", description="The one that came last; left out where the cookie has it.")


# The body where there is none.
_BY_COOKIE: Final = Refresh()


@auth_router.post(
    "/register",
    status_code=201,
    response_model=Tokens,
    responses=problems(401, 403, 409, 429, body=True) | {204: {"description": "An e-mail was sent to the address."}},
)
async def register(context: Anyone, body: Registration, response: Response) -> Tokens | Response:
    """Make an account and sign its user in; where addresses must be verified, send an e-mail instead."""
    accounts = context.runtime.accounts
    signed_in = await accounts.sign_up(email=body.email, password=body.password, name=body.name, client=context.client)
    if signed_in is None:
        return Response(status_code=204)
    response.headers["location"] = "/api/me"
    return _tokens(context, signed_in)


@auth_router.post("/login", responses=problems(401, 403, body=True))
async def login(context: Anyone, form: Annotated[PasswordGrant, Form()]) -> Tokens:
    """Begin a session, by OAuth 2's password form."""
    accounts = context.runtime.accounts
    signed_in = await accounts.sign_in(email=form.username, password=form.password, client=context.client)
    return _tokens(context, signed_in)


@auth_router.post("/refresh", responses=problems(401, body=True))
async def refresh(context: Anyone, body: Refresh = _BY_COOKIE) -> Tokens:
    """Exchange a refresh token for new tokens; one that comes again later than in a moment ends its session."""
    return _tokens(context, await context.refresh_session(body.refresh_token))


@auth_router.post("/logout", status_code=204, responses=problems(401, 403))
async def logout(context: SignedIn) -> None:
    """End the caller's session; its tokens are refused from now on."""
    await context.sign_out()


@auth_router.post("/request-email-verification", status_code=204, responses=problems(401, 403))
async def request_email_verification(context: SignedIn) -> None:
    """Send the caller an e-mail with a link that verifies their address."""
    await context.runtime.emails.request_verification(context.require_caller(), context.client)


@auth_router.post("/verify-email", responses=problems(401, 404, 409, body=True))
async def verify_email(context: Anyone, body: Link) -> User:
    """Verify the address that a link was sent to; a new address is the account's from now on."""
    return User.model_validate(await context.runtime.emails.verify(body.token, context.client))


@auth_router.post("/request-password-reset", status_code=204, responses=problems(401, 403, body=True))
async def request_password_reset(context: Anyone, body: AddressOfAccount) -> None:
    """Send an e-mail with a link that sets a new password; the same answer comes without an account."""
    await context.runtime.emails.request_password_reset(body.email, context.client)


@auth_router.post("/reset-password", status_code=204, responses=problems(401, 404, body=True))
async def reset_password(context: Anyone, body: NewPassword) -> None:
    """Set a new password by the link of an e-mail; all sessions end."""
    await context.runtime.emails.reset_password(body.token, body.new_password, context.client)


@auth_router.post("/change-email", status_code=204, responses=problems(401, 403, body=True))
async def change_email(context: SignedIn, body: NewAddress) -> None:
    """Send a link to a new address, which verifying makes the account's; the old one is told then."""
    emails, caller = context.runtime.emails, context.require_caller()
    await emails.change_email(caller, email=body.email, password=body.password, client=context.client)


def _session(row: Any, caller: Caller) -> Session:
    values = {name: getattr(row, name) for name in _SESSION_COLUMNS if name != "current"}
    used_at = row.last_used_at or row.created_at
    return Session(**values | {"last_used_at": used_at, "current": row.id == caller.session_id})


def _tokens(context: Context, signed_in: SessionTokens) -> Tokens:
    expires_in = math.ceil((signed_in.expires_at - utc_now()).total_seconds())
    return Tokens(
        access_token=signed_in.access_token,
        refresh_token=context.refresh_token_of(signed_in),
        expires_in=expires_in,
        expires_at=signed_in.expires_at,
        user=User.model_validate(signed_in.user),
    )
