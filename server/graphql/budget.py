"""Budget of new documents: how many tokens of documents never seen before a client may have prepared."""

from datetime import timedelta
from time import monotonic
from typing import Final

from core.cache import LRUCache
from core.clock import utc_now
from core.errors import RateLimitedError
from core.workload import current_workload
from services.accounts.rate_limit import network_of

_MAX_BYTES: Final = 2_000_000
_BYTES_PER_CLIENT: Final = 400
_WINDOW_S: Final = 60


class TokenBudget:
    """Token buckets of users and of strangers' networks, refilled evenly, in each at most what comes in a minute."""

    def __init__(self, per_minute: int) -> None:
        # What was left, and when; of the least recently seen clients nothing is kept.
        self.left: LRUCache[str, tuple[float, float]] = LRUCache("document_budgets", max_bytes=_MAX_BYTES)
        self._per_minute = per_minute

    def take(self, tokens: int) -> None:
        """Take tokens from the budget of the client whose work this is; raise RateLimitedError if it has too few."""
        workload = current_workload.get()
        if workload is None or not self._per_minute:
            return
        key = workload.user_id or network_of(workload.key)
        now_s, per_second = monotonic(), self._per_minute / _WINDOW_S
        left, at_s = self.left.get(key) or (self._per_minute, now_s)
        left = min(self._per_minute, left + (now_s - at_s) * per_second)
        missing = min(tokens, self._per_minute) - left
        if missing > 0:
            message = (
                f"New documents of more than {self._per_minute} tokens within a minute. Send the same documents "
                "again, with values as variables, or wait."
            )
            raise RateLimitedError(message, retry_at=utc_now() + timedelta(seconds=missing / per_second))
        self.left.put(key, (left - tokens, now_s), _BYTES_PER_CLIENT)
