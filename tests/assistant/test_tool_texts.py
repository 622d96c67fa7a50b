"""The titles and summaries of tool calls are for people, whatever a model has written."""

from typing import Any, Final

from assistant.tool_texts import subject_of, summary_of, title_of
from assistant.tools import TOOLS
from models import ToolCallStatus

DONE: Final = ToolCallStatus.COMPLETED
TASK: Final = {"task": {"id": "1", "title": "Buy milk"}}
# A tool, its arguments and its result; the title and the summary.
CALLS: Final[list[tuple[str, Any, Any, str, str]]] = [
    ("add_task", {"title": "Buy  milk\n"}, TASK, "Create the task “Buy milk”", "Created 1 task"),
    ("add_task", {"title": 7}, None, "Create a task", "Created 1 task"),
    ("add_task", {"title": "x" * 200}, TASK, f"Create the task “{'x' * 99}…”", "Created 1 task"),
    ("update_task", {"task_id": "1", "title": "Milk"}, TASK, "Change the task “Buy milk”", "Changed 1 task"),
    ("complete_task", {"task_id": "1"}, TASK, "Complete the task “Buy milk”", "Completed 1 task"),
    ("reopen_task", {"unreadable": "{"}, None, "Reopen a task", "Reopened 1 task"),
    ("delete_task", {"task_id": "1"}, {"deleted_ids": ["1", "2"]}, "Delete a task", "Deleted 2 tasks"),
    ("list_tasks", {}, {"tasks": [], "total": 0}, "List tasks", "Found 0 tasks"),
    ("search", {"query": "milk"}, {"tasks": [TASK["task"]], "total": 1_200}, "Search for “milk”", "Found 1,200 tasks"),
    ("send_e-mail", {"title": "{}"}, {"result": "{}"}, "Send e mail", "Done"),
    ("__", [], [1], "Use a tool", "Done"),
]


def test_calls_have_titles_and_summaries() -> None:
    for name, arguments, result, title, summary in CALLS:
        assert title_of(name, subject_of(name, arguments, result)) == title
        assert summary_of(name, DONE, result) == summary
    assert {tool.name for tool in TOOLS} <= {name for name, *_ in CALLS}


def test_calls_that_are_not_done_say_how_far_they_are() -> None:
    told = {status: summary_of("add_task", status, None) for status in ToolCallStatus if status is not DONE}
    assert list(told.values()) == ["Waits for your approval", "In progress", "Rejected", "Failed"]
    error = {"error": "There is no such task."}
    assert summary_of("update_task", ToolCallStatus.FAILED, error) == "There is no such task."
    # Other servers may answer with anything.
    assert summary_of("theirs", ToolCallStatus.FAILED, {"error": '{"code": 1}'}) == "Failed"
