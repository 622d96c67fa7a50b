"""Redis pub/sub, for fleets of many processes."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from live.broker import CHANNEL, Signals
from live.hub import Hub, WakeUp

_RETRY_S: Final = 1.0
_CONNECT_TIMEOUT_S: Final = 5
# After the first silence the server is pinged.
_SILENCE_S: Final = 5.0
_MAX_SILENCES: Final = 2

_log = logging.getLogger(__name__)


class RedisBroker:
    """Publishes and receives signals on one channel."""

    def __init__(self, url: str, hub: Hub, signals: Signals) -> None:
        self._publisher = Redis.from_url(url, socket_connect_timeout=_CONNECT_TIMEOUT_S)
        # No reconnection of its own: what was missed meanwhile has to be polled for.
        no_retry = Retry(NoBackoff(), 0)
        self._subscriber = Redis.from_url(url, socket_connect_timeout=_CONNECT_TIMEOUT_S, retry=no_retry)
        self._hub = hub
        self._signals = signals
        self.is_reliable = False

    async def run(self) -> None:
        """Receive; when the connection is lost, make another, and poll for what was missed."""
        while True:
            try:
                async with self._subscriber.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    await self._receive(channel)
            except Exception as error:  # noqa: BLE001 - whatever it is, the poll goes on and another attempt is made
                _log.warning("Redis is lost: %s", str(error) or type(error).__name__)
            finally:
                self.is_reliable = False
                self._hub.request_poll()
            await asyncio.sleep(_RETRY_S)

    async def _receive(self, channel: PubSub) -> None:
        silences = 0
        while silences < _MAX_SILENCES:
            message = await channel.get_message(timeout=_SILENCE_S)
            if message is None:
                silences += 1
                await channel.ping()
                continue
            silences = 0
            if message["type"] == "subscribe":
                self.is_reliable = True
                self._hub.request_poll()
            elif message["type"] == "message":
                self._hub.wake(self._signals.read(message["data"]), WakeUp.REDIS)
        raise TimeoutError("it does not answer")

    async def send(self, signals: Sequence[str]) -> None:
        """Publish the signals."""
        for signal in signals:
            await self._publisher.publish(CHANNEL, signal)

    def check(self) -> None:
        """Do nothing: pings check the connection."""

    async def close(self) -> None:
        """Close the connections."""
        await self._publisher.aclose()
        await self._subscriber.aclose()
