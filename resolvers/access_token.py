"""Mutations of personal access tokens."""

from functools import partial
from typing import Any

import strawberry

from graph.access_token import CreateAccessTokenInput, CreateAccessTokenPayload, RevokeAccessTokenInput
from graph.context import Info
from graph.payload import DeletePayload, mutate
from services.accounts.access_tokens import CreatedAccessToken, create_access_token, revoke_access_token


@strawberry.type
class AccessTokenMutation:
    """Mutations of the caller's access tokens."""

    @strawberry.mutation(description="Make a token for a program of the caller's, which lets it use /mcp.")
    async def create_access_token(self, info: Info, input: CreateAccessTokenInput) -> CreateAccessTokenPayload:
        """Create a token."""
        work = partial(create_access_token, **vars(input))
        return await mutate(info, CreateAccessTokenPayload, "access_token", work, _fields)

    @strawberry.mutation(description="Revoke a token; it is refused from now on.")
    async def revoke_access_token(self, info: Info, input: RevokeAccessTokenInput) -> DeletePayload:
        """Revoke a token."""
        return await mutate(info, DeletePayload, "deleted_ids", partial(revoke_access_token, token_id=input.id))


def _fields(created: CreatedAccessToken) -> dict[str, Any]:
    return {"access_token": created.access_token, "token": created.text}
