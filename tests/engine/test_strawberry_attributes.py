"""Fields of Strawberry that read attributes: of one object and of lists of objects and rows, whatever they give."""

import dataclasses
from collections import namedtuple
from datetime import UTC, datetime
from enum import Enum, StrEnum
from itertools import product
from types import SimpleNamespace
from typing import Any, Final

import pytest
import strawberry

import engine
from tests.engine.both import breadth_first, core_schema, depth_first, label, same


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


class Moment:
    pass


MOMENT: Final = strawberry.scalar(
    name="Moment", description="As it is.", serialize=engine.as_is, parse_value=datetime.fromisoformat
)


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


def give(info: strawberry.Info) -> Any:
    return info.root_value


@strawberry.type
class Query:
    box: Box | None = strawberry.field(resolver=give)
    thing: Thing = strawberry.field(resolver=give)
    things: list[Thing | None] = strawberry.field(resolver=give)


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
NAMES: Final = [field.name for field in dataclasses.fields(Thing) if field.init]
STORED: Final = " ".join(NAMES)
ALL: Final = f"{STORED} double"
Row: Any = namedtuple("Row", NAMES, defaults=[None, None, None, None, ()])  # type: ignore[misc]  # noqa: PYI024


@pytest.mark.parametrize(
    "values",
    [
        {"text": "more", "number": 2**31 - 1, "tone": Colour.BLUE, "until": PLAIN["when"], "tags": ["a", "b"]},
        {"size": 2**31, "number": -(2**31) - 1},
        {"size": True, "there": 1, "weight": 1, "text": 7},
        {"size": 1.0, "weight": float("nan")},
        {"name": Text("sub"), "text": Word.ONE, "tone": Colour.RED},
        *({"name": None}, {"colour": None}, {"when": None}, {"tags": None}, {"tags": [None]}, {"colour": "red"}),
        *({"when": ValueError("no moment")}, {"until": ValueError("no moment"), "number": None}),
        *({"colour": Word.ONE}, {"tone": 3, "tags": ("a",)}, {"name": strawberry.UNSET, "until": len}),
    ],
    ids=label,
)
async def test_values_of_attributes_are_completed_as_by_graphql_core(values: dict[str, Any]) -> None:
    odd = PLAIN | values
    await same(SCHEMA, f"{{ thing {{ {ALL} }} }}", Thing(**odd))
    rows = [Row(**odd), Row(**PLAIN), None, Row(**PLAIN | {"colour": Colour.BLUE, "size": 7})]
    await same(SCHEMA, f"{{ things {{ {STORED} }} }}", rows)
    await same(SCHEMA, f"{{ things {{ {STORED} }} }}", [Row(**odd)] * 3)


class Things(Thing):
    def __iter__(self) -> Any:
        return iter([self, self])


@pytest.mark.parametrize("fields", ["name", "n: name m: name", "tags name", "double", "__typename name size", "colour"])
async def test_selections_of_attributes_and_resolvers(fields: str) -> None:
    await same(SCHEMA, f"{{ thing {{ {fields} }} things {{ {fields} }} }}", Things(**PLAIN))


Loud: Any = type("Loud", (Row,), {"name": property(lambda _: "loud")})
Turned: Any = type("Turned", (Row,), {"__iter__": lambda self: reversed(tuple(self[at] for at in range(12)))})


async def test_rows_of_different_classes_are_read_by_attribute() -> None:
    rows: list[list[Any]] = [
        *([SimpleNamespace(**PLAIN | {"text": None}), Row(**PLAIN)], [Loud(**PLAIN)] * 3, [Turned(**PLAIN)] * 3),
        *([("a", 1, 1.5)] * 3, [object(), Row(**PLAIN)]),
    ]
    for each in rows:
        await same(SCHEMA, "{ things { name size text } }", each)


THING: Final = Thing(**PLAIN)


@pytest.mark.parametrize("inside", [None, THING, Thing(**PLAIN | {"name": None}), ValueError("empty"), 3], ids=label)
async def test_objects_within_an_object(inside: Any) -> None:
    fields = "{ name size }"
    lists: Any = ([THING], [THING, None], (), 3, None)
    nested: Any = (None, [[], [None]], [[THING, 3]])
    for sure, things, deep in product((None, THING, Thing(**PLAIN | {"size": 2**31}), strawberry.UNSET), lists, nested):
        box = Box(inside=inside, sure=sure, things=things, nested=deep)
        await same(SCHEMA, f"{{ box {{ nested {fields} inside {fields} sure {fields} things {fields} }} }}", box)


async def test_object_that_is_awaited() -> None:
    async def later() -> Any:
        return Thing(**PLAIN | {"name": _later()})

    box = Box(inside=None, sure=later(), things=[later()])  # type: ignore[arg-type, list-item]  # the engine awaits it
    found = await breadth_first(SCHEMA, "{ box { sure { name } things { name } inside { name } } }", box)
    name = {"name": "later"}
    assert (found.data, found.errors) == ({"box": {"sure": name, "things": [name], "inside": None}}, None)


@pytest.mark.parametrize("fields", ["size name weight", "name", "name size", "size name double"])
async def test_property_is_read_once(fields: str) -> None:
    reads: list[str] = []

    class Lazy(Thing):
        @property
        def name(self) -> Any:
            reads.append("name")
            return _later()

        @name.setter
        def name(self, value: str) -> None:
            reads.append(value)

    found = await breadth_first(SCHEMA, f"{{ thing {{ {fields} }} }}", Lazy(**PLAIN))
    every = {"size": 1, "name": "later", "weight": 1.5, "double": 2}
    assert (found.data, found.errors) == ({"thing": {name: every[name] for name in fields.split()}}, None)
    assert reads == ["Ada", "name"]


async def test_missing_attribute_is_an_error() -> None:
    thing = Thing(**PLAIN)
    del thing.name
    await same(SCHEMA, f"{{ thing {{ {ALL} }} }}", thing)


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


async def test_change_by_a_resolver_shows_in_later_fields() -> None:
    query = "{ kept { word a: inner { word } change b: word inner { word change d: word } } }"
    expected = await depth_first(KEEPER, query, Keeper(kept=Kept()))
    found = await breadth_first(KEEPER, query, Keeper(kept=Kept()))
    assert (found.data, found.errors) == (expected.data, expected.errors)
