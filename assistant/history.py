"""What the model reads of a conversation: as much as fits, and never a tool call without its result."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from assistant.instructions import fence
from models import MessageRole, ToolCallStatus
from services.runs.history import HistoryMessage

# A conversation's tail of this length fills any sensible limit of tokens.
MAX_MESSAGES: Final = 200
CHARACTERS_PER_TOKEN: Final = 4
_TOKENS_PER_ITEM: Final = 8

Item = dict[str, Any]


def history(messages: Sequence[HistoryMessage], max_tokens: int) -> list[Item]:
    """Return the items of the last messages that fit, the one to be answered in any case."""
    groups: list[list[Item]] = []
    tokens_left = max_tokens
    for place, message in reversed(list(enumerate(messages))):
        group = _items(message, place)
        tokens_left -= sum(map(_tokens, group))
        if groups and tokens_left < 0:
            break
        groups.append(group)
    return [item for group in reversed(groups) for item in group]


def rejection() -> str:
    """Return the output of a call that the person has rejected, for the model."""
    return fence(orjson.dumps({"error": "The person did not approve this; nothing was done."}).decode())


def _items(message: HistoryMessage, place: int) -> list[Item]:
    items: list[Item] = []
    for index, call in enumerate(message.calls):
        # The model may use the same call ids again in another run.
        call_id = f"earlier_{place}_{index}"
        items += [
            {
                "type": "function_call",
                "call_id": call_id,
                "name": call.name,
                "arguments": orjson.dumps(call.arguments).decode(),
            },
            {"type": "function_call_output", "call_id": call_id, "output": _output(call)},
        ]
    if message.content:
        role = "user" if message.role is MessageRole.USER else "assistant"
        items.append({"role": role, "content": message.content})
    return items


def _output(call: Any) -> str:
    if call.status is ToolCallStatus.REJECTED:
        return rejection()
    result = call.result if call.result is not None else {"error": "It did not come to an end."}
    return fence(orjson.dumps(result).decode())


def _tokens(item: Item) -> int:
    characters = sum(len(text) for text in item.values() if isinstance(text, str))
    return _TOKENS_PER_ITEM + characters // CHARACTERS_PER_TOKEN
