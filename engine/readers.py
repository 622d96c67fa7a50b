"""Gets the values of a field for all objects of a group at once."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from graphql import default_field_resolver
from graphql.pyutils import is_awaitable

from engine.leaves import each
from engine.nodes import settle
from engine.places import Column
from engine.run import Run
from engine.spread import Parents, spread
from engine.traits import CALLABLE, traits_of


class TypeName:
    """Reads `__typename`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, _run: Run, column: Column) -> list[Any]:
        """Return the completed values."""
        return [self._name] * len(column.group.objects)


class Attribute:
    """Reads a field that is an attribute of its object, such as a plain one of Strawberry's."""

    __slots__ = ("_get",)

    def __init__(self, name: str) -> None:
        self._get = attrgetter(name)

    def read(self, run: Run, column: Column) -> list[Any]:
        """Return the completed values."""
        return settle(run, column, read_all(self._get, column.group.objects))


class Property:
    """Reads a field that has no resolver and no arguments as graphql-core does: a key, an attribute, or its call."""

    __slots__ = ("_get", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._get = attrgetter(name)

    def read(self, run: Run, column: Column) -> list[Any]:
        """Return the completed values."""
        objects = column.group.objects
        kinds = set(map(type, objects))
        if kinds == {dict}:
            name = self._name
            values = [source.get(name) for source in objects]
        elif any(issubclass(kind, Mapping) for kind in kinds):
            values = read_all(self._get_any, objects)
        else:
            values = read_all(self._get, objects, missing=AttributeError)
        if traits_of(set(map(type, values))) & CALLABLE:
            for index, value in enumerate(values):
                if callable(value):
                    values[index] = _called(value, run, column, index)
        return settle(run, column, values)

    def _get_any(self, source: Any) -> Any:
        return source.get(self._name) if isinstance(source, Mapping) else getattr(source, self._name, None)


class Resolver:
    """Calls a resolver for each object."""

    __slots__ = ("_resolve",)

    def __init__(self, resolve: Callable[..., Any] | None) -> None:
        self._resolve: Callable[..., Any] = resolve or default_field_resolver

    def read(self, run: Run, column: Column) -> list[Any]:
        """Return the completed values."""
        objects = column.group.objects
        arguments = run.arguments(column.field)
        if isinstance(arguments, Exception):
            return settle(run, column, [arguments] * len(objects))
        resolve = self._resolve
        values = []
        for index, source in enumerate(objects):
            try:
                values.append(resolve(source, run.info(column, index), **arguments))
            except Exception as error:  # noqa: BLE001 - it is the error of the field
                values.append(error)
        return settle(run, column, values)


class BatchResolver:
    """Calls a resolver once with all objects."""

    __slots__ = ("_resolve",)

    def __init__(self, resolve: Callable[..., Any]) -> None:
        self._resolve = resolve

    def read(self, run: Run, column: Column) -> list[Any]:
        """Return the completed values; null where they are waited for."""
        parents = Parents(column.group.objects)
        answer: Any = run.arguments(column.field)
        if not isinstance(answer, Exception):
            try:
                answer = self._resolve(parents, run.info(column, 0), **answer)
            except Exception as error:  # noqa: BLE001 - it is the error of the field
                answer = error
        field = column.field
        name = f"{field.parent_type}.{field.name}"
        if not is_awaitable(answer):
            return settle(run, column, spread(answer, len(parents), name))

        def go_on(answers: list[Any]) -> None:
            column.fill(None, settle(run, column, spread(answers[0], len(parents), name)))

        run.schedule.add([answer], go_on)
        return [None] * len(parents)


def read_all(get: Callable[[Any], Any], objects: Any, missing: type[Exception] | None = None) -> list[Any]:
    """Return what each object gives, or the error that it raises; null for an error that says that it has nothing."""
    values, errors = each(get, objects)
    if not errors:
        return values
    for index, error in errors.items():
        values[index] = None if missing is not None and isinstance(error, missing) else error
    return values


def _called(value: Any, run: Run, column: Column, index: int) -> Any:
    try:
        return value(run.info(column, index))
    except Exception as error:  # noqa: BLE001 - it is the error of the field
        return error
