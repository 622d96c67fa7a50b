"""Makes the rows that tests begin with."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from core.tokens import AccessTokens, RefreshTokens
from models import (
    Conversation,
    Message,
    MessageRole,
    MessageStatus,
    Run,
    RunStatus,
    Session,
    Task,
    ToolCall,
    ToolCallStatus,
    User,
)
from models.base import Entity
from services.accounts.caller import Caller
from services.conversations.conversations import conversations
from services.conversations.messages import NewMessage, add_message
from services.entities.revision import next_revision
from services.entities.service import NewRow
from services.tasks.tasks import tasks as task_service
from services.tasks.words import searchable

# An id that no row has. A constant, so that tests which name it are called the same in every process.
NOBODYS_ID: Final = "01900000-0000-7000-8000-000000000000"


async def make_user(database: Database, **values: Any) -> User:
    """Store a user of their own name, who has no password unless one is given."""
    user_id = new_id()
    user = User(**{"id": user_id, "email": f"{user_id}@example.com", "name": "Ada"} | values)

    async def store(session: AsyncSession) -> None:
        session.add(user)

    await database.write(store)
    return user


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user with a session, and what a client of theirs sends."""

    user: User
    caller: Caller
    token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


async def sign_in(database: Database, settings: Settings, user: User | None = None) -> SignedIn:
    """Store a session for the user, or for a new one, without the work of a password."""
    user = user or await make_user(database)
    expires_at = utc_now() + timedelta(days=settings.refresh_token_expire_days)
    session_id = new_id()
    refresh_token = RefreshTokens(settings.secret_key).issue(session_id, 0, "")
    row = Session(id=session_id, user_id=user.id, token_hash=refresh_token.hash, expires_at=expires_at)

    async def store(session: AsyncSession) -> None:
        session.add(row)

    await database.write(store)
    lifetime = timedelta(minutes=settings.access_token_expire_minutes)
    access_token = AccessTokens(settings.secret_key, lifetime).issue(user.id, session_id)
    caller = Caller(user.id, session_id, user.is_admin, access_token.expires_at)
    return SignedIn(user, caller, access_token.text, refresh_token.text)


def new_task(title: str = "Water the plants", **values: Any) -> NewRow:
    """Return what a client sends to create a task."""
    row_id, idempotency_key = values.pop("id", None), values.pop("idempotency_key", None)
    return NewRow({"title": title} | values, row_id, idempotency_key)


async def make_task(database: Database, caller: Caller, title: str = "Water the plants", **values: Any) -> Task:
    """Make a task as its owner would."""
    return await database.write(lambda session: task_service.create(session, caller, new_task(title, **values)))


async def make_conversation(database: Database, caller: Caller, title: str = "Plans") -> Conversation:
    """Make a conversation as its owner would."""
    return await database.write(lambda session: conversations.create(session, caller, NewRow({"title": title})))


async def make_message(database: Database, caller: Caller, conversation_id: str, content: str = "Hello") -> Message:
    """Say something as the conversation's owner would."""
    return await database.write(lambda session: add_message(session, caller, NewMessage(conversation_id, content)))


async def store(database: Database, *rows: SQLModel) -> None:
    """Store rows just as they are, past the rules of the services."""

    async def add(session: AsyncSession) -> None:
        session.add_all(rows)

    await database.write(add)


def task_row(user_id: str, **values: Any) -> Task:
    """Return a task that is not stored yet, with the columns that follow from others."""
    given: dict[str, Any] = {"title": "Water the plants", "revision": 1} | values
    completed_at = utc_now() if given.get("completed") else None
    words = searchable(given["title"], given.get("description"))
    return Task(**{"completed_at": completed_at, "words": words} | given, user_id=user_id)


def message_row(owner: SignedIn, conversation_id: str, **values: Any) -> Message:
    """Return a message that is not stored yet."""
    given: dict[str, Any] = {"role": MessageRole.USER, "content": "Hello", "revision": 1} | values
    return Message(**given, user_id=owner.user.id, conversation_id=conversation_id)


