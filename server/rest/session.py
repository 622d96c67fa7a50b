"""The REST routes that begin, renew and end a session."""

import math
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form
from pydantic import Field
from starlette.responses import Response

from core.clock import utc_now
from core.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from server.rest.caller import Anyone, SignedIn
from server.rest.described import problems
from server.rest.fields import ANYTHING, Body, Row, text
from server.rest.route import RestRoute
from server.rest.user import Name, User
from services.accounts.accounts import SessionTokens
from services.accounts.users import MAX_EMAIL_LENGTH

router: Final = APIRouter(prefix="/api/auth", tags=["auth"], route_class=RestRoute)


class Tokens(Row):
    """The tokens of a session, as OAuth 2 names them, and whose it is."""

    access_token: str = Field(description="Sent as `Authorization: Bearer …`.")
    refresh_token: str = Field(description="Exchanged once for new tokens at /api/auth/refresh.")
    token_type: Literal["bearer"] = Field(default="bearer", description="How it is sent.")
    expires_in: int = Field(description="For how many seconds the access token is good.")
    expires_at: datetime = Field(description="Until when the access token is good.")
    user: User = Field(description="Who is signed in.")


class Registration(Body):
    """An account to make."""

    email: str = text("The address to sign in with.", most=MAX_EMAIL_LENGTH, format="email")
    password: str = text(
        "8 to 1,024 characters.", least=MIN_PASSWORD_LENGTH, most=MAX_PASSWORD_LENGTH, pattern=ANYTHING
    )
    name: Name


class PasswordGrant(Body):
    """OAuth 2's password grant: a form."""

    username: str = Field(description="The email address.")
    password: str = text("The password.", least=0, most=MAX_PASSWORD_LENGTH)
    grant_type: Literal["password"] = Field(default="password", description="OAuth 2's name for it.")
    scope: str = Field(default="", description="Taken, and not heeded.")
    client_id: str = Field(default="", description="Taken, and not heeded.")
    client_secret: str = Field(default="", description="Taken, and not heeded.")


class Refresh(Body):
    """A session to go on with."""

    refresh_token: str = Field(description="The one that came last.")


@router.post("/register", status_code=201, responses=problems(401, 409, body=True))
async def register(context: Anyone, body: Registration, response: Response) -> Tokens:
    """Make an account and sign its user in."""
    accounts = context.runtime.accounts
    signed_in = await accounts.sign_up(email=body.email, password=body.password, name=body.name)
    response.headers["location"] = "/api/me"
    return _tokens(signed_in)


@router.post("/login", responses=problems(401, 403, 429, body=True))
async def login(context: Anyone, form: Annotated[PasswordGrant, Form()]) -> Tokens:
    """Begin a session, by OAuth 2's password form."""
    accounts = context.runtime.accounts
    signed_in = await accounts.sign_in(
        email=form.username, password=form.password, client_address=context.client_address
    )
    return _tokens(signed_in)


@router.post("/refresh", responses=problems(401, body=True))
async def refresh(context: Anyone, body: Refresh) -> Tokens:
    """Exchange a refresh token for new tokens; one that is used twice ends its session."""
    return _tokens(await context.runtime.accounts.refresh(body.refresh_token))


@router.post("/logout", status_code=204, responses=problems(401, 403))
async def logout(context: SignedIn) -> None:
    """End the caller's session; its tokens are refused from now on."""
    await context.runtime.accounts.sign_out(context.require_caller())


def _tokens(signed_in: SessionTokens) -> Tokens:
    expires_in = math.ceil((signed_in.expires_at - utc_now()).total_seconds())
    return Tokens(
        access_token=signed_in.access_token,
        refresh_token=signed_in.refresh_token,
        expires_in=expires_in,
        expires_at=signed_in.expires_at,
        user=User.model_validate(signed_in.user),
    )
