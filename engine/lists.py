"""Completes columns of lists: all their items as one column, then cut into lists again."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final

from graphql import GraphQLError
from graphql.pyutils import is_iterable

from engine.items import Taken, take_items
from engine.nodes import Node, settle
from engine.places import Column, Items, Places, place_at
from engine.run import Run
from engine.written import Written

_LISTS: Final = frozenset({list, tuple})


class ListOf(Node):
    """What completes a list of what another node completes."""

    __slots__ = ("item",)

    exact = frozenset({Written})
    takes_async_iterables = True

    def __init__(self, item: Node, *, is_required: bool) -> None:
        super().__init__(is_required=is_required)
        self.item = item

    def complete(
        self, run: Run, frame: Column | Items, places: Places, values: list[Any], kinds: set[type]
    ) -> list[Any]:
        """Return the lists with their items completed."""
        if kinds <= _LISTS:
            return self._complete(run, frame, places, values)
        completed: list[Any] = [None] * len(values)
        there, lists = [], []
        for index, value in enumerate(values):
            place = place_at(places, index)
            if isinstance(value, Written):
                completed[index] = value
                continue
            if not is_iterable(value):
                run.fail(frame, place, _not_iterable_error(frame))
                continue
            taken = value if isinstance(value, Taken) else take_items(value)
            if taken.error is not None:
                run.fail(frame, place, taken.error, is_late=True)
            there.append(index)
            lists.append(taken)
        if there:
            cut = self._complete(run, frame, [place_at(places, index) for index in there], lists)
            for index, value in zip(there, cut, strict=True):
                completed[index] = value
        return completed

    def way_of(self, kind: type) -> Callable[[Any], Any] | None:
        """Return what completes a list of what is its own completion, or gives null; None for what is no list."""
        exact = self.item.exact
        return (lambda items: list(items) if exact.issuperset(map(type, items)) else None) if kind in _LISTS else None

    def _complete(
        self, run: Run, frame: Column | Items, places: Places, lists: Sequence[Sequence[Any]]
    ) -> list[list[Any]]:
        if not any(lists):
            return [[] for _ in lists]
        items = Items(frame, places, list(map(len, lists)), self.item)
        flat: Iterable[Any] = lists[0] if len(lists) == 1 else chain.from_iterable(lists)
        return items.sliced(settle(run, items, list(flat)))


def _not_iterable_error(frame: Column | Items) -> GraphQLError:
    field = frame.field
    return GraphQLError(f"Expected Iterable, but did not find one for field '{field.parent_type}.{field.name}'.")
