"""What went wrong: collected while an operation runs, and told at its end as the specification says."""

from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple

from graphql import GraphQLError
from graphql.error import located_error

from engine.places import Column, Items, Place, outwards, path_to, rank_of


class Failure(NamedTuple):
    """An error, the value that it was met at, and whether it was met after all that stands within the value."""

    place: Place
    error: Exception
    is_late: bool

    def rank(self) -> list[float]:
        """Return what sorts failures as one executor meets them that completes each object before the next."""
        return [*rank_of(self.place), inf] if self.is_late else rank_of(self.place)


def nulled_place(place: Place) -> "Place | None":
    """Return what becomes null because of an error: the first that may be; None for the whole answer."""
    for frame, index in outwards(place):
        if not frame.node.is_required:
            return frame, index
    return None


def tell(failures: Iterable[Failure], data: dict[str, Any]) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
    """Put nulls where failures reach to; return what is left and the errors that are told.

    An error within what is null already is not told. Which comes first is decided as by an executor that goes depth
    first, so that the errors are the same as those of one that does.
    """
    nulled: set[tuple[Column | Items, int]] = set()
    errors: list[GraphQLError] = []
    for failure in sorted(failures, key=Failure.rank):
        place = nulled_place(failure.place)
        if place is None:
            return None, [*errors, _located(failure)]
        if any(outer in nulled for outer in outwards(place)):
            continue
        nulled.add(place)
        place[0].put(place[1], None)
        errors.append(_located(failure))
    return data, errors


def _located(failure: Failure) -> GraphQLError:
    return located_error(failure.error, failure.place[0].field.nodes, path_to(failure.place))
