"""Rates: what requests cost in a minute, by user and by address; and how many new documents a client may bring."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import httpx2
import pytest
from graphql import DocumentNode, GraphQLError, parse

from core.clock import utc_now
from core.database import Database
from core.errors import RateLimitedError
from core.settings import Settings
from core.workload import start_workload
from server.graphql import documents
from server.graphql.budget import TokenBudget
from server.graphql.documents import MAX_TOKENS_AT_ONCE, Documents
from server.graphql.limits import count_tokens
from server.graphql.sockets import CloseCode
from server.http.errors import RefusedError
from server.http.rate_limit import CHANGE_COST
from tests.access_tokens import make_access_token
from tests.factories import SignedIn
from tests.live.programs import needs_redis, redis
from tests.server.asking import ask, hash_of, only_code, only_error, persisted
from tests.servers import RunningServer, serve_with
from tests.socket_client import open_socket, signed_in_socket
from tests.waiting import until_so

TASKS: Final = "{ tasks(first: 9) { nodes { id } } }"
COST: Final = 10
NOTHING: Final = "{ __typename }"


@asynccontextmanager
async def limited(settings: Settings, user: SignedIn, limit: int, **more: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve with a limit for each user, and give a client of the user's."""
    async with serve_with(settings, rate_limit_cost_per_minute=limit, **more) as server, server.client() as http:
        http.headers.update(user.headers)
        yield http


def limits_in(response: httpx2.Response) -> tuple[str | None, str]:
    policy, left = response.headers.get("ratelimit-policy"), response.headers.get("ratelimit", "")
    return policy, left.rpartition(";t=")[0]


async def test_user_spends_what_operations_cost_and_is_told_when_to_come_back(
    settings: Settings, user: SignedIn, stranger: SignedIn
) -> None:
    async with limited(settings, user, 2 * COST + 5) as http:
        for left in (COST + 5, 5):
            response = await ask(http, query=TASKS)
            assert response.status_code == 200
            assert limits_in(response) == ('"user";q=25;w=60', f'"user";r={left}')
        mutation = 'mutation { createTask(input: {title: "Sweep"}) { task { id } } }'
        for accept in ("application/json", "application/graphql-response+json", "text/event-stream"):
            refused = await ask(http, accept, query=mutation)
            assert (refused.status_code, only_code(refused)) == (429, "RATE_LIMITED")
            assert "retryAt" in only_error(refused)["extensions"]
            assert 0 < int(refused.headers["retry-after"]) <= 60
            assert limits_in(refused) == ('"user";q=25;w=60', '"user";r=5')
        # What is left can be spent, and others have their own.
        assert (await ask(http, query=NOTHING)).status_code == 200
        http.headers.update(stranger.headers)
        assert limits_in(await ask(http, query=TASKS))[1] == '"user";r=15'


async def test_operation_that_costs_more_than_a_minute_takes_a_whole_one(settings: Settings, user: SignedIn) -> None:
    async with limited(settings, user, COST - 1) as http:
        assert [(await ask(http, query=TASKS)).status_code for _ in range(2)] == [200, 429]


async def test_all_apis_spend_from_one_budget(settings: Settings, database: Database, user: SignedIn) -> None:
    token = (await make_access_token(database, user.caller)).text
    async with limited(settings, user, CHANGE_COST + 21 + 1) as http:
        made = await http.post("/api/tasks", json={"title": "Sweep"})
        assert (made.status_code, limits_in(made)[1]) == (201, '"user";r=22')
        read = await http.get("/api/tasks")
        assert (read.status_code, limits_in(read)[1]) == (200, '"user";r=1')
    # Another process, whose memory is another.
    async with limited(settings, user, CHANGE_COST + COST + 1) as http:
        url = str(http.base_url)
        async with signed_in_socket(url, user.token) as socket:
            assert "data" in await socket.result(TASKS)
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        answered = await http.post("/mcp", json=message, headers=headers)
        assert limits_in(answered)[1] == '"user";r=1'
        problem = await http.post("/api/tasks", json={"title": "Sweep"})
        assert (problem.status_code, problem.json()["code"]) == (429, "RATE_LIMITED")
        assert 0 < int(problem.headers["retry-after"]) <= 60
        refused = await http.post("/mcp", json=message, headers=headers)
        assert (refused.status_code, refused.json()["error"]["data"]["code"]) == (429, "RATE_LIMITED")
        async with signed_in_socket(url, user.token) as socket:
            for operation in (TASKS, "subscription { changes { changed { id } } }"):
                await socket.subscribe(operation)
                assert await socket.codes() == ["RATE_LIMITED"]


