"""Mutations of sessions: sign up, sign in, refresh, sign out."""

from collections.abc import Awaitable
from dataclasses import fields
from typing import Any

import strawberry

from graph.context import Info
from graph.payload import answer
from graph.user import AuthPayload, RefreshSessionInput, SignInInput, SignOutPayload, SignUpInput
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
        signing_out = info.context.runtime.accounts.sign_out(info.context.require_caller())
        return await answer(SignOutPayload, "", signing_out, lambda _: {})


async def _tokens(attempt: Awaitable[SessionTokens]) -> AuthPayload:
    return await answer(AuthPayload, "user", attempt, _fields)


def _fields(tokens: SessionTokens) -> dict[str, Any]:
    return {field.name: getattr(tokens, field.name) for field in fields(tokens)}
