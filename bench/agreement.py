"""Whether all servers give the same answers, and leave the same rows behind."""

import json
from collections.abc import Sequence
from difflib import unified_diff
from typing import Any, Final

import asyncpg

from bench.asking import BenchError, Request
from bench.operations import CREATE, Operation
from bench.questions import comparable_answer
from bench.servers import KINDS, Server

_TASK_SQL: Final = """
SELECT t.title, t.description, (ARRAY['LOW', 'MEDIUM', 'HIGH'])[t.priority] AS priority, t.tags, t.completed, t.words,
       t.due_at = '2026-12-01T08:00:00Z' AS is_due, t.revision = u.revision AS is_latest,
       c.kind, c.revision = t.revision AS is_recorded, c.after::jsonb ->> 'title' AS recorded_title
FROM tasks t JOIN users u ON u.id = t.user_id JOIN task_changes c ON c.user_id = t.user_id AND c.task_id = t.id
WHERE t.id = $1"""
_NEW: Final = CREATE.variables["input"]
_TASK: Final = {
    **{name: _NEW[name] for name in ("title", "description", "priority", "tags")},
    "completed": False,
    "words": "a about ask bank call card fee for new one the without yearly",
    "is_due": True,
    "is_latest": True,
    "kind": "CREATED",
    "is_recorded": True,
    "recorded_title": _NEW["title"],
}
_LONGEST_DIFFERENCE: Final = 40


async def require_agreement(
    operation: Operation, questions: Sequence[tuple[Server, Request]], database_url: str
) -> None:
    """End the measurement where servers do not agree."""
    answers = []
    for server, request in questions:
        answer = await comparable_answer(server, request)
        if operation is CREATE:
            await _require_new_task(server, answer["createTask"]["task"], database_url)
        else:
            answers.append((server, answer))
    if operation is CREATE:
        return
    first_server, first = answers[0]
    for server, answer in answers[1:]:
        if answer != first:
            names = KINDS[first_server.key].name, KINDS[server.key].name
            difference = _difference(first, answer, *names)
            raise BenchError(f"{names[0]} and {names[1]} disagree on {operation.name}:\n{difference}")


async def _require_new_task(server: Server, answer: dict[str, Any], database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    row = await connection.fetchrow(_TASK_SQL, answer["id"])
    await connection.close()
    found = None if row is None else dict(row)
    shown = {name: answer[name] for name in _NEW}
    wanted = {**_NEW, "dueAt": "2026-12-01T08:00:00+00:00"}
    for name, has, wants in (("stored", found, _TASK), ("answered", shown, wanted)):
        if has != wants:
            difference = _difference(wants, has, "what is wanted", f"what {KINDS[server.key].name} {name}")
            raise BenchError(f"{KINDS[server.key].name} made another task than was asked for:\n{difference}")


def _difference(first: Any, second: Any, first_name: str, second_name: str) -> str:
    one, other = (json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (first, second))
    found = unified_diff(one, other, first_name, second_name, lineterm="", n=1)
    return "\n".join(list(found)[:_LONGEST_DIFFERENCE])
