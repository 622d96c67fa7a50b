"""What the limit does for each operation: one statement, and dictionaries of its rows."""

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bench import workload
from bench.peers.rows import new_id, searchable

Answer = Callable[[Any, str, dict[str, Any]], Awaitable[dict[str, Any]]]
OPERATIONS: Final[dict[str, Answer]] = {}

_BEFORE_ALL: Final = (datetime(1, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000000")
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

_LEVELS_SQL: Final = """
SELECT a.id::text AS a_id, a.title AS a_title, b.id::text AS b_id, b.title AS b_title, b.completed,
       c.id::text AS c_id, c.title AS c_title, c.due_at
FROM (
  SELECT id, title, created_at FROM tasks WHERE user_id = $1 AND NOT completed AND parent_id IS NULL
  ORDER BY created_at, id LIMIT $2
) a LEFT JOIN LATERAL (
  SELECT id, title, completed, created_at FROM tasks WHERE user_id = $1 AND parent_id = a.id
  ORDER BY created_at, id LIMIT $3
) b ON true LEFT JOIN LATERAL (
  SELECT id, title, due_at, created_at FROM tasks WHERE user_id = $1 AND parent_id = b.id
  ORDER BY created_at, id LIMIT $3
) c ON true
ORDER BY a.created_at, a.id, b.created_at, b.id, c.created_at, c.id"""
_NODE_SQL: Final = f"""
SELECT 'Task' AS __typename, id::text AS id, title, description, completed, {_PRIORITY}, due_at AS "dueAt", tags
FROM tasks WHERE user_id = $1 AND id = $2"""  # noqa: S608
_CONVERSATION_SQL: Final = """
SELECT 'Conversation' AS __typename, id::text AS id, title FROM conversations WHERE user_id = $1 AND id = $2"""


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


@_answers(workload.VIEWER.text)
async def _viewer(connection: Any, user_id: str, _variables: dict[str, Any]) -> dict[str, Any]:
    return {"viewer": dict(await connection.fetchrow(_VIEWER_SQL, user_id))}


@_answers(workload.TASKS.text)
async def _tasks(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    size = variables["first"]
    return {"tasks": _page(await connection.fetch(_TASKS_SQL, user_id, size + 1), size)}


@_answers(workload.FILTERED.text)
async def _filtered(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    size, ranks = variables["first"], [_RANKS[name] for name in variables["priority"]]
    rows = await connection.fetch(_FILTERED_SQL, user_id, size + 1, ranks)
    total = await connection.fetchval(_COUNT_SQL, user_id, ranks)
    nodes = [dict(row) for row in rows[:size]]
    page_info = _page_info(nodes, "dueAt", goes_on=len(rows) > size)
    return {"tasks": {"totalCount": total, "nodes": nodes, "pageInfo": page_info}}


@_answers(workload.MESSAGES_20.text)
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


@_answers(workload.LEVELS.text)
async def _levels(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    tops: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, Any]] = {}
    sizes = variables["tasks"], variables["below"]
    for row in await connection.fetch(_LEVELS_SQL, user_id, *sizes):
        top_id, top_title, part_id, part_title, done, step_id, step_title, due_at = row
        top = tops.get(top_id)
        if top is None:
            top = tops[top_id] = {"id": top_id, "heading": top_title, "parts": {"nodes": []}}
        if part_id is None:
            continue
        part = parts.get(part_id)
        if part is None:
            part = {"id": part_id, "heading": part_title, "done": done, "steps": {"nodes": []}}
            parts[part_id] = part
            top["parts"]["nodes"].append(part)
        if step_id is not None:
            part["steps"]["nodes"].append({"id": step_id, "heading": step_title, "dueAt": due_at})
    return {"open": {"nodes": list(tops.values())}}


@_answers(workload.NODE.text)
async def _node(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    for statement in (_NODE_SQL, _CONVERSATION_SQL):
        row = await connection.fetchrow(statement, user_id, variables["id"])
        if row is not None:
            return {"node": dict(row)}
    return {"node": None}


_CREATE_SQL: Final = f"""
WITH counted AS (
  UPDATE users SET revision = revision + 1 WHERE id = $1 AND is_active RETURNING revision
), made AS (
  INSERT INTO tasks (user_id, id, revision, created_at, title, description, completed, priority, due_at, tags, words,
                     updated_at)
  SELECT $1, $2, revision, $3, $4, $5, false, $6, $7, $8, $9, $3 FROM counted RETURNING *
), recorded AS (
  INSERT INTO history (user_id, id, revision, created_at, entity, row_id, kind, before, after)
  SELECT $1, $10, revision, $3, 'TASK', $2, 'CREATED', '{{}}', $11 FROM counted
)
SELECT {_TASK} FROM made"""  # noqa: S608


@_answers(workload.CREATE.text)
async def _create_task(connection: Any, user_id: str, variables: dict[str, Any]) -> dict[str, Any]:
    given = variables["input"]
    task_id, moment, due_at = new_id(), datetime.now(UTC), datetime.fromisoformat(given["dueAt"])
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
