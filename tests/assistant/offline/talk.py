"""A talk with the offline model through the SDK's runner, and the assistant's tools over a list in memory."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from agents import Agent, FunctionTool, RunConfig, Runner
from agents.result import RunResultStreaming
from agents.tool_context import ToolContext

from assistant.offline.model import OfflineModel
from assistant.prompt import fence

ZONE: Final = ZoneInfo("Europe/Berlin")
# A Saturday.
NOW: Final = datetime(2026, 11, 21, 13, 0, tzinfo=ZONE)
WITHOUT_TRACES: Final = RunConfig(tracing_disabled=True)


Task = dict[str, Any]
PLAIN: Final[Task] = {"completed": False, "priority": "MEDIUM", "due_at": None, "tags": []}


class TaskShelf:
    """Tasks in a list, the tools that work on them, and the calls that were made."""

    def __init__(self, *titles: str) -> None:
        self.tasks: list[Task] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.failing: set[str] = set()
        self._count = 0
        for title in titles:
            self.put(title)

    def put(self, title: str, **fields: Any) -> Task:
        self._count += 1
        self.tasks.append(PLAIN | {"id": f"t{self._count}", "title": title} | fields)
        return self.tasks[-1]

    def titled(self, title: str) -> Task:
        return next(task for task in self.tasks if task["title"] == title)

    def titles(self) -> list[str]:
        return [task["title"] for task in self.tasks]

    def called(self) -> list[str]:
        return [name for name, _ in self.calls]

    def tools(self) -> list[Any]:
        kinds: dict[str, Callable[[dict[str, Any]], Any]] = {
            "list_tasks": self._list,
            "search": self._search,
            "add_task": lambda given: {"task": self.put(**given)},
            "update_task": self._update,
            "complete_task": lambda given: self._update(given | {"completed": True}),
            "reopen_task": lambda given: self._update(given | {"completed": False}),
            "delete_task": self._delete,
        }
        return [self._tool(name, work) for name, work in kinds.items()]

    def _tool(self, name: str, work: Callable[[dict[str, Any]], Any]) -> FunctionTool:
        async def invoke(_: ToolContext[Any], raw: str) -> str:
            arguments = orjson.loads(raw)
            self.calls.append((name, arguments))
            result = {"error": "The database is away."} if name in self.failing else work(arguments)
            return fence(orjson.dumps(result).decode())

        schema = {"type": "object"}
        return FunctionTool(name, name, schema, invoke, strict_json_schema=False, needs_approval=name == "delete_task")

    def _list(self, given: dict[str, Any]) -> dict[str, Any]:
        found = [task for task in self.tasks if _fits(task, given)]
        return {"tasks": found[: given["limit"]], "total": len(found)}

    def _search(self, given: dict[str, Any]) -> dict[str, Any]:
        words = set(given["query"].casefold().split())
        found = [task for task in self.tasks if words <= set(task["title"].casefold().split())]
        return {"tasks": found[: given["limit"]], "total": len(found)}

    def _update(self, given: dict[str, Any]) -> dict[str, Any]:
        for task in self.tasks:
            if task["id"] == given["task_id"]:
                task.update({name: value for name, value in given.items() if name != "task_id"})
                return {"task": task}
        return {"error": "There is no such task."}

    def _delete(self, given: dict[str, Any]) -> dict[str, Any]:
        self.tasks = [task for task in self.tasks if task["id"] != given["task_id"]]
        return {"deleted_ids": [given["task_id"]]}


def _fits(task: Task, given: dict[str, Any]) -> bool:
    due, after, before = (
        moment and datetime.fromisoformat(moment)
        for moment in (task["due_at"], given.get("due_after"), given.get("due_before"))
    )
    return (
        given.get("completed") in {None, task["completed"]}
        and given.get("priority") in {None, task["priority"]}
        and set(given.get("tags") or ()) <= set(task["tags"])
        and not (after and (not due or due < after))
        and not (before and (not due or due >= before))
    )


class Talk:
    """A conversation that goes on from message to message, with its tool calls kept in the history."""

    def __init__(self, *titles: str, shelf: TaskShelf | None = None) -> None:
        self.shelf = shelf or TaskShelf(*titles)
        self.agent = Agent[Any]("Tasktalk", tools=self.shelf.tools(), model=OfflineModel(lambda: NOW, ZONE))
        self.questions: list[str] = []
        self._items: list[Any] = []
        self._deltas: list[str] = []

    async def say(self, message: str, approve: Callable[[str], bool] = lambda _: False) -> str:
        """Send a message; decide on each call that asks by its arguments; return the answer."""
        self.questions = []
        result = await self._run([*self._items, {"role": "user", "content": message}])
        while result.interruptions:
            self.questions.append("".join(self._deltas))
            state = result.to_state()
            for call in result.interruptions:
                (state.approve if approve(str(call.arguments)) else state.reject)(call)
            result = await self._run(state)
        self._items = result.to_input_list()
        text = str(result.final_output)
        assert "".join(self._deltas) == text
        return text

    async def _run(self, given: Any) -> RunResultStreaming:
        self._deltas = []
        result = Runner.run_streamed(self.agent, given, max_turns=20, run_config=WITHOUT_TRACES)
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                self._deltas.append(event.data.delta)
        return result
