"""The operations that are measured: their documents, and requests with variables that vary."""

import json
import random
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.load import COUNTER, Template
from bench.peers import postgraphile_operations
from bench.seed import TOP_TASKS, Population, task_id, user_id

_TASK: Final = "id title description completed priority dueAt tags revision createdAt updatedAt"
_PRIORITIES: Final = ("LOW", "MEDIUM", "HIGH")
_WRITING_USERS: Final = 64
_TAGS: Final[tuple[list[str], ...]] = ([], ["home"], ["money", "soon"], ["work"])

Variables = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """A document and how its variables vary."""

    name: str
    title: str
    text: str
    # Return the variables of a request of one user.
    variables: Callable[[random.Random, int], Variables]
    # Whether it reads what only the full users have.
    full: bool = False
    writes: bool = False
    # Whether the variables are written into the document.
    has_literals: bool = False
    # Of 100 requests of the mixed workload, how many are of this operation.
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What one user sends."""

    operation: Operation
    user: int
    session: int
    variables: Variables


def _first(low: int, high: int) -> Callable[[random.Random, int], Variables]:
    return lambda chance, _user: {"first": chance.randint(low, high)}


def _filtered(chance: random.Random, _user: int) -> Variables:
    return {"first": chance.randint(46, 54), "priority": chance.sample(_PRIORITIES, 2)}


def _conversations(messages: int) -> Callable[[random.Random, int], Variables]:
    spread = messages // 20
    return lambda chance, _user: {
        "conversations": chance.randint(19, 21),
        "messages": chance.randint(messages - spread, messages + spread),
    }


def _levels(chance: random.Random, _user: int) -> Variables:
    return {"tasks": chance.randint(9, 11), "below": chance.randint(5, 7)}


def _node(chance: random.Random, user: int) -> Variables:
    return {"id": task_id(user, chance.randrange(TOP_TASKS))}


def _new_task(chance: random.Random, _user: int) -> Variables:
    day, hour = chance.randint(1, 28), chance.randint(0, 23)
    return {
        "input": {
            "title": f"Call the bank about card {COUNTER}",
            "description": f"Ask for the one without a yearly fee, before day {day}.",
            "priority": chance.choice(_PRIORITIES),
            "dueAt": f"2026-12-{day:02}T{hour:02}:00:00+01:00",
            "tags": chance.choice(_TAGS),
        }
    }


def _nothing(_chance: random.Random, _user: int) -> Variables:
    return {}


_TASKS_FIELDS: Final = f"nodes {{ {_TASK} }} pageInfo {{ hasNextPage endCursor }}"
_CONVERSATIONS_TEXT: Final = """query Conversations($conversations: Int, $messages: Int) {
  conversations(first: $conversations) {
    nodes { id title messages(first: $messages) { nodes { id role content createdAt } } }
  }
}"""
TASKS: Final = Operation(
    "tasks",
    "50 tasks",
    f"query Tasks($first: Int) {{ tasks(first: $first) {{ {_TASKS_FIELDS} }} }}",
    _first(46, 54),
    weight=30,
)
FILTERED: Final = Operation(
    "filtered",
    "50 filtered, counted",
    """query Filtered($first: Int, $priority: [TaskPriority!]) {
  tasks(first: $first, filter: {completed: false, priority: $priority}, orderBy: {field: DUE_AT}) {
    totalCount nodes { id title priority dueAt } pageInfo { hasNextPage endCursor }
  }
}""",
    _filtered,
    full=True,
    weight=15,
)
MESSAGES_20: Final = Operation(
    "messages_20", "20 x 20 messages", _CONVERSATIONS_TEXT, _conversations(20), full=True, weight=15
)
MESSAGES_40: Final = Operation("messages_40", "20 x 40 messages", _CONVERSATIONS_TEXT, _conversations(40), full=True)
LEVELS: Final = Operation(
    "levels",
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
    _levels,
    full=True,
    weight=10,
)
NODE: Final = Operation(
    "node",
    "node by id",
    """query Node($id: ID!) {
  node(id: $id) {
    __typename
    ... on Task { id title description completed priority dueAt tags }
    ... on Conversation { id title }
  }
}""",
    _node,
    weight=10,
)
VIEWER: Final = Operation("viewer", "viewer", "{ viewer { id name email } }", _nothing, weight=5)
CREATE: Final = Operation(
    "create_task",
    "createTask",
    f"""mutation Create($input: CreateTaskInput!) {{
  createTask(input: $input) {{ task {{ {_TASK} }} errors {{ code message }} }}
}}""",
    _new_task,
    writes=True,
    weight=15,
)
NEW_ALIAS: Final = Operation(
    "new_alias",
    "new document: an alias changes",
    f"query Tasks($first: Int) {{ t{COUNTER}: tasks(first: $first) {{ {_TASKS_FIELDS} }} }}",
    _first(46, 54),
)
NEW_LITERAL: Final = Operation(
    "new_literal",
    "new document: literals change",
    f'{{ tasks(first: $first) {{ {_TASKS_FIELDS} }} node(id: "$id") {{ ... on Task {{ id title }} }} }}',
    lambda chance, user: {"first": chance.randint(46, 54)} | _node(chance, user),
    has_literals=True,
)
SINGLE: Final = (TASKS, FILTERED, MESSAGES_20, MESSAGES_40, LEVELS, NODE, VIEWER, CREATE, NEW_ALIAS, NEW_LITERAL)
# Requests of the others by their weights.
MIXED: Final = Operation("mixed", "mixed: lists 70 %, node and viewer 15 %, createTask 15 %", "", _nothing, writes=True)
OPERATIONS: Final = (*SINGLE, MIXED)


def draw_requests(operation: Operation, population: Population, chance: random.Random, count: int) -> list[Request]:
    """Return requests of random users with variables of their own."""
    weights = [each.weight for each in SINGLE]
    drawn = chance.choices(SINGLE, weights, k=count) if operation is MIXED else [operation] * count
    return [_draw(each, population, chance) for each in drawn]


def _draw(operation: Operation, population: Population, chance: random.Random) -> Request:
    user = chance.randrange(population.full_users if operation.full else population.users)
    session = chance.randrange(population.sessions_of_full_user) if operation.full else 0
    return Request(operation, user, session, operation.variables(chance, user))


def repeated_requests(operation: Operation, chance: random.Random) -> list[Request]:
    """Return one request to be sent again and again; createTask's is of 64 users, for it locks the user's row."""
    variables = operation.variables(chance, 0)
    return [Request(operation, user, 0, variables) for user in range(_WRITING_USERS if operation.writes else 1)]


def body_of(request: Request, *, for_postgraphile: bool = False) -> dict[str, Any]:
    """Return the GraphQL request, in the words of our schema or of PostGraphile's."""
    text, variables = request.operation.text, request.variables
    if for_postgraphile:
        text = postgraphile_operations.TEXTS[request.operation.name]
        variables = postgraphile_operations.variables_of(variables, user_id(request.user))
    if request.operation.has_literals:
        return {"query": string.Template(text).substitute(variables)}
    return {"query": text, "variables": variables}


def template_of(body: Mapping[str, Any], token: str, chance: random.Random, *, varied: bool = True) -> Template:
    """Return the bytes of an HTTP request; where varied, it is split where its number goes."""
    content = json.dumps(body).encode()
    head = [
        "POST /graphql HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: bench",
        "Accept: application/json",
        "Content-Type: application/json",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(content)}",
    ]
    if varied:
        # The number of the request makes both unique; what is random makes them look like a proxy's.
        request_id = f"{COUNTER}-{chance.getrandbits(96):024x}"
        head += [
            f"X-Request-ID: {request_id}",
            f"traceparent: 00-{COUNTER}{chance.getrandbits(96):024x}-{chance.getrandbits(32):08x}{COUNTER}-01",
        ]
    whole = "\r\n".join([*head, "", ""]).encode() + content
    parts = whole.split(COUNTER.encode())
    return parts if varied else [b"00000000".join(parts)]
