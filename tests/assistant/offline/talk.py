"""A talk with the offline model through the SDK's runner: what is said, called, decided and answered."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from agents import Agent, RunConfig, Runner
from agents.result import RunResultStreaming

from assistant.offline.model import OfflineModel
from tests.assistant.offline.tools_in_memory import TaskShelf

ZONE: Final = ZoneInfo("Europe/Berlin")
# A Saturday.
NOW: Final = datetime(2026, 11, 21, 13, 0, tzinfo=ZONE)
_MAX_TURNS: Final = 20


class Talk:
    """A conversation that goes on from message to message, with its tool calls kept in the history."""

    def __init__(self, shelf: TaskShelf) -> None:
        self.shelf = shelf
        self.items: list[Any] = []
        self.deltas: list[str] = []
        self.asked: list[str] = []
        self.questions: list[str] = []
        self._agent = Agent[Any]("Tasktalk", instructions="Help.", tools=shelf.tools(), model=offline())

    async def say(self, message: str, approve: Callable[[str], bool] = lambda _: False) -> str:
        """Send a message; decide on each call that asks by its task's id; return the answer."""
        self.deltas = []
        self.asked = []
        self.questions = []
        result = await self._run([*self.items, {"role": "user", "content": message}])
        while result.interruptions:
            self.questions.append("".join(self.deltas))
            self.deltas = []
            state = result.to_state()
            for call in result.interruptions:
                task_id = str(call.arguments)
                self.asked.append(task_id)
                if approve(task_id):
                    state.approve(call)
                else:
                    state.reject(call)
            result = await self._run(state)
        self.items = result.to_input_list()
        text = str(result.final_output)
        assert "".join(self.deltas) == text
        return text

    async def _run(self, given: Any) -> RunResultStreaming:
        config = RunConfig(tracing_disabled=True)
        result = Runner.run_streamed(self._agent, given, max_turns=_MAX_TURNS, run_config=config)
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                self.deltas.append(event.data.delta)
        return result


def offline() -> OfflineModel:
    """Return the model at the moment of the tests."""
    return OfflineModel(lambda: NOW, ZONE)
