"""Lone objects: completed at once where that is safe, and as graphql-core does in any case."""

from datetime import UTC, datetime
from enum import Enum, StrEnum
from itertools import product
from typing import Any, Final

import pytest
import strawberry
from graphql import parse

import engine
from tests.engine.both import breadth_first, core_schema, depth_first, described, label, same


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Word(StrEnum):
    ONE = "one"


class Text(str):
    __slots__ = ()


async def _later() -> str:
    return "later"


MOMENT: Final = strawberry.scalar(
    name="Moment", description="As it is.", serialize=engine.as_is, parse_value=datetime.fromisoformat
)


class Moment:
    pass


@strawberry.type
class Thing:
    name: str
    size: int
    weight: float
    there: bool
    key: strawberry.ID
    colour: Colour
    when: Moment
    text: str | None = None
    number: int | None = None
    tone: Colour | None = None
    until: Moment | None = None
    tags: list[str] = strawberry.field(default_factory=list)

    @strawberry.field
    def double(self) -> int:
        return 2 * self.size


@strawberry.type
class Box:
    inside: Thing | None
    sure: Thing
    things: list[Thing]
    nested: list[list[Thing | None]] | None = None


@strawberry.type
class Query:
    @strawberry.field
    def box(self, info: strawberry.Info) -> Box | None:
        found: Box = info.root_value
        return found

    @strawberry.field
    def thing(self, info: strawberry.Info) -> Thing:
        found: Thing = info.root_value
        return found


SCHEMA: Final = core_schema(strawberry.Schema(Query, scalar_overrides={Moment: MOMENT}))
PLAIN: Final[dict[str, Any]] = {
    "name": "Ada",
    "size": 1,
    "weight": 1.5,
    "there": True,
    "key": strawberry.ID("k"),
    "colour": Colour.RED,
    "when": datetime(2026, 1, 1, tzinfo=UTC),
}
ALL: Final = "name size weight there key colour when text number tone until tags double"


async def check(values: dict[str, Any], fields: str = ALL) -> None:
    """Compare what both executors give, and what the engine gives once it has learned of the classes."""
    thing, query = Thing(**PLAIN | values), f"{{ thing {{ {fields} }} }}"
    expected = await same(SCHEMA, query, thing)
    plan = engine.Plan(SCHEMA, parse(query))
    for _ in range(2):
        found = await plan.execute(thing)
        assert repr(found.data) == repr(expected.data)
        assert described(found.errors) == described(expected.errors)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"text": "more", "number": 2**31 - 1, "tone": Colour.BLUE, "until": PLAIN["when"], "tags": ["a", "b"]},
        {"size": 2**31},
        {"number": -(2**31) - 1},
        {"size": True},
        {"size": 1.0},
        {"size": "1"},
        {"weight": float("nan")},
        {"weight": 1},
        {"there": 1},
        {"name": Text("sub")},
        {"name": Word.ONE},
        {"name": None},
        {"size": None},
        {"colour": None},
        {"when": None},
        {"name": ValueError("no name")},
        {"when": ValueError("no moment")},
        {"until": ValueError("no moment")},
        {"colour": Word.ONE},
        {"colour": "red"},
        {"tone": 3},
        {"text": 7},
        {"tags": None},
        {"tags": [None]},
        {"tags": ("a",)},
        {"name": strawberry.UNSET},
        {"until": len},
    ],
    ids=label,
)
async def test_any_value(values: dict[str, Any]) -> None:
    await check(values)


@pytest.mark.parametrize("fields", ["name", "n: name m: name", "tags name", "double", "__typename name size", "colour"])
async def test_any_fields(fields: str) -> None:
    await check({}, fields)


THING: Final = Thing(**PLAIN)


@pytest.mark.parametrize("inside", [None, THING, Thing(**PLAIN | {"name": None}), ValueError("empty"), 3], ids=label)
async def test_objects_in_it(inside: Any) -> None:
    fields = "{ name size }"
    lists: Any = ([], [THING], [THING, None], (), (THING,), 3, None)
    nested: Any = (None, [], [[], [None]], [[THING, 3]], [()])
    for sure, things, deep in product((None, THING, Thing(**PLAIN | {"size": 2**31}), strawberry.UNSET), lists, nested):
        box = Box(inside=inside, sure=sure, things=things, nested=deep)
        await same(SCHEMA, f"{{ box {{ nested {fields} inside {fields} sure {fields} things {fields} }} }}", box)


async def test_an_object_that_is_waited_for() -> None:
    async def later() -> Any:
        return Thing(**PLAIN | {"name": _later()})

    box = Box(inside=None, sure=later(), things=[later()])  # type: ignore[arg-type, list-item]  # the engine waits for it
    found = await breadth_first(SCHEMA, "{ box { sure { name } things { name } inside { name } } }", box)
    assert (found.data, found.errors) == (
        {"box": {"sure": {"name": "later"}, "things": [{"name": "later"}], "inside": None}},
        None,
    )


async def test_what_is_waited_for() -> None:
    found = await breadth_first(SCHEMA, "{ thing { size name } }", Thing(**PLAIN | {"name": _later()}))
    assert (found.data, found.errors) == ({"thing": {"size": 1, "name": "later"}}, None)


@pytest.mark.parametrize("fields", ["size name weight", "name", "name size", "size name double"])
async def test_a_property_is_asked_once(fields: str) -> None:
    asked: list[str] = []

    class Lazy(Thing):
        @property
        def name(self) -> Any:
            asked.append("name")
            return _later()

        @name.setter
        def name(self, value: str) -> None:
            asked.append(value)

    thing = Lazy(**PLAIN)
    found = await breadth_first(SCHEMA, f"{{ thing {{ {fields} }} }}", thing)
    every = {"size": 1, "name": "later", "weight": 1.5, "double": 2}
    assert (found.data, found.errors) == ({"thing": {name: every[name] for name in fields.split()}}, None)
    assert asked == ["Ada", "name"]


async def test_an_attribute_that_fails() -> None:
    thing = Thing(**PLAIN)
    del thing.name
    await same(SCHEMA, f"{{ thing {{ {ALL} }} }}", thing)


async def test_many_combinations_of_classes() -> None:
    plan = engine.Plan(SCHEMA, parse("{ thing { when name } }"))
    for number in range(200):
        moment = type(f"Moment{number}", (), {})()
        found = await plan.execute(Thing(**PLAIN | {"when": moment}))
        assert (found.data, found.errors) == ({"thing": {"when": moment, "name": "Ada"}}, None)


@strawberry.type
class Kept:
    word: str = "before"
    inner: "Kept | None" = None

    @strawberry.field
    def change(self) -> str:
        self.word, self.inner = "after", Kept()
        return "changed"


@strawberry.type
class Keeper:
    kept: Kept


KEEPER: Final = core_schema(strawberry.Schema(Keeper))


@pytest.mark.parametrize(
    "fields",
    [
        "word change inner { word }",
        "change word inner { word }",
        "__typename word a: __typename change b: word c: __typename inner { __typename word change d: word }",
    ],
)
async def test_what_a_resolver_changes_shows_in_the_fields_behind_it(fields: str) -> None:
    query = f"{{ kept {{ {fields} }} }}"
    expected = await depth_first(KEEPER, query, Keeper(kept=Kept()))
    found = await breadth_first(KEEPER, query, Keeper(kept=Kept()))
    assert (found.data, found.errors) == (expected.data, expected.errors)
