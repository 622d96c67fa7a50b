"""Both executors give the same for whatever is generated: operations, data, errors and nulls in wrong places."""

import asyncio
from typing import Final

from graphql import GraphQLObjectType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.both import same
from tests.engine.generated import SCHEMA, Choices, Source, operations

BOUNDED: Final = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
SEEDS: Final = st.integers(0, 2**32)
VARIABLES: Final = {"yes": True, "no": False, "number": 5}


def make_root(seed: int, failing: int, waiting: int) -> Source:
    query = SCHEMA.query_type
    assert isinstance(query, GraphQLObjectType)
    return Source(SCHEMA, query, Choices(seed, failing, waiting), 5)


@BOUNDED
@given(operations(), SEEDS, st.sampled_from([0, 1, 3, 10]))
async def test_what_answers_at_once_is_the_same_to_the_last_error(query: str, seed: int, failing: int) -> None:
    await same(SCHEMA, query, None, make_root(seed, failing, 0), variables=VARIABLES)


@BOUNDED
@given(operations(), SEEDS, st.sampled_from([0, 1, 4]), st.sampled_from([10, 60]))
async def test_what_is_waited_for_is_the_same(query: str, seed: int, failing: int, waiting: int) -> None:
    await same(SCHEMA, query, None, make_root(seed, failing, waiting), is_race=True, variables=VARIABLES)
    # What graphql-core has given up may still be running.
    for _ in range(3):
        await asyncio.sleep(0)
