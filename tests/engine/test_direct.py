"""Resolvers of Strawberry whose functions are called directly: they are given all that Strawberry gives them."""

from collections.abc import AsyncIterator
from enum import Enum
from typing import Annotated, Any, Final

import pytest
import strawberry
from graphql import GraphQLSchema
from strawberry.relay import GlobalID

from engine.direct import direct_resolver
from tests.engine.both import core_schema, same


@strawberry.enum
class Size(Enum):
    """How large something is."""

    SMALL = "s"
    LARGE = "l"


@strawberry.input
class Box:
    """Holds others."""

    size: Size = Size.SMALL
    names: list[str] | None = None
    inner: "Box | None" = None


@strawberry.input(one_of=True)
class Either:
    """One of two."""

    left: strawberry.Maybe[int]
    right: strawberry.Maybe[str]


@strawberry.type
class Thing:
    """Has a function of every shape."""

    id: int

    @strawberry.field
    def alone(self) -> int:
        """Need nothing but the object."""
        return self.id

    @strawberry.field
    async def later(self) -> int:
        """Need nothing but the object, and time."""
        return self.id

    @strawberry.field
    def fails(self) -> int | None:
        """Raise for some."""
        if self.id % 2:
            raise ValueError(f"failed {self.id}")
        return self.id

    @strawberry.field
    def returns_exception(self) -> int | None:
        """Return what is no number."""
        return ValueError(f"returned {self.id}") if self.id % 2 else 5  # type: ignore[return-value]

    @strawberry.field
    def by_root(root) -> int:  # noqa: N805
        """Call the object by another name."""
        return int(root.id)

    @strawberry.field
    @staticmethod
    def by_parent(owner: strawberry.Parent["Thing"], info: strawberry.Info) -> str:
        """Declare which parameter is the object."""
        return f"{owner.id} {info.field_name} {info.path.as_list()}"

    @strawberry.field
    @classmethod
    def of_class(cls, info: strawberry.Info, times: int = 2) -> str:
        """Know the class."""
        return f"{cls.__name__} {info.python_name}" * times

    @strawberry.field
    @staticmethod
    def of_nothing() -> str:
        """Need nothing at all."""
        return "nothing"

    @strawberry.field
    async def streamed(self, count: int = 2) -> AsyncIterator[int]:
        """Give one by one."""
        for number in range(count):
            yield number

    @strawberry.field
    def told(  # noqa: PLR0917 - one of every kind
        self,
        told: strawberry.Info,
        size: Size = Size.LARGE,
        maybe: Size | None = None,
        key: GlobalID | None = None,
        keys: list[GlobalID] | None = None,
        names: list[str] | None = None,
        box: Box | None = strawberry.UNSET,
        boxes: list[Box] | None = None,
        either: Either | None = None,
        given: strawberry.Maybe[int | None] = None,
        renamed: Annotated[int, strawberry.argument(name="other")] = 3,
        source: int = 4,
    ) -> str:
        """Say what was given."""
        assert told.field_name == "told"
        values = locals()
        for changeable in (names, box.names if box else None):
            if changeable:
                changeable.append("changed")
        return repr([values[name] for name in sorted(values) if name not in ("self", "told")])


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def things(self) -> list[Thing]:
        """Return some."""
        return [Thing(id=number) for number in range(3)]


SCHEMA: Final = core_schema(strawberry.Schema(Query))
ID: Final = str(GlobalID("Thing", "1"))


def direct(schema: GraphQLSchema, name: str, type_name: str = "Thing") -> Any:
    type_: Any = schema.type_map[type_name]
    return direct_resolver(type_.fields[name])


@pytest.mark.parametrize(
    "name",
    [
        "alone",
        "later",
        "fails",
        "returnsException",
        "byRoot",
        "byParent",
        "ofClass",
        "ofNothing",
        "streamed",
    ],
)
async def test_functions_of_every_shape(name: str) -> None:
    assert direct(SCHEMA, name) is not None
    await same(SCHEMA, f"{{ things {{ {name} again: {name} id }} }}")


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ("", None),
        ("(size: SMALL, maybe: LARGE, other: 5, source: 6)", None),
        ("(maybe: null, names: null, box: null, boxes: null, either: null, given: null, key: null)", None),
        (f'(key: "{ID}", keys: ["{ID}", "{ID}"])', None),
        ('(key: "nonsense")', None),
        (
            '(names: ["a", "b"], box: {names: ["a"], inner: {size: LARGE, names: null}}, boxes: [{}, {size: LARGE}])',
            None,
        ),
        ('(names: "a", boxes: {})', None),
        ("(either: {left: 3})", None),
        ('(either: {right: "r"}, given: 3)', None),
        ("(size: $size, names: $names, box: $box, given: $given, other: $other)", {}),
        (
            "(size: $size, names: $names, box: $box, given: $given, other: $other)",
            {"size": "LARGE", "names": ["x"], "box": {"names": ["y"], "inner": {}}, "given": None, "other": 8},
        ),
    ],
)
async def test_arguments(arguments: str, variables: dict[str, Any] | None) -> None:
    assert direct(SCHEMA, "told") is not None
    heading = "query ($size: Size! = SMALL, $names: [String!], $box: Box, $given: Int, $other: Int! = 7)"
    # Executed twice, so that what a resolver has changed would show.
    for _ in range(2):
        await same(SCHEMA, f"{heading} {{ things {{ told{arguments} }} }}", variables=variables)
