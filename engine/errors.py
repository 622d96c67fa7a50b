"""Field errors: collected while an operation is executed, then propagated to the nearest nullable fields."""

from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple

from graphql import GraphQLError
from graphql.error import located_error

from engine.results import Cell, cells_to_root, path_to


class FieldError(NamedTuple):
    """An exception, the cell of the value that it belongs to, and whether it follows all errors within the value."""

    cell: Cell
    error: Exception
    is_last: bool

    def rank(self) -> list[float]:
        """Return a key that sorts errors as an executor meets them that completes each object before the next."""
        ranks: list[float] = [inf] if self.is_last else []
        ranks += [results.rank_of(index) for results, index in cells_to_root(self.cell)]
        return ranks[::-1]

    def nulled_cell(self) -> Cell | None:
        """Return the cell that becomes null: the nearest nullable one; None where all of the data does."""
        for cell in cells_to_root(self.cell):
            if not cell[0].return_type.is_non_null:
                return cell
        return None

    def located(self) -> GraphQLError:
        """Return the error with its locations and its path."""
        return located_error(self.error, self.cell[0].field.nodes, path_to(self.cell).as_list())


def propagate_errors(
    errors: Iterable[FieldError], data: dict[str, Any]
) -> tuple[dict[str, Any] | None, list[GraphQLError] | None]:
    """Put nulls where errors reach to; return what is left of the data, and the errors of the response.

    An error within what is null already is left out. The order is that of a depth-first executor, so the errors are
    the same as graphql-core's.
    """
    nulled: set[Cell] = set()
    located: list[GraphQLError] = []
    for error in sorted(errors, key=FieldError.rank):
        cell = error.nulled_cell()
        if cell is None:
            return None, [*located, error.located()]
        if any(outer in nulled for outer in cells_to_root(cell)):
            continue
        nulled.add(cell)
        results, index = cell
        results.put(index, None)
        located.append(error.located())
    return data, located or None
