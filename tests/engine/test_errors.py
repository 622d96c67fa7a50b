"""Errors and nulls, and which errors are in the response; mutations, whose fields are executed one after another."""

import asyncio
from types import SimpleNamespace as Node
from typing import Any, Final

import pytest
from graphql import GraphQLError, build_schema, located_error

from tests.engine.both import label, same

SCHEMA: Final = build_schema("""
    type Node {
        nullable: Int  strict: Int!  child: Node  strictChild: Node!
        list: [Int]  strictItems: [Int!]  strictList: [Int]!  strictBoth: [Int!]!
        children: [Node]  strictChildren: [Node!]!  grid: [[Int!]!]  strictGrid: [[Int!]!]!
    }
    type Query { node: Node  strictNode: Node!  nodes: [Node]  other: Int }
""")


def fail(_info: Any) -> Any:
    raise ValueError("failed")


async def fail_later(_info: Any) -> Any:
    await asyncio.sleep(0)
    raise ValueError("failed later")


def refuse(_info: Any) -> Any:
    raise GraphQLError("refused", extensions={"code": "NO"})


def locate(_info: Any) -> Any:
    raise located_error(ValueError("elsewhere"), None, ["some", "where"])


ODD: Final = [
    *(None, fail, fail_later, refuse, locate),
    *(ValueError("returned"), "wrong", object(), float("nan"), {}, [None], 2**40),
]
LISTS: Final = ("list", "strictItems", "strictList", "strictBoth", "grid", "strictGrid")


@pytest.mark.parametrize("value", ODD, ids=label)
@pytest.mark.parametrize("field", ["nullable", "strict", *LISTS])
async def test_wrong_value_nulls_the_nearest_nullable_field(field: str, value: Any) -> None:
    node = Node(**{field: value})
    root = {"node": Node(child=node, strictChild=node), "nodes": [node, Node(**{field: [1]}), node], "other": 1}
    await same(SCHEMA, f"{{ node {{ child {{ {field} }} }} nodes {{ {field} }} other }}", root)
    await same(SCHEMA, f"{{ node {{ strictChild {{ {field} }} }} other }}", root)
    await same(SCHEMA, f"{{ strictNode {{ {field} }} other }}", {"strictNode": node, "other": 1})


@pytest.mark.parametrize(
    "item", [None, ValueError("returned"), "wrong", [None], [1, ValueError("inner"), None]], ids=label
)
@pytest.mark.parametrize("field", LISTS)
async def test_wrong_item_nulls_the_nearest_nullable_field(field: str, item: Any) -> None:
    node = Node(**{field: [item, 1, item, [2, item], []]})
    await same(SCHEMA, f"{{ node {{ {field} }} nodes {{ {field} }} }}", {"node": node, "nodes": [node, None, node]})


@pytest.mark.parametrize("field", ["child", "strictChild", "children", "strictChildren"])
@pytest.mark.parametrize("inner", ["strict", "strictChild { strict }", "nullable strict", "strict nullable"])
async def test_null_propagates_through_non_null_types(field: str, inner: str) -> None:
    node = Node(strict=None, nullable=fail, strictChild=Node(strict=fail))
    value: Any = [node, Node(strict=1, strictChild=Node(strict=2)), node] if "ren" in field else node
    for outer in ("node", "strictNode"):
        root = {outer: Node(**{field: value}), "other": 1}
        await same(SCHEMA, f"{{ other {outer} {{ {field} {{ {inner} }} }} }}", root)


ORDERS: Final = [
    # Errors before the one that nulls the object are kept, those after it are left out.
    "{ node { nullable strict } }",
    "{ node { strict nullable } }",
    "{ node { strict child { nullable } } }",
    "{ node { children { nullable strict } nullable } }",
    "{ node { strictChildren { nullable strict } nullable } }",
    "{ strictNode { child { nullable } strictChildren { strict } nullable } other }",
    "{ nodes { nullable strict } node { child { nullable } strictChild { strict nullable } nullable } }",
]


@pytest.mark.parametrize("query", ORDERS)
async def test_errors_within_nulled_objects_are_left_out(query: str) -> None:
    bad = Node(nullable=fail, strict=fail)
    many = [bad, None, bad]
    node = Node(nullable=fail, strict=None, child=bad, strictChild=bad, children=many, strictChildren=many)
    await same(SCHEMA, query, {"node": node, "strictNode": node, "nodes": [bad, node, None, bad], "other": fail})


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
        'mutation { a: sure(name: "later a") { after } b: sure(name: "b") { name } }',
        'mutation { a: step(name: "a") { after } b: step(name: "fail b") { name } c: step(name: "c") { name after } }',
        'mutation { a: step(name: "a") { name } b: step(name: "b") { name strict } c: step(name: "c") { name after } }',
        'mutation { a: step(name: "a") { name } b: step c: step(name: "c") { after } }',
        'mutation { a: step(name: "a") { name } a: step(name: "a") { after } number b: step(name: "b") { name } }',
        # Nothing is done after what makes everything null.
        'mutation { number a: sure(name: "later fail") { name } b: step(name: "b") { name } }',
        'mutation { a: sure(name: "fail") { name } number }',
        'mutation { a: step(name: "a") { strict } number }',
        'mutation { ...F number } fragment F on Mutation { a: step(name: "a") { name } number }',
    ],
)
async def test_fields_of_a_mutation_are_executed_serially(query: str) -> None:
    lines: list[str] = []
    await same(build_schema(SDL), query, Step("root", lines))
    half = len(lines) // 2
    assert lines[:half] == lines[half:]
