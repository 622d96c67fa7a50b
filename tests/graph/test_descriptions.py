"""Everything in the schema says what it is."""

from graphql import is_introspection_type, is_specified_scalar_type

from graph.descriptions import members
from server.graphql.schema import core_schema, schema


def test_every_type_is_described() -> None:
    undescribed = [
        name
        for name, named in core_schema(schema).type_map.items()
        if not named.description and not is_introspection_type(named) and not is_specified_scalar_type(named)
    ]
    assert undescribed == []


def test_every_field_argument_and_value_is_described() -> None:
    found = list(members(core_schema(schema)))
    undescribed = [f"{name}.{member}" for name, part, member in found if not part.description]
    assert len(found) > 100
    assert undescribed == []
