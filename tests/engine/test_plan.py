"""Plans: kept for as long as they are used, executed many times, at the same time too."""

import asyncio
from typing import Any, Final

from graphql import build_schema, parse

import engine
from tests.engine.both import same

SCHEMA: Final = build_schema(
    "type Item { id: Int!  items: [[Item!]!]! } type Query { item(by: Int): Item  word: String }"
)


async def test_executions_do_not_share_what_they_find() -> None:
    async def item(_info: Any, by: int) -> Any:
        await asyncio.sleep(0.001 * (by % 3))
        return {"id": by if by % 4 else None}

    plan = engine.Plan(SCHEMA, parse("query ($by: Int!) { item(by: $by) { id } word }"))
    results = await asyncio.gather(
        *(plan.execute({"item": item, "word": f"{by}"}, None, {"by": by}) for by in range(20))
    )
    for by, result in enumerate(results):
        assert result.data == {"item": {"id": by} if by % 4 else None, "word": f"{by}"}
        assert len(result.errors or ()) == (not by % 4)


async def test_lists_of_lists_to_the_greatest_depth() -> None:
    depth = 48
    item: dict[str, Any] = {"id": None, "items": []}
    for _ in range(depth - 1):
        item = {"id": 1, "items": [[], [item]]}
    query = "{ item " + "{ id items " * (depth - 1) + "{ id }" + " }" * depth
    result = await same(SCHEMA, query, {"item": item})
    assert [len(error.path or ()) for error in result.errors or ()] == [2 + (depth - 1) * 3]
