"""What a step looks like to the SDK: a response, and the events of the Responses protocol that stream it."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import orjson
from agents.items import TResponseOutputItem, TResponseStreamEvent
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseFunctionToolCall,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from assistant.offline.planner import Step

MODEL_NAME: Final = "offline"
_CHARACTERS_PER_TOKEN: Final = 4
_WORD: Final = re.compile(r"\s*\S+|\s+$")


def response_of(step: Step, key: str, first_number: int, created_at: float, input_characters: int) -> Response:
    """Return the step as a response; `key` and `first_number` tell its calls from all others."""
    output: list[TResponseOutputItem] = [_message(step.text)] if step.text or not step.calls else []
    output += [
        ResponseFunctionToolCall(
            id=FAKE_RESPONSES_ID,
            call_id=f"call_{key}_{number}",
            name=call.name,
            arguments=orjson.dumps(call.arguments).decode(),
            type="function_call",
            status="completed",
        )
        for number, call in enumerate(step.calls, first_number)
    ]
    written = len(step.text) + sum(len(call.name) + len(orjson.dumps(call.arguments)) for call in step.calls)
    return Response(
        id=f"resp_{key}_{first_number}",
        created_at=created_at,
        model=MODEL_NAME,
        object="response",
        output=output,
        tool_choice="auto",
        tools=[],
        parallel_tool_calls=True,
        status="completed",
        usage=_usage(input_characters, written),
    )


def _message(text: str) -> ResponseOutputMessage:
    return ResponseOutputMessage(
        id=FAKE_RESPONSES_ID,
        content=[ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])],
        role="assistant",
        type="message",
        status="completed",
    )


def _usage(read: int, written: int) -> ResponseUsage:
    given, taken = -(-read // _CHARACTERS_PER_TOKEN), -(-written // _CHARACTERS_PER_TOKEN)
    return ResponseUsage(
        input_tokens=given,
        output_tokens=taken,
        total_tokens=given + taken,
        input_tokens_details=InputTokensDetails.model_validate({"cached_tokens": 0, "cache_write_tokens": 0}),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
    )


def events_of(response: Response) -> Iterator[TResponseStreamEvent]:
    """Return the events that stream a response."""
    numbers = count()
    begun = response.model_copy(update={"output": [], "status": "in_progress", "usage": None})
    yield ResponseCreatedEvent(response=begun, type="response.created", sequence_number=next(numbers))
    for index, item in enumerate(response.output):
        is_call = isinstance(item, ResponseFunctionToolCall)
        empty = item.model_copy(update={"arguments": ""} if is_call else {"content": [], "status": "in_progress"})
        yield ResponseOutputItemAddedEvent(
            item=empty, output_index=index, type="response.output_item.added", sequence_number=next(numbers)
        )
        if isinstance(item, ResponseFunctionToolCall):
            yield from _call_events(item, index, numbers)
        elif isinstance(item, ResponseOutputMessage):
            yield from _text_events(item, index, numbers)
        yield ResponseOutputItemDoneEvent(
            item=item, output_index=index, type="response.output_item.done", sequence_number=next(numbers)
        )
    yield ResponseCompletedEvent(response=response, type="response.completed", sequence_number=next(numbers))


def _call_events(item: ResponseFunctionToolCall, index: int, numbers: Iterator[int]) -> Iterator[TResponseStreamEvent]:
    place: dict[str, Any] = {"item_id": FAKE_RESPONSES_ID, "output_index": index}
    yield ResponseFunctionCallArgumentsDeltaEvent(
        **place,
        delta=item.arguments,
        type="response.function_call_arguments.delta",
        sequence_number=next(numbers),
    )
    yield ResponseFunctionCallArgumentsDoneEvent(
        **place,
        arguments=item.arguments,
        type="response.function_call_arguments.done",
        sequence_number=next(numbers),
    )


def _text_events(item: ResponseOutputMessage, index: int, numbers: Iterator[int]) -> Iterator[TResponseStreamEvent]:
    place: dict[str, Any] = {"item_id": FAKE_RESPONSES_ID, "output_index": index, "content_index": 0}
    whole = item.content[0]
    if not isinstance(whole, ResponseOutputText):
        return
    empty = whole.model_copy(update={"text": ""})
    yield ResponseContentPartAddedEvent(
        **place, part=empty, type="response.content_part.added", sequence_number=next(numbers)
    )
    for word in _WORD.findall(whole.text):
        yield ResponseTextDeltaEvent(
            **place, delta=word, logprobs=[], type="response.output_text.delta", sequence_number=next(numbers)
        )
    yield ResponseTextDoneEvent(
        **place, text=whole.text, logprobs=[], type="response.output_text.done", sequence_number=next(numbers)
    )
    yield ResponseContentPartDoneEvent(
        **place, part=whole, type="response.content_part.done", sequence_number=next(numbers)
    )
