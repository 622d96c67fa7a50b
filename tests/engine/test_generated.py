"""Both executors give the same for all that is generated: schemas, operations, data, errors, nulls in wrong places."""

from typing import Final

from graphql import GraphQLObjectType, GraphQLSchema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.both import breadth_first, depth_first, described, same
from tests.engine.decisions import Choices, Decisions
from tests.engine.generated import Operation, schema_text
from tests.engine.sources import Source, make_schema

# Half of what the profile says, for an example is a schema, an operation and its data.
BOUNDED: Final = settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SEEDS: Final = st.integers(0, 2**32)
BYTES: Final = st.binary(min_size=300, max_size=300)


def make_root(schema: GraphQLSchema, operation: Operation, choices: Choices, *, is_immediate: bool = True) -> Source:
    root = schema.type_map[operation.root.name]
    assert isinstance(root, GraphQLObjectType)
    return Source(root, schema, choices, is_immediate=is_immediate)


@BOUNDED
@given(BYTES, BYTES, SEEDS, st.sampled_from([0, 1, 3, 10]))
async def test_immediate_results_and_errors_are_graphql_cores(
    shape: bytes, query: bytes, seed: int, failing: int
) -> None:
    schema = make_schema(schema_text(Decisions(shape)))
    operation = Operation(schema, Decisions(query, wrong=50))
    root = make_root(schema, operation, Choices(seed, failing, 0))
    await same(schema, operation.text, root, variables=operation.variables)


@BOUNDED
@given(BYTES, BYTES, SEEDS, st.sampled_from([0, 1, 4]), st.sampled_from([10, 60]))
async def test_awaited_results_and_errors_are_those_of_immediate_ones(
    shape: bytes, query: bytes, seed: int, failing: int, waiting: int
) -> None:
    text, choices = schema_text(Decisions(shape)), Choices(seed, failing, waiting)
    at_once, later = make_schema(text), make_schema(text, Decisions(shape[::-1]))
    operation = Operation(at_once, Decisions(query, wrong=50))
    root = make_root(at_once, operation, choices)
    waiting_root = make_root(later, operation, choices, is_immediate=False)
    expected = await depth_first(at_once, operation.text, root, variables=operation.variables)
    found = await breadth_first(later, operation.text, waiting_root, variables=operation.variables)
    assert found.data == expected.data
    assert described(found.errors) == described(expected.errors)
