"""Executes one run: the agent talks with its model and tools, its reply is kept, its end recorded."""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson
from agents.result import RunResultStreaming

from assistant.agent import Talk
from assistant.failures import RESTARTED, NoAnswerError, describe
from assistant.history import MOST_MESSAGES, history
from assistant.instructions import instructions
from assistant.language_model import LanguageModel
from assistant.meter import Meter
from assistant.remote_tools import remote_tools
from assistant.reply_writer import ReplyWriter
from assistant.toolbox import Toolbox, awaited_calls
from assistant.tools import TOOLS_BY_NAME
from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError, UnavailableError
from core.settings import Settings
from live.hub import Hub, WakeUp
from models import Message, Run, RunStatus
from services.accounts.caller import Caller
from services.runs import progress as run_progress
from services.runs.history import read_dialogue
from services.runs.progress import MOST_TOKENS, Outcome, Pause, Progress, RunEndedError, Tokens
from services.runs.tool_call import decisions_of

_RETRY_S: Final = 0.5
_RETRIES: Final = 20
_SILENT: Final = "Done."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every run of this process is executed with."""

    database: Database
    settings: Settings
    replies: Hub
    model: LanguageModel


class Execution:
    """A run in this process, from where it stands to its end or its next pause."""

    def __init__(self, around: Surroundings, caller: Caller, run_id: str) -> None:
        self._around = around
        self._caller = caller
        self._run_id = run_id
        self._task: asyncio.Task[Any] | None = None
        self._has_ended = False
        self._is_recording = False
        self._reply_id: str | None = None
        self._text = ""
        self._stream: RunResultStreaming | None = None
        self._meter: Meter | None = None
        self._counted = Tokens()

    def stop(self) -> None:
        """Hear that the run has ended elsewhere: nothing more of it is to be done or kept."""
        # Told again, it must still be able to count; and what is being recorded finds out by itself.
        if self._has_ended or self._is_recording:
            return
        self._has_ended = True
        if self._task is not None:
            self._task.cancel()

    async def run(self, slots: asyncio.Semaphore) -> None:
        """Execute; whatever happens, the run's end is recorded, unless it was elsewhere."""
        self._task = asyncio.current_task()
        try:
            async with slots:
                if not self._has_ended:
                    async with asyncio.timeout(self._around.settings.assistant_timeout_s):
                        await self._execute()
        except asyncio.CancelledError:
            if not self._has_ended:
                await self._finish(Outcome(RunStatus.FAILED, RESTARTED))
                raise
        except RunEndedError:
            self._has_ended = True
        except Exception as error:  # noqa: BLE001 - of every failure people get a sentence, and the log the rest
            if not self._has_ended:
                _log.warning("Run %s failed", self._run_id, exc_info=error)
                await self._finish(Outcome(RunStatus.FAILED, describe(error)))
        if self._has_ended:
            await self._count_rest()

    async def _execute(self) -> None:
        around = self._around
        run = await around.database.write(partial(run_progress.begin_running, caller=self._caller, run_id=self._run_id))
        self._reply_id = run.reply_id
        writer = ReplyWriter(around.database, around.replies, self._caller, run.reply_id, self.stop)
        async with remote_tools(around.settings.mcp_server_url, TOOLS_BY_NAME) as remote:
            toolbox = Toolbox(around.database, self._caller, run.id, self.stop, remote)
            text = instructions(utc_now(), run.time_zone)
            talk = Talk(around.model.make(run.time_zone), text, toolbox.tools())
            self._stream = await self._begin(run, talk, writer, text)
            await self._write_down(self._stream, writer)
        if self._stream.interruptions:
            state = orjson.dumps(self._stream.to_state().to_json()).decode()
            calls = awaited_calls(self._caller, run.id, self._stream.interruptions)
            await self._record(run_progress.pause_run, pause=Pause(state, calls))
        else:
            if not self._text:
                self._text = _said_by_doing(self._stream)
            await self._finish(Outcome(RunStatus.COMPLETED))

    async def _write_down(self, stream: RunResultStreaming, writer: ReplyWriter) -> None:
        try:
            async with writer.writing():
                async for event in stream.stream_events():
                    if event.type == "raw_response_event":
                        self._hear(event.data, writer)
        finally:
            self._text = writer.text
            # Whoever stops listening stops the SDK, or the model would talk on.
            if not stream.is_complete:
                stream.cancel()

    def _hear(self, event: Any, writer: ReplyWriter) -> None:
        if self._meter is not None:
            self._meter.hear(event)
        _write(writer, event)

    async def _begin(self, run: Run, talk: Talk, writer: ReplyWriter, told: str) -> RunResultStreaming:
        async with self._around.database.read() as session:
            if run.state is None:
                dialogue = await read_dialogue(session, self._caller, run, MOST_MESSAGES)
                items = history(dialogue, self._around.settings.assistant_history_tokens)
                self._meter = Meter(len(told) + len(orjson.dumps(items)))
                return talk.begin(items)
            approved = await decisions_of(session, self._caller, run.id)
            reply = await session.get_one(Message, (self._caller.user_id, run.reply_id))
        writer.resume(reply.content)
        self._stream = await talk.resume(orjson.loads(run.state), approved)
        self._counted = self._used()
        self._meter = Meter(len(run.state))
        return self._stream

    async def _finish(self, outcome: Outcome) -> None:
        await self._record(run_progress.finish_run, outcome=outcome)

    async def _record(self, step: Any, **details: Any) -> None:
        """Tell the database how far the run is; while it is away, try again, for as long as that makes sense."""
        progress = Progress(self._text, self._uncounted())
        work = partial(step, caller=self._caller, run_id=self._run_id, progress=progress, **details)
        self._is_recording = True
        try:
            is_recorded = await self._patiently(work)
        finally:
            self._is_recording = False
        if is_recorded:
            self._counted = self._used()
        else:
            self._has_ended = True
        if self._reply_id is not None:
            self._around.replies.wake({self._reply_id: len(self._text)}, WakeUp.LOCAL)

    async def _count_rest(self) -> None:
        tokens = self._uncounted()
        if tokens != Tokens():
            work = partial(run_progress.count_tokens, caller=self._caller, run_id=self._run_id, tokens=tokens)
            await self._patiently(work)

    async def _patiently(self, work: Any) -> bool:
        """Tell whether it was done at last, and not refused."""
        for _ in range(_RETRIES):
            try:
                await self._around.database.write(work)
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
        measured = Tokens() if self._meter is None else self._meter.tokens
        # A provider may tell anything.
        read, written = (min(max(told, 0), MOST_TOKENS) for told in (usage.input_tokens, usage.output_tokens))
        return Tokens(read + measured.read, written + measured.written)

    def _uncounted(self) -> Tokens:
        used = self._used()
        return Tokens(max(used.read - self._counted.read, 0), max(used.written - self._counted.written, 0))


def _said_by_doing(stream: RunResultStreaming) -> str:
    """Return what is said for a model that has called tools and said nothing; one that did neither gave no answer."""
    if not any(item.type == "tool_call_item" for item in stream.new_items):
        raise NoAnswerError
    return _SILENT


def _write(writer: ReplyWriter, event: Any) -> None:
    if event.type == "response.output_text.delta":
        writer.add(event.delta)
    elif event.type == "response.output_item.added" and event.item.type == "message":
        writer.begin_paragraph()
