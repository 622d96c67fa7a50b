"""The fields that are selected below a resolver's own."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues
from strawberry import Info

from engine.collect_fields import Field, FieldCollector, FieldDetailsList, Operation
from engine.strawberry_fields import strawberry_field

Made = TypeVar("Made")
Arguments = TypeVarTuple("Arguments")


class ResolveInfo(GraphQLResolveInfo[Any]):
    """The info that this engine gives to resolvers: graphql-core's, and the field of the plan."""

    field: Field
    # Strawberry's Info reads it.
    operation_extensions: Any = None


class _Source(NamedTuple):
    """A field that something is selected below."""

    definition: GraphQLField
    details: FieldDetailsList


class Selected:
    """The fields that are selected below one or several, whatever the types of their objects.

    That `@skip` and `@include` leave out is not among them.
    """

    def __init__(self, schema: GraphQLSchema, collector: FieldCollector, sources: Sequence[_Source]) -> None:
        self._schema = schema
        self._collector = collector
        self._sources = sources
        self._below: dict[tuple[str, ...], Selected] = {}
        self._made: dict[tuple[Any, ...], Any] = {}

    def once(self, make: Callable[["Selected", *Arguments], Made], *arguments: *Arguments) -> Made:
        """Return what a function makes of this and of what else it is given; it is called once, and the result kept."""
        key = (make, *arguments)
        if key not in self._made:
            self._made[key] = make(self, *arguments)
        made: Made = self._made[key]
        return made

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the names that the schema has for the fields, `__typename` among them."""
        return frozenset(self._fields)

    @cached_property
    def names_by_type(self) -> dict[str, frozenset[str]]:
        """Return the names of the fields by the names of the types on which they are selected."""
        names: dict[str, set[str]] = {}
        for type_, name, _ in self._collected():
            names.setdefault(type_.name, set()).add(name)
        return {type_name: frozenset(found) for type_name, found in names.items()}

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Return the names that Python has for the fields: those of their attributes, or of their resolvers."""
        return frozenset(
            _attribute(name, source.definition)
            for name, sources in self._fields.items()
            for source in sources
            if name != "__typename"
        )

    def below(self, *names: str) -> "Selected":
        """Return what is selected below one of these fields, and so on down the names."""
        if not names:
            return self
        if (found := self._below.get(names)) is None:
            sources = self._fields.get(names[0], ())
            child = Selected(self._schema, self._collector, sources)
            found = self._below[names] = child.below(*names[1:])
        return found

    @cached_property
    def _fields(self) -> dict[str, list[_Source]]:
        fields: dict[str, list[_Source]] = {}
        for type_, name, details in self._collected():
            if (field := self._schema.get_field(type_, name)) is not None:
                fields.setdefault(name, []).append(_Source(field, details))
        return fields

    def _collected(self) -> Iterator[tuple[GraphQLObjectType, str, FieldDetailsList]]:
        for definition, below in self._sources:
            for type_ in self._possible_types(definition):
                for details in self._collector.collect_subfields(below, type_).values():
                    yield type_, details[0].node.name.value, details

    def _possible_types(self, definition: GraphQLField) -> Iterator[GraphQLObjectType]:
        named: Any = get_named_type(definition.type)
        if is_abstract_type(named):
            yield from self._schema.get_possible_types(named)
        elif is_object_type(named):
            yield named


def selected(info: GraphQLResolveInfo[Any] | Info[Any, Any]) -> Selected:
    """Return what is selected below a resolver's field; found once for a plan, and for each call elsewhere."""
    raw = info._raw_info if isinstance(info, Info) else info  # noqa: SLF001 - Strawberry offers no other way
    if isinstance(raw, ResolveInfo):
        field = raw.field
        if field.selected is None:
            source = _Source(field.definition, field.details)
            field.selected = Selected(raw.schema, field.collector, [source])
        found: Selected = field.selected
        return found
    definition = raw.parent_type.fields[raw.field_name]
    operation = Operation(raw.schema, raw.operation, raw.fragments)
    details = [FieldDetails(node, None) for node in raw.field_nodes]
    collector = FieldCollector(operation, _variables(raw.variable_values))
    return Selected(raw.schema, collector, [_Source(definition, details)])


def _variables(given: Any) -> VariableValues:
    """Return the variables of an info; that of Strawberry's executor has nothing but the values."""
    return given if isinstance(given, VariableValues) else VariableValues({}, given)


def _attribute(name: str, definition: GraphQLField) -> str:
    field = strawberry_field(definition)
    return name if field is None else field.python_name
