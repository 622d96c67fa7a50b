"""Tasks over REST."""

from typing import Any, Final

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_task
from tests.graph_client import GraphClient
from tests.server.rest.client import RestClient, refusal

WHOLE: dict[str, Any] = {
    "title": "Buy milk",
    "description": "The good one",
    "priority": "HIGH",
    "due_at": "2026-12-01T08:00:00Z",
    "tags": ["shop", "home"],
}


async def test_create_returns_the_task_its_location_and_etag(rest: RestClient) -> None:
    parent = await rest.ok("POST", "/tasks", {"title": "Shop"})
    given_id = new_id()
    response = await rest.send("POST", "/tasks", WHOLE | {"id": given_id, "parent_id": parent["id"]})
    task = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/tasks/{given_id}"
    assert response.headers["etag"] == f'"{task["revision"]}"' == '"2"'
    assert task == WHOLE | {
        "id": given_id,
        "parent_id": parent["id"],
        "completed": False,
        "completed_at": None,
        "revision": 2,
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
    }
    read = await rest.send("GET", f"/tasks/{given_id.upper()}")
    assert (read.json(), read.headers["etag"]) == (task, '"2"')


async def test_put_resets_fields_that_are_left_out(rest: RestClient) -> None:
    parent = await rest.ok("POST", "/tasks", {"title": "Shop"})
    task = await rest.ok("POST", "/tasks", WHOLE | {"parent_id": parent["id"]})
    replaced = await rest.ok("PUT", f"/tasks/{task['id']}", {"title": "Buy oats", "completed": True})
    default = await rest.ok("POST", "/tasks", {"title": "Buy oats"})
    own = {"id", "completed", "completed_at", "revision", "created_at", "updated_at"}
    assert {name: replaced[name] for name in replaced if name not in own} == {
        name: default[name] for name in default if name not in own
    }
    assert replaced["completed"] is True
    assert refusal(await rest.problem("PUT", f"/tasks/{task['id']}", {})) == (422, "BAD_USER_INPUT", "#/title")


async def test_stale_etag_is_refused_with_the_current_task(rest: RestClient) -> None:
    for method, suffix, body in [
        ("PATCH", "", {"title": "x"}),
        ("PUT", "", {"title": "x"}),
        ("DELETE", "", None),
        ("POST", "/toggle", None),
    ]:
        task = await rest.ok("POST", "/tasks", WHOLE)
        path = f"/tasks/{task['id']}{suffix}"
        for stale in ('"99"', 'W/"1"', '"0"', '"01"', '"abc"', '"1", "2"', "1", '"' + "9" * 5_000 + '"'):
            problem = await rest.problem(method, path, body, headers={"If-Match": stale})
            assert refusal(problem) == (412, "CONFLICT", "If-Match")
            assert problem["current"] == task
        assert await rest.ok("GET", f"/tasks/{task['id']}") == task
        assert await rest.ok(method, path, body, headers={"If-Match": f'"{task["revision"]}"'})


async def test_if_match_with_an_asterisk_matches_any_revision(rest: RestClient) -> None:
    task = await rest.ok("POST", "/tasks", WHOLE)
    assert await rest.ok("DELETE", f"/tasks/{task['id']}", headers={"If-Match": "*"})
    problem = await rest.problem("DELETE", f"/tasks/{task['id']}", headers={"If-Match": '"1"'})
    assert refusal(problem) == (404, "NOT_FOUND", None)


async def test_repeated_idempotency_key_returns_the_first_task(rest: RestClient) -> None:
    key = {"Idempotency-Key": new_id()}
    first, again = [await rest.send("POST", "/tasks", WHOLE, headers=key) for _ in range(2)]
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    problem = await rest.problem("POST", "/tasks", WHOLE | {"title": "x"}, headers=key)
    assert refusal(problem) == (409, "CONFLICT", "Idempotency-Key")
    assert (await rest.ok("GET", "/tasks", include_total="true"))["total"] == 1
    problem = await rest.problem("POST", "/tasks", WHOLE, headers={"Idempotency-Key": "k" * 201})
    assert refusal(problem) == (422, "BAD_USER_INPUT", "Idempotency-Key")


async def test_idempotency_key_is_shared_with_graphql(rest: RestClient, client: GraphClient, user: SignedIn) -> None:
    task = await rest.ok("POST", "/tasks", {"title": "Milk"}, headers={"Idempotency-Key": "one key"})
    payload = await client.mutate("createTask", {"title": "Milk", "idempotencyKey": "one key"}, as_=user)
    assert payload["task"]["id"] == task["id"]