@pytest.mark.parametrize("limit", ["100", "0100", "+100", "%20100", "100.0", "1_00"])
async def test_page_over_rest_costs_its_rows_however_their_number_is_written(
    settings: Settings, user: SignedIn, limit: str
) -> None:
    async with limited(settings, user, 200) as http:
        assert limits_in(await http.get(f"/api/tasks?limit={limit}"))[1] == '"user";r=99'


async def test_strangers_pay_by_address_for_what_is_refused_too(settings: Settings, user: SignedIn) -> None:
    async with serve_with(settings, rate_limit_cost_per_minute_anonymous=8) as server, server.client() as http:
        answers = [
            await ask(http, query=NOTHING),
            await ask(http, query="{ nothing }"),
            await http.post("/graphql", content="{", headers={"content-type": "application/json"}),
            await http.get("/api/tasks/1"),
            await http.get("/api/tasks/1", headers={"authorization": "Bearer x"}),
            await http.post("/mcp", json={}),
            await http.post("/mcp", json={}, headers={"authorization": "Bearer x"}),
            await ask(http, query=NOTHING),
            await ask(http, query=NOTHING),
            await http.post("/mcp", json={}),
        ]
        assert [answer.status_code for answer in answers] == [200, 400, 400, 401, 401, 401, 401, 200, 429, 429]
        lefts = (7, 6, 5, 4, 3, 2, 1, 0, 0, 0)
        assert [limits_in(answer)[1] for answer in answers] == [f'"address";r={left}' for left in lefts]
        async with open_socket(server) as socket:
            await socket.send({"type": "connection_init", "payload": {"Authorization": "Bearer x"}})
            assert (await socket.closing())[0] == CloseCode.TRY_AGAIN_LATER
        http.headers.update(user.headers)
        free = await ask(http, query=TASKS)
        assert (free.status_code, limits_in(free)) == (200, (None, ""))


async def test_without_a_limit_nothing_is_counted(server: RunningServer, http: httpx2.AsyncClient) -> None:
    assert server.runtime.cost_limit is None
    assert limits_in(await ask(http, query=NOTHING)) == (None, "")


@needs_redis
async def test_processes_share_the_limit_in_redis_and_nobody_is_refused_without_it(
    settings: Settings, user: SignedIn, caplog: pytest.LogCaptureFixture
) -> None:
    async with redis() as broker, limited(settings, user, 25, broker_url=broker.url) as first:
        async with limited(settings, user, 25, broker_url=broker.url) as second:
            answers = [await ask(http, query=TASKS) for http in (first, second, first)]
            assert [limits_in(each)[1] for each in answers] == [f'"user";r={left}' for left in (15, 5, 5)]
            assert [each.status_code for each in answers] == [200, 200, 429]
        await broker.stop()
        with caplog.at_level(logging.WARNING, "services.accounts.rate_limit"):
            answers = [await ask(first, query=TASKS) for _ in range(5)]
        assert [(each.status_code, limits_in(each)) for each in answers] == [(200, (None, ""))] * 5
        logged = [record for record in caplog.records if record.name == "services.accounts.rate_limit"]
        assert len(logged) == 1
        await broker.start()

        async def is_counted() -> bool:
            return limits_in(await ask(first, query=TASKS))[0] is not None

        await until_so(is_counted)


def new_document(number: int, tokens: int) -> str:
    text = f"query Q{number} {{ viewer {{ {'id ' * (tokens - 7)}}} }}"
    assert len(text.split()) == tokens
    return text


