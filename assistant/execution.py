"""Execution of one run: the agent answers with its model and tools, the reply is stored, the end recorded."""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import agents
import openai
import orjson
from agents.result import RunResultStreaming

from assistant.model import Models, RunAgent, TokenMeter
from assistant.prompt import MAX_MESSAGES, history, instructions
from assistant.reply_writer import ReplyTooLongError, ReplyWriter
from assistant.toolbox import Toolbox, awaited_calls, may_have_changed, remote_tools
from assistant.tools import TOOLS_BY_NAME
from core.clock import utc_now
from core.database import Database
from core.errors import TasktalkError, UnauthenticatedError, UnavailableError
from core.settings import Settings
from core.workload import start_workload
from live.hub import Hub, WakeUp
from models import Message, Run, RunStatus
from services.accounts.caller import Caller
from services.runs import progress as run_progress
from services.runs.history import read_history
from services.runs.progress import MAX_TOKENS, Outcome, Pause, Progress, RunEndedError, Tokens
from services.runs.tool_call import decisions_of

RESTARTED: Final = "The server stopped while this reply was written. Ask again."
_FAILED: Final = "Something went wrong on our side while this reply was written. Ask again."
# The text of a reply for a model that has called tools and said nothing.
_DONE: Final = "Done."
_RETRY_S: Final = 0.5
_MAX_RETRIES: Final = 20

_log = logging.getLogger(__name__)


class NoAnswerError(Exception):
    """The model has said nothing and called nothing."""


# What people read of a failed run: a plain sentence; the details are for the log. The first that matches counts.
_SENTENCES: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((TimeoutError, openai.APITimeoutError), "The assistant took too long to answer. Ask again."),
    ((openai.RateLimitError,), "The assistant's provider has too much to do just now. Ask again in a while."),
    (
        (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError),
        "The assistant is not set up properly. Tell whoever runs this server.",
    ),
    ((openai.OpenAIError, NoAnswerError), "The assistant's provider failed. Ask again."),
    ((agents.MaxTurnsExceeded,), "The assistant did not come to an end. Ask for less at once."),
    # The SDK raises UnicodeError for a lone surrogate.
    ((agents.ModelBehaviorError, UnicodeError), "The assistant's model gave an answer that makes no sense. Ask again."),
    ((ReplyTooLongError,), "The reply became too long. Ask for less at once."),
)


@dataclass(frozen=True, slots=True)
class RunDependencies:
    """What every run of this process is executed with."""

    database: Database
    settings: Settings
    replies: Hub
    models: Models


