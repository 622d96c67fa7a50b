"""Conversations and their messages over REST."""

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_conversation, make_message
from tests.server.rest.client import RestClient, refusal


async def test_conversation_is_created_read_updated_and_deleted(rest: RestClient) -> None:
    response = await rest.send("POST", "/conversations", {"title": " Plans "}, headers={"Idempotency-Key": "k"})
    made = response.json()
    assert (response.status_code, made["title"], response.headers["etag"]) == (201, "Plans", '"1"')
    assert await rest.ok("POST", "/conversations", {"title": " Plans "}, headers={"Idempotency-Key": "k"}) == made
    path = response.headers["location"].removeprefix("/api")
    assert await rest.ok("GET", path) == made
    problem = await rest.problem("PATCH", path, {"title": "x"}, headers={"If-Match": '"9"'})
    assert (refusal(problem), problem["current"]) == ((412, "CONFLICT", "If-Match"), made)
    renamed = await rest.ok("PATCH", path, {"title": "More plans"}, headers={"If-Match": '"1"'})
    assert (renamed["title"], renamed["revision"]) == ("More plans", 2)
    assert await rest.ok("PATCH", path, {}) == renamed
    assert refusal(await rest.problem("PATCH", path, {"title": ""})) == (422, "BAD_USER_INPUT", "#/title")
    problem = await rest.problem("DELETE", path, headers={"If-Match": '"1"'})
    assert problem["current"] == renamed
    assert await rest.ok("DELETE", path) == {"deleted_ids": [made["id"]]}
    assert refusal(await rest.problem("GET", path)) == (404, "NOT_FOUND", None)


async def test_conversation_without_a_title_gets_the_default(rest: RestClient) -> None:
    given_id = new_id()
    made = await rest.ok("POST", "/conversations", {"id": given_id})
    assert (made["id"], made["title"]) == (given_id, "New conversation")
    assert refusal(await rest.problem("POST", "/conversations", {"id": given_id})) == (409, "CONFLICT", "#/id")


async def test_list_begins_with_the_latest_active(rest: RestClient, database: Database, user: SignedIn) -> None:
    ids = [(await make_conversation(database, user.caller, title)).id for title in ("a", "b", "c")]
    await make_message(database, user.caller, ids[0])
    page = await rest.ok("GET", "/conversations", include_total="true")
    assert [talk["title"] for talk in page["items"]] == ["a", "c", "b"]
    assert page["total"] == 3
    page = await rest.ok("GET", "/conversations", order="created_at", limit=2)
    assert [talk["title"] for talk in page["items"]] == ["a", "b"]
    page = await rest.ok("GET", "/conversations", order="created_at", cursor=page["next_cursor"])
    assert ([talk["title"] for talk in page["items"]], page["next_cursor"]) == (["c"], None)


async def test_messages_are_listed_in_order_and_pages(rest: RestClient, database: Database, user: SignedIn) -> None:
    talk, other = [(await make_conversation(database, user.caller)).id for _ in range(2)]
    for content in ("one", "two", "three"):
        await make_message(database, user.caller, talk, content)
    await make_message(database, user.caller, other, "elsewhere")
    path = f"/conversations/{talk.upper()}/messages"
    page = await rest.ok("GET", path, limit=2, include_total="true")
    first = page["items"][0]
    assert first == {
        "id": first["id"],
        "conversation_id": talk,
        "role": "USER",
        "content": "one",
        "status": "COMPLETE",
        "revision": 3,
        "created_at": first["created_at"],
    }
    assert ([message["content"] for message in page["items"]], page["total"]) == (["one", "two"], 3)
    page = await rest.ok("GET", path, cursor=page["next_cursor"])
    assert ([message["content"] for message in page["items"]], page["next_cursor"]) == (["three"], None)
    page = await rest.ok("GET", path, order="-created_at")
    assert [message["content"] for message in page["items"]] == ["three", "two", "one"]
