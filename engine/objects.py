"""Completes columns of objects: those of one type are a group, on which a selection is executed."""

from collections.abc import Awaitable, Sequence
from typing import Any, cast

from graphql import GraphQLAbstractType, GraphQLError, GraphQLObjectType, default_type_resolver
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails
from graphql.pyutils import inspect, is_awaitable

from engine.fields import Selection
from engine.nodes import Node
from engine.places import Column, Group, Items, Places, place_at
from engine.run import Run


def execute_selection(run: Run, group: Group) -> list[dict[str, Any]]:
    """Return the objects of a group with their fields; null where a field is waited for."""
    selection = group.selection
    group.results = [{} for _ in group.objects]
    for field in selection.fields:
        column = Column(group, field)
        column.fill(None, field.reader.read(run, column))
    return group.results


class Object(Node):
    """What completes the values of an object type."""

    __slots__ = ("_selection", "_type")

    def __init__(self, type_: GraphQLObjectType, *, is_required: bool) -> None:
        super().__init__(is_required=is_required)
        self._type = type_
        # What is selected below the one field that has this node, once that is known.
        self._selection: Selection | None = None

    def complete(
        self,
        run: Run,
        frame: Column | Items,
        places: Places,
        values: list[Any],
        kinds: set[type],  # noqa: ARG002
    ) -> list[Any]:
        """Return the completed values."""
        if self._selection is None:
            self._selection = frame.field.select(self._type)
        return complete_objects(run, frame, places, values, self._selection)


class Abstract(Node):
    """What completes the values of an interface or a union."""

    __slots__ = ("_type",)

    def __init__(self, type_: GraphQLAbstractType, *, is_required: bool) -> None:
        super().__init__(is_required=is_required)
        self._type = type_

    def complete(
        self,
        run: Run,
        frame: Column | Items,
        places: Places,
        values: list[Any],
        kinds: set[type],  # noqa: ARG002
    ) -> list[Any]:
        """Return the completed values, each by its own type."""
        resolve_type = self._type.resolve_type or default_type_resolver

        def ask(index: int) -> Any:
            return resolve_type(values[index], run.info(frame, place_at(places, index)), self._type)

        def go_on(names: list[Any]) -> list[Any]:
            return self._complete(run, frame, places, values, names)

        return _with_answers(run, frame, places, [_caught(ask, index) for index in range(len(values))], go_on)

    def _complete(
        self, run: Run, frame: Column | Items, places: Places, values: Sequence[Any], names: Sequence[Any]
    ) -> list[Any]:
        indices: dict[GraphQLObjectType, list[int]] = {}
        for index, name in enumerate(names):
            try:
                type_ = self._runtime_type(run, frame, place_at(places, index), name, values[index])
            except Exception as error:  # noqa: BLE001 - it is the error of the field
                run.fail(frame, place_at(places, index), error)
            else:
                indices.setdefault(type_, []).append(index)
        completed: list[Any] = [None] * len(values)
        for type_, those in indices.items():
            if len(those) == len(values):
                return complete_objects(run, frame, places, values, frame.field.select(type_))
            there = [place_at(places, index) for index in those]
            objects = [values[index] for index in those]
            those_completed = complete_objects(run, frame, there, objects, frame.field.select(type_))
            for index, value in zip(those, those_completed, strict=True):
                completed[index] = value
        return completed

    def _runtime_type(self, run: Run, frame: Column | Items, place: int, name: Any, value: Any) -> GraphQLObjectType:
        if isinstance(name, _Raised):
            raise name.error
        schema = run.request.schema
        if isinstance(name, str):
            type_ = schema.get_type(name)
            if isinstance(type_, GraphQLObjectType) and schema.is_sub_type(self._type, type_):
                return type_
        # graphql-core finds the words for what is wrong with it; all that it needs of its executor is the schema.
        details = [FieldDetails(node, None) for node in frame.field.nodes]
        executor = cast("Executor[Any]", run.request)
        return Executor.ensure_valid_runtime_type(executor, name, self._type, details, run.info(frame, place), value)


def complete_objects(
    run: Run, frame: Column | Items, places: Places, objects: Sequence[Any], selection: Selection
) -> list[Any]:
    """Return the completed objects of one type; null where they are not of it, or waited for."""
    is_type_of = selection.type.is_type_of
    if is_type_of is None:
        return execute_selection(run, Group(selection, objects, frame, places))
    check = is_type_of

    def ask(index: int) -> Any:
        return check(objects[index], run.info(frame, place_at(places, index)))

    def go_on(answers: list[Any]) -> list[Any]:
        group = Group(selection, objects, frame, places)
        if all(answer and not isinstance(answer, _Raised) for answer in answers):
            return execute_selection(run, group)
        return _complete_those_of(run, group, frame, answers)

    return _with_answers(run, frame, places, [_caught(ask, index) for index in range(len(objects))], go_on)


def _complete_those_of(run: Run, group: Group, frame: Column | Items, answers: Sequence[Any]) -> list[Any]:
    """Execute the selection on those objects of a group that are of its type; the others are errors."""
    those = []
    for index, answer in enumerate(answers):
        if answer and not isinstance(answer, _Raised):
            those.append(index)
            continue
        message = f"Expected value of type '{group.selection.type}' but got: {inspect(group.objects[index])}."
        error = answer.error if isinstance(answer, _Raised) else GraphQLError(message, frame.field.nodes)
        run.fail(frame, place_at(group.places, index), error)
    completed: list[Any] = [None] * len(group.objects)
    if those:
        there = [place_at(group.places, index) for index in those]
        rest = Group(group.selection, [group.objects[index] for index in those], frame, there)
        for index, value in zip(those, execute_selection(run, rest), strict=True):
            completed[index] = value
    return completed


class _Raised:
    """What was raised instead of an answer; an exception that is returned is an answer, if a wrong one."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _caught(ask: Any, index: int) -> Any:
    try:
        return ask(index)
    except Exception as error:  # noqa: BLE001 - it is the error of the value
        return _Raised(error)


async def _caught_later(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except Exception as error:  # noqa: BLE001 - it is the error of the value
        return _Raised(error)


def _with_answers(run: Run, frame: Column | Items, places: Places, answers: list[Any], go_on: Any) -> list[Any]:
    """Go on with the answers, at once or when they are there."""
    waited = [index for index, answer in enumerate(answers) if is_awaitable(answer)]
    if not waited:
        completed: list[Any] = go_on(answers)
        return completed

    def fill(found: list[Any]) -> None:
        for index, answer in zip(waited, found, strict=True):
            answers[index] = answer
        frame.fill(places, go_on(answers))

    run.schedule.add([_caught_later(answers[index]) for index in waited], fill)
    return [None] * len(answers)
