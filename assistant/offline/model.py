"""The offline model: the Agents SDK's Model interface over the parser, in place of a language model."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import Any, Final
from zoneinfo import ZoneInfo

import openai.types.responses as api
import orjson
from agents.items import ModelResponse, TResponseStreamEvent
from agents.models.fake_id import FAKE_RESPONSES_ID
from agents.models.interface import Model
from agents.tool import Tool
from agents.usage import Usage

from assistant.instructions import unfence
from assistant.offline.commands import Call, Context, Outcome, carry_out
from assistant.offline.dates import Calendar
from assistant.offline.parser import NotUnderstoodError, parse
from assistant.offline.replies import DOT, Task, names, not_understood, title_of

_LINE: Final = re.compile(r"^(\d{1,3})\. (.+)$", re.MULTILINE)
_WRITES: Final = frozenset({"add_task", "update_task", "complete_task", "reopen_task"})

Item = dict[str, Any]


class OfflineModel(Model):
    """Deterministic double of a language model.

    It keeps nothing between calls: what is still to do follows from the last message and the tool calls made for it.
    """

    def __init__(self, now: Callable[[], datetime], time_zone: ZoneInfo) -> None:
        self._now = now
        self._time_zone = time_zone

    async def get_response(
        self, system_instructions: str | None, input: Any, model_settings: Any, tools: list[Tool], *_: Any, **__: Any
    ) -> ModelResponse:
        """Return the next step."""
        return ModelResponse(output=self._respond(input, tools).output, usage=Usage(requests=1), response_id=None)

    async def stream_response(
        self, system_instructions: str | None, input: Any, model_settings: Any, tools: list[Tool], *_: Any, **__: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Return the next step as events, its text word by word; its tokens are counted where the run is measured."""
        for event in _events(self._respond(input, tools)):
            yield event

    def _respond(self, given: str | list[Any], tools: Sequence[Tool]) -> api.Response:
        items: list[Item] = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
        now = self._now()
        last = max((index for index, item in enumerate(items) if item.get("role") == "user"), default=0)
        message, outcomes = _text(items[last].get("content")), [outcome for _, outcome in _outcomes(items[last:])]
        context = _context(items[:last], Calendar(now.astimezone(self._time_zone)))
        calls, text = _next_step(message, context, outcomes, {tool.name for tool in tools})
        # The same message gets the same ids, and each of its calls another.
        key = sha256(f"{last} {message}".encode(errors="replace")).hexdigest()[:12]
        output: list[Any] = [_message(text)] if text else []
        for number, call in enumerate(calls, len(outcomes)):
            arguments = orjson.dumps(call.arguments).decode()
            call_id = f"call_{key}_{number}"
            output.append(
                api.ResponseFunctionToolCall(call_id=call_id, name=call.name, arguments=arguments, type="function_call")
            )
        return api.Response(
            id=f"resp_{key}_{len(outcomes)}",
            created_at=now.timestamp(),
            model="offline",
            object="response",
            output=output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=True,
        )


def _next_step(message: str, context: Context, outcomes: Sequence[Outcome], tools: set[str]) -> tuple[list[Call], str]:
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
            missing = Outcome(error="that is not possible here")
            made = [next(known, None) if call.name in tools else missing for call in calls]
            if None in made:
                doomed = [call.deletes for call in calls if call.deletes is not None]
                return calls, f"Shall I delete {names(doomed)}? That needs your approval." if doomed else ""
            context.steps += 1
            calls = steps.send([outcome for outcome in made if outcome is not None])
    except StopIteration as end:
        return [], ("\n\n" if context.lines else "\n").join(end.value)


def _context(items: Sequence[Item], calendar: Calendar) -> Context:
    """Return what earlier messages leave: the last numbered list, and the tasks that were last changed or shown."""
    context = Context(calendar)
    start = 0
    for index, item in enumerate(items):
        if item.get("role") == "assistant":
            calls = _outcomes(items[start:index])
            shown = _listed(_text(item.get("content")), [task for _, outcome in calls for task in outcome.tasks])
            changed = [task for name, outcome in calls if name in _WRITES for task in outcome.tasks]
            context.listed = shown or context.listed
            context.recent = changed or list(shown.values()) or context.recent
        if item.get("role"):
            start = index
    return context


def _listed(text: str, tasks: Sequence[Task]) -> dict[int, Task]:
    """Return the tasks of a numbered list by number, each one that a tool returned for the same reply."""
    by_title: dict[str, list[Task]] = {}
    for task in {task["id"]: task for task in tasks}.values():
        by_title.setdefault(title_of(task), []).append(task)
    listed: dict[int, Task] = {}
    for number, line in _LINE.findall(text):
        if twins := by_title.get(line.split(DOT)[0]):
            listed[int(number)] = twins.pop(0) if len(twins) > 1 else twins[0]
    return listed


def _outcomes(items: Sequence[Item]) -> list[tuple[str, Outcome]]:
    """Return the tool calls that have ended, in their order, with their outcomes."""
    outputs = {item["call_id"]: item.get("output") for item in items if item.get("type") == "function_call_output"}
    calls = [item for item in items if item.get("type") == "function_call" and item["call_id"] in outputs]
    return [(call["name"], _outcome(_text(outputs[call["call_id"]]))) for call in calls]


def _outcome(output: str) -> Outcome:
    try:
        data = orjson.loads(unfence(output.strip()))
    except ValueError:
        # The SDK's own words, where a call was refused or failed.
        data = {"error": output}
    if not isinstance(data, dict):
        return Outcome(error="it returned something else than expected")
    return Outcome(data, str(data.get("error") or ""))


def _text(content: Any) -> str:
    """Return the text of an item's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))


def _message(text: str) -> api.ResponseOutputMessage:
    content: Any = [api.ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])]
    return api.ResponseOutputMessage(
        id=FAKE_RESPONSES_ID, content=content, role="assistant", type="message", status="completed"
    )


def _events(response: api.Response) -> Iterator[TResponseStreamEvent]:
    """Return the events of the Responses protocol that stream a response, as far as the SDK and runs read them."""
    numbers = count()
    begun = response.model_copy(update={"output": []})
    yield api.ResponseCreatedEvent(response=begun, type="response.created", sequence_number=next(numbers))
    for index, item in enumerate(response.output):
        place: Any = {"item": item, "output_index": index}
        added = api.ResponseOutputItemAddedEvent
        yield added(**place, type="response.output_item.added", sequence_number=next(numbers))
        if isinstance(item, api.ResponseOutputMessage):
            place = {"item_id": item.id, "output_index": index, "content_index": 0, "logprobs": []}
            for word in re.findall(r"\s*\S+", _text([part.to_dict() for part in item.content])):
                delta = api.ResponseTextDeltaEvent
                yield delta(**place, delta=word, type="response.output_text.delta", sequence_number=next(numbers))
        done = api.ResponseOutputItemDoneEvent
        yield done(item=item, output_index=index, type="response.output_item.done", sequence_number=next(numbers))
    yield api.ResponseCompletedEvent(response=response, type="response.completed", sequence_number=next(numbers))
