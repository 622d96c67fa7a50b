"""What every means of telling other processes has in common."""

from collections.abc import Sequence
from typing import Protocol


class Source(Protocol):
    """Brings other processes' signals to the hub, and this one's to theirs."""

    @property
    def is_reliable(self) -> bool:
        """Tell whether signals are known to arrive just now."""

    async def run(self) -> None:
        """Receive signals until cancelled, whatever fails meanwhile."""

    async def send(self, signals: Sequence[str]) -> None:
        """Tell the other processes; what cannot be told now is left to their poll."""

    def doubt(self) -> None:
        """Hear that a change came without a signal, and find out whether signals still arrive."""

    async def close(self) -> None:
        """Give back what is still open once `run` is cancelled."""
