"""The agent, as the SDK runs it: begun with what was said, or gone on with after people have decided."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents import Agent, ModelSettings, RunConfig, Runner, RunState, set_tracing_disabled
from agents.models.interface import Model
from agents.result import RunResultStreaming
from agents.run_config import ToolExecutionConfig

from assistant.history import Item, refused
from assistant.toolbox import known_id

_MOST_TURNS: Final = 20

set_tracing_disabled(disabled=True)


class Talk:
    """What one run's agent is made of."""

    def __init__(self, model: Model, instructions: str, tools: Sequence[Any]) -> None:
        self._agent = Agent[Any]("Tasktalk", instructions=instructions, tools=list(tools))
        self._config = RunConfig(
            model=model,
            model_settings=ModelSettings(include_usage=True),
            tracing_disabled=True,
            # In the order asked for; the owner's row lock would let only one through anyway.
            tool_execution=ToolExecutionConfig(max_function_tool_concurrency=1),
            tool_not_found_behavior="return_error_to_model",
        )

    def begin(self, items: Sequence[Item]) -> RunResultStreaming:
        """Let the agent answer."""
        given: Any = list(items)
        return self._run(given)

    async def resume(self, state: Mapping[str, Any], approved: Mapping[str, bool]) -> RunResultStreaming:
        """Let the agent go on after a pause; `approved` tells of each call, as it is recorded, what was decided."""
        restored = await RunState.from_json(self._agent, dict(state), context_override={})
        for call in restored.get_interruptions():
            if approved.get(known_id(call.call_id or ""), False):
                restored.approve(call)
            else:
                restored.reject(call, rejection_message=refused())
        return self._run(restored)

    def _run(self, given: Any) -> RunResultStreaming:
        return Runner.run_streamed(self._agent, given, context={}, max_turns=_MOST_TURNS, run_config=self._config)
