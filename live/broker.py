"""What processes send each other through a broker: up to which revision users' rows have changed, ended sessions."""

import asyncio
import logging
import random
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from live.hub import Hub, WakeUp

CHANNEL: Final = "tasktalk_changes"
# In place of a revision: the user's sessions or rights have changed. No row has it, so it wakes nobody.
SESSIONS_CHANGED: Final = -1
# PostgreSQL's limit of a NOTIFY payload: some hundred users, or a few with the longest ids.
_MAX_BYTES: Final = 7_999
_MIN_RETRY_S: Final = 0.25
_MAX_RETRY_S: Final = 30.0

_log = logging.getLogger(__name__)


class Signals:
    """Encodes and decodes signals; skips those that this process has sent itself."""

    def __init__(self) -> None:
        self._sender_id = secrets.token_hex(8)

    def write(self, revisions: Mapping[str, int]) -> list[str]:
        """Return the signals for any number of changed users, as few as possible."""
        signal = orjson.dumps([self._sender_id, revisions])
        if len(signal) <= _MAX_BYTES:
            return [signal.decode()]
        changed = list(revisions.items())
        half = len(changed) // 2
        return self.write(dict(changed[:half])) + self.write(dict(changed[half:]))

    def read(self, text: str | bytes) -> dict[str, int]:
        """Return the revisions in another process's signal; nothing for one's own, or for what is no signal."""
        try:
            sender_id, revisions = orjson.loads(text)
            if sender_id == self._sender_id:
                return {}
            return {str(user_id): int(revision) for user_id, revision in revisions.items()}
        except (ValueError, TypeError, AttributeError):
            return {}


class Broker(ABC):
    """Sends signals to the other processes, and wakes the hub by theirs."""

    def __init__(self, hub: Hub, on_sessions_changed: Callable[[str], None]) -> None:
        self.hub = hub
        self._on_sessions_changed = on_sessions_changed
        self.signals = Signals()
        # Whether signals are known to arrive at present.
        self.is_reliable = False

    async def run(self) -> None:
        """Receive signals until cancelled; when the connection is lost, make another, and poll for what was missed."""
        retry_s = _MIN_RETRY_S
        while True:
            try:
                await self.receive()
            except Exception as error:  # noqa: BLE001 - whatever it is, the poll goes on and another attempt is made
                _log.warning("Signals of other processes do not arrive: %s", str(error) or type(error).__name__)
            if self.is_reliable:
                retry_s = _MIN_RETRY_S
                self.set_reliable(is_reliable=False)
            # Not all processes at once.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1))  # noqa: S311 - jitter is no secret
            retry_s = min(2 * retry_s, _MAX_RETRY_S)

    def take(self, signal: str | bytes, kind: WakeUp) -> None:
        """Wake whom a signal is about."""
        revisions = self.signals.read(signal)
        for user_id, revision in revisions.items():
            if revision == SESSIONS_CHANGED:
                self._on_sessions_changed(user_id)
        self.hub.wake(revisions, kind)

    def set_reliable(self, *, is_reliable: bool) -> None:
        """Note that signals arrive from now on, or no longer; some may have been missed, so the poll runs at once."""
        self.is_reliable = is_reliable
        self.hub.request_poll()

    @abstractmethod
    async def receive(self) -> None:
        """Connect and receive signals until the connection is lost."""

    @abstractmethod
    async def send(self, signals: Sequence[str]) -> None:
        """Send signals to the other processes; one that is lost is made up for by their poll."""

    def check(self) -> None:  # noqa: B027 - optional
        """Check whether signals still arrive: the poll has found a change without one."""

    async def close(self) -> None:  # noqa: B027 - optional
        """Close what is still open once `run` is cancelled."""
