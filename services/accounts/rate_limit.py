"""How many wrong passwords are heard: for an account from one address, and from one address in all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from core.errors import RateLimitedError, UnavailableError
from core.settings import Settings, SettingsError

_WINDOW_MINUTES: Final = 5
# Who has one address of IPv6 has the whole network around it.
_IPV6_NETWORK_BITS: Final = 64


@dataclass(slots=True)
class Guess:
    """A password being checked; it counts as wrong unless it is marked as right."""

    is_right: bool = False


@dataclass(frozen=True, slots=True)
class _Counted:
    limit: RateLimitItem
    key: str


class SignInLimit:
    """Counts wrong passwords; right ones cost nothing."""

    def __init__(self, settings: Settings) -> None:
        self._storage = _open_storage(settings.rate_limit_storage)
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._per_account = RateLimitItemPerMinute(settings.sign_in_attempts, _WINDOW_MINUTES, "sign-in-account")
        self._per_address = RateLimitItemPerMinute(
            settings.sign_in_attempts_per_address, _WINDOW_MINUTES, "sign-in-address"
        )
        self._being_checked: Counter[str] = Counter()
        self._place_freed = asyncio.Event()

    async def close(self) -> None:
        """Close the connections to where attempts are counted."""
        if isinstance(self._storage, RedisStorage):
            bridge: Any = self._storage.bridge
            await bridge.get_connection().aclose()

    @asynccontextmanager
    async def guess(self, account: str, address: str) -> AsyncIterator[Guess]:
        """Hold a place for one password while it is checked, or raise RateLimitedError.

        No more are checked at once than may still be wrong: guesses sent all together gain nothing.
        """
        network = _network_of(address)
        of_account = _Counted(self._per_account, _digest(f"{account}\0{network}"))
        of_address = _Counted(self._per_address, _digest(network))
        await self._take_places(of_account, of_address)
        guess = Guess()
        try:
            yield guess
            with _translated_failures():
                if guess.is_right:
                    await self._limiter.clear(of_account.limit, of_account.key)
                else:
                    await self._limiter.hit(of_account.limit, of_account.key)
                    await self._limiter.hit(of_address.limit, of_address.key)
        finally:
            self._give_places_back(of_account, of_address)

    async def _take_places(self, *counted: _Counted) -> None:
        while True:
            # Taken before looking, so that a place freed meanwhile is not overlooked.
            place_freed = self._place_freed
            left = {one.key: await self._guesses_left(one) for one in counted}
            if not place_freed.is_set() and all(self._being_checked[key] < count for key, count in left.items()):
                self._being_checked.update(left.keys())
                return
            await place_freed.wait()

    def _give_places_back(self, *counted: _Counted) -> None:
        for one in counted:
            self._being_checked[one.key] -= 1
            if not self._being_checked[one.key]:
                del self._being_checked[one.key]
        self._place_freed.set()
        self._place_freed = asyncio.Event()

    async def _guesses_left(self, counted: _Counted) -> int:
        with _translated_failures():
            window = await self._limiter.get_window_stats(counted.limit, counted.key)
        if window.remaining > 0:
            return window.remaining
        retry_at = datetime.fromtimestamp(window.reset_time, UTC)
        moment = retry_at.isoformat(timespec="seconds")
        raise RateLimitedError(f"Too many wrong passwords. Try again after {moment}.", retry_at=retry_at)


@contextmanager
def _translated_failures() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise UnavailableError("Passwords cannot be checked now. Try again shortly.") from error


def _options(url: str) -> dict[str, str]:
    # Of the clients that the library knows, this is the one that we have.
    return {"implementation": "redispy"} if "redis" in url.partition("://")[0] else {}


def _open_storage(url: str) -> Storage:
    try:
        storage = storage_from_string(f"async+{url.removeprefix('async+')}", wrap_exceptions=True, **_options(url))
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
    """Return a key of bounded length that tells nothing about whom it counts."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
