"""Tasks, conversations and their messages over REST."""

from typing import Any, Final

from core.database import Database
from core.ids import new_id
from models import Task
from models.columns import columns_of, public_columns
from tests.factories import SignedIn, make_conversation, make_message
from tests.graph_client import GraphClient
from tests.server.rest.client import RestClient, refusal

DEFAULTS: Final = {column.name: column.make_default() for column in public_columns(Task) if not column.is_required}
GIVEN: Final[dict[str, Any]] = {
    "title": "Buy milk",
    "description": "The good one",
    "priority": "HIGH",
    "due_at": "2026-12-01T08:00:00+00:00",
    "tags": ["shop", "home"],
}


async def test_create_returns_the_task_its_location_and_etag(rest: RestClient) -> None:
    parent = await rest.ok("POST", "/tasks", {"title": "Shop"})
    given = GIVEN | {"id": new_id(), "parent_id": parent["id"]}
    response = await rest.send("POST", "/tasks", given)
    task, path = response.json(), f"/tasks/{given['id']}"
    assert (response.status_code, response.headers["location"], response.headers["etag"]) == (201, f"/api{path}", '"2"')
    assert task["created_at"] == task["updated_at"]
    moments = {name: task[name] for name in ("created_at", "updated_at")}
    assert task == DEFAULTS | given | moments | {"completed": False, "completed_at": None, "revision": 2}
    read = await rest.send("GET", f"/tasks/{given['id'].upper()}")
    assert (read.json(), read.headers["etag"]) == (task, '"2"')


async def test_put_resets_fields_that_are_left_out(rest: RestClient) -> None:
    parent = await rest.ok("POST", "/tasks", {"title": "Shop"})
    task = await rest.ok("POST", "/tasks", GIVEN | {"parent_id": parent["id"]})
    replaced = await rest.ok("PUT", f"/tasks/{task['id']}", {"title": "Buy oats", "completed": True})
    reset = {name: DEFAULTS[name] for name, column in columns_of(Task).items() if column.writable and name in DEFAULTS}
    assert replaced == replaced | reset | {"title": "Buy oats", "completed": True}
    assert refusal(await rest.problem("PUT", f"/tasks/{task['id']}", {})) == (422, "BAD_USER_INPUT", "#/title")


async def test_stale_etag_is_refused_with_the_current_task(rest: RestClient) -> None:
    change = {"title": "x"}
    for method, suffix, body in (
        ("PATCH", "", change),
        ("PUT", "", change),
        ("DELETE", "", None),
        ("POST", "/toggle", None),
    ):
        task = await rest.ok("POST", "/tasks", GIVEN)
        path = f"/tasks/{task['id']}{suffix}"
        for stale in ('"99"', 'W/"1"', '"0"', '"01"', '"abc"', '"1", "2"', "1", '"' + "9" * 5_000 + '"'):
            problem = await rest.problem(method, path, body, headers={"If-Match": stale})
            assert (refusal(problem), problem["current"]) == ((412, "CONFLICT", "If-Match"), task)
        assert await rest.ok("GET", f"/tasks/{task['id']}") == task
        assert await rest.ok(method, path, body, headers={"If-Match": f'"{task["revision"]}"'})
    path = f"/tasks/{(await rest.ok('POST', '/tasks', GIVEN))['id']}"
    assert await rest.ok("DELETE", path, headers={"If-Match": "*"})
    assert refusal(await rest.problem("DELETE", path, headers={"If-Match": '"1"'})) == (404, "NOT_FOUND", None)


async def test_repeated_key_returns_the_first_task(rest: RestClient, client: GraphClient, user: SignedIn) -> None:
    key = {"Idempotency-Key": "one key"}
    first, again = [await rest.send("POST", "/tasks", {"title": "Milk"}, headers=key) for _ in range(2)]
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    payload = await client.mutate("createTask", {"title": "Milk", "idempotencyKey": "one key"}, as_=user)
    assert payload["task"]["id"] == first.json()["id"]
    problem = await rest.problem("POST", "/tasks", {"title": "x"}, headers=key)
    assert refusal(problem) == (409, "CONFLICT", "Idempotency-Key")
    assert (await rest.ok("GET", "/tasks", include_total="true"))["total"] == 1
    problem = await rest.problem("POST", "/tasks", GIVEN, headers={"Idempotency-Key": "k" * 201})
    assert refusal(problem) == (422, "BAD_USER_INPUT", "Idempotency-Key")


