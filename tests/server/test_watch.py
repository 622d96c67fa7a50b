"""What the watch ends, what it only tells, and that it keeps out of everything else."""

import asyncio
import gc
import weakref

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from server.watch import Watch
from tests.waiting import PATIENCE_S


class Client:
    """Stays until it goes."""

    def __init__(self) -> None:
        self.goes = asyncio.Event()

    async def receive(self) -> Message:
        await self.goes.wait()
        return {"type": "http.disconnect"}


async def for_ever() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_what_nobody_waits_for_is_ended_and_nothing_else() -> None:
    watch, gone, stays = Watch(), Client(), Client()
    unwanted = [asyncio.create_task(watch.while_wanted(for_ever(), gone.receive, PATIENCE_S)) for _ in range(20)]
    wanted = asyncio.create_task(watch.while_wanted(for_ever(), stays.receive, PATIENCE_S))
    gone.goes.set()
    outcomes = await asyncio.gather(*unwanted, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClientDisconnect] * 20
    assert not wanted.done()
    wanted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wanted


async def test_what_has_had_its_time_is_ended_and_its_task_goes_on() -> None:
    with pytest.raises(TimeoutError):
        await Watch().while_wanted(for_ever(), None, 0.0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_work_that_waits_gets_what_it_waits_for() -> None:
    async def busy() -> list[str]:
        heard = [await asyncio.sleep(0, "first"), await asyncio.to_thread(str, "second")]
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        broken.set_exception(ValueError("third"))
        try:
            await broken
        except ValueError as error:
            heard.append(str(error))
        return heard

    assert await Watch().while_wanted(busy(), None, PATIENCE_S) == ["first", "second", "third"]


async def test_failures_are_told_whether_work_has_waited_or_not() -> None:
    async def fail(*, later: bool) -> None:
        if later:
            await asyncio.sleep(0)
        raise ValueError("broken")

    for later in (True, False):
        with pytest.raises(ValueError, match="broken"):
            await Watch().while_wanted(fail(later=later), None, PATIENCE_S)


async def test_it_watches_again_after_nothing_ran() -> None:
    watch = Watch()
    for _ in range(2):
        assert await watch.while_wanted(asyncio.sleep(0, "quick"), Client().receive, 0.0) == "quick"
        with pytest.raises(TimeoutError):
            await watch.while_wanted(for_ever(), None, 0.0)
        # Longer than it takes to see that nothing runs.
        await asyncio.sleep(0.25)


async def test_what_runs_to_its_end_is_told_that_its_client_has_gone() -> None:
    client, left = Client(), asyncio.Event()

    async def half_done() -> str:
        await left.wait()
        return "whole"

    client.goes.set()
    assert await Watch().to_its_end(half_done(), client.receive, left.set) == "whole"


async def test_what_has_ended_is_forgotten_without_the_garbage_collector() -> None:
    watch, client = Watch(), Client()
    gc.disable()
    try:
        task = asyncio.create_task(watch.while_wanted(asyncio.sleep(0), client.receive, PATIENCE_S))
        await task
        kept = weakref.ref(task)
        del task
        await asyncio.sleep(0)
        assert kept() is None
    finally:
        gc.enable()
