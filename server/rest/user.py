"""The REST routes of the caller's own account, and of users for admins."""

from datetime import datetime
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field

import models
from core.errors import AccountGoneError
from server.rest.caller import SignedIn
from server.rest.described import problems
from server.rest.entities import row_of
from server.rest.fields import NO_SPACE, Body, Deleted, Items, PageQuery, Row, read_page, text
from server.rest.route import RestRoute
from services.accounts import users
from services.accounts.users import MAX_IMAGE_LENGTH, MAX_NAME_LENGTH, user_listing, users_by_id

router: Final = APIRouter(prefix="/api", route_class=RestRoute)

Name = Annotated[str, text("1 to 200 characters.", most=MAX_NAME_LENGTH)]
Image = Annotated[
    str | None,
    text("An http(s) address of a picture.", most=MAX_IMAGE_LENGTH, pattern=rf"^https?://(?![/?#]){NO_SPACE}+$"),
]


@row_of(models.User)
class User(Row):
    """A person with an account."""

    id: str = Field(description="Their id.")
    email: str
    name: str
    image: str | None
    email_verified: bool
    is_active: bool
    is_admin: bool
    created_at: datetime
    updated_at: datetime


class UserPage(Items[User]):
    """A page of users."""


class Profile(Body):
    """What is to change of the profile: what is left out stays, null clears."""

    name: Name = Field(default_factory=str)
    image: Image = None


class UserPatch(Body):
    """What is to change of a user."""

    is_active: bool = Field(description="Whether they may sign in.")


COLUMNS: Final = frozenset(User.model_fields)


@router.get("/me", tags=["me"], responses=problems(401))
async def read_me(context: SignedIn) -> User:
    """Read the caller's account."""
    caller = context.require_caller()
    async with context.database.read() as session:
        (row,) = await users_by_id(session, caller, [caller.user_id], COLUMNS)
    if row is None:
        raise AccountGoneError
    return User.model_validate(row)


@router.patch("/me", tags=["me"], responses=problems(401, 403, body=True))
async def update_me(context: SignedIn, body: Profile) -> User:
    """Change the caller's profile: what is left out stays, null clears."""
    work = partial(users.update_profile, **body.model_dump(exclude_unset=True))
    return User.model_validate(await context.write(work))


@router.get("/users", tags=["users"], responses=problems(401, 403))
async def list_users(context: SignedIn, query: Annotated[PageQuery, Query()]) -> UserPage:
    """List all users in the order of their signing up; for admins."""
    listing = user_listing(context.require_caller(), COLUMNS)
    return await read_page(context, listing, query, UserPage)


@router.patch("/users/{user_id}", tags=["users"], responses=problems(401, 403, 404, body=True))
async def update_user(context: SignedIn, user_id: str, body: UserPatch) -> User:
    """Let a user in or shut them out, at once; for admins."""
    accounts = context.runtime.accounts
    changed = await accounts.set_user_active(context.require_caller(), user_id, is_active=body.is_active)
    return User.model_validate(changed)


@router.delete("/users/{user_id}", tags=["users"], responses=problems(401, 403, 404))
async def delete_user(context: SignedIn, user_id: str) -> Deleted:
    """Delete a user and everything of theirs; for admins."""
    await context.runtime.accounts.delete_user(context.require_caller(), user_id)
    return Deleted(deleted_ids=[user_id])
