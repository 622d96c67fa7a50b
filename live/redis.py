"""Redis pub/sub, for fleets of many processes."""

from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from live.broker import CHANNEL, Broker
from live.hub import Hub, WakeUp

_CONNECT_TIMEOUT_S: Final = 5
# After the first silence the server is pinged.
_SILENCE_S: Final = 5.0
_MAX_SILENCES: Final = 2


class RedisBroker(Broker):
    """Publishes and receives signals on one channel."""

    def __init__(self, url: str, hub: Hub, on_sessions_changed: Callable[[str], None]) -> None:
        super().__init__(hub, on_sessions_changed)
        self._publisher = Redis.from_url(url, socket_connect_timeout=_CONNECT_TIMEOUT_S)
        # No reconnection of its own: what was missed meanwhile has to be polled for.
        no_retry = Retry(NoBackoff(), 0)
        self._subscriber = Redis.from_url(url, socket_connect_timeout=_CONNECT_TIMEOUT_S, retry=no_retry)

    async def receive(self) -> None:
        """Receive signals until Redis does not answer."""
        async with self._subscriber.pubsub() as channel:
            await channel.subscribe(CHANNEL)
            silences = 0
            while silences < _MAX_SILENCES:
                message = await channel.get_message(timeout=_SILENCE_S)
                if message is None:
                    silences += 1
                    await channel.ping()
                    continue
                silences = 0
                if message["type"] == "subscribe":
                    self.set_reliable(is_reliable=True)
                elif message["type"] == "message":
                    self.take(message["data"], WakeUp.REDIS)
        raise TimeoutError("Redis does not answer")

    async def send(self, signals: Sequence[str]) -> None:
        """Publish the signals."""
        for signal in signals:
            await self._publisher.publish(CHANNEL, signal)

    async def close(self) -> None:
        """Close the connections."""
        await self._publisher.aclose()
        await self._subscriber.aclose()
