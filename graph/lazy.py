"""Types that refer to each other: named by their modules, which Strawberry imports once the schema is made."""

from typing import Annotated, Any, Final, ForwardRef

import strawberry


def _lazy(name: str, module: str) -> Any:
    return Annotated[ForwardRef(name), strawberry.lazy(module)]


LazyConversation: Final = _lazy("Conversation", "graph.conversation")
LazyRun: Final = _lazy("Run", "graph.run")
LazyTask: Final = _lazy("Task", "graph.task")
