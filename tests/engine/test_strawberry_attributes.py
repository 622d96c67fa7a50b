"""Fields of Strawberry that read attributes, whatever they give."""

from datetime import UTC, datetime
from enum import Enum, StrEnum
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


def give(info: strawberry.Info) -> Any:
    return info.root_value


@strawberry.type
class Query:
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
ALL: Final = f"{' '.join(PLAIN)} text number tone until tags double"


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
    thing, plain = Thing(**PLAIN | values), Thing(**PLAIN)
    await same(SCHEMA, f"{{ thing {{ {ALL} }} }}", thing)
    await same(SCHEMA, f"{{ things {{ {ALL} }} }}", [thing, None, plain, thing])


async def test_objects_of_any_class_are_read_by_attribute() -> None:
    things = [SimpleNamespace(**PLAIN), Thing(**PLAIN), ("a", 1), object(), {"name": "Ada"}, 3]
    await same(SCHEMA, "{ things { __typename n: name name colour } }", things)


async def test_property_is_read_once_and_awaited() -> None:
    reads: list[str] = []

    class Lazy(Thing):
        @property
        def name(self) -> Any:
            reads.append("name")
            return _later()

        @name.setter
        def name(self, value: str) -> None:
            reads.append(value)

    found = await breadth_first(SCHEMA, "{ thing { size name double } }", Lazy(**PLAIN))
    assert (found.data, found.errors) == ({"thing": {"size": 1, "name": "later", "double": 2}}, None)
    assert reads == ["Ada", "name"]


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