# tests/parity has what each filter and each order comes to.
LISTS: Final[list[tuple[dict[str, Any], list[str]]]] = [
    ({"completed": "false", "order": "-title", "search": "milk"}, ["c milk", "a milk"]),
    ({"priority": ["HIGH", "LOW"], "order": ["priority", "title"]}, ["c milk", "a milk"]),
    ({"tags": ["x", "every"]}, ["b"]),
    ({"due_after": "2030-01-02T00:00:00Z"}, ["b", "c milk"]),
    ({"due_after": "2030-01-01T00:00:00Z", "due_before": "2030-01-03T00:00:00+00:00"}, ["a milk", "b"]),
]
REFUSED_LISTS: Final[list[dict[str, Any]]] = [
    *({"order": ["completed_at"]}, {"order": ["-completed", "title"]}, {"priority": "URGENT"}, {"completed": "yes"}),
    *({"limit": "0"}, {"limit": "101"}, {"limit": "many"}, {"cursor": "nonsense"}, {"cursor": ""}),
    *({"due_after": "2030-01-01"}, {"due_before": "2030-01-01T00:00:00"}, {"tags": ["\0"]}),
    *({"search": "\0"}, {"search": "x" * 1_001}, {"complete": "true"}),
]


async def test_list_is_filtered_and_ordered_by_the_query_string(rest: RestClient) -> None:
    for day, (title, priority) in enumerate((("a milk", "HIGH"), ("b", "MEDIUM"), ("c milk", "LOW")), 1):
        given = {"title": title, "priority": priority, "due_at": f"2030-01-0{day}T00:00:00Z"}
        await rest.ok("POST", "/tasks", given | {"tags": ["every", "x" if title == "b" else "y"]})
    for query, titles in LISTS:
        assert [task["title"] for task in (await rest.ok("GET", "/tasks", **query))["items"]] == titles
    for query in REFUSED_LISTS:
        problem = await rest.problem("GET", "/tasks", **query)
        assert (problem["status"], problem["code"]) == (422, "BAD_USER_INPUT")
        assert {error["parameter"] for error in problem["errors"]} == set(query)


# By the place that is named; tests/parity has the rules of the values.
REFUSED: Final[dict[str, list[dict[str, Any]]]] = {
    "#/title": [{"title": None}, {"title": " "}, {"title": 1}, {"title": "x" * 501}, {"title": "\0"}],
    "#/id": [{"id": "x"}],
    "#/description": [{"description": "x" * 10_001}],
    "#/completed": [{"completed": True}],
    "#/dueAt": [{"dueAt": None}],
    "#/a~1b~0": [{"a/b~": 1}],
    "#/priority": [{"priority": "URGENT"}, {"priority": 1}],
    "#/due_at": [{"due_at": at} for at in ("2026-01-01T00:00:00", "0001-01-01T00:00:00+01:00", 0)],
    "#/tags": [{"tags": "home"}, {"tags": [str(number) for number in range(21)]}],
    "#/tags/1": [{"tags": ["a", " "]}, {"tags": ["a", 1]}],
}


async def test_invalid_body_is_refused_with_the_place_of_the_mistake(rest: RestClient) -> None:
    assert refusal(await rest.problem("POST", "/tasks", {})) == (422, "BAD_USER_INPUT", "#/title")
    for place, bodies in REFUSED.items():
        for body in bodies:
            problem = await rest.problem("POST", "/tasks", {"title": "x"} | body)
            assert refusal(problem) == (422, "BAD_USER_INPUT", place)
    problem = await rest.problem("POST", "/tasks", {"title": 1, "tags": None} | {f"x{n}": 1 for n in range(50)})
    assert (problem["detail"], len(problem["errors"])) == ("52 values are not right; see errors.", 20)
    assert [error["pointer"] for error in problem["errors"][:3]] == ["#/title", "#/tags", "#/x0"]


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
    for listed, key, order, begins, ends, other in (
        ("/conversations", "title", "created_at", ["a", "b"], ["c"], ["a", "c", "b"]),
        (path, "content", "-created_at", ["three", "two"], ["one"], ["one", "two", "three"]),
    ):
        page = await rest.ok("GET", listed, order=order, limit=2, include_total="true")
        assert ([item[key] for item in page["items"]], page["total"]) == (begins, 3)
        page = await rest.ok("GET", listed, order=order, cursor=page["next_cursor"])
        assert ([item[key] for item in page["items"]], page["next_cursor"], page["total"]) == (ends, None, None)
        assert [item[key] for item in (await rest.ok("GET", listed))["items"]] == other
    first = (await rest.ok("GET", path))["items"][0]
    ids_and_revision = {"id": made[0].id, "conversation_id": ids[0], "revision": made[0].revision}
    said: dict[str, Any] = {
        "role": "USER",
        "content": "one",
        "status": "COMPLETE",
        "created_at": made[0].created_at.isoformat(),
    }
    said |= {"run_id": None, "tool_calls": []}
    assert first == ids_and_revision | said
