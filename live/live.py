"""Live updates of one process: its hub, and the tasks that wake it and tell the others."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from core.database import Database
from core.database_url import parse_database_url
from core.errors import UnavailableError
from core.settings import Settings
from live.hub import Hub, WakeUp
from live.poll import poll
from live.postgres import PostgresSource
from live.redis import RedisSource
from live.signals import Signals
from live.source import Source

_TELL_EVERY_S: Final = 0.01

_log = logging.getLogger(__name__)


class Live:
    """Wakes at once for what this process commits, by a signal for what others do, and by the poll in every case."""

    def __init__(self, database: Database, settings: Settings, observe: Callable[[WakeUp], None]) -> None:
        self.hub = Hub(observe)
        # By message: woken when more of a reply has been kept.
        self.replies = Hub(observe)
        self._database = database
        self._settings = settings
        self._signals = Signals()
        self._source = self._make_source()
        self._untold: dict[str, int] = {}
        self._has_untold = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        database.after_commit.append(self._after_commit)

    def _make_source(self) -> Source | None:
        if self._settings.broker_url is not None:
            return RedisSource(self._settings.broker_url, self.hub, self._signals)
        if self._database.is_sqlite or not self._settings.database_listen:
            return None
        url = self._settings.database_direct_url or self._settings.database_url
        return PostgresSource(self._database, parse_database_url(url), self.hub, self._signals)

    def start(self) -> None:
        """Begin to poll, to listen and to tell."""
        self._tasks.append(asyncio.create_task(self._poll()))
        if self._source is not None:
            self._tasks.append(asyncio.create_task(self._source.run()))
            self._tasks.append(asyncio.create_task(self._tell(self._source)))

    async def close(self) -> None:
        """Stop all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._source is not None:
            await self._source.close()

    @property
    def is_told(self) -> bool:
        """Tell whether other processes' signals are known to arrive just now."""
        return self._source is not None and self._source.is_reliable

    def _after_commit(self, revisions: Mapping[str, int]) -> None:
        self.hub.wake(revisions, WakeUp.LOCAL)
        if self._source is not None:
            self._untold.update(revisions)
            self._has_untold.set()

    async def _tell(self, source: Source) -> None:
        """Tell the other processes; what gathers while one statement runs goes with the next."""
        while True:
            await self._has_untold.wait()
            self._has_untold.clear()
            revisions, self._untold = self._untold, {}
            try:
                await source.send(self._signals.write(revisions))
            except Exception as error:  # noqa: BLE001 - a hint that is lost does no harm
                _log.warning("Other processes were not told: %s", str(error) or type(error).__name__)
            # The first change is told at once; of many that follow each other, each would cost as much as itself.
            await asyncio.sleep(_TELL_EVERY_S)

    async def _poll(self) -> None:
        is_failing = False
        while True:
            is_told = self.is_told
            await self.hub.rest(self._settings.poll_when_told_s if is_told else self._settings.poll_s)
            try:
                has_found = await poll(self._database, self.hub)
            except Exception as error:  # noqa: BLE001 - without the poll nothing would ever be noticed again
                # Told once, not four times a second.
                if not is_failing:
                    _log.warning("The poll fails: %s", error, exc_info=not isinstance(error, UnavailableError))
                is_failing = True
                continue
            is_failing = False
            if has_found and is_told and self._source is not None:
                self._source.doubt()
