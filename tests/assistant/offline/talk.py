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
WITHOUT_TRACES: Final = RunConfig(tracing_disabled=True)


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
