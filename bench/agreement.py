"""Whether all servers give the same answers, and write the same rows."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import unified_diff
from typing import Any, Final

import asyncpg

from bench.load import COUNTER, BenchError
from bench.peers import postgraphile_operations
from bench.seed import Tokens
from bench.servers import Server
from bench.workload import CREATE, Request, body_of

_CREATED_SQL: Final = """
SELECT t.title, t.description, t.priority, t.tags, t.completed, t.words, t.due_at::text,
       t.revision = u.revision AS is_latest, c.kind, c.revision = t.revision AS is_recorded,
       c.after::jsonb ->> 'title' AS recorded_title
FROM tasks t JOIN users u ON u.id = t.user_id JOIN history c ON c.user_id = t.user_id AND c.row_id = t.id
WHERE t.id = $1"""
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
# What differs between two answers to createTask.
_CREATED: Final = frozenset({"id", "revision", "createdAt", "updatedAt"})
_MAX_DIFFERENCE_LINES: Final = 40


async def require_agreement(servers: Sequence[Server], requests: Sequence[Request], tokens: Tokens) -> None:
    """End the measurement where servers answer a request in different ways."""
    for request in requests:
        answers = [await _comparable_answer(server, request, tokens) for server in servers]
        for server, answer in zip(servers[1:], answers[1:], strict=True):
            if answer != answers[0]:
                titles = servers[0].kind.title, server.kind.title
                difference = _difference(answers[0], answer, *titles)
                operation = request.operation.title
                raise BenchError(f"{titles[0]} and {titles[1]} disagree on {operation}:\n{difference}")


async def _comparable_answer(server: Server, request: Request, tokens: Tokens) -> Any:
    """Return an answer in the form that all servers have in common; for createTask with the rows in the database."""
    for_postgraphile = server.kind.key == "postgraphile"
    body = json.dumps(body_of(request, for_postgraphile=for_postgraphile)).replace(COUNTER, "00000000")
    answer = await server.answer(json.loads(body), tokens.of(request.user, request.session))
    if for_postgraphile:
        answer = postgraphile_operations.with_named_priorities(answer)
    if request.operation is not CREATE:
        return _in_common(answer)
    task = answer["createTask"]["task"]
    connection = await asyncpg.connect(server.database_url)
    row = await connection.fetchrow(_CREATED_SQL, task["id"])
    await connection.close()
    return _in_common({name: task[name] for name in task.keys() - _CREATED}), row and dict(row)


def _in_common(value: Any, key: str = "") -> Any:
    """Return an answer with its moments in one form, and of its cursors only whether they are there."""
    if isinstance(value, Mapping):
        return {name: _in_common(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_in_common(each) for each in value]
    if key == "endCursor":
        return value is not None
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return value


def _difference(first: Any, second: Any, first_title: str, second_title: str) -> str:
    one, other = (json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (first, second))
    lines = unified_diff(one, other, first_title, second_title, lineterm="", n=1)
    return "\n".join(list(lines)[:_MAX_DIFFERENCE_LINES])
