"""The operations as clients of PostGraphile's schema write them; aliases give answers the shape of ours."""

from typing import Any, Final

from bench.load import COUNTER

_RANKS: Final = {"LOW": 1, "MEDIUM": 2, "HIGH": 3}
_TASK: Final = "id: rowId title description completed priority dueAt tags revision createdAt updatedAt"
_OLDEST_FIRST: Final = "orderBy: [CREATED_AT_ASC, ROW_ID_ASC]"
_MESSAGES: Final = "messagesByUserIdAndConversationId"

TEXTS: dict[str, str] = {
    "viewer": """query Viewer($userId: String!) {
  viewer: userByRowId(rowId: $userId) { id: rowId name email }
}""",
    "tasks": f"""query Tasks($userId: String!, $first: Int) {{
  tasks: allTasks(first: $first, condition: {{userId: $userId}}, {_OLDEST_FIRST}) {{
    nodes {{ {_TASK} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}""",
    "filtered": """query Filtered($userId: String!, $first: Int, $priority: [Int!]) {
  tasks: allTasks(
    first: $first, condition: {userId: $userId}, orderBy: [DUE_AT_ASC, ROW_ID_ASC]
    filter: {completed: {equalTo: false}, priority: {in: $priority}}
  ) { totalCount nodes { id: rowId title priority dueAt } pageInfo { hasNextPage endCursor } }
}""",
    "messages_20": f"""query Conversations($userId: String!, $conversations: Int, $messages: Int) {{
  conversations: allConversations(
    first: $conversations, condition: {{userId: $userId}}, orderBy: [UPDATED_AT_DESC, ROW_ID_DESC]
  ) {{
    nodes {{
      id: rowId title
      messages: {_MESSAGES}(first: $messages, {_OLDEST_FIRST}) {{ nodes {{ id: rowId role content createdAt }} }}
    }}
  }}
}}""",
    "levels": f"""query Levels($userId: String!, $tasks: Int!, $below: Int!) {{
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
    "node": """query Node($userId: String!, $id: UUID!) {
  node: taskByUserIdAndRowId(userId: $userId, rowId: $id) {
    __typename id: rowId title description completed priority dueAt tags
  }
}""",
    "create_task": f"""mutation Create($input: MakeTaskInput!) {{
  createTask: makeTask(input: $input) {{ task: result {{ {_TASK} }} }}
}}""",
}
TEXTS |= {
    "messages_40": TEXTS["messages_20"],
    "new_alias": TEXTS["tasks"].replace("tasks:", f"t{COUNTER}:"),
    "new_literal": f"""{{
  tasks: allTasks(first: $first, condition: {{userId: "$userId"}}, {_OLDEST_FIRST}) {{
    nodes {{ {_TASK} }} pageInfo {{ hasNextPage endCursor }}
  }}
  node: taskByUserIdAndRowId(userId: "$userId", rowId: "$id") {{ id: rowId title }}
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
