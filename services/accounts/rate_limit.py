"""Rate limit of wrong passwords: for an account from one network, and from one network in all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, Final, TypeAlias

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from core.errors import RateLimitedError, UnavailableError
from core.settings import Settings, SettingsError

# A limit, and the key that attempts are counted by.
_Window: TypeAlias = tuple[RateLimitItem, str]

_WINDOW_MINUTES: Final = 5
# A client usually controls the whole IPv6 network around its address.
_IPV6_NETWORK_BITS: Final = 64


@dataclass(slots=True)
class PasswordAttempt:
    """A password being verified; it counts as wrong unless it is marked as correct."""

    is_correct: bool = False


class SignInRateLimit:
    """Fixed-window rate limit of wrong passwords; correct ones do not count."""

    def __init__(self, settings: Settings) -> None:
        self._storage = _open_storage(settings.rate_limit_storage)
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._per_account = RateLimitItemPerMinute(settings.sign_in_attempts, _WINDOW_MINUTES, "sign-in-account")
        self._per_address = RateLimitItemPerMinute(
            settings.sign_in_attempts_per_address, _WINDOW_MINUTES, "sign-in-address"
        )
        self._in_progress: Counter[str] = Counter()
        self._slot_freed = asyncio.Event()

    async def close(self) -> None:
        """Close the connections to the storage."""
        if isinstance(self._storage, RedisStorage):
            bridge: Any = self._storage.bridge
            await bridge.get_connection().aclose()

    @asynccontextmanager
    async def attempt(self, account: str, address: str) -> AsyncIterator[PasswordAttempt]:
        """Reserve a slot while one password is verified, or raise RateLimitedError.

        There are only as many slots as attempts left, so concurrent attempts gain nothing.
        """
        network = _network_of(address)
        account_window = self._per_account, _digest(f"{account}\0{network}")
        address_window = self._per_address, _digest(network)
        await self._acquire_slots(account_window, address_window)
        attempt = PasswordAttempt()
        try:
            yield attempt
            with _storage_errors_as_unavailable():
                if attempt.is_correct:
                    await self._limiter.clear(*account_window)
                else:
                    await self._limiter.hit(*account_window)
                    await self._limiter.hit(*address_window)
        finally:
            self._release_slots(account_window, address_window)

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
        retry_at = datetime.fromtimestamp(window.reset_time, UTC)
        text = retry_at.isoformat(timespec="seconds")
        raise RateLimitedError(f"Too many wrong passwords. Try again after {text}.", retry_at=retry_at)


@contextmanager
def _storage_errors_as_unavailable() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise UnavailableError("Passwords cannot be checked now. Try again shortly.") from error


def _open_storage(url: str) -> Storage:
    # The library supports several Redis clients; redis-py is the one installed.
    options = {"implementation": "redispy"} if "redis" in url.partition("://")[0] else {}
    try:
        storage = storage_from_string(f"async+{url.removeprefix('async+')}", wrap_exceptions=True, **options)
    except (ConfigurationError, ValueError, ImportError) as error:
        raise SettingsError(f"RATE_LIMIT_STORAGE is wrong: {error}; write memory:// or redis://host:port") from None
    if not isinstance(storage, Storage):
        raise SettingsError("RATE_LIMIT_STORAGE is wrong: it has no asynchronous client; write memory://")
    return storage


def _network_of(address: str) -> str:
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
