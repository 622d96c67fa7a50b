"""Inputs and payloads of the mutations of sessions."""

from datetime import datetime

import strawberry

from graph.payload import UserError
from graph.user import User


@strawberry.type(description="The tokens of a session.")
class AuthPayload:
    """Payload of signing up, signing in and refreshing."""

    access_token: str | None = strawberry.field(
        default=None, description="Send it as `Authorization: Bearer …` until it expires."
    )
    refresh_token: str | None = strawberry.field(
        default=None, description="Exchange it once, by refreshSession, for new tokens; keep it secret."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When the access token expires.")
    user: User | None = strawberry.field(default=None, description="Who is signed in.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why there are no tokens.")


@strawberry.type(description="The end of a session.")
class SignOutPayload:
    """Payload of signing out."""

    errors: list[UserError] = strawberry.field(default_factory=list, description="Why the session goes on.")


@strawberry.input(description="An account to make.")
class SignUpInput:
    """Input of signing up."""

    email: str = strawberry.field(description="The address to sign in with.")
    password: str = strawberry.field(description="8 to 1,024 characters.")
    name: str = strawberry.field(description="1 to 200 characters.")


@strawberry.input(description="An account to sign in to.")
class SignInInput:
    """Input of signing in."""

    email: str = strawberry.field(description="The address of the account.")
    password: str = strawberry.field(description="Its password.")


@strawberry.input(description="A session to renew.")
class RefreshSessionInput:
    """Input of refreshing a session."""

    refresh_token: str = strawberry.field(description="Used twice, it ends the session.")
