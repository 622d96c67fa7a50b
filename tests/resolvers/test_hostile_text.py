"""Whatever is put in whatever place, chosen or made at random: a clear answer, never a failure of ours."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_required_input_field,
)
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.database import Database
from core.settings import Settings
from models import Conversation
from tests.databases import only_sqlite
from tests.factories import SignedIn, sign_in, store, task_row
from tests.graph_client import Answer, GraphClient
from tests.schema_walk import SOME_ID, Place, least_value, operations
from tests.servers import serve_with

CODES: Final = {
    *("BAD_USER_INPUT", "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "CONFLICT", "RATE_LIMITED", "QUERY_TOO_COMPLEX")
}
DEEPEST_FILTER: Final = 10
# What takes a tenth of a second for each password.
HASHING: Final = {"signUp", "signIn"}
LEAKS: Final = ("Traceback", "sqlalchemy", "asyncpg", "sqlite3", "SELECT ", "INSERT ", "[parameters", 'File "')

TEXTS: Final = {
    "nothing": "",
    "white space": " \t\r\n\u00a0\u2028\u3000",
    "NUL": "a\0b",
    "controls": "\x01\x1b[31m\x7f\x85\ufeff\ufffe\uffff\u202eesrever\u202c \u2066abc",
    "wide": "Z\u0351\u0351\u0351 \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\U000e0067\U0010ffff",
    "SQL": "'; DROP TABLE users; -- \" OR 1=1 /* %_\\ :name $1 ? {0}",
    "syntax": '& | ! <-> :* {"a": [null, "\\u0000"]} """} { a',
    "digits": "\u0663" * 36,
    "a moment": "2026-01-31T09:00:00Z",
    "long": "x" * 120_000,
    "long and wide": "\U0001f680" * 30_000,
}
ODD: Final[list[Any]] = [{}, [[]]]
WRONG: Final[dict[str, list[Any]]] = {
    "ID": [*ODD, True, 1.5, {"a": 1}],
    "String": [*ODD, True, 1, 1.5, {"a": 1}],
    "Int": [*ODD, 2**31, -(2**31) - 1, 2**63, 10**30, 1.5, 1e300, "1", True],
    "Boolean": [*ODD, 0, 1, "true"],
    "DateTime": [*ODD, 0, True, "", "now", "2026-01-31T09:00:00", "2026-02-30T09:00:00Z", "10000-01-01T00:00:00Z"],
}
RIGHT: Final[dict[str, list[Any]]] = {
    "Int": [0, 2**31 - 1, -(2**31), -1],
    "DateTime": ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-01-31t09:00:00.123456789+14:00"],
}

EVERYTHING: Final = """{
    viewer { name image }
    tasks { nodes { title description tags parent { title } } }
    conversations { nodes { title messages { nodes { content } } } }
}"""

PLACES: Final = [place for operation in operations() for place in operation.places]
TEXT_PLACES: Final = [place for place in PLACES if place.type_name in {"String", "ID"}]


@pytest.fixture(scope="module")
async def client(settings: Settings) -> AsyncIterator[GraphClient]:
    """Give a client of a server of its own, for what is sent here counts as wrong passwords too."""
    async with serve_with(settings) as server, httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
        yield GraphClient(http)


@pytest.fixture(scope="module")
async def someone(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings)


def assert_clear(answer: Answer) -> None:
    """Check that a refusal has a code that is foreseen and tells nothing of what is inside."""
    seen = json.dumps([answer.data, answer.errors])
    assert answer.status in {200, 400}, seen
    assert set(answer.codes) <= CODES, seen
    assert not [leak for leak in LEAKS if leak in seen]
    assert all(len(error["message"]) < 1_000 for error in answer.errors)


async def send(client: GraphClient, user: SignedIn, place: Place, value: Any) -> Answer:
    answer = await client.execute(place.operation.document, place.variables(value), as_=user)
    assert_clear(answer)
    return answer


async def assert_refused(client: GraphClient, user: SignedIn, place: Place, value: Any) -> None:
    answer = await send(client, user, place, value)
    assert (answer.status, set(answer.codes), answer.data) == (400, {"BAD_USER_INPUT"}, None), place


def in_place(place: Place, value: Any) -> Any:
    return [value] if place.is_list else value


