"""Supervised requests: cancelled when their client disconnects or their time is over, and nothing else is."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from server.http.disconnect import on_disconnect, run_until_disconnect
from tests.waiting import PATIENCE_S


class Client:
    """A client that stays until it disconnects."""

    def __init__(self) -> None:
        self.disconnects = asyncio.Event()

    async def receive(self) -> Message:
        await self.disconnects.wait()
        return {"type": "http.disconnect"}


async def for_ever() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_disconnect_cancels_the_work_of_that_client_alone() -> None:
    gone, stays = Client(), Client()
    cancelled = [asyncio.create_task(run_until_disconnect(for_ever(), gone.receive, PATIENCE_S)) for _ in range(20)]
    running = asyncio.create_task(run_until_disconnect(for_ever(), stays.receive, PATIENCE_S))
    gone.disconnects.set()
    outcomes = await asyncio.gather(*cancelled, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClientDisconnect] * 20
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_work_ends_at_its_timeout_or_with_its_own_result_or_error() -> None:
    with pytest.raises(TimeoutError):
        await run_until_disconnect(for_ever(), Client().receive, 0.0)
    assert (task := asyncio.current_task()) is not None
    assert task.cancelling() == 0
    assert await run_until_disconnect(asyncio.sleep(0, "done"), Client().receive, PATIENCE_S) == "done"

    async def fail(error: Exception) -> None:
        await asyncio.sleep(0)
        raise error

    for error in (ValueError("broken"), TimeoutError("its own")):
        with pytest.raises(type(error), match=str(error)):
            await run_until_disconnect(fail(error), Client().receive, PATIENCE_S)


async def test_disconnect_is_reported_to_work_that_goes_on() -> None:
    client, left = Client(), asyncio.Event()
    with on_disconnect(client.receive, left.set):
        client.disconnects.set()
        await left.wait()
