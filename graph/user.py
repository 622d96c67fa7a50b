"""GraphQL types, inputs and payloads of users, their sessions and their access tokens."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import strawberry
from sqlmodel import SQLModel

import models
from engine import batched
from graph.connection import Connection, ConnectionSource, MakeListing, connect, connect_children
from graph.context import Info
from graph.mapping import Node, enum_type, reads_columns, table_type
from graph.payload import UserError
from graph.relations import LazyConversation, LazyTask, viewer
from graph.selection import selected_columns
from models import AccessScope
from services.accounts.access_tokens import own_access_tokens
from services.accounts.audit import audit_listing
from services.accounts.sessions import own_sessions
from services.accounts.users import users_by_id
from services.conversations.conversations import ConversationOrder, conversation_listing
from services.query.pagination import Page, PageArguments, read_window
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing

enum_type(AccessScope)


@table_type(models.AccessToken)
class AccessToken:
    id: strawberry.ID = strawberry.field(description="What it is named by; not its text, which nobody sees again.")

    @reads_columns("scopes", description="What it allows.")
    @staticmethod
    def scopes(root: strawberry.Parent[models.AccessToken]) -> list[AccessScope]:
        return [AccessScope(scope) for scope in root.scopes]


@table_type(models.Session)
class Session(Node):
    @reads_columns("id", description="Whether the caller's token is of it.")
    @staticmethod
    def current(root: strawberry.Parent[models.Session], info: Info) -> bool:
        return root.id == info.context.require_caller().session_id

    @reads_columns("last_used_at", "created_at", description="When it was last refreshed, or began.")
    @staticmethod
    def last_used_at(root: strawberry.Parent[models.Session]) -> datetime:
        return root.last_used_at or root.created_at


@table_type(models.AuditEvent)
class AuditEvent:
    id: strawberry.ID = strawberry.field(description="Unique and stable.")


@table_type(models.User)
class User(Node):
    @reads_columns("id", graphql_type=Connection[LazyTask], description="Their tasks; nobody else sees any.")
    @staticmethod
    @batched
    async def tasks(
        parents: strawberry.Parent[list[models.User]],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: TaskFilter | None = None,
        order_by: list[TaskOrder] | None = None,
    ) -> list[Any]:
        make = partial(task_listing, info.context.require_caller(), task_filter=filter, order=order_by)
        return await _own(models.Task, parents, info, make, PageArguments(first, after, last, before))

    @reads_columns(
        "id", graphql_type=Connection[LazyConversation], description="Their conversations; nobody else sees any."
    )
    @staticmethod
    @batched
    async def conversations(
        parents: strawberry.Parent[list[models.User]],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        order_by: list[ConversationOrder] | None = None,
    ) -> list[Any]:
        make = partial(conversation_listing, info.context.require_caller(), order=order_by)
        return await _own(models.Conversation, parents, info, make, PageArguments(first, after, last, before))

    @reads_columns(
        "id",
        graphql_type=list[AccessToken],
        description="The caller's access tokens, the oldest first; nobody sees another's.",
    )
    @staticmethod
    @batched
    async def access_tokens(parents: strawberry.Parent[list[models.User]], info: Info) -> list[Any]:
        return await _own_list(own_access_tokens, models.AccessToken, parents, info)

    @reads_columns(
        "id",
        graphql_type=list[Session],
        description="Where the caller is signed in, the session that was used last first; nobody sees another's.",
    )
    @staticmethod
    @batched
    async def sessions(parents: strawberry.Parent[list[models.User]], info: Info) -> list[Any]:
        return await _own_list(own_sessions, models.Session, parents, info)

    @reads_columns(
        "id",
        graphql_type=Connection[AuditEvent],
        description="What happened to the account, the newest first; only they and admins see it.",
    )
    @staticmethod
    @batched
    async def audit_events(
        parents: strawberry.Parent[list[models.User]],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> list[Any]:
        caller, arguments = info.context.require_caller(), PageArguments(first, after, last, before)
        make = partial(audit_listing, None if caller.is_admin else caller)
        return await connect_children(info, models.AuditEvent, "user_id", parents, make, arguments)


async def _own(
    model: type[SQLModel], parents: Sequence[models.User], info: Info, make: MakeListing, arguments: PageArguments
) -> list[Any]:
    """Return the caller's connection on the caller's own row, and an empty one on every other row."""
    own_id, order = info.context.user_id, make(columns=frozenset()).order
    read_window(order, arguments)
    own = await connect(info, model, make, arguments) if any(each.id == own_id for each in parents) else None
    return [own if each.id == own_id else ConnectionSource(Page(order), 0) for each in parents]


async def _own_list(
    read: Callable[..., Awaitable[Any]], model: type[SQLModel], parents: Sequence[models.User], info: Info
) -> list[Any]:
    """Return what is read of the caller's on the caller's own row, and nothing on every other row."""
    own_id, own = info.context.user_id, []
    if any(each.id == own_id for each in parents):
        caller, columns = info.context.require_caller(), selected_columns(info, model)
        own = await read(info.context.database.reader, caller, columns)
    return [own if each.id == own_id else [] for each in parents]


async def load_user(info: Info, user_id: str) -> Any:
    """Load the selected columns of a user, or None if the caller may not see that user."""
    return (await info.context.load(users_by_id, selected_columns(info, models.User), [user_id]))[0]


@strawberry.type(description="A user as changed.")
class UserPayload:
    user: User | None = strawberry.field(default=None, description="The user.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.input(description="What is to change of the profile: what is left out stays, null clears.")
class UpdateProfileInput:
    name: str | None = strawberry.field(default=strawberry.UNSET, description="1 to 200 characters; not null.")
    image: str | None = strawberry.field(default=strawberry.UNSET, description="An http(s) address of a picture.")


@strawberry.input(description="A new password.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The password as it is now.")
    new_password: str = strawberry.field(description="8 to 1,024 characters; none of the 10,000 most common passwords.")


@strawberry.input(description="The end of the caller's account.")
class DeleteAccountInput:
    password: str = strawberry.field(
        description="The account's password; empty where somebody else keeps it, with a token of at most 5 minutes."
    )


@strawberry.input(description="Whether a user may sign in.")
class SetUserActiveInput:
    id: strawberry.ID = strawberry.field(description="The user.")
    is_active: bool = strawberry.field(description="Whether they may sign in.")


@strawberry.input(description="A user to delete.")
class DeleteUserInput:
    id: strawberry.ID


@strawberry.type(description="The tokens of a session.")
class AuthPayload:
    access_token: str | None = strawberry.field(
        default=None, description="Send it as `Authorization: Bearer …` until it expires."
    )
    refresh_token: str | None = strawberry.field(
        default=None,
        description="Exchange it once, by refreshSession, for new tokens; keep it secret. Null in cookie mode.",
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When the access token expires.")
    user: User | None = strawberry.field(default=None, description="Who is signed in.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why there are no tokens.")


@strawberry.type(description="The end of a session.")
class SignOutPayload:
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why the session goes on.")


@strawberry.input(description="An account to make.")
class SignUpInput:
    email: str = strawberry.field(description="The address to sign in with.")
    password: str = strawberry.field(description="8 to 1,024 characters; none of the 10,000 most common passwords.")
    name: str = strawberry.field(description="1 to 200 characters.")


@strawberry.input(description="An account to sign in to.")
class SignInInput:
    email: str = strawberry.field(description="The address of the account.")
    password: str = strawberry.field(description="Its password.")


@strawberry.input(description="The link of an e-mail.")
class TokenInput:
    token: str = strawberry.field(description="What the link has as `token`.")


@strawberry.input(description="The address of an account.")
class EmailInput:
    email: str = strawberry.field(description="The address of the account.")


@strawberry.input(description="A new password, by the link of an e-mail.")
class ResetPasswordInput:
    token: str = strawberry.field(description="What the link has as `token`.")
    new_password: str = strawberry.field(description="8 to 1,024 characters; none of the 10,000 most common passwords.")


@strawberry.input(description="A new address of the caller's account.")
class ChangeEmailInput:
    email: str = strawberry.field(description="The address to sign in with.")
    password: str = strawberry.field(description="The account's password.")


@strawberry.input(description="A session to renew.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(
        description="The one that came last. Within 30 seconds it gives the same tokens again; used once more after "
        "that, it ends the session. In cookie mode an empty text stands for the cookie."
    )


@strawberry.input(description="A session.")
class SessionRefInput:
    id: strawberry.ID


@strawberry.type(description="An access token as made.")
class CreateAccessTokenPayload:
    access_token: AccessToken | None = strawberry.field(default=None, description="The token.")
    token: str | None = strawberry.field(
        default=None, description="Its text, shown this once: send it to /mcp as `Authorization: Bearer …`."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")
    viewer = viewer()


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
