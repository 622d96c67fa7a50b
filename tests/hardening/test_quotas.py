"""Quotas of a user: exact with several processes, told by every API, and nearly free of statements."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from core.database import Database
from core.errors import QuotaExceededError
from core.quotas import MAX_NEW_ROWS
from core.settings import Settings
from services.accounts.audit import NO_CLIENT
from services.accounts.caller import Caller
from services.tasks.tasks import tasks
from tests.access_tokens import make_access_token
from tests.assistant.chat import chatting, codes
from tests.databases import counted, opened, run_sql
from tests.factories import SignedIn, new_task
from tests.graph_client import GraphClient, refusal
from tests.server.mcp.client import connected, text_of
from tests.server.rest.client import RestClient
from tests.servers import serve_with
from tests.services.account_services import open_account_services

FULL: Final = "There is room for {:,} {}s, and these would be more; delete some first."
QUOTA: Final = 2 * MAX_NEW_ROWS + 3
SET_REVISION: Final = "UPDATE users SET revision = :revision WHERE id = :id"


@pytest.fixture
async def two_workers(settings: Settings) -> AsyncIterator[tuple[Database, Database]]:
    async with opened(settings, max_tasks_per_user=QUOTA) as one, opened(settings, max_tasks_per_user=QUOTA) as other:
        yield one, other


async def create(database: Database, caller: Caller) -> Any:
    return await tasks.create_alone(database, caller, new_task())


async def count_tasks(database: Database, user: SignedIn) -> Any:
    count = "SELECT count(*) FROM tasks WHERE user_id = :id"
    return await database.write(lambda session: run_sql(session, count, id=user.user.id))


async def test_quota_is_exact_for_two_workers(two_workers: tuple[Database, Database], user: SignedIn) -> None:
    one, other = two_workers
    caller = user.caller
    # The other has counted before what this one makes.
    await create(other, caller)
    new = [new_task() for _ in range(MAX_NEW_ROWS)]
    for _ in range(2):
        await one.transaction(lambda transaction: tasks.create_many(transaction, caller, new))
    creating = (create(database, caller) for database in two_workers * 3)
    outcomes = await asyncio.gather(*creating, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, QuotaExceededError)]
    assert [error.message for error in refused] == [FULL.format(QUOTA, "task")] * 4
    assert await count_tasks(one, user) == QUOTA
    with pytest.raises(QuotaExceededError):
        await one.transaction(lambda transaction: tasks.create_many(transaction, caller, new))
    # What is deleted makes room, for both.
    task: Any = next(outcome for outcome in outcomes if not isinstance(outcome, QuotaExceededError))
    await other.write(lambda session: tasks.delete(session, caller, task.id))
    await create(one, caller)
    with pytest.raises(QuotaExceededError):
        await create(other, caller)


async def statements_of(database: Database, user: SignedIn) -> list[str]:
    with counted() as statements:
        try:
            await create(database, user.caller)
        except QuotaExceededError:
            statements.append("refused")
    return statements


async def test_rows_are_counted_only_where_they_could_be_too_many(
    database: Database, settings: Settings, user: SignedIn
) -> None:
    first = await statements_of(database, user)
    assert [len(await statements_of(database, user)) for _ in range(3)] == [len(first)] * 3
    async with opened(settings, max_tasks_per_user=4 * MAX_NEW_ROWS) as bounded:
        await bounded.write(lambda session: run_sql(session, SET_REVISION, revision=5_000, id=user.user.id))
        counts = [sum("count(" in each for each in await statements_of(bounded, user)) for _ in range(8)]
    # Once, and again after as many transactions as might have filled it.
    assert counts == [1, 0, 0, 0, 1, 0, 0, 0]


async def test_refusals_count_once_while_nothing_changes(settings: Settings, user: SignedIn) -> None:
    async with opened(settings, max_tasks_per_user=1) as database:
        await create(database, user.caller)
        found = [await statements_of(database, user) for _ in range(3)]
    assert [each[-1] for each in found] == ["refused"] * 3
    assert [sum("count(" in statement for statement in each) for each in found] == [1, 0, 0]


async def test_quotas_are_told_by_every_api(settings: Settings, database: Database, user: SignedIn) -> None:
    token = (await make_access_token(database, user.caller)).text
    bounds = {f"max_{name}_per_user": 1 for name in ("tasks", "conversations", "access_tokens")}
    async with serve_with(settings, **bounds, max_messages_per_user=1) as server, server.client() as http:
        client, rest = GraphClient(http), RestClient(http, user)
        for name in ("createTask", "createConversation"):
            given: dict[str, Any] = {"title": "x"}
            assert (await client.mutate(name, given, as_=user))["errors"] == []
        talk = (await client.query("{ conversations { nodes { id } } }", as_=user))["conversations"]["nodes"][0]["id"]
        assert (await client.mutate("addMessage", {"conversationId": talk, "content": "x"}, as_=user))["errors"] == []
        of_token = "You have 1 access tokens already; revoke one first."
        for name, given, message in (
            ("createTask", {"title": "x"}, FULL.format(1, "task")),
            ("createTask", {"title": "x", "idempotencyKey": "key"}, FULL.format(1, "task")),
            ("createTasks", {"tasks": [{"title": "x"}]}, FULL.format(1, "task")),
            ("createConversation", {}, FULL.format(1, "conversation")),
            ("addMessage", {"conversationId": talk, "content": "x"}, FULL.format(1, "message")),
            ("sendMessage", {"content": "hello"}, FULL.format(1, "conversation")),
            ("sendMessage", {"conversationId": talk, "content": "hello"}, FULL.format(1, "message")),
            ("createAccessToken", {"name": "x", "scopes": ["TASKS_READ"]}, of_token),
        ):
            assert refusal(await client.mutate(name, given, as_=user)) == ("QUOTA_EXCEEDED", None, message)
        for path, body in (("/tasks", {"title": "x"}), ("/conversations", {})):
            problem = await rest.problem("POST", path, body)
            assert (problem["status"], problem["code"]) == (409, "QUOTA_EXCEEDED")
        async with connected(server.url, token) as mcp:
            result = await mcp.call_tool("add_task", {"title": "x"})
            assert (result.is_error, text_of(result)) == (True, FULL.format(1, "task"))


async def test_assistant_says_that_there_is_no_room(settings: Settings, user: SignedIn) -> None:
    async with chatting(settings, user, max_tasks_per_user=1) as chat:
        answers = [await chat.send(f"add buy milk {number}") for number in (1, 2)]
        assert [codes(answer) for answer in answers] == [[], []]
        (call,) = answers[1]["run"]["toolCalls"]
        assert (call["status"], len(await chat.tasks())) == ("FAILED", 1)
        assert FULL.format(1, "task") in str(answers[1])


async def test_one_session_too_many_ends_the_longest_unused(database: Database, settings: Settings) -> None:
    changed = settings.model_copy(update={"max_sessions_per_user": 2})
    async with open_account_services(database, changed) as services:
        first = await services.sign_up()
        second = await services.sign_in(first.user.email)
        assert not await services.is_over(second)
        first = await services.accounts.refresh(first.refresh_token, NO_CLIENT)
        third = await services.sign_in(first.user.email)
        assert [await services.is_over(each) for each in (first, second, third)] == [False, True, False]
        assert len([each for each in await services.sessions(first.user.id) if each.revoked_at is None]) == 2