async def test_list_is_paged_by_cursor(rest: RestClient, database: Database, user: SignedIn) -> None:
    made = [(await make_task(database, user.caller, f"Task {number}")).id for number in range(5)]
    seen, query = list[str](), dict[str, Any]()
    for size in (2, 2, 1):
        page = await rest.ok("GET", "/tasks", limit=2, **query)
        assert (len(page["items"]), page["total"]) == (size, None)
        seen += [task["id"] for task in page["items"]]
        query = {"cursor": page["next_cursor"]}
    assert (seen, query) == (made, {"cursor": None})


LISTS: Final[list[tuple[dict[str, Any], list[str]]]] = [
    ({"completed": "true"}, ["b"]),
    ({"completed": "false", "order": "-title"}, ["c milk", "a"]),
    ({"priority": "HIGH"}, ["a"]),
    ({"priority": ["HIGH", "LOW"], "order": ["priority"]}, ["c milk", "a"]),
    ({"search": "mil"}, ["c milk"]),
    ({"order": "due_at"}, ["b", "a", "c milk"]),
    ({"order": "-due_at"}, ["a", "b", "c milk"]),
]
REFUSED_LISTS: Final[list[dict[str, Any]]] = [
    {"order": ["completed_at"]},
    {"order": ["-completed", "title"]},
    {"priority": "URGENT"},
    {"completed": "yes"},
    {"limit": "0"},
    {"limit": "101"},
    {"limit": "many"},
    {"cursor": "nonsense"},
    {"cursor": ""},
    {"search": "\0"},
    {"search": "x" * 1_001},
    {"complete": "true"},
]


async def test_list_is_filtered_and_ordered_by_the_query_string(rest: RestClient) -> None:
    for title, more in (
        ("a", {"priority": "HIGH", "due_at": "2026-02-01T00:00:00Z"}),
        ("b", {"due_at": "2026-01-01T00:00:00Z"}),
        ("c milk", {"priority": "LOW"}),
    ):
        task = await rest.ok("POST", "/tasks", {"title": title} | more)
        if title == "b":
            await rest.ok("POST", f"/tasks/{task['id']}/toggle")
    for query, titles in LISTS:
        assert [task["title"] for task in (await rest.ok("GET", "/tasks", **query))["items"]] == titles
    for query in REFUSED_LISTS:
        problem = await rest.problem("GET", "/tasks", **query)
        assert (problem["status"], problem["code"]) == (422, "BAD_USER_INPUT")
        assert {error["parameter"] for error in problem["errors"]} == set(query)


REFUSED: Final[list[tuple[dict[str, Any], str]]] = [
    ({}, "#/title"),
    ({"title": " "}, "#/title"),
    ({"title": None}, "#/title"),
    ({"title": 1}, "#/title"),
    ({"title": "x" * 501}, "#/title"),
    ({"title": "\0"}, "#/title"),
    ({"title": "x", "id": "x"}, "#/id"),
    ({"title": "x", "description": "x" * 10_001}, "#/description"),
    ({"title": "x", "completed": True}, "#/completed"),
    ({"title": "x", "dueAt": None}, "#/dueAt"),
    ({"title": "x", "a/b~": 1}, "#/a~1b~0"),
    ({"title": "x", "priority": "URGENT"}, "#/priority"),
    ({"title": "x", "priority": 1}, "#/priority"),
    ({"title": "x", "due_at": "2026-01-01T00:00:00"}, "#/due_at"),
    ({"title": "x", "due_at": "0001-01-01T00:00:00+01:00"}, "#/due_at"),
    ({"title": "x", "due_at": 0}, "#/due_at"),
    ({"title": "x", "tags": "home"}, "#/tags"),
    ({"title": "x", "tags": ["a", " "]}, "#/tags/1"),
    ({"title": "x", "tags": ["a", 1]}, "#/tags/1"),
    ({"title": "x", "tags": [str(number) for number in range(21)]}, "#/tags"),
]


async def test_invalid_body_is_refused_with_the_place_of_the_mistake(rest: RestClient) -> None:
    for body, place in REFUSED:
        assert refusal(await rest.problem("POST", "/tasks", body)) == (422, "BAD_USER_INPUT", place)
    problem = await rest.problem("POST", "/tasks", {"title": 1, "tags": None} | {f"x{n}": 1 for n in range(50)})
    assert (problem["detail"], len(problem["errors"])) == ("52 values are not right; see errors.", 20)
    assert [error["pointer"] for error in problem["errors"][:3]] == ["#/title", "#/tags", "#/x0"]


async def test_unknown_parent_and_taken_id_are_refused(rest: RestClient) -> None:
    task = await rest.ok("POST", "/tasks", {"title": "x"})
    for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{task['id']}"), ("PUT", f"/tasks/{task['id']}")):
        problem = await rest.problem(method, path, {"title": "x", "parent_id": new_id()})
        assert refusal(problem) == (404, "NOT_FOUND", "#/parent_id")
    problem = await rest.problem("POST", "/tasks", {"title": "x", "id": task["id"]})
    assert refusal(problem) == (409, "CONFLICT", "#/id")
