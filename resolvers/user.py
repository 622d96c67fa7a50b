"""Queries and mutations of users."""

from collections.abc import Awaitable
from functools import partial
from typing import Any

import strawberry

import models
from graph.connection import Connection, connect
from graph.context import Info
from graph.payload import DeletePayload, answer, mutate
from graph.user import (
    ChangePasswordInput,
    DeleteAccountInput,
    DeleteUserInput,
    SetUserActiveInput,
    UpdateProfileInput,
    User,
    UserPayload,
    load_viewer,
)
from services.accounts import users
from services.accounts.users import user_listing
from services.query.pagination import PageArguments


@strawberry.type
class UserQuery:
    """Queries of users."""

    @strawberry.field(graphql_type=User | None, description="The caller; null for an anonymous one.")
    async def viewer(self, info: Info) -> Any:
        """Load the caller's row."""
        return await load_viewer(info)

    @strawberry.field(
        graphql_type=Connection[User], description="All users in the order of their signing up; for admins."
    )
    async def users(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Any:
        """Load a page of users."""
        make = partial(user_listing, info.context.require_caller())
        return await connect(info, models.User, make, PageArguments(first, after, last, before))


@strawberry.type
class UserMutation:
    """Mutations of the caller's account, and of other users for admins."""

    @strawberry.mutation(description="Change the caller's profile: what is left out stays, null clears.")
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> UserPayload:
        """Change the profile."""
        return await mutate(info, UserPayload, "user", partial(users.update_profile, changes=input.to_changes()))

    @strawberry.mutation(description="Change the caller's password; every other session of theirs ends.")
    async def change_password(self, info: Info, input: ChangePasswordInput) -> UserPayload:
        """Change the password."""
        changed = info.context.runtime.accounts.change_password(
            info.context.require_caller(),
            current_password=input.current_password,
            new_password=input.new_password,
            client_address=info.context.client_address,
        )
        return await answer(UserPayload, "user", changed)

    @strawberry.mutation(description="Delete the caller's account and everything in it.")
    async def delete_account(self, info: Info, input: DeleteAccountInput) -> DeletePayload:
        """Delete the caller's account."""
        caller = info.context.require_caller()
        deleted = info.context.runtime.accounts.delete_account(
            caller, password=input.password, client_address=info.context.client_address
        )
        return await answer(DeletePayload, "deleted_ids", _naming(caller.user_id, deleted))

    @strawberry.mutation(description="Let a user in or shut them out, at once; for admins.")
    async def set_user_active(self, info: Info, input: SetUserActiveInput) -> UserPayload:
        """Activate or deactivate a user."""
        changed = info.context.runtime.accounts.set_user_active(
            info.context.require_caller(), input.id, is_active=input.is_active
        )
        return await answer(UserPayload, "user", changed)

    @strawberry.mutation(description="Delete a user and everything of theirs; for admins.")
    async def delete_user(self, info: Info, input: DeleteUserInput) -> DeletePayload:
        """Delete a user."""
        deleted = info.context.runtime.accounts.delete_user(info.context.require_caller(), input.id)
        return await answer(DeletePayload, "deleted_ids", _naming(input.id, deleted))


async def _naming(user_id: str, deleted: Awaitable[None]) -> list[str]:
    await deleted
    return [user_id]
