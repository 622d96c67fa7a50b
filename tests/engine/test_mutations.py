"""Mutations: one field after another, each with all that is below it."""

import asyncio
from typing import Any, Final

import pytest
from graphql import build_schema

from tests.engine.both import same

SDL: Final = """
    type Step { name: String  after: String  strict: String! }
    type Query { none: Int }
    type Mutation { step(name: String!): Step  sure(name: String!): Step!  number: Int }
"""


class Step:
    """A step that has been made, and the root, which makes them; both write down what they do."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name, self.lines = name, lines

    async def step(self, _info: Any, name: str) -> "Step":
        self.lines.append(f"begin {name}")
        await asyncio.sleep(0.001)
        self.lines.append(f"end {name}")
        if "fail" in name:
            raise ValueError(name)
        return Step(name, self.lines)

    def sure(self, info: Any, name: str) -> Any:
        return self.step(info, name) if "later" in name else Step(name, self.lines) if "fail" not in name else None

    def number(self, _info: Any) -> int:
        self.lines.append("number")
        return 1

    async def after(self, _info: Any) -> str:
        await asyncio.sleep(0.001)
        self.lines.append(f"after {self.name}")
        return self.name

    def strict(self, _info: Any) -> None:
        self.lines.append(f"strict {self.name}")


@pytest.mark.parametrize(
    "query",
    [
        'mutation { a: step(name: "a") { after } b: step(name: "b") { name after } number }',
        'mutation { a: step(name: "fail a") { after } b: step(name: "b") { name } }',
        'mutation { a: sure(name: "later a") { after } b: sure(name: "b") { name } }',
        'mutation { a: step(name: "a") { after } b: step(name: "fail b") { name } c: step(name: "c") { name after } }',
        'mutation { a: step(name: "a") { name } b: step(name: "b") { name strict } c: step(name: "c") { name after } }',
        'mutation { a: step(name: "a") { name } b: step c: step(name: "c") { after } }',
        'mutation { a: step(name: "a") { name } a: step(name: "a") { after } number b: step(name: "b") { name } }',
        # Nothing is done after what makes everything null.
        'mutation { number a: sure(name: "later fail") { name } b: step(name: "b") { name } }',
        'mutation { a: sure(name: "fail") { name } number }',
        'mutation { a: sure(name: "a") { name strict } number }',
        'mutation { a: step(name: "a") { strict } number }',
        'mutation { ...F number } fragment F on Mutation { a: step(name: "a") { name } number }',
    ],
)
async def test_fields_of_a_mutation_are_executed_serially(query: str) -> None:
    lines: list[str] = []
    await same(build_schema(SDL), query, Step("root", lines))
    half = len(lines) // 2
    assert lines[:half] == lines[half:]