def tool_call_row(run: Run, position: int = 0, **values: Any) -> ToolCall:
    """Return a tool call that is not stored yet."""
    given: dict[str, Any] = {
        "name": "add_task",
        "arguments": {"title": "Buy milk"},
        "result": {"task": {"title": "Buy milk"}},
        "status": ToolCallStatus.COMPLETED,
        "revision": run.revision,
    } | values
    return ToolCall(**{"call_id": f"call_{position}"} | given, user_id=run.user_id, run_id=run.id, position=position)


@dataclass(frozen=True, slots=True)
class Answered:
    """A message, the run that answers it, and what came of it."""

    message: Message
    reply: Message
    run: Run
    calls: list[ToolCall]


def answered_rows(owner: SignedIn, conversation_id: str, calls: int = 0, **values: Any) -> Answered:
    """Return a message with a complete answer, or one that has come as far as the values say; nothing is stored yet."""
    given: dict[str, Any] = {"status": RunStatus.COMPLETED, "model": "offline", "revision": 1} | values
    is_complete = given["status"] is RunStatus.COMPLETED
    status = MessageStatus.COMPLETE if is_complete else MessageStatus.STREAMING
    message = message_row(owner, conversation_id, revision=given["revision"])
    reply = message_row(
        owner,
        conversation_id,
        role=MessageRole.ASSISTANT,
        content="Done." if is_complete else "",
        status=status,
        revision=given["revision"],
    )
    ids = {"conversation_id": conversation_id, "message_id": message.id, "reply_id": reply.id}
    if is_complete:
        given = {"finished_at": utc_now()} | given
    run = Run(**ids | given, user_id=owner.user.id)
    return Answered(message, reply, run, [tool_call_row(run, position) for position in range(calls)])


async def store_answered(database: Database, *answered: Answered) -> None:
    """Store messages and their answers just as they are."""
    await store(database, *(row for each in answered for row in (each.message, each.reply)))
    await store(database, *(each.run for each in answered))
    await store(database, *(call for each in answered for call in each.calls))


async def make_each_entity(database: Database, owner: SignedIn) -> dict[type[Entity], str]:
    """Make a row of each entity, and return their ids."""
    conversation = await make_conversation(database, owner.caller)
    answered = await make_answered(database, owner, conversation.id, 1)
    return {
        Task: (await make_task(database, owner.caller)).id,
        Conversation: conversation.id,
        Message: answered.reply.id,
        Run: answered.run.id,
        ToolCall: answered.calls[0].id,
    }


async def make_answered(
    database: Database, owner: SignedIn, conversation_id: str, calls: int = 0, **values: Any
) -> Answered:
    """Let a message be answered, past the rules of the services but for the counter."""

    async def count(session: AsyncSession) -> int:
        return await next_revision(session, owner.user.id)

    answered = answered_rows(owner, conversation_id, calls, **{"revision": await database.write(count)} | values)
    await store_answered(database, answered)
    return answered


async def make_named(database: Database, owner: SignedIn, *, has_ended: bool) -> dict[str, str]:
    """Make what paths and bodies of the REST API name, and return the ids; the run has ended or waits for approval."""
    conversation = await make_conversation(database, owner.caller)
    if has_ended:
        answered = await make_answered(database, owner, conversation.id, 1)
    else:
        answered = answered_rows(owner, conversation.id, status=RunStatus.AWAITING_APPROVAL, state="{}")
        waits = {"status": ToolCallStatus.AWAITING_APPROVAL, "result": None}
        # One that stays, so that the run does not go on.
        answered.calls.extend(tool_call_row(answered.run, position, **waits) for position in range(2))
        await store_answered(database, answered)
    session = Session(user_id=owner.user.id, token_hash=new_id(), expires_at=utc_now() + timedelta(days=1))
    await store(database, session)
    return {
        "session_id": session.id,
        "task_id": (await make_task(database, owner.caller)).id,
        "conversation_id": conversation.id,
        "run_id": answered.run.id,
        "tool_call_id": answered.calls[0].id,
        "user_id": (await make_user(database)).id,
        "message_id": answered.reply.id,
    }
