"""Conversations and their messages over REST."""

from core.database import Database
from tests.factories import SignedIn, make_conversation, make_message
from tests.server.rest.client import RestClient, refusal


async def test_conversation_has_a_location_an_etag_and_an_idempotency_key(rest: RestClient) -> None:
    given = {"body": {"title": " Plans "}, "headers": {"Idempotency-Key": "k"}}
    response = await rest.send("POST", "/conversations", **given)
    made, path = response.json(), response.headers["location"].removeprefix("/api")
    assert (response.status_code, made["title"], response.headers["etag"]) == (201, "Plans", '"1"')
    assert await rest.ok("POST", "/conversations", **given) == await rest.ok("GET", path) == made
    for method, body in (("PATCH", {"title": "x"}), ("DELETE", None)):
        problem = await rest.problem(method, path, body, headers={"If-Match": '"9"'})
        assert (refusal(problem), problem["current"]) == ((412, "CONFLICT", "If-Match"), made)
    assert await rest.ok("PATCH", path, {}) == made
    assert refusal(await rest.problem("PATCH", path, {"title": ""})) == (422, "BAD_USER_INPUT", "#/title")
    assert await rest.ok("DELETE", path, headers={"If-Match": '"1"'}) == {"deleted_ids": [made["id"]]}
    assert refusal(await rest.problem("GET", path)) == (404, "NOT_FOUND", None)


async def test_conversations_and_messages_are_listed(rest: RestClient, database: Database, user: SignedIn) -> None:
    ids = [(await make_conversation(database, user.caller, title)).id for title in ("a", "b", "c")]
    await make_message(database, user.caller, ids[2], "elsewhere")
    made = [await make_message(database, user.caller, ids[0], content) for content in ("one", "two", "three")]
    path = f"/conversations/{ids[0].upper()}/messages"
    # Of conversations the latest active come first.
    for listed, key, order, first, last, other in (
        ("/conversations", "title", "created_at", ["a", "b"], ["c"], ["a", "c", "b"]),
        (path, "content", "-created_at", ["three", "two"], ["one"], ["one", "two", "three"]),
    ):
        page = await rest.ok("GET", listed, order=order, limit=2, include_total="true")
        assert ([item[key] for item in page["items"]], page["total"]) == (first, 3)
        page = await rest.ok("GET", listed, order=order, cursor=page["next_cursor"])
        assert ([item[key] for item in page["items"]], page["next_cursor"]) == (last, None)
        items = (await rest.ok("GET", listed))["items"]
        assert [item[key] for item in items] == other
    ids_and_revision = {"id": made[0].id, "conversation_id": ids[0], "revision": made[0].revision}
    said = {"role": "USER", "content": "one", "status": "COMPLETE", "created_at": items[0]["created_at"]}
    assert items[0] == ids_and_revision | said
