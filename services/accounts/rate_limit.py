"""Rate limits of sign-ups, passwords and e-mails, and of what requests cost, for a user, an account and a network."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from typing import Any, Final, NamedTuple, Self, TypeAlias

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.clock import utc_now
from core.errors import RateLimitedError, UnavailableError
from core.settings import Settings, SettingsError

# A limit, and the key that attempts are counted by.
_Window: TypeAlias = tuple[RateLimitItem, str]

_WINDOW_MINUTES: Final = 5
# A client usually controls the whole IPv6 network around its address.
_IPV6_NETWORK_BITS: Final = 64
_MEMORY: Final = "memory://"
_COST_STORAGE_TIMEOUT_S: Final = 0.5
# How long nothing is counted after a failure of the storage.
_COST_STORAGE_PAUSE_S: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PasswordAttempt:
    """A password being verified; it counts as wrong unless it is marked as correct."""

    is_correct: bool = False


class AccountRateLimits:
    """Fixed-window rate limits of all that hashes a password; wrong passwords have narrower ones of their own."""

    def __init__(self, settings: Settings) -> None:
        storage = settings.rate_limit_storage
        self._storage = _open_storage(_MEMORY if storage is None else storage)
        self._limiter = FixedWindowRateLimiter(self._storage)

        def limit(count: int, name: str) -> RateLimitItem:
            return RateLimitItemPerMinute(count, _WINDOW_MINUTES, name)

        self._wrong_per_account = limit(settings.sign_in_attempts, "sign-in-account")
        self._wrong_per_address = limit(settings.sign_in_attempts_per_address, "sign-in-address")
        self._per_account = limit(settings.password_checks, "password-account")
        self._per_address = limit(settings.password_checks_per_address, "password-address")
        self._sign_ups = RateLimitItemPerHour(settings.sign_ups_per_address, 1, "sign-up-address")
        self._emails_to_recipient = RateLimitItemPerHour(settings.emails_per_recipient, 1, "email-recipient")
        self._emails_of_address = RateLimitItemPerHour(settings.emails_per_address, 1, "email-address")
        self._in_progress: Counter[str] = Counter()
        self._slot_freed = asyncio.Event()

    async def close(self) -> None:
        """Close the connections to the storage."""
        await _close_storage(self._storage)

    async def count_sign_up(self, address: str) -> None:
        """Count a sign-up, or raise RateLimitedError."""
        await self._count("Too many accounts were made.", (self._sign_ups, _digest(network_of(address))))

    async def count_email(self, kind: str, recipient: str, address: str, user_id: str | None = None) -> None:
        """Count an e-mail, whether or not there is an account that it goes to, or raise RateLimitedError.

        Each kind has a window of its own, so that nobody keeps others from what they need by asking for something else.
        """
        targets = [recipient] if user_id is None else [recipient, user_id]
        windows = [(self._emails_to_recipient, _digest(f"{kind}\0{target}")) for target in targets]
        # First, so that what is refused of one address uses up nobody's window.
        of_address = (self._emails_of_address, _digest(network_of(address)))
        await self._count("Too many e-mails were asked for.", of_address, *windows)

    @asynccontextmanager
    async def attempt(self, account: str, address: str) -> AsyncIterator[PasswordAttempt]:
        """Reserve a slot while one password is verified, or raise RateLimitedError.

        There are only as many slots as wrong passwords left, so concurrent attempts gain nothing.
        """
        network = network_of(address)
        account_key, address_key = _digest(f"{account}\0{network}"), _digest(network)
        account_window, address_window = (self._wrong_per_account, account_key), (self._wrong_per_address, address_key)
        await self._acquire_slots(account_window, address_window)
        attempt = PasswordAttempt()
        try:
            windows = (self._per_account, account_key), (self._per_address, address_key)
            await self._count("Too many passwords were checked.", *windows)
            yield attempt
            with _storage_errors_as_unavailable():
                if attempt.is_correct:
                    await self._limiter.clear(*account_window)
                else:
                    await self._limiter.hit(*account_window)
                    await self._limiter.hit(*address_window)
        finally:
            self._release_slots(account_window, address_window)

    async def _count(self, reason: str, *windows: _Window) -> None:
        for window in windows:
            with _storage_errors_as_unavailable():
                is_within = await self._limiter.hit(*window)
            if not is_within:
                raise await self._refusal(reason, window)

    async def _acquire_slots(self, *windows: _Window) -> None:
        while True:
            # Read before the counts, so that a slot freed meanwhile is noticed.
            slot_freed = self._slot_freed
            left = {window[1]: await self._attempts_left(window) for window in windows}
            if not slot_freed.is_set() and all(self._in_progress[key] < count for key, count in left.items()):
                self._in_progress.update(left.keys())
                return
            await slot_freed.wait()

    def _release_slots(self, *windows: _Window) -> None:
        for _, key in windows:
            self._in_progress[key] -= 1
            if not self._in_progress[key]:
                del self._in_progress[key]
        self._slot_freed.set()
        self._slot_freed = asyncio.Event()

    async def _attempts_left(self, counted: _Window) -> int:
        with _storage_errors_as_unavailable():
            window = await self._limiter.get_window_stats(*counted)
        if window.remaining > 0:
            return window.remaining
        raise await self._refusal("Too many wrong passwords.", counted)

    async def _refusal(self, reason: str, counted: _Window) -> RateLimitedError:
        with _storage_errors_as_unavailable():
            window = await self._limiter.get_window_stats(*counted)
        # The window is by the clock of this machine, which may be off.
        retry_at = utc_now() + timedelta(seconds=window.reset_time - time.time())
        text = retry_at.isoformat(timespec="seconds")
        return RateLimitedError(f"{reason} Try again after {text}.", retry_at=retry_at)


class Spending(NamedTuple):
    """What a client may still spend until its window ends; `is_refused` if it was less than the cost."""

    policy: str
    limit: int
    remaining: int
    reset_s: int
    is_refused: bool


class CostRateLimit:
    """Fixed-window rate limit of what the requests of a user, or of a stranger's network, cost.

    While its storage cannot be reached, nothing is refused.
    """

    def __init__(self, settings: Settings) -> None:
        self._user = RateLimitItemPerMinute(settings.rate_limit_cost_per_minute, 1, "cost-user")
        self._address = RateLimitItemPerMinute(settings.rate_limit_cost_per_minute_anonymous, 1, "cost-address")
        storage = settings.rate_limit_storage
        if storage is None:
            storage = (settings.broker_url or _MEMORY).replace("unix://", "redis+unix://", 1)
        # A client that waits for the storage waits before each request.
        no_retry, timeout = Retry(NoBackoff(), 0), _COST_STORAGE_TIMEOUT_S
        self._storage = _open_storage(storage, retry=no_retry, socket_timeout=timeout, socket_connect_timeout=timeout)
        self._limiter = FixedWindowRateLimiter(self._storage)
        # Zero while the storage answers.
        self._try_again_s = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the limit that is set; None where there is none."""
        is_on = settings.rate_limit_cost_per_minute or settings.rate_limit_cost_per_minute_anonymous
        return cls(settings) if is_on else None

    async def close(self) -> None:
        """Close the connections to the storage."""
        await _close_storage(self._storage)

    async def spend(self, user_id: str | None, address: str, cost: int) -> Spending | None:
        """Count the cost unless it is more than what is left; return None where nothing is counted.

        What costs more than a whole window takes a whole one.
        """
        item, policy = (self._address, "address") if user_id is None else (self._user, "user")
        if not item.amount or time.monotonic() < self._try_again_s:
            return None
        if is_failing := self._try_again_s > 0:
            # One request tries; the others do not wait for it.
            self._try_again_s = time.monotonic() + _COST_STORAGE_PAUSE_S
        key = _digest(network_of(address) if user_id is None else user_id)
        try:
            spending = await self._spend(item, policy, key, min(cost, item.amount))
        except StorageError as error:
            if not is_failing:
                _log.warning("Costs are not limited: their storage cannot be reached: %s", error)
            self._try_again_s = time.monotonic() + _COST_STORAGE_PAUSE_S
            return None
        self._try_again_s = 0.0
        return spending

    async def _spend(self, item: RateLimitItem, policy: str, key: str, cost: int) -> Spending:
        window = await self._limiter.get_window_stats(item, key)
        # Concurrent requests may have spent it since, and the window may have ended.
        is_refused = window.remaining < cost or not await self._limiter.hit(item, key, cost=cost)
        left_s = ceil(window.reset_time - time.time())
        remaining = window.remaining if is_refused else window.remaining - cost
        reset_s = left_s if 0 < left_s <= item.get_expiry() else item.get_expiry()
        return Spending(policy, item.amount, remaining, reset_s, is_refused)


@contextmanager
def _storage_errors_as_unavailable() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise UnavailableError("Passwords cannot be checked now. Try again shortly.") from error


def _open_storage(url: str, **redis_options: Any) -> Storage:
    # The library supports several Redis clients; redis-py is the one installed.
    options = {"implementation": "redispy", **redis_options} if "redis" in url.partition("://")[0] else {}
    try:
        storage = storage_from_string(f"async+{url.removeprefix('async+')}", wrap_exceptions=True, **options)
    except (ConfigurationError, ValueError, ImportError) as error:
        raise SettingsError(f"RATE_LIMIT_STORAGE is wrong: {error}; write memory:// or redis://host:port") from None
    if not isinstance(storage, Storage):
        raise SettingsError("RATE_LIMIT_STORAGE is wrong: it has no asynchronous client; write memory://")
    return storage


async def _close_storage(storage: Storage) -> None:
    if isinstance(storage, RedisStorage):
        bridge: Any = storage.bridge
        await bridge.get_connection().aclose()


def network_of(address: str) -> str:
    """Return the network that is taken for one client: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), _IPV6_NETWORK_BITS), strict=False))


def _digest(text: str) -> str:
    """Return a key of bounded length that does not reveal the account or address."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
