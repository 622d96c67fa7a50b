"""The operations as clients of PostGraphile's schema write them; aliases give answers the shape of ours."""

from typing import Any, Final

from bench import operations
from bench.operations import PAGE_SIZE, PAGES

_RANKS: Final = {"LOW": 1, "MEDIUM": 2, "HIGH": 3}
_TASK: Final = "id: rowId title description completed priority dueAt tags revision createdAt updatedAt"
_OLDEST_FIRST: Final = "orderBy: [CREATED_AT_ASC, ROW_ID_ASC]"
_CURSOR_NAMES: Final = [f"c{number}" for number in range(1, PAGES)]
_MESSAGES: Final = "messagesByUserIdAndConversationId"

TEXTS: Final = {
    operations.SCALAR.name: operations.SCALAR.text,
    operations.VIEWER.name: """query Viewer($userId: String!) {
  viewer: userByRowId(rowId: $userId) { id: rowId name email }
}""",
    operations.TASKS.name: f"""query Tasks($userId: String!, $first: Int) {{
  tasks: allTasks(first: $first, condition: {{userId: $userId}}, {_OLDEST_FIRST}) {{
    nodes {{ {_TASK} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}""",
    operations.FILTERED.name: """query Filtered($userId: String!, $first: Int, $priority: [Int!]) {
  tasks: allTasks(
    first: $first, condition: {userId: $userId}, orderBy: [DUE_AT_ASC, ROW_ID_ASC]
    filter: {completed: {equalTo: false}, priority: {in: $priority}}
  ) { totalCount nodes { id: rowId title priority dueAt } pageInfo { hasNextPage endCursor } }
}""",
    operations.LISTS.name: f"""query Conversations($userId: String!, $conversations: Int, $messages: Int) {{
  conversations: allConversations(
    first: $conversations, condition: {{userId: $userId}}, orderBy: [UPDATED_AT_DESC, ROW_ID_DESC]
  ) {{
    nodes {{
      id: rowId title
      messages: {_MESSAGES}(first: $messages, {_OLDEST_FIRST}) {{ nodes {{ id: rowId role content createdAt }} }}
    }}
  }}
}}""",
    operations.LEVELS.name: f"""query Levels($userId: String!, $tasks: Int!, $below: Int!) {{
  open: allTasks(
    first: $tasks, condition: {{userId: $userId}}, {_OLDEST_FIRST}
    filter: {{completed: {{equalTo: false}}, parentId: {{isNull: true}}}}
  ) {{
    nodes {{
      id: rowId heading: title
      parts: tasksByUserIdAndParentId(first: $below, {_OLDEST_FIRST}) {{
        nodes {{
          id: rowId heading: title done: completed
          steps: tasksByUserIdAndParentId(first: $below, {_OLDEST_FIRST}) {{
            nodes {{ id: rowId heading: title dueAt }}
          }}
        }}
      }}
    }}
  }}
}}""",
    operations.NODE.name: """query Node($userId: String!, $id: UUID!) {
  node: taskByUserIdAndRowId(userId: $userId, rowId: $id) {
    __typename id: rowId title description completed priority dueAt tags
  }
}""",
    operations.CREATE.name: f"""mutation Create($input: MakeTaskInput!) {{
  createTask: makeTask(input: $input) {{ task: result {{ {_TASK} }} }}
}}""",
    operations.MANY.name: "\n".join(
        [
            f"query Pages($userId: String!, $id: UUID!, {', '.join(f'${name}: Cursor' for name in _CURSOR_NAMES)}) {{",
            "  conversation: conversationByUserIdAndRowId(userId: $userId, rowId: $id) {",
            f"    id: rowId p0: {_MESSAGES}(first: {PAGE_SIZE}, {_OLDEST_FIRST}) {{ ...page }}",
            *(
                f"    p{name[1:]}: {_MESSAGES}(first: {PAGE_SIZE}, after: ${name}, {_OLDEST_FIRST}) {{ ...page }}"
                for name in _CURSOR_NAMES
            ),
            "  }",
            "}",
            "fragment page on MessageConnection {",
            "  nodes { id: rowId role content createdAt } pageInfo { hasNextPage endCursor }",
            "}",
        ]
    ),
    operations.NEXT_PAGE.name: f"""query Page($userId: String!, $id: UUID!, $after: Cursor) {{
  conversation: conversationByUserIdAndRowId(userId: $userId, rowId: $id) {{
    messages: {_MESSAGES}(first: {PAGE_SIZE}, after: $after, {_OLDEST_FIRST}) {{ pageInfo {{ endCursor }} }}
  }}
}}""",
}


def variables_of(variables: dict[str, Any], user_id: str) -> dict[str, Any]:
    """Return the variables as this schema takes them: priorities are numbers, and the owner is named."""
    given = {**variables, "userId": user_id}
    if "priority" in given:
        given["priority"] = [_RANKS[name] for name in given["priority"]]
    if "input" in given:
        new = given.pop("input")
        given = {"input": {**new, "priority": _RANKS[new["priority"]], "userId": user_id}}
    return given


def with_named_priorities(value: Any, key: str = "") -> Any:
    """Return an answer with the priorities as ours has them."""
    if isinstance(value, dict):
        return {name: with_named_priorities(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [with_named_priorities(each) for each in value]
    if key == "priority":
        return next(name for name, rank in _RANKS.items() if rank == value)
    return value
