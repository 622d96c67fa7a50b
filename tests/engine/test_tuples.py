"""Named tuples, which are taken apart column by column: only where that gives what reading each attribute gives."""

from typing import Any, Final, NamedTuple

import pytest
import strawberry
from graphql import GraphQLSchema

from engine.tuples import columns_of
from tests.engine.both import core_schema, same


class Row(NamedTuple):
    """What a statement gives."""

    id: Any
    name: Any
    size: Any = 1.5


class Loud(Row):
    """Has an attribute of its own making."""

    @property
    def name(self) -> str:
        return "loud"


class Turned(Row):
    """Is iterated in its own way."""

    def __iter__(self) -> Any:
        return reversed(tuple(self[at] for at in range(3)))


class Renamed(NamedTuple):
    """Has what is selected in other places."""

    size: Any
    name: Any
    id: Any


@strawberry.type
class Item:
    """What is selected of it."""

    id: int
    name: str | None
    size: float | None

    @strawberry.field
    def twice(self) -> int:
        """Be computed."""
        return self.id * 2


def make(rows: list[Any]) -> GraphQLSchema:
    @strawberry.type
    class Query:
        @strawberry.field(graphql_type=list[Item])  # type: ignore[untyped-decorator]
        def rows(self) -> Any:
            return rows

    return core_schema(strawberry.Schema(Query))


ROWS: Final = [Row(number, f"n{number}") for number in range(5)]
COLUMNS: Final[list[Any]] = [
    ROWS,
    [*ROWS, None, ROWS[0]],
    [Row(1, None, float("nan")), *ROWS, Row("x", ValueError("returned"), None), Row(2**31, 5, 1e308)],
    [Loud(number, "quiet") for number in range(5)],
    [Turned(number, "turned", 2.5) for number in range(5)],
    [Renamed(0.5, "r", number) for number in range(5)],
    [*ROWS, Renamed(0.5, "r", 7)],
    [(1, "a", 2.0)] * 5,
]


@pytest.mark.parametrize("rows", COLUMNS, ids=range(len(COLUMNS)))
async def test_rows(rows: list[Any]) -> None:
    await same(make(rows), "{ rows { id other: id name size twice } }")


def test_only_what_gives_its_attributes_in_order_is_taken_apart() -> None:
    assert columns_of(ROWS) == {"id": [0, 1, 2, 3, 4], "name": ["n0", "n1", "n2", "n3", "n4"], "size": [1.5] * 5}
    for rows in (COLUMNS[3], COLUMNS[4], COLUMNS[6], COLUMNS[7], [], ROWS[:1]):
        assert columns_of(rows) == {}
