"""The demo account: the tasks and conversations of demo.json, created by the services that clients use."""

import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.passwords import Passwords
from core.settings import Settings
from models import Conversation, MessageRole, Task, TaskPriority
from server.cli.errors import CommandError
from services.accounts.accounts import Accounts, find_by_email
from services.accounts.audit import NO_CLIENT
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.accounts.rate_limit import AccountRateLimits
from services.accounts.users import normalize_email
from services.conversations.conversations import conversations
from services.conversations.messages import NewMessage, add_message
from services.entities.service import NewRow
from services.query.lookup import require
from services.query.pagination import count_rows
from services.tasks.task_lists import task_listing
from services.tasks.tasks import tasks

_NAME: Final = "Demo"
_BETWEEN_MESSAGES: Final = timedelta(minutes=1)


class _DemoTask(BaseModel):
    """A task; days count from today, those before it are negative."""

    title: str
    made: float
    due: float | None = None
    done: float | None = None
    priority: TaskPriority = TaskPriority.MEDIUM
    tags: list[str] = []
    description: str | None = None
    subtasks: "list[_DemoTask]" = []


class _DemoConversation(BaseModel):
    """A conversation of messages that are a minute apart."""

    title: str
    begun: float
    messages: list[tuple[MessageRole, str]]


class _Demo(BaseModel):
    tasks: list[_DemoTask]
    conversations: list[_DemoConversation]


async def fill_account(database: Database, settings: Settings, email: str) -> str:
    """Fill the account, which is made where there is none; return the text to print."""
    address = normalize_email(email)
    if address is None:
        raise CommandError(f"{email!r} is no email address; write it like ann@example.com")
    async with database.read() as session:
        known = await find_by_email(session, address)
    user_id, password = (known.id, None) if known else await _sign_up(database, settings, address)
    caller = Caller(user_id, session_id=None, is_admin=False, expires_at=utc_now() + timedelta(hours=1))
    demo = _Demo.model_validate_json((Path(__file__).parent / "demo.json").read_bytes())
    count = await database.write(lambda session: _fill(session, caller, demo, utc_now()))
    text = f"{address} has a month of {count} tasks and {len(demo.conversations)} conversations now."
    return f"{text} Its password is {password}" if password else text


async def _sign_up(database: Database, settings: Settings, address: str) -> tuple[str, str]:
    password = secrets.token_urlsafe(12)
    authenticator = Authenticator(database, settings)
    # Made by whoever runs the server, whatever others may.
    settings = settings.model_copy(update={"local_sign_up": True, "require_verified_email": False, "email_url": None})
    accounts = Accounts(database, settings, Passwords(), authenticator, AccountRateLimits(settings))
    try:
        signed_in = await accounts.sign_up(email=address, password=password, name=_NAME, client=NO_CLIENT)
    finally:
        await authenticator.close()
    if signed_in is None:
        raise CommandError("the account was not made")
    return signed_in.user.id, password


async def _fill(session: AsyncSession, caller: Caller, demo: _Demo, today: datetime) -> int:
    """Create everything; return the number of tasks."""
    if await count_rows(session, task_listing(caller)):
        raise CommandError("this account has tasks already; a demo fills only an empty one: name another address")
    count = sum([await _add_task(session, caller, task, today, parent_id=None) for task in demo.tasks])
    for conversation in demo.conversations:
        await _add_conversation(session, caller, conversation, today)
    return count


async def _add_task(
    session: AsyncSession, caller: Caller, task: _DemoTask, today: datetime, parent_id: str | None
) -> int:
    evening = today.replace(hour=18, minute=0, second=0, microsecond=0)
    values = {
        "title": task.title,
        "description": task.description,
        "priority": task.priority,
        "due_at": None if task.due is None else _day(evening, task.due),
        "tags": task.tags,
        "parent_id": parent_id,
    }
    created = await tasks.create(session, caller, NewRow(values))
    row = await require(session, caller, Task, created.id, ())
    row.created_at = row.updated_at = _day(today, task.made)
    if task.done is not None:
        await tasks.update(session, caller, row.id, {"completed": True})
        row.completed_at = row.updated_at = _day(today, task.done)
    return 1 + sum([await _add_task(session, caller, subtask, today, row.id) for subtask in task.subtasks])


async def _add_conversation(
    session: AsyncSession, caller: Caller, conversation: _DemoConversation, today: datetime
) -> None:
    created = await conversations.create(session, caller, NewRow({"title": conversation.title}))
    row = await require(session, caller, Conversation, created.id, ())
    moment = row.created_at = _day(today, conversation.begun)
    for role, content in conversation.messages:
        message = await add_message(session, caller, NewMessage(row.id, content, role))
        message.created_at = moment
        moment += _BETWEEN_MESSAGES
    row.updated_at = moment - _BETWEEN_MESSAGES


def _day(today: datetime, days: float) -> datetime:
    return today + timedelta(days=days)
