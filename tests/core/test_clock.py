"""What is done at a moment to come."""

import asyncio
from datetime import timedelta

from core.clock import call_at, utc_now


async def test_work_is_done_at_its_moment_and_not_before() -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    begun_s = loop.time()
    call_at(utc_now() + timedelta(seconds=0.1), done.set)
    await done.wait()
    # Two clocks, which are set by nobody in between.
    assert loop.time() - begun_s > 0.09


async def test_overdue_work_is_done_soon_unless_it_is_cancelled() -> None:
    done, later = asyncio.Event(), asyncio.Event()
    call_at(utc_now(), done.set).cancel()
    call_at(utc_now() - timedelta(days=1), later.set)
    assert not later.is_set()
    await later.wait()
    assert not done.is_set()
