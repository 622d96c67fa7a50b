"""Following a user's changes or a reply: reads, then waits for a wake-up, and holds no connection meanwhile."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Protocol, TypeVar

from core.errors import TooManyOperationsError, UnavailableError
from live.hub import Waiter
from live.live import Live

Found = TypeVar("Found")

_RETRY_S: Final = 0.5
# This process's writing of a reply wakes its followers; another's has to be polled for.
_POLL_REPLY_EVERY_S: Final = 0.25
# Each read is a query: the followers of one user share so many a second, however many there are.
_UNLIMITED_FOLLOWERS: Final = 40
_MAX_READS_PER_S: Final = 400

_log = logging.getLogger(__name__)


class ReplyState(Protocol):
    """How far a reply is; one that is paused waits for the person to decide on a tool call."""

    @property
    def has_ended(self) -> bool: ...  # noqa: D102
    @property
    def is_paused(self) -> bool: ...  # noqa: D102


State = TypeVar("State", bound=ReplyState)


async def follow_changes(
    live: Live, user_id: str, revision: int, read: Callable[[], Awaitable[tuple[Found | None, bool]]]
) -> AsyncGenerator[Found, None]:
    """Yield what `read` finds; once it says that there is no more, wait for a change before the next read.

    The waiter is registered before the first read, so that nothing falls between reading and waiting; changes
    up to `revision`, which the first read sees, do not wake it.
    """
    check_followers(live, user_id)
    with live.hub.waiting(user_id) as waiter:
        waiter.seen = revision
        while True:
            found, has_more = await retry_while_unavailable(read)
            if found is not None:
                yield found
            if not has_more:
                await waiter.wait()
                # What changes meanwhile comes with the same read.
                await asyncio.sleep(pause_between_reads_s(live.hub.count(user_id)))


async def follow_reply(
    live: Live, user_id: str, reply_id: str, read: Callable[[], Awaitable[State]]
) -> AsyncGenerator[State, None]:
    """Yield the reply's state as often as it may have changed, until it has ended."""
    check_followers(live, user_id)
    with live.replies.waiting(reply_id) as text, live.hub.waiting(user_id) as changes:
        while True:
            state = await retry_while_unavailable(read)
            yield state
            if state.has_ended:
                return
            if state.is_paused:
                # Whatever ends the pause is a change of the user's, in any process.
                await changes.wait()
                continue
            await asyncio.sleep(pause_between_reads_s(live.hub.count(user_id)))
            await _wait_for_any((text, changes), _POLL_REPLY_EVERY_S)
            # The reply may end without becoming longer.
            text.seen = -1


def check_followers(live: Live, user_id: str) -> None:
    """Raise TooManyOperationsError where the user follows too much already."""
    if live.hub.count(user_id) >= live.max_followers_per_user:
        raise TooManyOperationsError(
            f"A user may have {live.max_followers_per_user} subscriptions at once; end another one first.",
            limit=live.max_followers_per_user,
        )


def pause_between_reads_s(followers: int) -> float:
    """Return how long each of a user's followers waits after a read at least."""
    return 0 if followers <= _UNLIMITED_FOLLOWERS else followers / _MAX_READS_PER_S


async def retry_while_unavailable(read: Callable[[], Awaitable[Found]]) -> Found:
    """Read; while the database is unavailable, try again."""
    while True:
        try:
            return await read()
        except UnavailableError as error:
            _log.warning("What is followed cannot be read: %s", error)
            await asyncio.sleep(_RETRY_S)


async def _wait_for_any(waiters: tuple[Waiter, ...], timeout_s: float) -> None:
    tasks = [asyncio.create_task(waiter.wait()) for waiter in waiters]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
