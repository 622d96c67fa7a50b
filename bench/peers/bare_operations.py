"""What the limit does for each operation: one statement, and dictionaries of its rows."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from bench import operations
from core.clock import utc_now
from core.ids import new_id
from services.words import searchable

Answer = Callable[[Any, str, dict[str, Any]], Awaitable[dict[str, Any]]]
OPERATIONS: Final[dict[str, Answer]] = {}

_RANKS: Final = {"LOW": 1, "MEDIUM": 2, "HIGH": 3}
_PRIORITY: Final = "(ARRAY['LOW', 'MEDIUM', 'HIGH'])[priority] AS priority"
_TASK: Final = (
    f"id::text AS id, title, description, completed, {_PRIORITY}, "
    'due_at AS "dueAt", tags, revision, created_at AS "createdAt", updated_at AS "updatedAt"'
)
_MESSAGE: Final = 'id::text AS id, role, content, created_at AS "createdAt"'
_VIEWER_SQL: Final = "SELECT id, name, email FROM users WHERE id = $1 AND is_active"
# What is put into statements are the constants above.
_TASKS_SQL: Final = f"SELECT {_TASK} FROM tasks WHERE user_id = $1 ORDER BY created_at, tasks.id LIMIT $2"  # noqa: S608
_FILTERED_SQL: Final = f"""
SELECT id::text AS id, title, {_PRIORITY}, due_at AS "dueAt"
FROM tasks WHERE user_id = $1 AND NOT completed AND tasks.priority = ANY($3)
ORDER BY due_at IS NULL, due_at, tasks.id LIMIT $2"""  # noqa: S608
_COUNT_SQL: Final = "SELECT count(*) FROM tasks WHERE user_id = $1 AND NOT completed AND priority = ANY($2)"
_CONVERSATIONS_SQL: Final = """
SELECT c.id::text AS cid, c.title, page.* FROM (
  SELECT id, title, updated_at FROM conversations WHERE user_id = $1 ORDER BY updated_at DESC, id DESC LIMIT $2
) c LEFT JOIN LATERAL (
  SELECT m.id::text AS id, m.role, m.content, m.created_at FROM messages m
  WHERE m.user_id = $1 AND m.conversation_id = c.id ORDER BY m.created_at, m.id LIMIT $3
) page ON true
ORDER BY c.updated_at DESC, c.id DESC, page.created_at, page.id"""


def _answers(text: str) -> Callable[[Answer], Answer]:
    def keep(answer: Answer) -> Answer:
        OPERATIONS[text] = answer
        return answer

    return keep


def _page(rows: Sequence[Any], size: int) -> dict[str, Any]:
    nodes = [dict(row) for row in rows[:size]]
    return {"nodes": nodes, "pageInfo": _page_info(nodes, "createdAt", goes_on=len(rows) > size)}


def _page_info(nodes: Sequence[dict[str, Any]], column: str, *, goes_on: bool) -> dict[str, Any]:
    cursor = _cursor(nodes[-1][column], nodes[-1]["id"]) if nodes else None
    return {"hasNextPage": goes_on, "endCursor": cursor}


def _cursor(moment: datetime | None, row_id: str) -> str:
    return urlsafe_b64encode(orjson.dumps([moment, row_id])).decode()


def _place(cursor: str | None) -> tuple[datetime, str] | tuple[None, None]:
    if cursor is None:
        return None, None
    moment, row_id = orjson.loads(urlsafe_b64decode(cursor))
    return datetime.fromisoformat(moment), row_id


@_answers(operations.SCALAR.text)
async def _scalar(_connection: Any, _user_id: str, _variables: dict[str, Any]) -> dict[str, Any]:
    return {"__typename": "Query"}


@_answers(operations.VIEWER.text)
async def _viewer(connection: Any, user_id: str, _variables: dict[str, Any]) -> dict[str, Any]:
    return {"viewer": dict(await connection.fetchrow(_VIEWER_SQL, user_id))}


@_answers(operations.TASKS.text)
async def _tasks(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    size = variables["first"]
    return {"tasks": _page(await connection.fetch(_TASKS_SQL, user_id, size + 1), size)}


@_answers(operations.FILTERED.text)
async def _filtered(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    size, ranks = variables["first"], [_RANKS[name] for name in variables["priority"]]
    rows = await connection.fetch(_FILTERED_SQL, user_id, size + 1, ranks)
    total = await connection.fetchval(_COUNT_SQL, user_id, ranks)
    nodes = [dict(row) for row in rows[:size]]
    page_info = _page_info(nodes, "dueAt", goes_on=len(rows) > size)
    return {"tasks": {"totalCount": total, "nodes": nodes, "pageInfo": page_info}}


@_answers(operations.TWENTY_BY_TWENTY.text)
async def _conversations(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    sizes = variables["conversations"], variables["messages"]
    nodes: dict[str, dict[str, Any]] = {}
    for conversation_id, title, message_id, role, content, moment in await connection.fetch(
        _CONVERSATIONS_SQL, user_id, *sizes
    ):
        conversation = nodes.get(conversation_id)
        if conversation is None:
            conversation = {"id": conversation_id, "title": title, "messages": {"nodes": []}}
            nodes[conversation_id] = conversation
        if message_id is not None:
            message = {"id": message_id, "role": role, "content": content, "createdAt": moment}
            conversation["messages"]["nodes"].append(message)
    return {"conversations": {"nodes": list(nodes.values())}}


_CREATE_SQL: Final = f"""
WITH counted AS (
  UPDATE users SET revision = revision + 1 WHERE id = $1 AND is_active RETURNING revision
), made AS (
  INSERT INTO tasks (user_id, id, revision, created_at, title, description, completed, priority, due_at, tags, words,
                     updated_at)
  SELECT $1, $2, revision, $3, $4, $5, false, $6, $7, $8, $9, $3 FROM counted RETURNING *
), recorded AS (
  INSERT INTO task_changes (user_id, id, revision, created_at, task_id, kind, before, after)
  SELECT $1, $10, revision, $3, $2, 'CREATED', '{{}}', $11 FROM counted
)
SELECT {_TASK} FROM made"""  # noqa: S608


@_answers(operations.CREATE_TASK.text)
async def _create_task(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    given = variables["input"]
    task_id, moment, due_at = new_id(), utc_now(), datetime.fromisoformat(given["dueAt"])
    after = {
        **{name: given[name] for name in ("title", "description", "priority", "tags")},
        "completed": False,
        "completed_at": None,
        "due_at": due_at,
        "parent_id": None,
        "created_at": moment,
    }
    row = await connection.fetchrow(
        _CREATE_SQL,
        user_id,
        task_id,
        moment,
        given["title"],
        given["description"],
        _RANKS[given["priority"]],
        due_at,
        given["tags"],
        searchable(given["title"], given["description"]),
        new_id(),
        orjson.dumps(after).decode(),
    )
    return {"createTask": {"task": dict(row), "errors": []}}
