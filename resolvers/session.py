"""Mutations of sessions: sign up, sign in, refresh, sign out."""

from collections.abc import Awaitable

import strawberry

from core.errors import TasktalkError
from graph.context import Info
from graph.payload import as_data
from graph.session import AuthPayload, RefreshSessionInput, SignInInput, SignOutPayload, SignUpInput
from services.accounts.accounts import SessionTokens


@strawberry.type
class SessionMutation:
    """Mutations of sessions."""

    @strawberry.mutation(description="Make an account and sign its user in.")
    async def sign_up(self, info: Info, input: SignUpInput) -> AuthPayload:
        """Create an account and start a session."""
        accounts = info.context.runtime.accounts
        return await _tokens(accounts.sign_up(email=input.email, password=input.password, name=input.name))

    @strawberry.mutation(description="Begin a session.")
    async def sign_in(self, info: Info, input: SignInInput) -> AuthPayload:
        """Start a session."""
        signed_in = info.context.runtime.accounts.sign_in(
            email=input.email, password=input.password, client_address=info.context.client_address
        )
        return await _tokens(signed_in)

    @strawberry.mutation(description="Exchange a refresh token for new tokens; one used twice ends its session.")
    async def refresh_session(self, info: Info, input: RefreshSessionInput) -> AuthPayload:
        """Rotate the tokens of a session."""
        return await _tokens(info.context.runtime.accounts.refresh(input.refresh_token))

    @strawberry.mutation(description="End the caller's session; its tokens are refused from now on.")
    async def sign_out(self, info: Info) -> SignOutPayload:
        """Revoke the caller's session."""
        caller = info.context.require_caller()
        try:
            await info.context.runtime.accounts.sign_out(caller)
        except TasktalkError as error:
            return SignOutPayload(errors=[as_data(error)])
        return SignOutPayload()


async def _tokens(attempt: Awaitable[SessionTokens]) -> AuthPayload:
    try:
        signed_in = await attempt
    except TasktalkError as error:
        return AuthPayload(errors=[as_data(error)])
    return AuthPayload(
        access_token=signed_in.access_token,
        refresh_token=signed_in.refresh_token,
        expires_at=signed_in.expires_at,
        user=signed_in.user,  # type: ignore[arg-type]  # a row stands for its type
    )