class RunExecution:
    """A run in this process, from its present state to its end or its next pause."""

    def __init__(self, dependencies: RunDependencies, caller: Caller, run_id: str) -> None:
        self._dependencies = dependencies
        self._database = dependencies.database
        self._caller = caller
        self._run_id = run_id
        self._task: asyncio.Task[Any] | None = None
        self._has_ended = False
        self._is_recording = False
        self._reply_id: str | None = None
        self._text = ""
        self._stream: RunResultStreaming | None = None
        self._meter: TokenMeter | None = None
        self._counted = Tokens()

    def stop(self) -> None:
        """Stop, since the run has ended elsewhere: nothing more of it may be done or stored."""
        # Stopped twice, it must still be able to count its tokens; a transaction in progress is refused by itself.
        if self._has_ended or self._is_recording:
            return
        self._has_ended = True
        if self._task is not None:
            self._task.cancel()

    async def run(self, slots: asyncio.Semaphore) -> None:
        """Execute the run; whatever happens, its end is recorded, unless it was elsewhere."""
        self._task = asyncio.current_task()
        start_workload(user_id=self._caller.user_id)
        try:
            async with slots:
                if not self._has_ended:
                    async with asyncio.timeout(self._dependencies.settings.assistant_timeout_s):
                        await self._execute()
        except asyncio.CancelledError:
            if not self._has_ended:
                await self._finish(Outcome(RunStatus.FAILED, RESTARTED))
                raise
        except RunEndedError:
            self._has_ended = True
        except Exception as error:  # noqa: BLE001 - people read a sentence of every failure, the log has the rest
            if not self._has_ended:
                _log.warning("Run %s failed", self._run_id, exc_info=error)
                await self._finish(Outcome(RunStatus.FAILED, _sentence_of(error)))
        if self._has_ended and (tokens := self._uncounted()) != Tokens():
            work = partial(run_progress.count_tokens, caller=self._caller, run_id=self._run_id, tokens=tokens)
            await self._write_with_retries(work)

    async def _execute(self) -> None:
        work = partial(run_progress.begin_running, caller=self._caller, run_id=self._run_id)
        run = await self._database.write(work)
        self._reply_id = run.reply_id
        writer = ReplyWriter(self._database, self._dependencies.replies, self._caller, run.reply_id, self.stop)
        async with remote_tools(self._dependencies.settings, TOOLS_BY_NAME) as remote:
            toolbox = Toolbox(self._database, self._caller, run.id, self.stop, remote)
            text = instructions(utc_now(), run.time_zone)
            agent = RunAgent(self._dependencies.models.make(run.time_zone), text, toolbox.tools())
            self._stream = await self._start(run, agent, writer, len(text))
            await self._write_reply(self._stream, writer)
        if self._stream.interruptions:
            state = orjson.dumps(self._stream.to_state().to_json()).decode()
            calls = awaited_calls(self._caller, run.id, self._stream.interruptions)
            await self._record(run_progress.pause_run, pause=Pause(state, calls))
            return
        if not self._text:
            if not any(item.type == "tool_call_item" for item in self._stream.new_items):
                raise NoAnswerError
            self._text = _DONE
        await self._finish(Outcome(RunStatus.COMPLETED))

    async def _start(
        self, run: Run, agent: RunAgent, writer: ReplyWriter, instructions_length: int
    ) -> RunResultStreaming:
        async with self._database.read() as session:
            if run.state is None:
                messages = await read_history(session, self._caller, run, MAX_MESSAGES, may_have_changed)
                items = history(messages, self._dependencies.settings.assistant_history_tokens)
                self._meter = TokenMeter(instructions_length + len(orjson.dumps(items)))
                return agent.run(items)
            approved = await decisions_of(session, self._caller, run.id)
            reply = await session.get_one(Message, (self._caller.user_id, run.reply_id))
        writer.resume(reply.content)
        self._stream = await agent.resume(orjson.loads(run.state), approved)
        self._counted = self._used()
        self._meter = TokenMeter(len(run.state))
        return self._stream

    async def _write_reply(self, stream: RunResultStreaming, writer: ReplyWriter) -> None:
        try:
            async with writer.writing():
                async for event in stream.stream_events():
                    if event.type == "raw_response_event":
                        self._receive(event.data, writer)
        finally:
            self._text = writer.text
            # Without this the SDK would let the model talk on.
            if not stream.is_complete:
                stream.cancel()

    def _receive(self, event: Any, writer: ReplyWriter) -> None:
        if self._meter is not None:
            self._meter.add(event)
        if event.type == "response.output_text.delta":
            writer.add(event.delta)
        elif event.type == "response.output_item.added" and event.item.type == "message":
            writer.begin_paragraph()

    async def _finish(self, outcome: Outcome) -> None:
        await self._record(run_progress.finish_run, outcome=outcome)

    async def _record(self, step: Any, **details: Any) -> None:
        """Record how far the run is; while the database is unavailable, try again, for as long as that makes sense."""
        progress = Progress(self._text, self._uncounted())
        work = partial(step, caller=self._caller, run_id=self._run_id, progress=progress, **details)
        self._is_recording = True
        try:
            is_recorded = await self._write_with_retries(work)
        finally:
            self._is_recording = False
        if is_recorded:
            self._counted = self._used()
        else:
            self._has_ended = True
        if self._reply_id is not None:
            self._dependencies.replies.wake({self._reply_id: len(self._text)}, WakeUp.LOCAL)

    async def _write_with_retries(self, work: Any) -> bool:
        """Return whether the transaction was committed in the end, and not refused."""
        for _ in range(_MAX_RETRIES):
            try:
                await self._database.write(work)
            except UnavailableError as error:
                _log.warning("Run %s could not be recorded just now: %s", self._run_id, error)
                await asyncio.sleep(_RETRY_S)
            except (RunEndedError, UnauthenticatedError):
                return False
            else:
                return True
        return False

    def _used(self) -> Tokens:
        if self._stream is None:
            return Tokens()
        usage = self._stream.context_wrapper.usage
        estimated = Tokens() if self._meter is None else self._meter.tokens
        # A provider may report anything.
        read, written = (min(max(count, 0), MAX_TOKENS) for count in (usage.input_tokens, usage.output_tokens))
        return Tokens(read + estimated.read, written + estimated.written)

    def _uncounted(self) -> Tokens:
        used = self._used()
        return Tokens(max(used.read - self._counted.read, 0), max(used.written - self._counted.written, 0))


def _sentence_of(error: BaseException) -> str:
    if isinstance(error, agents.UserError) and error.__cause__ is not None:
        # The SDK wraps what a tool raised.
        error = error.__cause__
    for kinds, sentence in _SENTENCES:
        if isinstance(error, kinds):
            return sentence
    return error.message if isinstance(error, TasktalkError) else _FAILED
