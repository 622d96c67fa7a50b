"""What processes send each other through a broker: up to which revision users' rows have changed."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import orjson

CHANNEL: Final = "tasktalk_changes"
# PostgreSQL's limit of a NOTIFY payload: some hundred users, or a few with the longest ids.
_MAX_BYTES: Final = 7_999


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


class Broker(Protocol):
    """Sends signals to the other processes, and wakes the hub by theirs."""

    @property
    def is_reliable(self) -> bool:
        """Return whether signals are known to arrive at present."""

    async def run(self) -> None:
        """Receive signals until cancelled; reconnect after failures."""

    async def send(self, signals: Sequence[str]) -> None:
        """Send signals to the other processes; one that is lost is made up for by their poll."""

    def check(self) -> None:
        """Check whether signals still arrive: the poll has found a change without one."""

    async def close(self) -> None:
        """Close what is still open once `run` is cancelled."""
