"""Mutations of personal access tokens."""

from functools import partial

import strawberry

from core.errors import TasktalkError
from graph.access_token import CreateAccessTokenInput, CreateAccessTokenPayload, RevokeAccessTokenInput
from graph.context import Info
from graph.payload import DeletePayload, as_data, mutate
from services.accounts.access_tokens import create_access_token, revoke_access_token


@strawberry.type
class AccessTokenMutation:
    """Mutations of the caller's access tokens."""

    @strawberry.mutation(description="Make a token for a program of the caller's, which lets it use /mcp.")
    async def create_access_token(self, info: Info, input: CreateAccessTokenInput) -> CreateAccessTokenPayload:
        """Create a token."""
        info.context.require_caller()
        try:
            issued = await info.context.write(partial(create_access_token, new=input.to_new()))
        except TasktalkError as error:
            return CreateAccessTokenPayload(errors=[as_data(error)])
        return CreateAccessTokenPayload(
            access_token=issued.access_token,  # type: ignore[arg-type]  # a row stands for its type
            token=issued.text,
        )

    @strawberry.mutation(description="Revoke a token; it is refused from now on.")
    async def revoke_access_token(self, info: Info, input: RevokeAccessTokenInput) -> DeletePayload:
        """Revoke a token."""
        return await mutate(info, DeletePayload, "deleted_ids", partial(revoke_access_token, token_id=input.id))
