"""Completes columns of values: judges them by their classes, then has each type's node do its part."""

from collections.abc import Callable, Sequence
from types import CoroutineType
from typing import Any, Final

from graphql.pyutils import Undefined, is_awaitable

from engine.items import gather_items
from engine.places import Column, Items, Places
from engine.run import Run
from engine.traits import ASYNC_ITERABLE, ERROR, MAYBE_AWAITABLE, NULL, UNDEFINED, traits, traits_of

_OTHER_THAN_VALUES: Final = NULL | UNDEFINED | ERROR | MAYBE_AWAITABLE | ASYNC_ITERABLE


class Node:
    """What completes the values of one type of the schema."""

    __slots__ = ("is_required",)

    # The classes whose values are their own completion.
    exact: frozenset[type] = frozenset()
    takes_null = False
    takes_async_iterables = False

    def __init__(self, *, is_required: bool) -> None:
        self.is_required = is_required

    def complete(
        self, run: Run, frame: Column | Items, places: Places, values: list[Any], kinds: set[type]
    ) -> list[Any]:
        """Return the completed values of those that are there; null where they are waited for."""
        raise NotImplementedError

    def way_of(self, _kind: type) -> Callable[[Any], Any] | None:
        """Return what completes a value of a class, or gives null where it cannot; None where there is no short way."""
        return None


def settle(run: Run, frame: Column | Items, values: list[Any], *, is_awaited: bool = False) -> list[Any]:
    """Return the completed values of a column; null where they are waited for, and where there is an error."""
    node = frame.node
    if len(values) == 1:
        kind: type = type(values[0])
        if kind in node.exact:
            return values
        kinds, found = {kind}, traits(kind)
    else:
        kinds = set(map(type, values))
        if kinds <= node.exact:
            return values
        found = traits_of(kinds)
    if not found & _OTHER_THAN_VALUES:
        return node.complete(run, frame, None, values, kinds)
    if found & (MAYBE_AWAITABLE | ASYNC_ITERABLE) and _wait(run, frame, values, found, is_awaited=is_awaited):
        return [None] * len(values)
    if not found & (NULL | UNDEFINED | ERROR) or (node.takes_null and not found & (UNDEFINED | ERROR)):
        return node.complete(run, frame, None, values, kinds)
    places = _sift(run, frame, values)
    completed: list[Any] = [None] * len(values)
    if places:
        there = [values[place] for place in places]
        for place, value in zip(places, node.complete(run, frame, places, there, set(map(type, there))), strict=True):
            completed[place] = value
    return completed


def _sift(run: Run, frame: Column | Items, values: Sequence[Any]) -> list[int]:
    """Note the errors and missing values; return the places of all others."""
    places = []
    is_required = frame.node.is_required
    for index, value in enumerate(values):
        if value is None or value is Undefined:
            if is_required:
                run.fail(frame, index, _null_error(frame))
        elif isinstance(value, Exception):
            run.fail(frame, index, value)
        else:
            places.append(index)
    return places


def _null_error(frame: Column | Items) -> TypeError:
    field = frame.field
    return TypeError(f"Cannot return null for non-nullable field {field.parent_type}.{field.name}.")


def _wait(run: Run, frame: Column | Items, values: list[Any], found: int, *, is_awaited: bool) -> bool:
    """Have the column completed when all that it waits for is there; tell whether there is such a thing."""
    if len(values) == 1 and type(values[0]) is CoroutineType and not is_awaited:
        run.schedule.add(values, lambda answers: frame.put(0, settle(run, frame, answers, is_awaited=True)[0]))
        return True
    waited = list(values)
    indices = []
    for index, value in enumerate(values):
        if not is_awaited and found & MAYBE_AWAITABLE and is_awaitable(value):
            indices.append(index)
        elif frame.node.takes_async_iterables and found & ASYNC_ITERABLE and hasattr(value, "__aiter__"):
            waited[index] = gather_items(value)
            indices.append(index)
    if not indices:
        return False

    def go_on(answers: list[Any]) -> None:
        for index, answer in zip(indices, answers, strict=True):
            waited[index] = answer
        frame.fill(None, settle(run, frame, waited, is_awaited=True))

    run.schedule.add([waited[index] for index in indices], go_on)
    return True
