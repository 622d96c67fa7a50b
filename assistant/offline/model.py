"""The offline model: the Agents SDK's Model interface over the parser, in place of a language model."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import openai.types.responses as api
import orjson
from agents.items import ModelResponse, TResponseStreamEvent
from agents.models.fake_id import FAKE_RESPONSES_ID
from agents.models.interface import Model
from agents.tool import Tool
from agents.usage import Usage

from assistant.offline.commands import Call, Context, Outcome, carry_out
from assistant.offline.dates import Calendar
from assistant.offline.parser import NotUnderstoodError, parse
from assistant.offline.replies import names, not_understood
from assistant.prompt import unfence

Item = dict[str, Any]


class OfflineModel(Model):
    """Deterministic double of a language model.

    It keeps nothing between calls: it goes through the conversation again, with the outcomes of the tool calls so far.
    """

    def __init__(self, now: Callable[[], datetime], time_zone: ZoneInfo) -> None:
        self._now = now
        self._time_zone = time_zone

    async def get_response(
        self, system_instructions: str | None, input: Any, model_settings: Any, tools: list[Tool], *_: Any, **__: Any
    ) -> ModelResponse:
        """Return the next step."""
        return ModelResponse(output=self._respond(input).output, usage=Usage(requests=1), response_id=None)

    async def stream_response(
        self, system_instructions: str | None, input: Any, model_settings: Any, tools: list[Tool], *_: Any, **__: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Return the next step as events, its text word by word; its tokens are counted where the run is measured."""
        for event in _events(self._respond(input)):
            yield event

    def _respond(self, given: str | list[Any]) -> api.Response:
        items: list[Item] = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
        now = self._now()
        context = Context(Calendar(now.astimezone(self._time_zone)))
        turns = list(_turns(items))
        calls, text = list[Call](), ""
        for message, outcomes in turns:
            calls, text = _next_step(message, context, outcomes)
        # The same message gets the same ids, and each of its calls another.
        message, outcomes = turns[-1]
        key = sha256(f"{len(turns)} {message}".encode(errors="replace")).hexdigest()[:12]
        output: list[dict[str, Any]] = []
        if text:
            content = [{"text": text, "type": "output_text", "annotations": [], "logprobs": []}]
            output.append({"id": FAKE_RESPONSES_ID, "role": "assistant", "type": "message", "status": "completed"})
            output[0]["content"] = content
        for number, call in enumerate(calls, len(outcomes)):
            arguments = orjson.dumps(call.arguments).decode()
            call_id = f"call_{key}_{number}"
            output.append({"call_id": call_id, "name": call.name, "arguments": arguments, "type": "function_call"})
        fields = {"id": f"resp_{key}_{len(outcomes)}", "created_at": now.timestamp(), "model": "offline"}
        fields |= {"object": "response", "tool_choice": "auto", "tools": [], "parallel_tool_calls": True}
        return api.Response.model_validate({**fields, "output": output})


def _next_step(message: str, context: Context, outcomes: Sequence[Outcome]) -> tuple[list[Call], str]:
    """Return the next tool calls with the question that goes before, or the text that ends the reply.

    The commands are carried out from their beginning with the outcomes so far.
    """
    try:
        steps = carry_out(parse(message, context.calendar), context)
    except NotUnderstoodError as error:
        return [], not_understood(str(error))
    known = iter(outcomes)
    try:
        calls = next(steps)
        while True:
            ended = list(islice(known, len(calls)))
            if len(ended) < len(calls):
                # A run that broke off may have made the first of them.
                calls = calls[len(ended) :]
                deleted = [call.deletes for call in calls if call.deletes is not None]
                return calls, f"Shall I delete {names(deleted)}? That needs your approval." if deleted else ""
            calls = steps.send(ended)
    except StopIteration as end:
        # A line below a list would be read as a part of it.
        return [], ("\n\n" if any("\n" in part for part in end.value) else "\n").join(end.value)


def _turns(items: Sequence[Item]) -> Iterator[tuple[str, list[Outcome]]]:
    """Return the person's messages, each with the outcomes of the tool calls that were made for it."""
    starts = [index for index, item in enumerate(items) if item.get("role") == "user"]
    for start, end in zip(starts, [*starts[1:], len(items)], strict=True):
        yield _text(items[start].get("content")), _outcomes(items[start:end])


def _outcomes(items: Sequence[Item]) -> list[Outcome]:
    """Return the outcomes of the tool calls that have ended, in the order of the calls."""
    outputs = {item["call_id"]: item.get("output") for item in items if item.get("type") == "function_call_output"}
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    return [_outcome(_text(outputs[call_id])) for call_id in calls if call_id in outputs]


def _outcome(output: str) -> Outcome:
    try:
        data = orjson.loads(unfence(output.strip()))
    except ValueError:
        data = None
    if not isinstance(data, dict):
        # The SDK's own words, where a call was refused or failed.
        return Outcome(error=output)
    tasks = [data["task"]] if "task" in data else data.get("tasks", [])
    return Outcome(tasks, data.get("total", len(tasks)), data.get("deleted_ids", []), str(data.get("error") or ""))


def _text(content: Any) -> str:
    """Return the text of an item's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))


def _events(response: api.Response) -> Iterator[TResponseStreamEvent]:
    """Return the events of the Responses protocol that stream a response, as far as the SDK and runs read them."""
    begun = response.model_copy(update={"output": []})
    yield api.ResponseCreatedEvent(response=begun, type="response.created", sequence_number=0)
    for index, item in enumerate(response.output):
        place: Any = {"output_index": index, "sequence_number": 0}
        yield api.ResponseOutputItemAddedEvent(item=item, type="response.output_item.added", **place)
        if isinstance(item, api.ResponseOutputMessage):
            given: Any = {"type": "response.output_text.delta", "item_id": item.id, "content_index": 0, "logprobs": []}
            for word in re.findall(r"\s*\S+", _text([part.to_dict() for part in item.content])):
                yield api.ResponseTextDeltaEvent(delta=word, **given, **place)
        yield api.ResponseOutputItemDoneEvent(item=item, type="response.output_item.done", **place)
    yield api.ResponseCompletedEvent(response=response, type="response.completed", sequence_number=0)
