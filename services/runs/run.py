"""Runs: started, repeated, cancelled and approved by users, and read with the replies that they wrote."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Select, exists, func, select
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import BadUserInputError, ConflictError, ErrorReason, check_all
from core.ids import new_id
from core.prepared_statement import cached_statement
from models import Conversation, Message, MessageRole, MessageStatus, Run, RunStatus, ToolCall, ToolCallStatus
from models.columns import columns_of
from services.accounts.caller import OWNER, Caller, owned
from services.conversations.messages import check_content, make_message
from services.entities.idempotency import IdempotentRequest, run_idempotent
from services.entities.quotas import require_quota
from services.entities.revision import next_revision
from services.query.filters import IsAnyOf, id_list_param
from services.query.lookup import require
from services.query.sql import Source, database_time, execute, read, table_columns, table_of
from services.runs.progress import EXECUTED, Outcome, end_run, require_tokens

OFFLINE_MODEL: Final = "offline"
ACTIVE: Final = (*EXECUTED, RunStatus.AWAITING_APPROVAL)
_MAX_TITLE_LENGTH: Final = 60
_UNTITLED: Final = columns_of(Conversation)["title"].default
_RUNS: Final = table_of(Run)
_MESSAGES: Final = table_of(Message)
_TOOL_CALLS: Final = table_of(ToolCall)


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A message for the assistant to answer; without a conversation, a new one begins."""

    content: str
    conversation_id: str | None = None
    time_zone: str = "UTC"
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What limits a new run, the model that answers it, and whether it can start at once."""

    model: str
    lease: timedelta
    daily_tokens: int
    max_runs: int
    starts_at_once: bool


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run with what it answers; it is not new where the same request came before."""

    run: Run
    message: Message
    reply: Message
    conversation: Conversation
    is_new: bool


async def start_run(session: AsyncSession, caller: Caller, new: UserMessage, limits: RunLimits) -> StartedRun:
    """Store a message and the run that answers it."""
    revision = await next_revision(session, caller.user_id)
    started: list[StartedRun] = []

    async def insert() -> Sequence[Run]:
        await require_tokens(session, caller, limits.daily_tokens)
        content, time_zone = check_all(partial(check_content, new.content), partial(_check_time_zone, new.time_zone))
        conversation = await _conversation(session, caller, new, revision)
        message = make_message(conversation, MessageRole.USER, content, revision)
        await _require_free_slot(session, caller, limits.max_runs)
        await require_quota(session, caller, Message, revision, new_rows=2)
        started.append(await _start(session, conversation, message, time_zone, limits))
        return [started[0].run]

    fields = {"conversation": new.conversation_id, "content": new.content, "time_zone": new.time_zone}
    request = IdempotentRequest(new.idempotency_key, "sendMessage", fields)
    (run,) = await run_idempotent(session, caller, request, Run, insert)
    return started[0] if started else await _started_before(session, caller, run)


async def regenerate_reply(
    session: AsyncSession, caller: Caller, message_id: str, limits: RunLimits, idempotency_key: str | None = None
) -> StartedRun:
    """Start another run for a message, which is named by its own id or by that of a reply to it."""
    revision = await next_revision(session, caller.user_id)
    started: list[StartedRun] = []

    async def insert() -> Sequence[Run]:
        path = ("input", "messageId")
        message = await require(session, caller, Message, message_id, path)
        earlier = await _latest_run(session, caller, message)
        if message.role is MessageRole.ASSISTANT:
            if earlier is None:
                raise BadUserInputError(
                    "No run of the assistant wrote this message; name the one to be answered.", path=path
                )
            message = await require(session, caller, Message, earlier.message_id, path)
        await require_tokens(session, caller, limits.daily_tokens)
        conversation = await require(session, caller, Conversation, message.conversation_id, path)
        await _require_idle(session, caller, conversation)
        await _require_free_slot(session, caller, limits.max_runs)
        await require_quota(session, caller, Message, revision)
        time_zone = "UTC" if earlier is None else earlier.time_zone
        started.append(await _start(session, conversation, message, time_zone, limits))
        return [started[0].run]

    request = IdempotentRequest(idempotency_key, "regenerateReply", {"message": message_id})
    (run,) = await run_idempotent(session, caller, request, Run, insert)
    return started[0] if started else await _started_before(session, caller, run)


