"""Tasks that outlive the coroutine which awaits them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def start_task(work: Coroutine[Any, Any, Result], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[Result]:
    """Start a task, and keep it in the set until it is done: the event loop itself keeps no reference to it."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def run_to_completion(work: Coroutine[Any, Any, Result], tasks: set[asyncio.Task[Any]]) -> Result:
    """Await work that runs to its end even if the caller is cancelled; who owns the set waits for the rest."""
    return await asyncio.shield(start_task(work, tasks))
