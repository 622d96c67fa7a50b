"""Types that are named before they are declared, since theirs and others' modules need each other."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from graph.conversation import Conversation
    from graph.run import Run
    from graph.task import Task

LazyConversation = Annotated["Conversation", strawberry.lazy("graph.conversation")]
LazyRun = Annotated["Run", strawberry.lazy("graph.run")]
LazyTask = Annotated["Task", strawberry.lazy("graph.task")]