async def cancel_run(session: AsyncSession, caller: Caller, run_id: str) -> Run:
    """End a run, keeping the text so far; the process that executes it finds that it has ended."""
    revision = await next_revision(session, caller.user_id)
    run = await require(session, caller, Run, run_id, ("input", "id"))
    if run.status not in ACTIVE:
        message = "This run has ended already."
        raise ConflictError(ErrorReason.RUN_ENDED, message, path=("input", "id"), current=run)
    await end_run(session, caller, run, Outcome(RunStatus.CANCELLED), revision)
    return run


async def resolve_tool_call(
    session: AsyncSession, caller: Caller, tool_call_id: str, limits: RunLimits, *, approve: bool
) -> Run:
    """Approve or reject a tool call; once all are decided, its run goes on."""
    revision = await next_revision(session, caller.user_id)
    path = ("input", "id")
    call = await require(session, caller, ToolCall, tool_call_id, path)
    run = await require(session, caller, Run, call.run_id, path)
    if call.status is not ToolCallStatus.AWAITING_APPROVAL:
        message = "This tool call does not wait for approval, or no longer."
        raise ConflictError(ErrorReason.RUN_ENDED, message, path=path, current=run)
    call.status = ToolCallStatus.RUNNING if approve else ToolCallStatus.REJECTED
    call.revision = revision
    await session.flush()
    is_waiting = _TOOL_CALLS.c.status == ToolCallStatus.AWAITING_APPROVAL
    waiting = select(_TOOL_CALLS.c.id).where(caller.owns(_TOOL_CALLS), _TOOL_CALLS.c.run_id == run.id, is_waiting)
    run.revision = revision
    if (await execute(session, waiting)).first() is None:
        await _require_free_slot(session, caller, limits.max_runs)
        run.status, run.lease_until = RunStatus.RUNNING, database_time(session) + limits.lease
    return run


async def _conversation(session: AsyncSession, caller: Caller, new: UserMessage, revision: int) -> Conversation:
    """Return the conversation of a new message; one without a title gets it from its first message."""
    moment, title = utc_now(), _title_from(new.content)
    if new.conversation_id is None:
        await require_quota(session, caller, Conversation, revision)
        conversation = Conversation(
            user_id=caller.user_id, id=new_id(), title=title, revision=revision, created_at=moment, updated_at=moment
        )
        session.add(conversation)
        await session.flush()
        return conversation
    path = ("input", "conversationId")
    conversation = await require(session, caller, Conversation, new.conversation_id, path)
    await _require_idle(session, caller, conversation)
    if conversation.title == _UNTITLED:
        messages = exists().where(caller.owns(_MESSAGES), _MESSAGES.c.conversation_id == conversation.id)
        if not (await execute(session, select(messages))).scalar():
            conversation.title = title
    return conversation


async def _require_idle(session: AsyncSession, caller: Caller, conversation: Conversation) -> None:
    is_active = _RUNS.c.status.in_(ACTIVE)
    same = _RUNS.c.conversation_id == conversation.id
    active = (await execute(session, select(_RUNS.c.status).where(caller.owns(_RUNS), same, is_active))).scalar()
    if active is None:
        return
    reason = ErrorReason.RUN_ACTIVE
    if active is RunStatus.AWAITING_APPROVAL:
        reason = ErrorReason.PENDING_APPROVAL
        message = "The assistant waits for your approval in this conversation; decide on it, or cancel the run, first."
    else:
        message = "The assistant is still answering in this conversation; wait for the reply, or cancel the run, first."
    raise ConflictError(reason, message, path=("input", "conversationId"))


