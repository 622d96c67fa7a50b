"""Answers of the assistant, whole and as server-sent events whose ids are positions to resume from."""

import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import structlog
from pydantic import Field

import models
from core.errors import BadUserInputError, NotFoundError, TasktalkError
from core.ids import parse_id
from graph.context import Context
from live.follow import follow_reply, retry_while_unavailable
from models import MessageRole, RunStatus, ToolCallStatus
from server.http.connections import ConnectionRegistry
from server.http.errors import FormattedError, masked_message
from server.http.event_stream import EventStream
from server.rest.entities import row_of
from server.rest.fields import Row
from services.accounts.caller import Caller
from services.conversations.messages import Reply, read_reply
from services.query.lookup import not_found, rows_by_id
from services.query.sql import Source
from services.runs.run import runs_by_reply
from services.runs.tool_call import tool_calls_by_run

_DONE: Final = "done"
_POSITION: Final = re.compile(r"([0-9a-fA-F-]{36}):(?:(done)|([0-9]{1,6}):([0-9]{1,10}):([0-9]{1,9}))")
LAST_EVENT_ID: Final = ("header", "Last-Event-ID")
_RECONNECT_AFTER_MS: Final = 1_000

_log = structlog.stdlib.get_logger("rest")


@row_of(models.ToolCall, without=("revision", "created_at"))
class ToolCall(Row):
    """One use of a tool within a run."""

    arguments: dict[str, Any]


@row_of(models.Run, without=("undone_at",))
class Run(Row):
    """The assistant's work on one reply."""

    conversation_id: str = Field(description="The conversation that it answers in.")
    message_id: str = Field(description="The message that it answers.")
    reply_id: str = Field(description="The message that it writes.")


class RunStarted(Row):
    """A run, and where it answers what."""

    conversation_id: str = Field(description="The conversation; a new one where none was named.")
    message_id: str = Field(description="The message that is answered.")
    reply_id: str = Field(description="The assistant's message.")
    run_id: str = Field(description="The assistant's work on it.")
    status: RunStatus = Field(description="How far the run is.")


class Answer(RunStarted):
    """A run, what it has said, and what it has done or asks to do."""

    response: str = Field(description="What the assistant has said so far.")
    tool_calls: list[ToolCall] = Field(description="The tools that it has called, or asks to call, in that order.")
    error: str | None = Field(description="Why the run failed, in a plain sentence.")


class TextPiece(Row):
    """A piece of the reply; the pieces follow each other without a gap."""

    offset: int = Field(description="Where the piece begins, in Unicode code points.")
    delta: str = Field(description="The piece.")


class StreamProblem(Row):
    """Why the stream ends before the answer is complete."""

    detail: str = Field(description="What went wrong and how to mend it, for people.")
    code: str = Field(description="What went wrong, for programs; the codes are those of GraphQL.")


EVENTS: Final[dict[str, type[Row]]] = {
    "run": RunStarted,
    "text": TextPiece,
    "tool_call": ToolCall,
    "approval_needed": ToolCall,
    "done": Answer,
    "problem": StreamProblem,
}
_RUN_COLUMNS: Final = frozenset(Run.model_fields)
_TOOL_CALL_COLUMNS: Final = frozenset(ToolCall.model_fields) | {"revision", "position"}


async def read_answer(context: Context, run_id: str, path: tuple[str, ...] = ("input", "id")) -> Answer:
    """Return a run as it stands."""
    caller, reader = context.require_caller(), context.database.reader
    (run,) = await rows_by_id(reader, caller, models.Run, [run_id], _RUN_COLUMNS)
    if run is None:
        raise not_found(models.Run, path)
    (calls,) = await tool_calls_by_run(reader, caller, [run.id], _TOOL_CALL_COLUMNS)
    reply = await _read_reply(context, run.reply_id, 0, path)
    return Answer(
        conversation_id=run.conversation_id,
        message_id=run.message_id,
        reply_id=run.reply_id,
        run_id=run.id,
        status=run.status,
        response=reply.text,
        tool_calls=[ToolCall.model_validate(call) for call in calls],
        error=run.error,
    )


async def work_on_replies(
    source: Source, caller: Caller, messages: Iterable[models.Message]
) -> dict[str, tuple[str, list[Any]]]:
    """Return for each reply among the messages the id of its run and the tool calls of that."""
    replies = [message.id for message in messages if message.role is MessageRole.ASSISTANT]
    found = await runs_by_reply(source, caller, replies, ("id",)) if replies else []
    runs = {run.reply_id: run.id for run in found if run is not None}
    calls = await tool_calls_by_run(source, caller, [*runs.values()], _TOOL_CALL_COLUMNS) if runs else []
    return {reply_id: (run_id, of_run) for (reply_id, run_id), of_run in zip(runs.items(), calls, strict=True)}


