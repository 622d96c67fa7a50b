"""Runs operations inside the process, where the SQL statements of each can be seen."""

import re
from dataclasses import dataclass
from typing import Any, Final

from graphql import parse, validate

from engine import Plan
from graph.context import Context
from server.graphql.schema import core_schema, schema
from tests.databases import counted
from tests.factories import SignedIn
from tests.servers import RunningServer

SCHEMA: Final = core_schema(schema)
_SELECTED: Final = re.compile(r"(?:tasks|history|conversations|messages|users|page|found)\.(\w+)")


@dataclass(frozen=True, slots=True)
class Run:
    data: Any
    statements: list[str]

    @property
    def columns(self) -> list[set[str]]:
        """Return the columns that each statement returns, without the parents' keys that it is asked with."""
        return [set(_SELECTED.findall(statement.partition("FROM")[0])) for statement in self.statements]


async def run(server: RunningServer, user: SignedIn | None, query: str, variables: dict[str, Any] | None = None) -> Run:
    """Execute an operation that must have no errors."""
    document = parse(query)
    assert not validate(SCHEMA, document)
    with counted() as count:
        context = Context(server.runtime, user.caller if user else None, "test", "127.0.0.1")
        result = await Plan(SCHEMA, document).execute(None, context, variables)
    assert not result.errors, result.errors
    return Run(result.data, count)