async def _require_free_slot(session: AsyncSession, caller: Caller, limit: int) -> None:
    """Raise ConflictError for one run too many of the caller, since all users share the slots of a process."""
    count = select(func.count()).select_from(_RUNS).where(caller.owns(_RUNS), _RUNS.c.status.in_(EXECUTED))
    if (await execute(session, count)).scalar_one() >= limit:
        message = f"The assistant is writing {limit} replies to you already; wait for one of them, or cancel it, first."
        raise ConflictError(ErrorReason.RUN_ACTIVE, message)


async def _start(
    session: AsyncSession, conversation: Conversation, message: Message, time_zone: str, limits: RunLimits
) -> StartedRun:
    revision = await next_revision(session, conversation.user_id)
    reply = make_message(conversation, MessageRole.ASSISTANT, "", revision)
    reply.status = MessageStatus.STREAMING
    moment = utc_now()
    run = Run(
        user_id=conversation.user_id,
        conversation_id=conversation.id,
        message_id=message.id,
        reply_id=reply.id,
        status=RunStatus.RUNNING if limits.starts_at_once else RunStatus.QUEUED,
        model=limits.model,
        time_zone=time_zone,
        revision=revision,
        lease_until=database_time(session) + limits.lease,
    )
    conversation.updated_at, conversation.revision = moment, revision
    session.add_all([message, reply])
    await session.flush()
    session.add(run)
    await session.flush()
    return StartedRun(run, message, reply, conversation, is_new=True)


async def _started_before(session: AsyncSession, caller: Caller, run: Run) -> StartedRun:
    path = ("input", "idempotencyKey")
    return StartedRun(
        run,
        await require(session, caller, Message, run.message_id, path),
        await require(session, caller, Message, run.reply_id, path),
        await require(session, caller, Conversation, run.conversation_id, path),
        is_new=False,
    )


async def _latest_run(session: AsyncSession, caller: Caller, message: Message) -> Run | None:
    """Return the run that wrote the message or, of a person's message, the last one that answered it."""
    column = _RUNS.c.reply_id if message.role is MessageRole.ASSISTANT else _RUNS.c.message_id
    statement = select_model(Run).where(caller.owns(_RUNS), column == message.id)
    return (await session.exec(statement.order_by(_RUNS.c.created_at.desc(), _RUNS.c.id.desc()).limit(1))).first()


def _title_from(content: str) -> str:
    words = " ".join(content[:1_000].split())
    title = textwrap.shorten(words, _MAX_TITLE_LENGTH, placeholder=" …")
    if len(words) > _MAX_TITLE_LENGTH > 2 * len(title):
        # One long word, or a language that sets no spaces between them.
        title = f"{words[: _MAX_TITLE_LENGTH - 1]}…"
    return title or str(_UNTITLED)


def _check_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a name that is none, and one that is no name
        message = f"{name[:60]!r} is no time zone; write a name such as Europe/Berlin or UTC."
        raise BadUserInputError(message, path=("input", "timeZone")) from None
    return name


async def runs_by_reply(source: Source, caller: Caller, ids: Sequence[str], columns: Iterable[str]) -> list[Any]:
    """Return the run that wrote each of the messages, in their order; None where none did."""
    values = {OWNER: caller.user_id, "ids": ids}
    found = {row.reply_id: row for row in await read(source, _runs_by_reply(frozenset(columns)), values)}
    return [found.get(reply_id) for reply_id in ids]


@cached_statement
def _runs_by_reply(columns: frozenset[str]) -> Select[Any]:
    selected = table_columns(_RUNS, columns | {"reply_id"})
    return select(*selected).where(owned(_RUNS), IsAnyOf(_RUNS.c.reply_id, id_list_param("ids")))