async def _read_reply(context: Context, reply_id: str, offset: int, path: tuple[str, ...]) -> Reply:
    """Return what a run has said; the run is gone where that is."""
    try:
        return await read_reply(context.database.reader, context.require_caller(), reply_id, offset)
    except NotFoundError:
        raise not_found(models.Run, path) from None


@dataclass(frozen=True, slots=True)
class Position:
    """A position in an answer: an offset in its text, and the last change of a tool call."""

    run_id: str
    offset: int = 0
    revision: int = 0
    position: int = -1
    is_done: bool = False

    def __str__(self) -> str:
        """Return the position as an event id."""
        if self.is_done:
            return f"{self.run_id}:{_DONE}"
        return f"{self.run_id}:{self.offset}:{self.revision}:{self.position + 1}"


def read_position(event_id: str, run_id: str | None = None) -> Position:
    """Read an event's id, which must be one of the run's."""
    match = _POSITION.fullmatch(event_id)
    if match is None or (run_id is not None and parse_id(match[1]) != parse_id(run_id)):
        message = "Last-Event-ID is not the id of an event of this answer; leave it out to begin at its beginning."
        raise BadUserInputError(message, path=LAST_EVENT_ID)
    if match[2]:
        return Position(match[1], is_done=True)
    return Position(match[1], int(match[3]), int(match[4]), int(match[5]) - 1)


class ChatStream(EventStream):
    """The events of one answer, from a position in it on."""

    def __init__(self, context: Context, answer: Answer, position: Position, connections: ConnectionRegistry) -> None:
        super().__init__(context.caller, context.runtime.settings, connections)
        self._context = context
        self._answer = answer
        self._position = replace(position, run_id=answer.run_id)
        self._calls: list[Any] = []

    def format_final_error(self, error: FormattedError) -> bytes:
        """Return the event of a problem."""
        return _problem(error["message"], error["extensions"]["code"])

    async def send_events(self) -> None:
        """Send the events."""
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    await self.send(event)
        except TasktalkError as error:
            await self.send(_problem(error.message, error.code))
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - it is logged, and masked as an event
            _log.exception("stream failed")
            await self.send(_problem(masked_message(self._context.request_id), "INTERNAL_SERVER_ERROR"))

    async def _events(self) -> AsyncGenerator[bytes, None]:
        answer, live, caller = self._answer, self._context.runtime.live, self._context.require_caller()
        started = answer.model_dump(mode="json", include=set(RunStarted.model_fields))
        yield b"retry: %d\n" % _RECONNECT_AFTER_MS + _event("run", started, self._position)
        async with aclosing(follow_reply(live, caller.user_id, answer.reply_id, self._read)) as replies:
            async for reply in replies:
                for event in self._new_events(reply):
                    yield event
        ended = await retry_while_unavailable(lambda: read_answer(self._context, answer.run_id))
        yield _event(_DONE, ended.model_dump(mode="json"), replace(self._position, is_done=True))

    async def _read(self) -> Reply:
        """Read the tool calls, and return the reply from the position on."""
        caller, answer = self._context.require_caller(), self._answer
        # The reply, which tells of the end, is read first: what is read after the end is complete.
        reply = await _read_reply(self._context, answer.reply_id, self._position.offset, ("input", "id"))
        reader = self._context.database.reader
        (self._calls,) = await tool_calls_by_run(reader, caller, [answer.run_id], _TOOL_CALL_COLUMNS)
        return reply

    def _new_events(self, reply: Reply) -> Iterator[bytes]:
        """Yield what is new since the position, and move it; a request for approval follows the text before it."""
        seen = (self._position.revision, self._position.position)
        fresh = sorted((call for call in self._calls if _stamp(call) > seen), key=_stamp)
        is_question = any(call.status is ToolCallStatus.AWAITING_APPROVAL for call in fresh)
        if is_question:
            yield from self._text(reply)
        for call in fresh:
            self._position = replace(self._position, revision=call.revision, position=call.position)
            name = "approval_needed" if call.status is ToolCallStatus.AWAITING_APPROVAL else "tool_call"
            yield _event(name, ToolCall.model_validate(call).model_dump(mode="json"), self._position)
        if not is_question:
            yield from self._text(reply)

    def _text(self, reply: Reply) -> Iterator[bytes]:
        if reply.text:
            self._position = replace(self._position, offset=reply.offset + len(reply.text))
            yield _event("text", {"offset": reply.offset, "delta": reply.text}, self._position)


def _stamp(call: Any) -> tuple[int, int]:
    return call.revision, call.position


def _event(name: str, data: Mapping[str, Any], position: Position) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (str(position).encode(), name.encode(), orjson.dumps(data))


def _problem(detail: str, code: str) -> bytes:
    return b"event: problem\ndata: %s\n\n" % orjson.dumps({"detail": detail, "code": code})
