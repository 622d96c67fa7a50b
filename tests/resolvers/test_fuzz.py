"""Operations with variables made at random from the schema: a clear answer, never a failure of ours."""

from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    is_required_input_field,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.resolvers.test_hostile_text import assert_clear
from tests.schema_walk import SOME_ID, operations

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
MOMENTS = st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ID": st.one_of(st.uuids().map(str), st.just(SOME_ID), TEXT),
    "String": TEXT,
    "Int": st.one_of(st.integers(-3, 120), st.integers(-(2**31), 2**31 - 1)),
    "Boolean": st.booleans(),
    "DateTime": MOMENTS,
}
# Those that hash passwords are slow, and those that end the account end the test.
OPERATIONS = [
    operation
    for operation in operations()
    if operation.field.args and operation.name not in {"signUp", "signIn", "changePassword", "deleteAccount"}
]


def values_of(wanted: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return a strategy of values that mostly fit the type."""
    if isinstance(wanted, GraphQLNonNull):
        return values_of(wanted.of_type, depth)
    if isinstance(wanted, GraphQLList):
        return st.lists(values_of(wanted.of_type, depth + 1), max_size=3)
    if isinstance(wanted, GraphQLInputObjectType):
        fields = {key: each for key, each in wanted.fields.items() if depth < 4 or not is_nested(each.type)}
        return st.fixed_dictionaries(
            {key: values_of(each.type, depth + 1) for key, each in fields.items() if is_required_input_field(each)},
            optional={
                key: values_of(each.type, depth + 1)
                for key, each in fields.items()
                if not is_required_input_field(each)
            },
        )
    if isinstance(wanted, GraphQLEnumType):
        return st.sampled_from(list(wanted.values))
    return VALUES[wanted.name] | JUNK if depth % 4 == 3 else VALUES[wanted.name]


def is_nested(wanted: Any) -> bool:
    while isinstance(wanted, GraphQLList | GraphQLNonNull):
        wanted = wanted.of_type
    return isinstance(wanted, GraphQLInputObjectType)


CASES = st.sampled_from(OPERATIONS).flatmap(
    lambda operation: st.tuples(
        st.just(operation),
        st.fixed_dictionaries({key: values_of(each.type) for key, each in operation.field.args.items()}),
    )
)


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=CASES)
async def test_random_variables_are_answered_or_refused(client: GraphClient, user: SignedIn, case: Any) -> None:
    operation, variables = case
    assert_clear(await client.execute(operation.document, variables, as_=user))
