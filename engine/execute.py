"""Executes the fields of an operation breadth first: each field once for all objects of its level.

The names are those of the specification's chapter on execution: a field is resolved, then its values are completed,
here a whole level's at once. What becomes of a value that is awaited is set later; until then null stands there.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, cast

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    default_field_resolver,
    default_type_resolver,
    is_abstract_type,
)
from graphql.execution import Executor
from graphql.execution.values import VariableValues, get_argument_values
from graphql.pyutils import Undefined, gather_with_cancel, inspect, is_awaitable, is_iterable
from graphql.type import GraphQLResolveInfoHelpers

from engine.batching import Parents, distribute_results
from engine.collect_fields import Field, Operation, ReturnType, Selection
from engine.errors import FieldError
from engine.pending_results import PendingResults
from engine.results import FieldResults, ItemResults, ObjectGroup, field_cell, path_to
from engine.selected import ResolveInfo
from engine.values import (
    ASYNC_ITERABLE,
    ERROR,
    MAY_BE_AWAITABLE,
    NULL,
    UNDEFINED,
    ItemList,
    call_each,
    call_or_error,
    collect_async_items,
    collect_items,
    type_flags,
)

Results: TypeAlias = FieldResults | ItemResults


class Execution:
    """One execution of an operation."""

    def __init__(
        self, operation: Operation, root_value: Any, context: Any, variables: VariableValues, *, hide_suggestions: bool
    ) -> None:
        schema, definition, fragments = operation
        self.schema = schema
        self.errors: list[FieldError] = []
        self._pending = PendingResults()
        self._root_value = root_value
        self._variables = variables
        self._hide_suggestions = hide_suggestions
        self._arguments: dict[Field, dict[str, Any] | Exception] = {}
        # The latter part of each resolver's info.
        helpers = GraphQLResolveInfoHelpers(_gather, self._pending.track)
        self._shared_info = schema, fragments, root_value, definition, variables, context, is_awaitable, None, helpers

    async def execute(self, selection: Selection) -> dict[str, Any]:
        """Return the data of a query; the errors are not yet propagated."""
        (data,) = self._execute_selection(ObjectGroup(selection, [self._root_value], None, [0]))
        await self._pending.complete_all()
        return data

    async def execute_serially(self, selection: Selection) -> dict[str, Any]:
        """Return the data of a mutation, whose fields are executed one after another with all that is below them."""
        root = ObjectGroup(selection, [self._root_value], None, [0])
        for field in selection.fields:
            results = FieldResults(root, field)
            results.fill(self._resolve_field(results))
            await self._pending.complete_all()
            if any(error.nulled_cell() is None for error in self.errors):
                break
        return root.rows[0]

    def _execute_selection(self, group: ObjectGroup) -> list[dict[str, Any]]:
        for field in group.selection.fields:
            results = FieldResults(group, field)
            results.fill(self._resolve_field(results))
        return group.rows

    # Resolving fields.

    def _resolve_field(self, results: FieldResults) -> list[Any]:
        """Return the completed values of a field."""
        field, objects = results.field, results.group.objects
        if field.get_attribute is not None:
            return self._complete_values(results, call_each(field.get_attribute, objects))
        if field.is_typename:
            return [field.parent_type.name] * len(objects)
        arguments = self._argument_values(field)
        if isinstance(arguments, Exception):
            return self._complete_values(results, [arguments] * len(objects))
        if field.is_batched:
            return self._resolve_batched(results, arguments)
        if field.definition.resolve is None and not field.definition.args:
            return self._complete_values(results, self._read_properties(results))
        resolve = field.definition.resolve or default_field_resolver
        values = []
        for index, source in enumerate(objects):
            try:
                values.append(resolve(source, self._info(results, index), **arguments))
            except Exception as error:  # noqa: BLE001 - it is the field's error
                values.append(error)
        return self._complete_values(results, values)

    def _resolve_batched(self, results: FieldResults, arguments: dict[str, Any]) -> list[Any]:
        field, parents = results.field, Parents(results.group.objects)
        resolve: Any = field.definition.resolve
        name = f"{field.parent_type}.{field.name}"
        try:
            answer = resolve(parents, self._info(results, 0), **arguments)
        except Exception as error:  # noqa: BLE001 - it is the field's error
            answer = error
        if not is_awaitable(answer):
            return self._complete_values(results, distribute_results(answer, len(parents), name))

        def complete(answers: list[Any]) -> None:
            results.fill(self._complete_values(results, distribute_results(answers[0], len(parents), name)))

        self._pending.add([answer], complete)
        return [None] * len(parents)

    def _read_properties(self, results: FieldResults) -> list[Any]:
        """Return what graphql-core's default resolver does, which needs no info but for methods."""
        name = results.field.name

        def read(source: Any) -> Any:
            return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)

        values = call_each(read, results.group.objects)
        for index, value in enumerate(values):
            if callable(value):
                values[index] = call_or_error(value, self._info(results, index))
        return values

    def _argument_values(self, field: Field) -> dict[str, Any] | Exception:
        """Return a field's argument values, coerced once for an execution."""
        if not field.definition.args:
            return {}
        if field not in self._arguments:
            self._arguments[field] = call_or_error(
                get_argument_values, field.definition, field.nodes[0], self._variables, None, self._hide_suggestions
            )
        return self._arguments[field]

    def _info(self, results: Results, index: int) -> ResolveInfo:
        field = results.field
        path = path_to(field_cell((results, index)))
        info = ResolveInfo(field.name, field.nodes, field.definition.type, field.parent_type, path, *self._shared_info)
        info.field = field
        return info

    def _add_error(self, results: Results, index: int, error: Exception, *, is_last: bool = False) -> None:
        self.errors.append(FieldError((results, index), error, is_last))

    # Completing values.

    def _complete_values(self, results: Results, values: list[Any], *, is_awaited: bool = False) -> list[Any]:
        """Return the completed values: null where they are awaited, and where there is an error."""
        return_type = results.return_type
        types = set(map(type, values))
        if types <= return_type.final_types:
            return values
        flags = type_flags(types)
        if flags & (MAY_BE_AWAITABLE | ASYNC_ITERABLE) and self._await(results, values, is_awaited=is_awaited):
            return [None] * len(values)
        # The serializers of leaf values take null.
        absent = ERROR | UNDEFINED
        if return_type.leaf is None or return_type.is_non_null:
            absent |= NULL
        if not flags & absent:
            return self._complete_present(results, range(len(values)), values, types)
        indexes = self._present_indexes(results, values)
        present = [values[index] for index in indexes]
        completed: list[Any] = [None] * len(values)
        if present:
            present_completed = self._complete_present(results, indexes, present, set(map(type, present)))
            for index, value in zip(indexes, present_completed, strict=True):
                completed[index] = value
        return completed

    def _await(self, results: Results, values: list[Any], *, is_awaited: bool) -> bool:
        """Complete values when all awaitables among them are done; return whether there are any."""
        awaitables: dict[int, Awaitable[Any]] = {}
        for index, value in enumerate(values):
            if not is_awaited and is_awaitable(value):
                awaitables[index] = value
            elif results.return_type.item is not None and hasattr(value, "__aiter__"):
                awaitables[index] = collect_async_items(value)
        if not awaitables:
            return False

        def complete(answers: list[Any]) -> None:
            awaited = list(values)
            for index, answer in zip(awaitables, answers, strict=True):
                awaited[index] = answer
            results.fill(self._complete_values(results, awaited, is_awaited=True))

        self._pending.add([*awaitables.values()], complete)
        return True

    def _present_indexes(self, results: Results, values: Sequence[Any]) -> list[int]:
        """Return where there are values; add the errors of those that are missing."""
        indexes = []
        for index, value in enumerate(values):
            if isinstance(value, Exception):
                self._add_error(results, index, value)
            elif value is not None and value is not Undefined:
                indexes.append(index)
            elif results.return_type.is_non_null:
                field = results.field
                message = f"Cannot return null for non-nullable field {field.parent_type}.{field.name}."
                self._add_error(results, index, TypeError(message))
        return indexes

    def _complete_present(
        self, results: Results, indexes: Sequence[int], values: list[Any], types: set[type]
    ) -> list[Any]:
        """Return the completed values of those that are there."""
        return_type = results.return_type
        if return_type.leaf is not None:
            completed = return_type.leaf.serialize(values, types)
            if completed is not values and type_flags(set(map(type, completed))) & ERROR:
                for position, value in enumerate(completed):
                    if isinstance(value, Exception):
                        self._add_error(results, indexes[position], value)
                        completed[position] = None
            return completed
        if return_type.item is not None:
            return self._complete_lists(results, return_type.item, indexes, values)
        if is_abstract_type(return_type.type):
            return self._complete_abstract(results, indexes, values)
        return self._complete_objects(results, indexes, values, results.field.selection_on(return_type.type))

    def _complete_lists(
        self, results: Results, item_type: ReturnType, indexes: Sequence[int], values: list[Any]
    ) -> list[Any]:
        """Return the completed lists: all their items are completed together."""
        if {list, tuple}.issuperset(map(type, values)):
            items = ItemResults(results, indexes, values, item_type)
            return items.split(self._complete_values(items, [*chain.from_iterable(values)]))
        completed: list[Any] = [None] * len(values)
        positions: list[int] = []
        lists: list[ItemList] = []
        for position, value in enumerate(values):
            if not is_iterable(value):
                field = results.field
                message = f"Expected Iterable, but did not find one for field '{field.parent_type}.{field.name}'."
                self._add_error(results, indexes[position], GraphQLError(message))
            else:
                collected = value if isinstance(value, ItemList) else collect_items(value)
                if collected.error is not None:
                    self._add_error(results, indexes[position], collected.error, is_last=True)
                positions.append(position)
                lists.append(collected)
        items = ItemResults(results, [indexes[position] for position in positions], lists, item_type)
        split = items.split(self._complete_values(items, [*chain.from_iterable(lists)]))
        for position, value in zip(positions, split, strict=True):
            completed[position] = value
        return completed

    def _complete_abstract(self, results: Results, indexes: Sequence[int], values: list[Any]) -> list[Any]:
        """Return the completed objects of an interface or a union, each by its own type."""
        type_ = results.return_type.type
        resolve_type = type_.resolve_type or default_type_resolver

        def complete(names: list[Any]) -> list[Any]:
            positions: dict[GraphQLObjectType, list[int]] = {}
            for position, name in enumerate(names):
                index = indexes[position]
                try:
                    runtime_type = self._runtime_type(results, index, name, values[position])
                except Exception as error:  # noqa: BLE001 - it is the field's error
                    self._add_error(results, index, error)
                else:
                    positions.setdefault(runtime_type, []).append(position)
            completed: list[Any] = [None] * len(values)
            for runtime_type, those in positions.items():
                selection = results.field.selection_on(runtime_type)
                objects = [values[position] for position in those]
                rows = self._complete_objects(results, [indexes[position] for position in those], objects, selection)
                for position, row in zip(those, rows, strict=True):
                    completed[position] = row
            return completed

        calls = [
            _call(resolve_type, value, self._info(results, index), type_)
            for index, value in zip(indexes, values, strict=True)
        ]
        return self._complete_with(results, indexes, calls, complete)

    def _runtime_type(self, results: Results, index: int, name: Any, value: Any) -> GraphQLObjectType:
        if isinstance(name, _Raised):
            raise name.error
        # Of its executor it needs nothing but the schema.
        executor = cast("Executor[Any]", self)
        return Executor.ensure_valid_runtime_type(
            executor, name, results.return_type.type, results.field.details, self._info(results, index), value
        )

    def _complete_objects(
        self, results: Results, indexes: Sequence[int], objects: list[Any], selection: Selection
    ) -> list[Any]:
        """Return the completed objects of one type, once it is sure that they are of it."""
        is_type_of = selection.type.is_type_of
        if is_type_of is None:
            return self._execute_selection(ObjectGroup(selection, objects, results, indexes))

        def complete(answers: list[Any]) -> list[Any]:
            positions = []
            for position, answer in enumerate(answers):
                if isinstance(answer, _Raised):
                    self._add_error(results, indexes[position], answer.error)
                elif answer:
                    positions.append(position)
                else:
                    message = f"Expected value of type '{selection.type}' but got: {inspect(objects[position])}."
                    self._add_error(results, indexes[position], GraphQLError(message, results.field.nodes))
            those = [objects[position] for position in positions]
            group = ObjectGroup(selection, those, results, [indexes[position] for position in positions])
            completed: list[Any] = [None] * len(objects)
            for position, row in zip(positions, self._execute_selection(group), strict=True):
                completed[position] = row
            return completed

        calls = [
            _call(is_type_of, source, self._info(results, index))
            for index, source in zip(indexes, objects, strict=True)
        ]
        return self._complete_with(results, indexes, calls, complete)

    def _complete_with(
        self, results: Results, indexes: Sequence[int], answers: list[Any], complete: Callable[[list[Any]], list[Any]]
    ) -> list[Any]:
        """Complete values with what is said of their types, at once or when that is awaited."""
        positions = [position for position, answer in enumerate(answers) if is_awaitable(answer)]
        if not positions:
            return complete(answers)

        def complete_later(awaited: list[Any]) -> None:
            for position, answer in zip(positions, awaited, strict=True):
                answers[position] = answer
            for index, value in zip(indexes, complete(answers), strict=True):
                results.put(index, value)

        self._pending.add([_call_later(answers[position]) for position in positions], complete_later)
        return [None] * len(answers)


class _Raised(NamedTuple):
    """An exception raised in place of an answer; one that is returned is an answer, if a wrong one."""

    error: Exception


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - it is the field's error
        return _Raised(error)


async def _call_later(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except Exception as error:  # noqa: BLE001 - it is the field's error
        return _Raised(error)


def _gather(awaitables: Iterable[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*awaitables)
