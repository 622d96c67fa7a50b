"""Conversations and what the assistant does in them come to the same over GraphQL and REST; MCP only reads them."""

from typing import Any, Final

import pytest

from models import RunStatus
from tests.factories import SignedIn, make_answered, make_conversation, make_task
from tests.graph_client import GraphClient
from tests.parity.task_apis import RefusedError, Served, execute, mutate, send
from tests.server.rest.client import RestClient
from tests.state import state_of
from tests.waiting import until_so

TALK: Final = "query ($id: ID!) { conversation(id: $id) { id title messages { nodes { id role content status } } } }"
RUN: Final = """query ($id: ID!) { node(id: $id) { ... on Run {
    status error reply { content } toolCalls { id name arguments result status }
} } }"""


class Apis:
    def __init__(self, served: Served, user: SignedIn) -> None:
        self.graphql, self.rest, self.user = GraphClient(served.http), RestClient(served.http, user), user

    async def ask(self, api: str, message: str, key: str | None = None, **given: Any) -> list[str]:
        """Return the ids of the conversation and of the run."""
        if api == "graphql":
            given |= {"content": message, "idempotency_key": key}
            answer = await mutate(self.graphql, self.user, "sendMessage", "id", **given)
            return [answer["conversation"]["id"], answer["run"]["id"]]
        headers = {"Idempotency-Key": key} if key else {}
        answer = await send(self.rest, "POST", "/chat", {"message": message, **given}, headers=headers)
        return [answer["conversation_id"], answer["run_id"]]

    async def change(self, api: str, name: str, path: str, **given: Any) -> Any:
        """Call a mutation, or send its input without the id to a path, by the method that stands before it."""
        if api == "graphql":
            return await mutate(self.graphql, self.user, name, "id", **given)
        method, path = path.split()
        body = {key: value for key, value in given.items() if key != "id"}
        return await send(self.rest, method, path.format(id=given.get("id")), body or None)

    async def shown(self, talk_id: str, run_id: str) -> dict[str, Any]:
        """Return a run as REST shows it; GraphQL must show the same of it and of its conversation."""
        node = (await execute(self.graphql, self.user, RUN, {"id": run_id}))["node"]
        run: dict[str, Any] = await send(self.rest, "GET", f"/runs/{run_id}")
        assert (run["status"], run["error"], run["tool_calls"]) == (node["status"], node["error"], node["toolCalls"])
        assert run["response"] == node["reply"]["content"]
        talk = (await execute(self.graphql, self.user, TALK, {"id": talk_id}))["conversation"]
        found = await send(self.rest, "GET", f"/conversations/{talk_id}")
        assert (found["id"], found["title"]) == (talk["id"], talk["title"])
        items = (await send(self.rest, "GET", f"/conversations/{talk_id}/messages"))["items"]
        names = ("id", "role", "content", "status")
        assert [{name: item[name] for name in names} for item in items] == talk["messages"]["nodes"]
        return run


@pytest.mark.parametrize(("one", "other"), [("graphql", "rest"), ("rest", "graphql")])
async def test_conversation_goes_on_over_both_apis_and_is_shown_alike(
    served: Served, user: SignedIn, one: str, other: str
) -> None:
    apis = Apis(served, user)
    await make_task(served.database, user.caller, "Sweep")
    given = {"time_zone": "Europe/Berlin"}
    for number, message in enumerate(
        ("add buy milk !high #shop and tell me what's still open", "add bread", "sing a song")
    ):
        asked = [await apis.ask(api, message, f"key {number}", **given) for api in (one, other)]
        # The key is the same, so that nothing is asked twice.
        assert asked[0] == asked[1]
        run = await apis.shown(*asked[0])
        assert [call["name"] for call in run["tool_calls"]] == [["add_task", "list_tasks"], ["add_task"], []][number]
        given = {"conversation_id": asked[0][0]}
    for approve in (False, True):
        talk_id, run_id = await apis.ask(one, "delete bread", **given)
        run = await apis.shown(talk_id, run_id)
        call_id = run["tool_calls"][-1]["id"]
        await apis.change(other, "resolveToolCall", "POST /tool-calls/{id}/resolve", id=call_id, approve=approve)

        async def is_complete(run_id: str = run_id) -> bool:
            return bool((await send(apis.rest, "GET", f"/runs/{run_id}"))["status"] == "COMPLETED")

        await until_so(is_complete)
        run = await apis.shown(talk_id, run_id)
        assert run["tool_calls"][-1]["status"] == ("COMPLETED" if approve else "REJECTED")
    talk_id, run_id = await apis.ask(one, "delete milk", **given)
    await apis.change(other, "cancelRun", "POST /runs/{id}/cancel", id=run_id)
    assert (await apis.shown(talk_id, run_id))["status"] == "CANCELLED"


@pytest.mark.parametrize("api", ["graphql", "rest"])
async def test_conversations_and_messages_are_refused_alike(served: Served, user: SignedIn, api: str) -> None:
    apis = Apis(served, user)
    own = (await make_conversation(served.database, user.caller)).id
    await make_answered(served.database, user, own, 1, status=RunStatus.AWAITING_APPROVAL)
    before = await state_of(served.database, user.user.id)
    create, rename = ("createConversation", "POST /conversations"), ("updateConversation", "PATCH /conversations/{id}")
    waits = "The assistant waits for your approval in this conversation; decide on it, or cancel the run, first."
    mars = "'Mars/Olympus' is no time zone; write a name such as Europe/Berlin or UTC."
    for refusing, code, part in (
        (apis.change(api, *create, title=" "), "BAD_USER_INPUT", "title must be 1 to 500 characters long; it has 0."),
        (apis.change(api, *rename, id=own, title="x" * 501), "BAD_USER_INPUT", "500 characters long; it has 501."),
        (apis.change(api, *rename, id=own, title="\0"), "BAD_USER_INPUT", "title contains a NUL character"),
        (apis.ask(api, " "), "BAD_USER_INPUT", "is empty; write something."),
        (apis.ask(api, "x" * 100_001), "BAD_USER_INPUT", "100000 characters long; it has 100001."),
        (apis.ask(api, "\0"), "BAD_USER_INPUT", "contains a NUL character"),
        (apis.ask(api, "hello", time_zone="Mars/Olympus"), "BAD_USER_INPUT", mars),
        (apis.ask(api, "hello", time_zone="../../etc/passwd"), "BAD_USER_INPUT", "is no time zone; write a name"),
        (apis.ask(api, "hello", time_zone="x" * 100_000), "BAD_USER_INPUT", f"'{'x' * 60}' is no time zone; "),
        (apis.ask(api, "hello", time_zone="\0", conversation_id=own), "BAD_USER_INPUT", ""),
        (apis.ask(api, "hello", "x" * 201), "BAD_USER_INPUT", ""),
        (apis.ask(api, "hello", conversation_id=own), "CONFLICT", waits),
    ):
        with pytest.raises(RefusedError) as refused:
            await refusing
        assert (refused.value.code, part in refused.value.message) == (code, True), refused.value
    assert await state_of(served.database, user.user.id) == before
