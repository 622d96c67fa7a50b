"""GraphQL type, inputs and payloads of personal access tokens."""

from datetime import datetime
from typing import Any

import strawberry
from strawberry import auto

import models
from graph.context import Info
from graph.mapping import enum_type, reads_columns, table_type
from graph.payload import UserError
from graph.selection import selected_columns
from models import AccessScope
from services.accounts.access_tokens import own_access_tokens

enum_type(AccessScope)


@table_type(models.AccessToken)
class AccessToken:
    id: strawberry.ID = strawberry.field(description="What it is named by; not its text, which nobody sees again.")
    name: auto
    expires_at: auto
    last_used_at: auto
    created_at: auto

    @reads_columns("scopes", description="What it allows.")
    @staticmethod
    def scopes(root: strawberry.Parent[models.AccessToken]) -> list[AccessScope]:
        return [AccessScope(scope) for scope in root.scopes]


async def load_access_tokens(info: Info) -> Any:
    """Load the selected columns of the caller's tokens."""
    caller, columns = info.context.require_caller(), selected_columns(info, models.AccessToken)
    return await own_access_tokens(info.context.database.reader, caller, columns)


@strawberry.type(description="An access token as made.")
class CreateAccessTokenPayload:
    access_token: AccessToken | None = strawberry.field(default=None, description="The token.")
    token: str | None = strawberry.field(
        default=None, description="Its text, shown this once: send it to /mcp as `Authorization: Bearer …`."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")


@strawberry.input(description="An access token to make.")
class CreateAccessTokenInput:
    name: str = strawberry.field(description="What it is for, 1 to 100 characters.")
    scopes: list[AccessScope] = strawberry.field(description="What it allows; at least one.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="Until when it is good; for ever where it is left out."
    )


@strawberry.input(description="An access token to revoke.")
class RevokeAccessTokenInput:
    id: strawberry.ID
