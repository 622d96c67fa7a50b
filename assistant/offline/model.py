"""The offline model: the SDK's Model interface over rules in place of a language model."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from agents.agent_output import AgentOutputSchemaBase
from agents.handoffs import Handoff
from agents.items import ModelResponse, TResponseInputItem, TResponseStreamEvent
from agents.model_settings import ModelSettings
from agents.models.interface import Model, ModelTracing
from agents.tool import Tool
from agents.usage import Usage
from openai.types.responses import Response, ResponseTextDeltaEvent
from openai.types.responses.response_prompt_param import ResponsePromptParam

from assistant.offline.dates import Calendar
from assistant.offline.events import events_of, response_of
from assistant.offline.past import read_past
from assistant.offline.planner import next_step
from assistant.offline.script import Desk
from assistant.offline.sentences import read_message

_Items = str | list[TResponseInputItem]
_NO_TIME: Final = 0.0


class OfflineModel(Model):
    """Understands plain requests by rules; the same input always gets the same answer.

    It keeps nothing between turns: what is still to do follows from the last message and the calls made for it.
    """

    def __init__(self, now: Callable[[], datetime], time_zone: ZoneInfo, delay_s: float = _NO_TIME) -> None:
        self._now = now
        self._time_zone = time_zone
        self._delay_s = delay_s

    async def get_response(
        self,
        system_instructions: str | None,
        input: _Items,
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """Return the next step as a whole."""
        response = self._respond(system_instructions, input, tools)
        return ModelResponse(output=response.output, usage=_usage(response), response_id=None)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: _Items,
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Return the next step as it is written, word by word."""
        for event in events_of(self._respond(system_instructions, input, tools)):
            if self._delay_s and isinstance(event, ResponseTextDeltaEvent):
                await asyncio.sleep(self._delay_s)
            yield event

    def _respond(self, system_instructions: str | None, items: _Items, tools: Sequence[Tool]) -> Response:
        now = self._now()
        calendar = Calendar(now.astimezone(self._time_zone))
        past = read_past(items)
        intents = read_message(past.message, calendar)
        step = next_step(intents, Desk(calendar, past), past.done, {tool.name for tool in tools})
        read = len(system_instructions or "") + _size(items)
        return response_of(step, past.key, len(past.done), now.astimezone(UTC).timestamp(), read)


def _size(items: Any) -> int:
    if isinstance(items, str):
        return len(items)
    return sum(len(text) for item in items for text in _texts(item))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    return [text for part in value for text in _texts(part)] if isinstance(value, list) else []


def _usage(response: Response) -> Usage:
    usage = response.usage
    if usage is None:
        return Usage()
    return Usage(
        requests=1,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        input_tokens_details=usage.input_tokens_details,
        output_tokens_details=usage.output_tokens_details,
    )
