"""What each server is asked for an operation, and its answers in a form that can be compared."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from bench.asking import Request
from bench.operations import CREATE, MANY, NEXT_PAGE, NODE, PAGES, Operation
from bench.peers import postgraphile_operations
from bench.rows import Rows
from bench.servers import Server
from tests.factories import SignedIn

_POSTGRAPHILE: Final = "postgraphile"
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_CURSORS: Final = frozenset({"endCursor", "cursor"})


def ask(server: Server, operation: Operation, person: SignedIn, **variables: Any) -> Request:
    """Return the request that asks a server for an operation, in the words of its schema."""
    text, given = operation.text, {**operation.variables, **variables}
    if server.key == _POSTGRAPHILE:
        text = postgraphile_operations.TEXTS[operation.name]
        given = postgraphile_operations.variables_of(given, person.user.id)
    return Request(person.token, {"query": text, "variables": given})


async def questions_of(server: Server, operation: Operation, rows: Rows) -> list[Request]:
    """Return the requests that an operation is measured with: one, or one of each person who writes."""
    if operation is CREATE:
        return [ask(server, operation, writer) for writer in rows.writers]
    variables = {NODE.name: {"id": rows.task_id}, MANY.name: {"id": rows.long_conversation_id}}.get(operation.name, {})
    if operation is MANY:
        variables |= await _cursors(server, rows)
    return [ask(server, operation, rows.reader, **variables)]


async def _cursors(server: Server, rows: Rows) -> dict[str, str]:
    """Return where each page of the longest conversation begins: cursors are each server's own."""
    cursors: dict[str, str] = {}
    after = None
    for number in range(1, PAGES):
        request = ask(server, NEXT_PAGE, rows.reader, id=rows.long_conversation_id, after=after)
        answer = await server.answer(request)
        after = cursors[f"c{number}"] = answer["conversation"]["messages"]["pageInfo"]["endCursor"]
    return cursors


async def comparable_answer(server: Server, request: Request) -> Any:
    """Return a server's answer in the form that all have in common."""
    answer = await server.answer(request)
    if server.key == _POSTGRAPHILE:
        answer = postgraphile_operations.with_named_priorities(answer)
    return _in_common(answer)


def _in_common(value: Any, key: str = "") -> Any:
    """Return an answer with its moments in one form, and of its cursors only whether they are there."""
    if isinstance(value, dict):
        return {name: _in_common(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_in_common(each) for each in value]
    if key in _CURSORS:
        return value is not None
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return value
