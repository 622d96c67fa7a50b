"""The GraphQL type of users."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import strawberry
from strawberry import auto

import models
from core.errors import UnauthenticatedError
from graph.access_token import AccessToken, load_access_tokens
from graph.connection import Connection, MakeListing, Relation, empty_connection
from graph.context import Info
from graph.loaders import CountByOwner, PageByOwner, UserById
from graph.mapping import needing, table_type
from graph.node import Node
from graph.payload import UserError
from graph.selection import selected_columns
from services.conversation import ConversationOrder, conversation_listing
from services.paging import PageArguments
from services.task_filter import TaskFilter
from services.task_list import TaskOrder, task_listing

if TYPE_CHECKING:
    from graph.conversation import Conversation
    from graph.task import Task

TASKS: Final = Relation(models.Task, PageByOwner, CountByOwner)
CONVERSATIONS: Final = Relation(models.Conversation, PageByOwner, CountByOwner)


@table_type(models.User)
class User(Node):
    """A person with an account."""

    email: auto
    name: auto
    image: auto
    email_verified: auto
    is_active: auto
    is_admin: auto
    created_at: auto
    updated_at: auto

    @needing("id", description="Their tasks; nobody else sees any.")
    @staticmethod
    async def tasks(
        root: strawberry.Parent[models.User],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: TaskFilter | None = None,
        order_by: list[TaskOrder] | None = None,
    ) -> Connection[Annotated["Task", strawberry.lazy("graph.task")]]:
        """Return the caller's tasks on the caller's own row."""
        make = partial(task_listing, info.context.require_caller(), task_filter=filter, order=order_by)
        return await _own(TASKS, root, info, make, PageArguments(first, after, last, before))

    @needing("id", description="Their conversations; nobody else sees any.")
    @staticmethod
    async def conversations(
        root: strawberry.Parent[models.User],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        order_by: list[ConversationOrder] | None = None,
    ) -> Connection[Annotated["Conversation", strawberry.lazy("graph.conversation")]]:
        """Return the caller's conversations on the caller's own row."""
        make = partial(conversation_listing, info.context.require_caller(), order=order_by)
        return await _own(CONVERSATIONS, root, info, make, PageArguments(first, after, last, before))

    @needing("id", description="The caller's access tokens, the oldest first; nobody sees another's.")
    @staticmethod
    async def access_tokens(root: strawberry.Parent[models.User], info: Info) -> list[AccessToken]:
        """Return the caller's tokens on the caller's own row."""
        return await load_access_tokens(info, root.id)


async def _own(relation: Relation, root: models.User, info: Info, make: MakeListing, arguments: PageArguments) -> Any:
    """Return the caller's list where the row is the caller's, else one with nothing in it."""
    if root.id != info.context.user_id:
        return empty_connection(make, arguments)
    return await relation.connect(info, root.id, make, arguments)


async def load_user(info: Info, user_id: str) -> Any:
    """Load a user that the caller may see with the columns that are selected."""
    caller = info.context.require_caller()
    return await info.context.loader(info, lambda: UserById(caller, selected_columns(info, models.User))).load(user_id)


async def load_owner(info: Info, user_id: str) -> Any:
    """Load the owner of a row of the caller's, who may have gone since the row was read."""
    if (owner := await load_user(info, user_id)) is None:
        raise UnauthenticatedError("This account is gone; sign in again.")
    return owner


@strawberry.type(description="A user as changed.")
class UserPayload:
    """The answer of mutations of a user."""

    user: User | None = strawberry.field(default=None, description="The user.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.input(description="What is to change of the profile: what is left out stays, null clears.")
class UpdateProfileInput:
    """The caller's changes."""

    name: str | None = strawberry.field(default=strawberry.UNSET, description="1 to 200 characters; not null.")
    image: str | None = strawberry.field(default=strawberry.UNSET, description="An http(s) address of a picture.")

    def to_changes(self) -> dict[str, Any]:
        """Return what is given."""
        return {name: value for name, value in vars(self).items() if value is not strawberry.UNSET}


@strawberry.input(description="A new password.")
class ChangePasswordInput:
    """The old and the new one."""

    current_password: str = strawberry.field(description="The password as it is now.")
    new_password: str = strawberry.field(description="8 to 1,024 characters.")


@strawberry.input(description="The end of the caller's account.")
class DeleteAccountInput:
    """What proves that it is meant."""

    password: str = strawberry.field(description="The account's password.")


@strawberry.input(description="Whether a user may sign in.")
class SetUserActiveInput:
    """A user and whether they may."""

    id: strawberry.ID = strawberry.field(description="The user.")
    is_active: bool = strawberry.field(description="Whether they may sign in.")


@strawberry.input(description="A user to delete.")
class DeleteUserInput:
    """Names one user."""

    id: strawberry.ID
