"""Lists that are written already."""

from typing import Any, Final

import pytest
import strawberry
from graphql import GraphQLError

import engine
from tests.engine.both import breadth_first, core_schema, depth_first

TEXT: Final = engine.Written('[{"name":"Ada"}]')


@strawberry.type
class Thing:
    name: str
    size: int | None = None

    @strawberry.field
    def double(self) -> int:
        return 2 * (self.size or 0)


@strawberry.type
class Box:
    values: strawberry.Private[Any]

    @strawberry.field
    def things(self, info: strawberry.Info) -> list[Thing] | None:
        info.context.append(engine.selected(info).plain)
        if isinstance(self.values, Exception):
            raise self.values
        found: list[Thing] | None = self.values
        return found


@strawberry.type
class Query:
    @strawberry.field
    def boxes(self, info: strawberry.Info) -> list[Box]:
        info.context.append(engine.selected(info).below("things").plain)
        return [
            Box(values=values)
            for values in (TEXT, [Thing(name="Bob")], None, GraphQLError("no"), iter([Thing(name="Cyd")]))
        ]

    @strawberry.field
    def box(self) -> Box:
        return Box(values=[Thing(name="Ada", size=1)])

    @strawberry.field
    def written(self) -> list[Box]:
        return [Box(values=TEXT), Box(values=TEXT)]


SCHEMA: Final = core_schema(strawberry.Schema(Query))


async def test_texts_stand_beside_lists_and_errors() -> None:
    result = await breadth_first(SCHEMA, "{ boxes { things { name } } }", context=[])
    assert result.data is not None
    things = [box["things"] for box in result.data["boxes"]]
    assert things == [TEXT, [{"name": "Bob"}], None, None, [{"name": "Cyd"}]]
    assert [error.path for error in result.errors or ()] == [["boxes", 3, "things"]]


async def test_texts_alone() -> None:
    result = await breadth_first(SCHEMA, "{ written { things { name } } }", context=[])
    assert (result.data, result.errors) == ({"written": [{"things": TEXT}] * 2}, None)


NAME: Final = engine.PlainField("name", "name", "Thing")


@pytest.mark.parametrize(
    ("below", "plain"),
    [
        ("name", (NAME,)),
        ("size n: name", (engine.PlainField("size", "size", "Thing"), engine.PlainField("n", "name", "Thing"))),
        ("name __typename", (NAME, engine.PlainField("__typename", None, "Thing"))),
        ("...F name", (NAME,)),
        ("size @skip(if: $yes) name", (NAME,)),
        ("double", None),
        ("name double @skip(if: $yes)", (NAME,)),
    ],
)
async def test_plain_fields(below: str, plain: Any) -> None:
    fragment = "fragment F on Thing { name @include(if: $yes) }"
    query = f"query ($yes: Boolean = true) {{ box {{ things {{ {below} }} }} }} {fragment}"
    told: list[Any] = []
    await breadth_first(SCHEMA, query, context=told)
    assert told == [plain]


async def test_two_fields_of_one_name_are_not_plain() -> None:
    told: list[Any] = []
    await breadth_first(SCHEMA, "{ boxes { things { name } more: things { size } } }", context=told)
    assert told[0] is None
    assert told[1:6] == [(NAME,)] * 5


async def test_graphql_core_takes_nothing_written() -> None:
    told: list[Any] = []
    await depth_first(SCHEMA, "{ box { things { name } } }", context=told)
    assert told == [None]
