"""Errors and nulls: how far a null propagates, and which errors are in the response, with which path."""

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
    "{ node { child { nullable } strict } }",
    "{ node { strict child { nullable } } }",
    "{ node { children { nullable strict } nullable } }",
    "{ node { strictChildren { nullable strict } nullable } }",
    "{ node { nullable strictChildren { strict nullable } } other }",
    "{ strictNode { child { nullable } strictChildren { strict } nullable } other }",
    "{ nodes { nullable strict } node { child { nullable } strictChild { strict nullable } nullable } }",
]


@pytest.mark.parametrize("query", ORDERS)
async def test_errors_within_nulled_objects_are_left_out(query: str) -> None:
    bad = Node(nullable=fail, strict=fail)
    many = [bad, None, bad]
    node = Node(nullable=fail, strict=None, child=bad, strictChild=bad, children=many, strictChildren=many)
    await same(SCHEMA, query, {"node": node, "strictNode": node, "nodes": [bad, node, None, bad], "other": fail})
