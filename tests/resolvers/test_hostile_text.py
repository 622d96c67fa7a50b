"""Whatever is put in whatever place: a clear answer, never a failure of ours."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from models import Conversation
from server.app import create_app
from tests.databases import only_sqlite
from tests.factories import SignedIn, sign_in, store, task_row
from tests.graph_client import Answer, GraphClient
from tests.schema_walk import SOME_ID, Place, least_value, operations
from tests.servers import serve

EXPECTED: Final = {"BAD_USER_INPUT", "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "CONFLICT", "RATE_LIMITED"}
REFUSED: Final = {"QUERY_TOO_COMPLEX"}
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
WRONG: Final[dict[str, list[Any]]] = {
    "ID": [True, 1.5, {}, {"a": 1}, [[]]],
    "String": [True, 1, 1.5, {}, {"a": 1}, [[]]],
    "Int": [2**31, -(2**31) - 1, 2**63, 10**30, 1.5, 1e300, "1", True, {}, [[]]],
    "Boolean": [0, 1, "true", {}, [[]]],
    "DateTime": [
        *(0, True, {}, [[]], "", "now", "2026-01-31", "2026-01-31T09:00:00", "2026-02-30T09:00:00Z"),
        *("2026-01-31T24:00:01Z", "2026-01-31T09:00:60Z", "2026-01-31T09:00:00+24:00", "10000-01-01T00:00:00Z"),
        *(
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "\u0662026-01-31T09:00:00Z",
        ),
    ],
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
    async with serve(create_app(settings)) as server, httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
        yield GraphClient(http)


@pytest.fixture(scope="module")
async def someone(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings)


def assert_clear(answer: Answer) -> None:
    """Check that a refusal has a code that is foreseen and tells nothing of what is inside."""
    seen = json.dumps([answer.data, answer.errors])
    assert answer.status in {200, 400}, seen
    assert set(answer.codes) <= EXPECTED | REFUSED, seen
    assert not [leak for leak in LEAKS if leak in seen]
    assert all(len(error["message"]) < 1_000 for error in answer.errors)


def assert_refused(answer: Answer, place: Place) -> None:
    assert_clear(answer)
    assert (answer.status, set(answer.codes), answer.data) == (400, {"BAD_USER_INPUT"}, None), place


def in_place(place: Place, value: Any) -> Any:
    return [value] if place.is_list else value


async def make_everything(database: Database, settings: Settings) -> SignedIn:
    """Make a user who has a task and a conversation of the id that operations name."""
    made = await sign_in(database, settings)
    talk = Conversation(user_id=made.user.id, id=SOME_ID, title="Plans", revision=1)
    await store(database, talk, task_row(made.user.id, id=SOME_ID))
    return made


@pytest.mark.parametrize("place", TEXT_PLACES, ids=str)
async def test_hostile_texts_are_stored_or_refused(
    client: GraphClient, database: Database, settings: Settings, place: Place
) -> None:
    someone = await make_everything(database, settings)
    few = place.operation.name in HASHING
    for text in list(TEXTS.values())[:: 5 if few else 1]:
        variables = place.variables(in_place(place, text))
        assert_clear(await client.execute(place.operation.document, variables, as_=someone))
    assert (await client.execute(EVERYTHING, as_=someone)).codes == []


@only_sqlite
async def test_values_of_another_type_are_refused(client: GraphClient, someone: SignedIn) -> None:
    for place in PLACES:
        for value in WRONG.get(place.type_name, ["GARBAGE", 1, True, [[[1]]], {"garbage": 1}]):
            variables = place.variables(in_place(place, value))
            assert_refused(await client.execute(place.operation.document, variables, as_=someone), place)


async def test_extreme_values_are_answered(client: GraphClient, someone: SignedIn) -> None:
    for place in [place for place in PLACES if place.type_name in RIGHT]:
        for value in RIGHT[place.type_name]:
            variables = place.variables(in_place(place, value))
            assert_clear(await client.execute(place.operation.document, variables, as_=someone))


async def test_malformed_and_long_lists_are_answered(client: GraphClient, someone: SignedIn) -> None:
    for place in [place for place in PLACES if place.is_list]:
        item = {"GARBAGE": 1}
        wrong: tuple[Any, ...] = ([None], [item, None], {"0": item})
        for value in wrong:
            assert_refused(await client.execute(place.operation.document, place.variables(value), as_=someone), place)
        (least,) = least_value(place.type)
        for value in ([], [least] * 10_000):
            assert_clear(await client.execute(place.operation.document, place.variables(value), as_=someone))


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
