"""Nested connections: each parent's page is what one gets by asking for that parent alone."""

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from services.query.ordering import OrderDirection
from services.tasks.task_lists import TaskOrder
from tests.graph.conftest import House
from tests.graph.operations import run
from tests.servers import RunningServer

PAGE: Final = """{ totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id revision } } nodes { id revision } }"""
SUBTASKS: Final = f"subtasks(first: $first, last: $last, after: $after, orderBy: $orderBy) {PAGE}"
MESSAGES: Final = f"messages(first: $first, last: $last, after: $after, orderBy: $orderBy) {PAGE}"
VARIABLES: Final = "$first: Int, $last: Int, $after: String, $orderBy"
TASKS: Final = f"query ({VARIABLES}: [TaskOrder!]) {{ tasks(first: 60) {{ nodes {{ id {SUBTASKS} }} }} }}"
TASK: Final = f"query ($id: ID!, {VARIABLES}: [TaskOrder!]) {{ task(id: $id) {{ id {SUBTASKS} }} }}"
TALKS: Final = f"query ({VARIABLES}: [MessageOrder!]) {{ conversations(first: 60) {{ nodes {{ id {MESSAGES} }} }} }}"
TALK: Final = f"query ($id: ID!, {VARIABLES}: [MessageOrder!]) {{ conversation(id: $id) {{ id {MESSAGES} }} }}"

directions: Final = st.sampled_from([direction.value for direction in OrderDirection])
task_fields: Final = st.sampled_from([field.value for field in TaskOrder.fields])
sizes: Final = st.tuples(st.sampled_from(["first", "last"]), st.integers(0, 30)).map(lambda pair: dict([pair]))


def orders(names: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, str]]]:
    return st.lists(st.fixed_dictionaries({"field": names, "direction": directions}), max_size=2)


async def check(server: RunningServer, house: House, many: str, one: str, variables: dict[str, Any]) -> None:
    """Compare the first, the largest and a middle one of the parents with what each gets alone."""
    (connection,) = (await run(server, house.owner, many, variables)).data.values()
    parents = connection["nodes"]
    for parent in (parents[0], parents[len(parents) // 2], parents[-1]):
        alone = await run(server, house.owner, one, variables | {"id": parent["id"]})
        assert [parent] == list(alone.data.values())


@settings(max_examples=16, deadline=None)
@given(size=sizes, order=orders(task_fields), names=st.sampled_from(["subtasks", "messages"]))
async def test_nested_page_equals_that_of_the_parent_alone(
    server: RunningServer, fifty_of_each: House, size: dict[str, int], order: list[dict[str, str]], names: str
) -> None:
    if names == "subtasks":
        await check(server, fifty_of_each, TASKS, TASK, size | {"orderBy": order})
    else:
        order = [each | {"field": "CREATED_AT"} for each in order]
        await check(server, fifty_of_each, TALKS, TALK, size | {"orderBy": order})


async def test_last_message_is_the_last_of_the_messages(server: RunningServer, fifty_of_each: House) -> None:
    query = "{ conversations(first: 60) { nodes { lastMessage { id } messages(last: 1) { nodes { id } } } } }"
    rows = (await run(server, fifty_of_each.owner, query)).data["conversations"]["nodes"]
    assert len(rows) == 50
    for row in rows:
        assert [row["lastMessage"]] == row["messages"]["nodes"]


async def test_skipped_fields_are_not_read(server: RunningServer, one_of_each: House) -> None:
    query = """query ($no: Boolean!) { tasks(first: 1) { totalCount @include(if: $no)
        nodes { id title @include(if: $no) subtasks @include(if: $no) { totalCount } } } }"""
    done = await run(server, one_of_each.owner, query, {"no": False})
    assert done.data == {"tasks": {"nodes": [{"id": one_of_each.task_ids[0]}]}}
    assert len(done.statements) == 1
    assert (await run(server, one_of_each.owner, query, {"no": True})).data["tasks"]["totalCount"] == 3
