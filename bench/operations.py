"""The operations that are measured, as clients of our schema write them, and how answers are compared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bench.rows import Rows

PAGES: Final = 20
_TASK: Final = "id title description completed priority dueAt tags revision createdAt updatedAt"
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_CURSORS: Final = frozenset({"endCursor", "startCursor", "cursor"})


@dataclass(frozen=True, slots=True)
class Operation:
    """A request: what it is called, its text and its variables."""

    name: str
    text: str
    variables: Mapping[str, Any] = field(default_factory=dict)


SCALAR: Final = Operation("scalar", "{ __typename }")
VIEWER: Final = Operation("viewer", "{ viewer { id name email } }")
TASKS: Final = Operation(
    "50 tasks",
    f"""query Tasks($first: Int) {{
  tasks(first: $first) {{ nodes {{ {_TASK} }} pageInfo {{ hasNextPage endCursor }} }}
}}""",
    {"first": 50},
)
FILTERED: Final = Operation(
    "50 filtered, counted",
    """query Filtered($first: Int, $priority: [TaskPriority!]) {
  tasks(first: $first, filter: {completed: false, priority: $priority}, orderBy: {field: DUE_AT}) {
    totalCount nodes { id title priority dueAt } pageInfo { hasNextPage endCursor }
  }
}""",
    {"first": 50, "priority": ["HIGH", "MEDIUM"]},
)
TWENTY_BY_TWENTY: Final = Operation(
    "20 x 20",
    """query Conversations($conversations: Int, $messages: Int) {
  conversations(first: $conversations) {
    nodes { id title messages(first: $messages) { nodes { id role content createdAt } } }
  }
}""",
    {"conversations": 20, "messages": 20},
)
THREE_LEVELS: Final = Operation(
    "three levels",
    """query Levels($tasks: Int!, $below: Int!) {
  open: tasks(first: $tasks, filter: {completed: false, isSubtask: false}) {
    nodes {
      id heading: title
      parts: subtasks(first: $below) {
        nodes { id heading: title done: completed steps: subtasks(first: $below) { nodes { id heading: title dueAt } } }
      }
    }
  }
}""",
    {"tasks": 10, "below": 5},
)
_NODE_TEXT: Final = """query Node($id: ID!) {
  node(id: $id) {
    __typename
    ... on Task { id title description completed priority dueAt tags }
    ... on Conversation { id title }
  }
}"""
CREATE_TASK_TEXT: Final = f"""mutation Create($input: CreateTaskInput!) {{
  createTask(input: $input) {{ task {{ {_TASK} }} errors {{ code message }} }}
}}"""
NEW_TASK: Final = {
    "title": "Call the bank about the new card",
    "description": "Ask for the one without a yearly fee.",
    "priority": "HIGH",
    "dueAt": "2026-12-01T09:00:00+01:00",
    "tags": ["money", "soon"],
}
CREATE_TASK: Final = Operation("createTask", CREATE_TASK_TEXT, {"input": NEW_TASK})
_CURSOR_NAMES: Final = [f"c{number}" for number in range(1, PAGES)]
PAGES_TEXT: Final = "\n".join(
    [
        f"query Pages($id: ID!, {', '.join(f'${name}: String' for name in _CURSOR_NAMES)}) {{",
        "  conversation(id: $id) {",
        "    id p0: messages(first: 100) { ...page }",
        *(f"    p{number}: messages(first: 100, after: $c{number}) {{ ...page }}" for number in range(1, PAGES)),
        "  }",
        "}",
        "fragment page on MessageConnection { nodes { id role content createdAt } pageInfo { hasNextPage endCursor } }",
    ]
)


def reads(rows: Rows) -> list[Operation]:
    """Return every operation that changes nothing and needs no cursor."""
    node = Operation("node by id", _NODE_TEXT, {"id": rows.task_id})
    return [SCALAR, VIEWER, TASKS, FILTERED, TWENTY_BY_TWENTY, THREE_LEVELS, node]


def normalised(value: Any, key: str = "") -> Any:
    """Return an answer with its moments in one form, and of its cursors only whether they are there."""
    if isinstance(value, dict):
        return {name: normalised(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [normalised(each) for each in value]
    if key in _CURSORS:
        return value is not None
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return value
