"""An answer of the assistant as server-sent events; each event's id is a place to go on from, in any process."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import structlog
from sqlalchemy import Row
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import models
from core.errors import BadUserInputError, TasktalkError
from core.ids import parse_id
from graph.context import Context
from graph.following import patiently
from live.hub import Waiter
from models import RunStatus, ToolCallStatus
from server.errors import FormattedError, masked_message, refuse, retry_after
from server.event_stream import OpenStream
from server.presence import Presence, TooManyConnectionsError
from server.rest.run import RUN_COLUMNS, TOOL_CALL_COLUMNS, Answer, ToolCall, read_answer
from services.conversations.reply import Reply, read_reply
from services.query.lookup import not_found, rows_by_id
from services.runs.run import ACTIVE
from services.runs.run_list import tool_calls_by_run

_DONE: Final = "done"
_PLACE: Final = re.compile(r"([0-9a-fA-F-]{36}):(?:(done)|([0-9]{1,6}):([0-9]{1,10}):([0-9]{1,9}))")
LAST_EVENT_ID: Final = ("header", "Last-Event-ID")
# Of what this process writes it is told; what another writes has to be looked for.
_LOOK_EVERY_S: Final = 0.25
_COME_AGAIN_MS: Final = 1_000

_log = structlog.stdlib.get_logger("rest")


@dataclass(frozen=True, slots=True)
class Place:
    """What of an answer has come: so much of its text, and the tool calls up to a change."""

    run_id: str
    offset: int = 0
    revision: int = 0
    position: int = -1
    is_done: bool = False

    def __str__(self) -> str:
        """Return the place as clients keep it."""
        if self.is_done:
            return f"{self.run_id}:{_DONE}"
        return f"{self.run_id}:{self.offset}:{self.revision}:{self.position + 1}"


def read_place(event_id: str, run_id: str | None = None) -> Place:
    """Read an event's id, which must be one of the run's."""
    match = _PLACE.fullmatch(event_id)
    if match is None or (run_id is not None and parse_id(match[1]) != parse_id(run_id)):
        message = "Last-Event-ID is not the id of an event of this answer; leave it out to begin at its beginning."
        raise BadUserInputError(message, path=LAST_EVENT_ID)
    if match[2]:
        return Place(match[1], is_done=True)
    return Place(match[1], int(match[3]), int(match[4]), int(match[5]) - 1)


@dataclass(frozen=True, slots=True)
class _Look:
    """An answer as it stands."""

    status: RunStatus
    reply: Reply
    calls: list[Row[Any]]

    @property
    def has_ended(self) -> bool:
        return self.status not in ACTIVE


class ChatStream(OpenStream):
    """The events of one answer, from a place in it on."""

    def __init__(self, context: Context, answer: Answer, place: Place) -> None:
        super().__init__(context.caller, context.runtime.settings)
        self._context = context
        self._answer = answer
        self._place = replace(place, run_id=answer.run_id)

    def farewell(self, error: FormattedError) -> bytes:
        """Return how a client is told why there is no more."""
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
        except Exception:  # noqa: BLE001 - whatever it is, the client is told in this door's words
            _log.exception("stream failed")
            await self.send(_problem(masked_message(self._context.request_id), "INTERNAL_SERVER_ERROR"))

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Yield the events; the waiters are registered before the first look, so that nothing falls in between."""
        answer, live = self._answer, self._context.runtime.live
        begun = answer.model_dump(
            mode="json", include={"run_id", "conversation_id", "message_id", "reply_id", "status"}
        )
        yield b"retry: %d\n" % _COME_AGAIN_MS + _event("run", begun, self._place)
        with (
            live.replies.waiting(answer.reply_id) as writing,
            live.hub.waiting(self._context.require_caller().user_id) as changing,
        ):
            while True:
                look = await patiently(self._look)
                for event in self._news(look):
                    yield event
                if look.has_ended:
                    break
                await _until_news(writing, changing, is_paused=look.status is RunStatus.AWAITING_APPROVAL)
        ended = await patiently(lambda: read_answer(self._context, answer.run_id))
        yield _event(_DONE, ended.model_dump(mode="json"), replace(self._place, is_done=True))

    async def _look(self) -> _Look:
        caller, answer = self._context.require_caller(), self._answer
        async with self._context.database.read() as session:
            # How far it is comes first: what is read after the end is all there is.
            (run,) = await rows_by_id(session, caller, models.Run, [answer.run_id], RUN_COLUMNS)
            if run is None:
                raise not_found(models.Run, ("input", "id"))
            reply = await read_reply(session, caller, answer.reply_id, self._place.offset)
            (calls,) = await tool_calls_by_run(session, caller, [answer.run_id], TOOL_CALL_COLUMNS)
        return _Look(run.status, reply, calls)

    def _news(self, look: _Look) -> Iterator[bytes]:
        """Yield what has come since the place, which moves along; a question comes after the words that lead to it."""
        seen = (self._place.revision, self._place.position)
        fresh = sorted((call for call in look.calls if _stamp(call) > seen), key=_stamp)
        is_question = any(call.status is ToolCallStatus.AWAITING_APPROVAL for call in fresh)
        if is_question:
            yield from self._text(look.reply)
        for call in fresh:
            self._place = replace(self._place, revision=call.revision, position=call.position)
            name = "approval_needed" if call.status is ToolCallStatus.AWAITING_APPROVAL else "tool_call"
            yield _event(name, ToolCall.model_validate(call).model_dump(mode="json"), self._place)
        if not is_question:
            yield from self._text(look.reply)

    def _text(self, reply: Reply) -> Iterator[bytes]:
        if reply.text:
            self._place = replace(self._place, offset=reply.offset + len(reply.text))
            yield _event("text", {"offset": reply.offset, "delta": reply.text}, self._place)


class StreamedChat(Response):
    """The response whose body is a stream."""

    def __init__(self, stream: ChatStream, presence: Presence) -> None:
        super().__init__()
        self._stream = stream
        self._presence = presence
        try:
            presence.enter(stream)
        except TooManyConnectionsError as error:
            raise refuse(429, str(error), code="RATE_LIMITED", headers=(retry_after(),)) from None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream to its end."""
        try:
            await self._stream.serve(scope, receive, send)
        finally:
            self._presence.leave(self._stream)


def _stamp(call: Row[Any]) -> tuple[int, int]:
    return call.revision, call.position


async def _until_news(writing: Waiter, changing: Waiter, *, is_paused: bool) -> None:
    """Wait until there may be more; what ends a pause counts as a change of the user's, in any process."""
    waits = [asyncio.create_task(waiter.wait()) for waiter in (writing, changing)]
    try:
        timeout = None if is_paused else _LOOK_EVERY_S
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    # Told again of the same length it must look: the reply may have ended with it.
    writing.seen = -1


def _event(name: str, data: Mapping[str, Any], place: Place) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (str(place).encode(), name.encode(), orjson.dumps(data))


def _problem(detail: str, code: str) -> bytes:
    return b"event: problem\ndata: %s\n\n" % orjson.dumps({"detail": detail, "code": code})