@pytest.mark.parametrize("place", TEXT_PLACES, ids=str)
async def test_hostile_texts_are_stored_or_refused(
    client: GraphClient, database: Database, settings: Settings, place: Place
) -> None:
    someone = await sign_in(database, settings)
    # A task and a conversation of the id that operations name.
    talk = Conversation(user_id=someone.user.id, id=SOME_ID, title="Plans", revision=1)
    await store(database, talk, task_row(someone.user.id, id=SOME_ID))
    for text in list(TEXTS.values())[:: 5 if place.operation.name in HASHING else 1]:
        await send(client, someone, place, in_place(place, text))
    assert (await client.execute(EVERYTHING, as_=someone)).codes == []


@only_sqlite
async def test_values_of_another_type_are_refused(client: GraphClient, someone: SignedIn) -> None:
    for place in PLACES:
        for value in WRONG.get(place.type_name, ["GARBAGE", 1, True, [[[1]]], {"garbage": 1}]):
            await assert_refused(client, someone, place, in_place(place, value))


async def test_extreme_values_are_answered(client: GraphClient, someone: SignedIn) -> None:
    for place in PLACES:
        for value in RIGHT.get(place.type_name, []):
            await send(client, someone, place, in_place(place, value))


async def test_malformed_and_long_lists_are_answered(client: GraphClient, someone: SignedIn) -> None:
    item = {"GARBAGE": 1}
    wrong: tuple[Any, ...] = ([None], [item, None], {"0": item})
    for place in [place for place in PLACES if place.is_list]:
        for value in wrong:
            await assert_refused(client, someone, place, value)
        for value in ([], least_value(place.type) * 10_000):
            await send(client, someone, place, value)


@pytest.mark.parametrize("depth", [DEEPEST_FILTER, DEEPEST_FILTER + 1, 500, 5_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"not": ', "}"), ('{"and": [', "]}"), ('{"or": [{}, ', "]}")])
async def test_filter_nested_too_deep_is_refused(
    http: httpx2.AsyncClient, someone: SignedIn, *, depth: int, opening: str, closing: str
) -> None:
    query = "query ($filter: TaskFilter) { tasks(filter: $filter) { nodes { id } } }"
    nested = f"{opening * (depth - 1)}{{}}{closing * (depth - 1)}"
    body = f'{{"query": {json.dumps(query)}, "variables": {{"filter": {nested}}}}}'
    response = await http.post("/graphql", content=body, headers=someone.headers | {"Content-Type": "application/json"})
    answer = Answer(response.status_code, response.json().get("data"), response.json().get("errors", []))
    assert_clear(answer)
    assert answer.codes == ([] if depth == DEEPEST_FILTER else ["BAD_USER_INPUT"])


TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
JUNK: Final[st.SearchStrategy[Any]] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
LEAVES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "ID": st.one_of(st.uuids().map(str), st.just(SOME_ID), TEXT),
    "String": TEXT,
    "Int": st.one_of(st.integers(-3, 120), st.integers(-(2**31), 2**31 - 1)),
    "Boolean": st.booleans(),
    "DateTime": st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
}


def values_of(wanted: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return a strategy of values that mostly fit the type."""
    if isinstance(wanted, GraphQLNonNull):
        return values_of(wanted.of_type, depth)
    if isinstance(wanted, GraphQLList):
        return st.lists(values_of(wanted.of_type, depth + 1), max_size=3)
    if isinstance(wanted, GraphQLInputObjectType):
        fields = {
            key: each
            for key, each in wanted.fields.items()
            if depth < 4 or not isinstance(get_named_type(each.type), GraphQLInputObjectType)
        }
        values = {key: values_of(each.type, depth + 1) for key, each in fields.items()}
        required = {key for key, each in fields.items() if is_required_input_field(each)}
        optional = {key: value for key, value in values.items() if key not in required}
        return st.fixed_dictionaries({key: values[key] for key in values if key in required}, optional=optional)
    if isinstance(wanted, GraphQLEnumType):
        return st.sampled_from(list(wanted.values))
    return LEAVES[wanted.name] | JUNK if depth % 4 == 3 else LEAVES[wanted.name]


# Those that hash passwords are slow, and those that end the account end the test.
CASES: Final = st.sampled_from(
    [
        each
        for each in operations()
        if each.field.args and each.name not in {*HASHING, "changePassword", "deleteAccount"}
    ]
).flatmap(
    lambda operation: st.tuples(
        st.just(operation),
        st.fixed_dictionaries({key: values_of(each.type) for key, each in operation.field.args.items()}),
    )
)


@hypothesis_settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=CASES)
async def test_random_variables_are_answered_or_refused(client: GraphClient, user: SignedIn, case: Any) -> None:
    operation, variables = case
    assert_clear(await client.execute(operation.document, variables, as_=user))
