"""Rate limit of requests by what they cost: counted before the work, told in the headers of each answer."""

from contextvars import ContextVar
from datetime import timedelta
from typing import Final

from core.clock import utc_now
from core.errors import RateLimitedError
from graph.context import Runtime
from server.http.errors import Header

# Of a REST request or an MCP message that changes something, or may.
CHANGE_COST: Final = 10
_WINDOW_S: Final = 60

# Headers that the answer to the current request gets; None where there is no such answer, as on a socket.
current_headers: Final[ContextVar[list[Header] | None]] = ContextVar("current_headers", default=None)


async def charge(runtime: Runtime, user_id: str | None, address: str, cost: int = 1) -> None:
    """Count the cost of a request; raise RateLimitedError where its user, or stranger, may not spend as much now."""
    limiter = runtime.cost_limit
    if limiter is None or (spending := await limiter.spend(user_id, address, cost)) is None:
        return
    policy, limit, remaining, reset_s, is_refused = spending
    if (headers := current_headers.get()) is not None:
        headers[:] = (
            (b"ratelimit-policy", f'"{policy}";q={limit};w={_WINDOW_S}'.encode()),
            (b"ratelimit", f'"{policy}";r={remaining};t={reset_s}'.encode()),
        )
    if is_refused:
        message = f"Requests cost more than {limit} within a minute. Try again in {reset_s} seconds."
        raise RateLimitedError(message, retry_at=utc_now() + timedelta(seconds=reset_s))