async def test_build_may_bring_300_documents_and_a_stream_of_them_gets_its_share(
    found: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = utc_now()

    def seconds() -> float:
        return moment.timestamp()

    monkeypatch.setattr("server.graphql.budget.utc_now", lambda: moment)
    monkeypatch.setattr("server.graphql.budget.monotonic", seconds)
    # What is bounded is how often this is called.
    prepared: list[str] = []

    def refuse(text: str) -> DocumentNode:
        prepared.append(text)
        raise GraphQLError("no matter what")

    monkeypatch.setattr(documents, "parse", refuse)

    def bring(numbers: range, tokens: int) -> None:
        for number in numbers:
            with pytest.raises(RefusedError):
                found.get(new_document(number, tokens))

    start_workload(user_id="a build")
    bring(range(300), 100)
    start_workload(user_id="ada")
    with pytest.raises(RateLimitedError) as refused:
        bring(range(300, 500), 1_000)
    assert len(prepared) == 300 + 120
    assert refused.value.retry_at == moment + timedelta(seconds=0.5)
    # What was seen before costs nothing, and others have their own.
    bring(range(300, 400), 1_000)
    start_workload(address="1.2.3.4")
    bring(range(500, 501), 1_000)
    start_workload(user_id="ada")
    moment += timedelta(seconds=30)
    with pytest.raises(RateLimitedError):
        bring(range(600, 800), 1_000)
    assert len(prepared) == 300 + 120 + 1 + 60


async def test_budget_of_documents_is_refilled_where_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.0
    monkeypatch.setattr("server.graphql.budget.monotonic", lambda: seconds)
    budget = TokenBudget(60)
    start_workload(user_id="ada")
    budget.take(60)
    monkeypatch.setattr("core.clock._Correction.value", timedelta(hours=-1))
    seconds += 10
    budget.take(10)
    with pytest.raises(RateLimitedError) as refused:
        budget.take(10)
    assert refused.value.retry_at - utc_now() < timedelta(seconds=10)


async def test_new_documents_beyond_the_budget_are_refused_unparsed_with_when_to_come_back(
    settings: Settings, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"graphql_new_tokens_per_minute": 40, "rate_limit_cost_per_minute": 1_000}
    async with serve_with(settings, **limits) as server, server.client() as http:
        http.headers.update(user.headers)
        text = "{{ tasks(first: {}) {{ nodes {{ id }} }} }}"
        assert (await ask(http, query=text.format(1))).status_code == 200
        assert (await ask(http, query=TASKS.replace("id", "id title priority"))).status_code == 200
        monkeypatch.setattr(documents, "parse", None)
        for accept in ("application/json", "application/graphql-response+json"):
            refused = await ask(http, accept, query=f"{{ viewer {{ {'id ' * 30} }} }}")
            assert (refused.status_code, only_code(refused)) == (429, "RATE_LIMITED")
            assert limits_in(refused)[0] == '"user";q=1000;w=60'
            assert 0 < int(refused.headers["retry-after"]) <= 60
        # Those that differ in literals are one.
        for first in range(5, 20):
            assert (await ask(http, query=text.format(first))).status_code == 200
        async with signed_in_socket(server, user.token) as socket:
            await socket.subscribe(f"{{ viewer {{ {'id ' * 31} }} }}")
            assert await socket.codes() == ["RATE_LIMITED"]


async def test_long_documents_are_prepared_once_in_a_thread(
    settings: Settings, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed_in: list[int] = []

    def parse_here(text: str) -> DocumentNode:
        parsed_in.append(threading.get_ident())
        return parse(text)

    monkeypatch.setattr(documents, "parse", parse_here)
    fields = " ".join(f"a{number}: tasks(first: 1) {{ nodes {{ id }} }}" for number in range(99))
    long, short, wrong = f"{{ {fields} }}", "{ viewer { id } }", f"{{ {fields} nothing }}"
    assert count_tokens(long, 5_000) > MAX_TOKENS_AT_ONCE
    async with serve_with(settings) as server, server.client() as http:
        http.headers.update(user.headers)
        assert (await ask(http, query=short)).status_code == 200
        assert parsed_in == [threading.get_ident()]
        answers = [await ask(http, query=long, extensions=persisted(long)) for _ in range(2)]
        answers.append(await ask(http, documentId=f"sha256:{hash_of(long)}"))
        assert [len(answer.json()["data"]) for answer in answers] == [99] * 3
        for _ in range(2):
            assert only_code(await ask(http, query=wrong)) == "GRAPHQL_VALIDATION_FAILED"
        assert len(parsed_in) == 3
        assert threading.get_ident() not in parsed_in[1:]
