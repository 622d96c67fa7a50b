"""The operations that are measured, as clients of our schema write them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PAGE_SIZE: Final = 100
PAGES: Final = 20
_TASK: Final = "id title description completed priority dueAt tags revision createdAt updatedAt"
_CURSOR_NAMES: Final = [f"c{number}" for number in range(1, PAGES)]


@dataclass(frozen=True, slots=True)
class Operation:
    """What it is called, its text, its variables as far as they are known, and most connections that ask for it."""

    name: str
    text: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    most_connections: int = 1_000


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
LISTS: Final = Operation(
    "20 x 20",
    """query Conversations($conversations: Int, $messages: Int) {
  conversations(first: $conversations) {
    nodes { id title messages(first: $messages) { nodes { id role content createdAt } } }
  }
}""",
    {"conversations": 20, "messages": 20},
)
LEVELS: Final = Operation(
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
NODE: Final = Operation(
    "node by id",
    """query Node($id: ID!) {
  node(id: $id) {
    __typename
    ... on Task { id title description completed priority dueAt tags }
    ... on Conversation { id title }
  }
}""",
)
CREATE: Final = Operation(
    "createTask",
    f"""mutation Create($input: CreateTaskInput!) {{
  createTask(input: $input) {{ task {{ {_TASK} }} errors {{ code message }} }}
}}""",
    {
        "input": {
            "title": "Call the bank about the new card",
            "description": "Ask for the one without a yearly fee.",
            "priority": "HIGH",
            "dueAt": "2026-12-01T09:00:00+01:00",
            "tags": ["money", "soon"],
        }
    },
)
MANY: Final = Operation(
    "2,000 messages",
    "\n".join(
        [
            f"query Pages($id: ID!, {', '.join(f'${name}: String' for name in _CURSOR_NAMES)}) {{",
            "  conversation(id: $id) {",
            f"    id p0: messages(first: {PAGE_SIZE}) {{ ...page }}",
            *(f"    p{name[1:]}: messages(first: {PAGE_SIZE}, after: ${name}) {{ ...page }}" for name in _CURSOR_NAMES),
            "  }",
            "}",
            "fragment page on MessageConnection {",
            "  nodes { id role content createdAt } pageInfo { hasNextPage endCursor }",
            "}",
        ]
    ),
    most_connections=8,
)
# Not measured: it gives the cursors of the last one.
NEXT_PAGE: Final = Operation(
    "a page",
    f"""query Page($id: ID!, $after: String) {{
  conversation(id: $id) {{ messages(first: {PAGE_SIZE}, after: $after) {{ pageInfo {{ endCursor }} }} }}
}}""",
)
OPERATIONS: Final = (SCALAR, VIEWER, TASKS, FILTERED, LISTS, LEVELS, NODE, CREATE, MANY)
