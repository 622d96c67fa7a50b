"""The model of runs: which one answers, the agent around it, and the tokens that it uses."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx2
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, Runner, RunState, set_tracing_disabled
from agents.models.interface import Model
from agents.result import RunResultStreaming
from agents.run_config import ToolExecutionConfig
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from assistant.prompt import CHARACTERS_PER_TOKEN, rejection
from assistant.reply_writer import ReplyTooLongError
from assistant.toolbox import storable_call_id
from core.clock import utc_now
from core.settings import Settings
from services.runs.progress import Tokens
from services.runs.run import OFFLINE_MODEL

_OPENAI: Final = "https://api.openai.com/v1"
_CONNECT_TIMEOUT_S: Final = 10.0
_MAX_RETRIES: Final = 2
_MAX_TURNS: Final = 20
# Each word of an answer comes in some hundred bytes of its own.
_MAX_BYTES: Final = 32 * 1024 * 1024
# Of one answer with the arguments of its tool calls.
_MAX_CHARACTERS: Final = 1_000_000

set_tracing_disabled(disabled=True)


class Models:
    """Makes the SDK's models; a provider's connections are shared by all runs."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._client: AsyncOpenAI | None = None

    def make(self, time_zone: str) -> Model:
        """Return the model for a run."""
        if self._name == OFFLINE_MODEL:
            from assistant.offline.model import OfflineModel  # noqa: PLC0415 - loads slowly, and not for everyone

            return OfflineModel(utc_now, ZoneInfo(time_zone))
        if self._client is None:
            self._client = AsyncOpenAI(
                # Providers of one's own often want none, and the client insists on one.
                api_key=self._settings.openai_api_key or "none",
                # The client would read the variable itself, and take one that is set to nothing for an address.
                base_url=self._settings.openai_base_url or _OPENAI,
                http_client=DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
                timeout=httpx2.Timeout(self._settings.assistant_stall_s, connect=_CONNECT_TIMEOUT_S),
                # Only of requests without an answer: one that has begun is not repeated.
                max_retries=_MAX_RETRIES,
            )
        return OpenAIChatCompletionsModel(self._name, self._client)

    async def close(self) -> None:
        """Close the provider's connections."""
        if self._client is not None:
            await self._client.close()


async def _bound(response: httpx2.Response) -> None:
    """Let an answer of the provider break off where it becomes too long."""
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _BoundedStream(response.stream)


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > _MAX_BYTES:
                raise ReplyTooLongError
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class RunAgent:
    """The SDK's agent of one run."""

    def __init__(self, model: Model, instructions: str, tools: Sequence[Any]) -> None:
        self._agent = Agent[Any]("Tasktalk", instructions=instructions, tools=list(tools))
        self._config = RunConfig(
            model=model,
            model_settings=ModelSettings(include_usage=True),
            tracing_disabled=True,
            # In their order; the owner's row lock would let only one through anyway.
            tool_execution=ToolExecutionConfig(max_function_tool_concurrency=1),
            tool_not_found_behavior="return_error_to_model",
        )

    async def resume(self, state: Mapping[str, Any], approved: Mapping[str, bool]) -> RunResultStreaming:
        """Let the agent go on after a pause; `approved` holds the decision on each call by its recorded id."""
        restored = await RunState.from_json(self._agent, dict(state), context_override={})
        for call in restored.get_interruptions():
            if approved.get(storable_call_id(call.call_id or ""), False):
                restored.approve(call)
            else:
                restored.reject(call, rejection_message=rejection())
        return self.run(restored)

    def run(self, given: Any) -> RunResultStreaming:
        """Let the agent answer messages, or go on from a state."""
        return Runner.run_streamed(self._agent, given, context={}, max_turns=_MAX_TURNS, run_config=self._config)


class TokenMeter:
    """Estimates tokens from the length of texts, for answers whose usage the provider does not report."""

    def __init__(self, input_length: int) -> None:
        self._input_length = input_length
        self._output_length = 0
        self._is_open = False
        self._estimated = Tokens()

    @property
    def tokens(self) -> Tokens:
        """Return the tokens of unreported answers, including an unfinished one."""
        return self._with_answer() if self._is_open else self._estimated

    def add(self, event: Any) -> None:
        """Count an event of the model's stream."""
        if event.type == "response.created":
            self._is_open, self._output_length = True, 0
        elif event.type == "response.completed":
            if event.response.usage is None:
                self._estimated = self._with_answer()
            self._is_open = False
        elif isinstance(delta := getattr(event, "delta", None), str):
            self._output_length += len(delta)
            if self._output_length > _MAX_CHARACTERS:
                raise ReplyTooLongError

    def _with_answer(self) -> Tokens:
        read, written = (length // CHARACTERS_PER_TOKEN for length in (self._input_length, self._output_length))
        return Tokens(self._estimated.read + read, self._estimated.written + written)
